"""Sessions and what was said in them, live, and why it was said."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.console.conftest import Site


@pytest.mark.both_families
def test_a_session_is_found_by_what_was_said_and_read(site: Site, page: Page) -> None:
    """Filters stand in the address; a call has its result beside it; thoughts are folded; markdown is drawn."""
    id = site.session("reading", "About the harbour")
    site.session("other", "About the garden")
    site.say(id, "Is the **crane** out of order?\n\n- the big one\n- `north`")
    call = {"toolCall": {"callId": "c1", "tool": "cranes.get", "arguments": {"name": "north"}}}
    site.say(id, role="assistant", content=[{"text": "I look."}, call])
    site.say(id, role="tool", content=[{"toolResponse": {"callId": "c1", "result": {"state": "resting"}}}])
    page.goto("/")
    rows = page.get_by_role("list", name="Sessions").get_by_role("link")
    expect(rows.filter(has_text="About the garden")).to_be_visible()
    page.get_by_role("searchbox").fill("crane")
    expect(rows).to_have_count(1)
    assert "text=crane" in page.url
    rows.click()
    said = page.get_by_role("log")
    expect(said.locator("strong", has_text="crane")).to_be_visible()
    expect(said.locator("li")).to_have_text(["the big one", "north"])
    expect(said.get_by_text("cranes.get answered")).to_have_count(0)
    said.locator("summary", has_text="cranes.get").click()
    expect(said.locator(".json", has_text="resting")).to_be_visible()
    expect(page.get_by_label("Participants", exact=True)).to_contain_text("assistant")
    page.reload()
    expect(page.get_by_role("heading", name="About the harbour")).to_be_visible()


def test_a_message_has_an_address(site: Site, page: Page) -> None:
    """Also in the middle of a long session: what is before and after it can be read on."""
    id = site.session("long")
    messages = [{"role": "user", "text": f"line {number}."} for number in range(150)]
    made = site.ask(
        "mutation ($i: AddMessagesInput!) { addMessages(input: $i) { messages { id } errors { message } } }",
        i={"session": {"id": id}, "messages": messages},
    )["addMessages"]["messages"]
    page.goto(f"/sessions/{id}?message={made[60]['id']}")
    aimed = page.locator(".message.aimed")
    expect(aimed).to_contain_text("line 60.")
    expect(aimed).to_be_in_viewport()
    expect(page.get_by_text("line 61.", exact=True)).to_have_count(1)
    log = page.get_by_role("log")
    log.evaluate("box => box.scrollTo(0, 0)")
    expect(page.get_by_text("line 0.", exact=True)).to_have_count(1)


@pytest.mark.both_families
def test_what_is_written_comes_in_also_after_the_server_was_away(site: Site, page: Page) -> None:
    """kill -9 in between: each message once, in order, and the page says that it is away."""
    id = site.session("live", "A live one")
    site.say(id, "said before")
    page.goto(f"/sessions/{id}")
    log = page.get_by_role("log")
    expect(log).to_contain_text("said before")
    for number in range(3):
        site.say(id, f"first {number}")
    expect(log).to_contain_text("first 2")
    site.running.kill()
    expect(page.get_by_text("reconnecting")).to_be_visible()
    site.running.start()
    for number in range(3):
        site.say(id, f"second {number}")
    expect(log).to_contain_text("second 2", timeout=20_000)
    expect(page.get_by_text("reconnecting")).to_have_count(0)
    texts = [re.sub(r"\s+", " ", text) for text in log.locator(".markdown").all_inner_texts()]
    assert texts == ["said before", *(f"first {n}" for n in range(3)), *(f"second {n}" for n in range(3))]


@pytest.mark.both_families
def test_a_new_session_comes_into_the_list(site: Site, page: Page) -> None:
    page.goto("/sessions?text=arrival")
    expect(page.get_by_text("No session is like that")).to_be_visible()
    id = site.session("arrives", "The arrival")
    row = page.get_by_role("link", name="The arrival")
    expect(row).to_contain_text("0 messages")
    site.say(id, "hello")
    expect(row).to_contain_text("1 message")


@pytest.mark.both_families
def test_what_is_at_work_is_seen(site: Site, page: Page) -> None:
    id = site.session("working")
    page.goto(f"/sessions/{id}")
    expect(page.get_by_text("No messages yet")).to_be_visible()
    span = site.begin("harbour.answer", session={"id": id}, kind="AGENT")
    work = page.get_by_label("At work")
    expect(work).to_contain_text("harbour.answer")
    site.end(span)
    expect(work).to_have_count(0)


@pytest.mark.both_families
def test_why_a_message_says_that(site: Site, page: Page) -> None:
    """From the answer to the memory, the parts of its score, and the message that it was formed from."""
    before = site.session("origin", "Where it came from")
    origin = site.say(before, "Our ferry leaves at seven.")
    memory = site.remember("The ferry leaves at seven.", sourceMessage={"id": origin})
    id = site.session("asking", "Asked later")
    question = site.say(id, "When does the ferry leave?")
    site.ask(
        "mutation ($i: RecallInput!) { recall(input: $i) { search { hits { score } } errors { message } } }",
        i={"query": {"text": "ferry leave"}, "session": {"id": id}, "message": {"id": question}},
    )
    site.say(id, "At seven.", "assistant", memoryRefs=[{"memory": {"id": memory}, "score": 0.9}])
    page.goto(f"/sessions/{id}")
    page.get_by_role("button", name="1 memory").last.click()
    why = page.get_by_role("complementary", name="Why")
    expect(why).to_contain_text("The ferry leaves at seven.")
    for part in ("score", "similarity", "words", "importance"):
        expect(why.locator(".score", has_text=part).first).to_be_visible()
    why.get_by_role("link", name="Our ferry leaves").click()
    expect(page.get_by_role("heading", name="Where it came from")).to_be_visible()
    expect(page.locator(".message.aimed")).to_contain_text("Our ferry")
    page.get_by_role("link", name="The ferry leaves at seven.").click()
    expect(page.get_by_role("region", name="Memory", exact=True)).to_contain_text("When does the ferry leave?")


def test_what_a_session_has_by_its_kind(site: Site, page: Page) -> None:
    ways = [{"from": "open", "to": "shut", "name": "close"}]
    workflow = {"states": [{"name": "open"}, {"name": "shut"}], "transitions": ways, "initial": "open"}
    id = site.session("gate", "The gate", kind="WORKFLOW", workflow=workflow)
    page.goto(f"/sessions/{id}?tab=kind")
    expect(page.locator(".states .now")).to_contain_text("open")
    expect(page.locator(".states .now")).to_contain_text("close → shut")
