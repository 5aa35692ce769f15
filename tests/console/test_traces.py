"""Traces: found, opened at any size, searched, watched while they run."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.console.conftest import Site

MANY = 4000


@pytest.fixture(scope="module")
def many(site: Site) -> str:
    return site.trace("many", MANY, "traced")


@pytest.mark.both_families
def test_many_spans_are_few_rows_and_are_searched(many: str, page: Page) -> None:
    page.goto(f"/traces/{many}")
    expect(page.get_by_text(f"{MANY:,} spans")).to_be_visible()
    expect(page.get_by_role("button", name="40 failed")).to_be_visible()
    rows = page.get_by_role("treeitem")
    assert rows.count() < 80
    page.get_by_role("searchbox", name="Find in this trace").fill("step 399")
    expect(page.get_by_text("11 found")).to_be_visible()
    page.get_by_role("searchbox", name="Find in this trace").press("Enter")
    expect(page.locator(".line-row.selected")).to_contain_text("step 399")
    expect(page.locator(".line-row.selected")).to_be_in_viewport()
    span = page.get_by_role("complementary", name="Span")
    expect(span.locator(".message strong")).to_have_text("399")
    span.get_by_role("tab", name="Raw").click()
    expect(span.locator(".json")).to_contain_text("gen_ai.request.model")


def test_it_folds_and_is_walked_with_keys(many: str, page: Page) -> None:
    page.goto(f"/traces/{many}")
    expect(page.get_by_text(f"{MANY:,} spans")).to_be_visible()
    rows = page.get_by_role("treeitem")
    page.get_by_role("button", name="Fold all").click()
    expect(rows.nth(1)).to_have_attribute("aria-expanded", "false")
    expect(rows.nth(1)).to_contain_text("more")
    page.get_by_role("button", name="Unfold all").click()
    page.get_by_role("tree").click(position={"x": 60, "y": 10})
    page.keyboard.press("j")
    expect(page.locator(".line-row.selected")).to_contain_text("step 1")
    page.keyboard.press("e")
    expect(page.locator(".line-row.selected .bad").first).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator(".line-row.selected")).to_have_count(0)
    page.keyboard.press("c")
    expect(page.locator(".line-row.critical").first).to_be_visible()


@pytest.mark.both_families
def test_a_running_span_grows_and_a_failure_stands_out(site: Site, page: Page) -> None:
    """What comes while it is paused is counted, and there when it is live again."""
    id = site.session("runs")
    trace = "ab" * 16
    root = site.begin("whole work", session={"id": id}, traceId=trace, spanId="11" * 8, kind="AGENT")
    page.goto(f"/traces/{trace}")
    bar = page.locator(".beam.running")
    expect(bar).to_have_count(1)
    expect(page.get_by_text("1 running")).to_be_visible()
    child = site.begin("a call", session={"id": id}, traceId=trace, spanId="22" * 8, parentSpanId="11" * 8, kind="TOOL")
    expect(page.get_by_role("treeitem", name="a call")).to_be_visible()
    page.get_by_role("button", name="Pause").click()
    site.end(child, statusCode="ERROR", statusMessage="the depot is shut")
    expect(page.get_by_role("button", name="Live again, 1 new")).to_be_visible()
    expect(page.locator(".beam.ERROR")).to_have_count(0)
    page.get_by_role("button", name="Live again").click()
    expect(page.locator(".beam.ERROR")).to_have_count(1)
    site.end(root)
    expect(bar).to_have_count(0)
    page.get_by_role("button", name="1 failed").click()
    expect(page.get_by_role("complementary", name="Span")).to_contain_text("the depot is shut")


def test_playback_shows_it_as_it_was(many: str, page: Page) -> None:
    page.goto(f"/traces/{many}")
    expect(page.locator(".beam").nth(5)).to_be_visible()
    page.get_by_label("Time in the trace").evaluate(
        "input => { input.value = 2; input.dispatchEvent(new Event('input', {bubbles: true})); }"
    )
    expect(page.locator(".line-row.ahead").first).to_be_visible()


@pytest.mark.both_families
def test_a_trace_is_found_among_all(site: Site, page: Page) -> None:
    trace = "cd" * 16
    site.end(site.begin("odd errand", traceId=trace, spanId="33" * 8, kind="RETRIEVER"), statusCode="ERROR")
    page.goto("/traces")
    page.get_by_role("searchbox").fill("ODD err")
    page.get_by_role("combobox", name="Status").select_option("ERROR")
    page.get_by_role("combobox", name="Kind").select_option("RETRIEVER")
    page.get_by_role("list", name="Traces").get_by_role("link", name="odd errand").click()
    assert httpx.URL(page.url).path == f"/traces/{trace}"
    expect(page.get_by_role("treeitem")).to_have_count(1)


def test_figures_are_summed_upwards_and_lists_ordered_by_them(site: Site, page: Page) -> None:
    trace = "d0" * 16
    root = site.begin("plan it all", kind="AGENT", traceId=trace, spanId="d0" * 8)
    for number in (1, 2):
        child = site.begin(f"ask {number}", kind="LLM", traceId=trace, spanId=f"d{number}" * 8, parentSpanId="d0" * 8)
        site.end(child, attributes={"gen_ai.usage.input_tokens": 100 * number, "gen_ai.usage.output_tokens": 11})
    site.end(root)
    site.end(site.begin("plan it small", traceId="d9" * 16, spanId="d9" * 8))
    page.goto(f"/traces/{trace}")
    rows = page.get_by_role("treeitem")
    expect(rows.nth(0)).to_contain_text("322")
    expect(rows.nth(2)).to_contain_text("211")
    for row, part in ((0, "100%"), (1, "34%"), (2, "66%")):  # as a bar, of the whole trace
        expect(rows.nth(row).locator(".numbers").first).to_have_css("background-size", f"{part} 2px")
    page.goto("/traces?text=plan+it")
    found = page.get_by_role("list", name="Traces").get_by_role("link")
    expect(found.first).to_contain_text("plan it small")
    page.get_by_role("combobox", name="Order").select_option("TOKENS")
    expect(found.first).to_contain_text("322 tokens")


def test_the_slowest_the_dearest_and_the_failed_come_first(site: Site, page: Page) -> None:
    start = datetime(2026, 3, 1, tzinfo=UTC)
    for name, seconds, cost, failed in (("hasty", 1, 0.5, False), ("dear", 2, 9.0, False), ("slow", 60, 0.1, True)):
        at = {"traceId": hashlib.md5(name.encode(), usedforsecurity=False).hexdigest(), "startedAt": start.isoformat()}
        span = site.begin(f"sail {name}", kind="LLM", **at)
        start += timedelta(hours=1)
        ends = {"endedAt": (start - timedelta(hours=1) + timedelta(seconds=seconds)).isoformat()}
        attributes = {"gen_ai.usage.cost": cost, "gen_ai.usage.input_tokens": 1}
        site.end(span, attributes=attributes, statusCode="ERROR" if failed else "OK", **ends)
    page.goto("/traces?text=sail")
    found = page.get_by_role("list", name="Traces").get_by_role("link")
    expect(found.first).to_contain_text("sail slow")  # the latest
    order = page.get_by_role("combobox", name="Order")
    order.select_option("dearest")
    expect(found.first).to_contain_text("sail dear")
    order.select_option("slowest")
    expect(found.first).to_contain_text("sail slow")
    expect(found.nth(1)).to_contain_text("sail dear")
    page.get_by_role("combobox", name="Status").select_option("failed")
    expect(found).to_have_count(1)
    page.get_by_role("combobox", name="Status").select_option("any status")
    page.get_by_role("combobox", name="Duration").select_option("10 s and more")
    expect(found).to_have_count(1)
    expect(found).to_contain_text("sail slow")
    page.get_by_role("combobox", name="Duration").select_option("any duration")
    order.select_option("most errors")
    expect(found.first).to_contain_text("sail slow")
    hasty = hashlib.md5(b"hasty", usedforsecurity=False).hexdigest()
    for _ in range(2):  # while the list is looked at
        site.end(site.begin("sail on", traceId=hasty), statusCode="ERROR")
    expect(found.first).to_contain_text("sail hasty")
    expect(found.first).to_contain_text("2 errors")
