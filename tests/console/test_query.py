"""The page of queries, and the one of whoever runs the server."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from tests.console.conftest import Site


def write(page: Page, text: str) -> None:
    page.get_by_role("textbox", name="Query").click()
    page.keyboard.press("Control+a")
    page.keyboard.insert_text(text)


@pytest.mark.both_families
def test_a_query_is_written_run_and_shared(site: Site, page: Page) -> None:
    """By way of /graphql, where people go first."""
    site.session("asked", "Asked by query")
    page.goto("/graphql")
    write(page, "query ($name: String!) { session(by: {externalId: $name}) { title } }")
    page.get_by_role("textbox", name="Variables").click()
    page.keyboard.press("Control+a")
    page.keyboard.insert_text(json.dumps({"name": "asked"}))
    page.keyboard.press("Control+Enter")
    answer = page.get_by_role("region", name="Answer")
    expect(answer).to_contain_text("Asked by query")
    expect(page.get_by_role("status")).to_contain_text("request")
    page.get_by_role("button", name="Share").click()
    shared = page.evaluate("navigator.clipboard.readText()")
    page.goto("about:blank")
    page.goto(shared)
    expect(page.get_by_role("textbox", name="Query")).to_contain_text("externalId: $name")
    page.get_by_role("button", name="Run").click()
    expect(answer).to_contain_text("Asked by query")
    page.get_by_role("combobox", name="History").select_option("0")


def test_the_editor_knows_the_schema(page: Page) -> None:
    page.goto("/query")
    write(page, "{ sess")
    page.keyboard.press("Control+Space")
    expect(
        page.get_by_role("listbox", name="Completions").get_by_role("option", name="sessionsSession")
    ).to_be_visible()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Docs").click()
    docs = page.get_by_role("complementary", name="Docs")
    docs.get_by_role("button", name="Health!").click()
    expect(docs).to_contain_text("The worst status among the stores.")


def test_a_mistake_is_told_with_the_request(page: Page) -> None:
    page.goto(f"/query?query={quote('{ nothing }')}")
    page.get_by_role("button", name="Run").click()
    expect(page.get_by_role("region", name="Answer")).to_contain_text("Cannot query field")
    expect(page.get_by_role("status")).to_contain_text("400")


def test_headers_are_sent_and_examples_run(page: Page) -> None:
    page.goto(f"/query?query={quote('{ viewer { name } }')}")
    page.get_by_text("Headers", exact=True).click()
    page.get_by_role("textbox", name="Headers, as JSON").fill('{"X-Request-Id": "a-request-of-mine"}')
    page.get_by_role("button", name="Run").click()
    status = page.get_by_role("status").first
    expect(status).to_contain_text("a-request-of-mine")
    examples = page.get_by_role("combobox", name="Examples")
    for number in range(examples.locator("option").count() - 1):
        examples.select_option(str(number))
        text = page.get_by_role("textbox", name="Query").inner_text()
        if text.startswith(("mutation", "subscription")) or "$" in text:
            continue
        page.get_by_role("button", name="Run").click()
        expect(status).to_contain_text("200")
        expect(page.get_by_role("region", name="Answer")).not_to_contain_text("errors")


@pytest.mark.both_families
def test_a_subscription_goes_on_until_it_is_stopped(site: Site, page: Page) -> None:
    page.goto(f"/query?query={quote('subscription { memoryChanges { kind memory { text } } }')}")
    page.get_by_role("button", name="Run").click()
    status = page.get_by_role("status")
    expect(status).to_contain_text("waiting")
    page.wait_for_timeout(300)  # until it has begun: without a cursor it tells what comes from then on
    site.remember("A gull flew by.")
    expect(page.get_by_role("region", name="Answer")).to_contain_text("A gull flew by.")
    page.get_by_role("button", name="Stop").click()
    site.remember("Another gull.")
    page.wait_for_timeout(300)
    expect(status).to_contain_text("1 events")


@pytest.mark.both_families
def test_who_runs_the_server_sees_how_it_is(site: Site, page: Page) -> None:
    site.session("audited")
    page.goto("/operate")
    expect(page.locator(".card .badge").first).to_have_text("healthy")
    page.get_by_role("tab", name="Figures").click()
    expect(page.locator(".card", has_text="recollect_operations_total")).to_contain_text("a second")
    page.get_by_role("tab", name="Audit").click()
    page.get_by_role("searchbox", name="Action").fill("createSession")
    expect(page.get_by_role("list", name="Audit log").get_by_role("listitem").first).to_contain_text("createSession")
    page.get_by_role("tab", name="Tools").click()
    expect(page.get_by_text("No tool ran yet").or_(page.get_by_role("table"))).to_be_visible()
