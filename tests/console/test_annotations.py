"""A person says something of what is looked at: one key, a form, and there it stands."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.console.conftest import Site

ASK = "query ($id: ID!) { annotations(filter: {target: $id}) { nodes { name value label comment } } }"


@pytest.mark.both_families
@pytest.mark.parametrize("what", ["message", "span", "memory", "session"])
def test_it_is_annotated_by_one_key(site: Site, page: Page, what: str) -> None:
    """And taken back; what an earlier one said under the same name is replaced."""
    session = site.session(f"judged {what}", f"To be judged, {what}")
    message = site.say(session, "The tram takes five minutes.", "assistant")
    memory = site.remember(f"A tram takes five minutes, {what}.")
    trace = {"message": "51", "span": "52", "memory": "53", "session": "54"}[what] * 16
    span = site.begin("reckon", traceId=trace, spanId=trace[:16])
    site.end(span)
    id, path = {
        "message": (message, f"/sessions/{session}"),
        "span": (span, f"/traces/{trace}?span={span}"),
        "memory": (memory, f"/memories/{memory}"),
        "session": (session, f"/sessions/{session}"),
    }[what]
    page.goto(path)
    expect(page.get_by_role("button", name="annotate").first).to_be_visible()
    page.locator("main").focus()
    if what == "message":
        page.locator("article").get_by_text("five minutes").hover()
    page.keyboard.press("a")
    form = page.get_by_role("dialog", name=f"Annotate the {what}")
    form.get_by_label("What is judged").fill("accuracy")
    form.get_by_label("Value, a number").fill("0.4")
    form.get_by_label("Label").fill("outdated")
    form.get_by_label("Comment").fill("It takes ten since the works.")
    form.get_by_role("button", name="Annotate").click()
    badge = page.locator("main .badge", has_text="accuracy 0.4 outdated")
    expect(badge).to_be_visible()
    expect(form).to_have_count(0)
    said = {"name": "accuracy", "value": 0.4, "label": "outdated", "comment": "It takes ten since the works."}
    assert site.ask(ASK, id=id)["annotations"]["nodes"] == [said]
    if what == "message":
        page.locator("article").get_by_text("five minutes").hover()
    page.keyboard.press("a")
    expect(form.get_by_label("What is judged")).to_have_value("accuracy")
    page.keyboard.type("1")
    page.keyboard.press("Enter")
    again = page.locator("main .badge", has_text="accuracy 1")
    expect(again).to_be_visible()
    expect(badge).to_have_count(0)
    again.get_by_role("button", name="Take away accuracy").click()
    expect(again).to_have_count(0)
    assert site.ask(ASK, id=id)["annotations"]["nodes"] == []


def test_what_is_wrong_with_it_is_told(site: Site, page: Page) -> None:
    page.goto(f"/memories/{site.remember('A tram has four doors.')}")
    page.get_by_role("button", name="annotate").click()
    form = page.get_by_role("dialog")
    form.get_by_role("button", name="Annotate").click()
    expect(form.get_by_role("alert")).to_be_visible()
    page.keyboard.press("Escape")
    expect(form).to_have_count(0)
