"""Two runs beside each other: chosen, aligned, measured against each other, and their texts read for what differs."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.console.conftest import Site

FIRST, SECOND = "a1" * 16, "b2" * 16
BEGAN = datetime(2026, 11, 1, 9, 30, tzinfo=UTC)

Step = tuple[str, str, int, int, str, str]
"""Name, kind, and in ms from when to when; what was asked and answered."""


def run(site: Site, trace: str, steps: list[Step], failed: str = "", name: str = "plan a trip") -> list[str]:
    """The ids of the spans of a run, its root first."""

    def time(ms: int) -> str:
        return (BEGAN + timedelta(milliseconds=ms)).isoformat()

    at = {"traceId": trace, "startedAt": time(0)}
    ids = [site.begin(name, kind="AGENT", spanId=f"{trace[:2]}{0:014x}", **at)]
    for number, (step, kind, start, end, asked, answered) in enumerate(steps, 1):
        span = f"{trace[:2]}{number:014x}"
        parent = {"parentSpanId": f"{trace[:2]}{0:014x}"}
        id = site.begin(step, kind=kind, spanId=span, traceId=trace, startedAt=time(start), **parent)
        said: dict[str, object] = {}
        if kind == "LLM":
            messages = {"input": ("user", asked), "output": ("assistant", answered)}
            said = {
                f"gen_ai.{side}.messages": json.dumps([{"role": role, "parts": [{"type": "text", "content": text}]}])
                for side, (role, text) in messages.items()
            } | {"gen_ai.usage.input_tokens": len(asked), "gen_ai.usage.output_tokens": len(answered)}
        site.end(id, endedAt=time(end), attributes=said, statusCode="ERROR" if step == failed else "OK")
        ids.append(id)
    site.end(ids[0], endedAt=time(max(one[3] for one in steps) + 10))
    return ids


ASKED = "Plan a day in Porto.\nNot before ten.\nWe like boats.\nAnd tiles.\nAnd coffee."


@pytest.fixture(scope="module")
def runs(site: Site) -> tuple[list[str], list[str]]:
    first = run(
        site,
        FIRST,
        [
            ("chat", "LLM", 10, 400, ASKED, "Take the tram to the river."),
            ("weather", "TOOL", 410, 500, "", ""),
            ("chat", "LLM", 510, 900, "Shorter.", "Tram, river."),
        ],
    )
    second = run(
        site,
        SECOND,
        [
            ("chat", "LLM", 10, 210, ASKED.replace("ten", "eleven"), "Take the ferry to the river."),
            ("opening hours", "TOOL", 220, 300, "", ""),
            ("weather", "TOOL", 310, 400, "", ""),
            ("chat", "LLM", 410, 800, "Shorter.", "Tram, river."),
        ],
        failed="weather",
    )
    return first, second


def test_a_run_that_goes_on_is_compared_as_it_goes(site: Site, page: Page) -> None:
    earlier, now = "c3" * 16, "d4" * 16
    steps: list[Step] = [("chat", "LLM", 10, 400, "Hi", "Ho"), ("weather", "TOOL", 410, 500, "", "")]
    run(site, earlier, steps, name="book a trip")
    at = (BEGAN + timedelta(hours=1)).isoformat()
    root = site.begin("book a trip", kind="AGENT", spanId=f"{0xD4:016x}", traceId=now, startedAt=at)
    page.goto(f"/traces/{earlier}/compare/{now}")
    rows = page.get_by_role("treeitem")
    expect(rows).to_have_count(3)
    expect(rows.nth(2)).to_contain_text("only in the first")
    tool = {"kind": "TOOL", "parentSpanId": f"{0xD4:016x}"}
    id = site.begin("weather", spanId=f"{0xD5:016x}", traceId=now, startedAt=at, **tool)
    expect(page.get_by_text("only in the first")).to_have_count(1)
    site.end(id, endedAt=(BEGAN + timedelta(hours=1, seconds=3)).isoformat())
    expect(rows.nth(2)).to_contain_text("+2.91 s")
    site.end(root, endedAt=(BEGAN + timedelta(hours=1, seconds=4)).isoformat())
    expect(page.get_by_role("row", name="difference")).to_contain_text("+3.49 s")


@pytest.mark.both_families
def test_a_run_is_compared_with_an_earlier_one(runs: tuple[list[str], list[str]], page: Page) -> None:
    """From the trace by its list of others, to what took less, is new, failed, and says something else."""
    first, _ = runs
    page.goto(f"/traces/{FIRST}")
    page.get_by_role("link", name="Compare…").click()
    page.get_by_role("list", name="Runs").get_by_role("link", name="plan a trip").click()
    assert httpx.URL(page.url).path == f"/traces/{FIRST}/compare/{SECOND}"
    totals = page.get_by_role("row", name="difference")
    expect(totals).to_contain_text("−100 ms (−11 %)")
    expect(totals).to_contain_text("+1")
    rows = page.get_by_role("treeitem")
    expect(rows).to_have_count(5)
    expect(rows.nth(1)).to_contain_text("−190 ms")
    expect(rows.nth(2)).to_contain_text("opening hours")
    expect(rows.nth(2)).to_contain_text("only in the second")
    expect(rows.nth(3)).to_contain_text("ok→error")
    expect(page.get_by_role("status")).to_contain_text("4 of 5 spans differ")
    page.get_by_role("button", name="Differences only").click()
    expect(rows).to_have_count(4)
    page.get_by_role("tree").click(position={"x": 60, "y": 10})
    page.keyboard.press("n")
    pair = page.get_by_role("complementary", name="Spans")
    asked = pair.get_by_role("group", name="Input, line by line")
    expect(asked.locator("del")).to_have_text("ten.")
    expect(asked.locator("ins")).to_have_text("eleven.")
    expect(pair.get_by_role("group", name="Output, line by line").locator("ins")).to_have_text("ferry")
    page.reload()
    expect(page.locator(".pair-row.selected")).to_contain_text("−190 ms")
    assert httpx.URL(page.url).params["span"] == first[1]
    page.keyboard.press("x")
    expect(rows.nth(1)).to_contain_text("+190 ms")
    expect(rows.nth(2)).to_contain_text("only in the first")


def test_many_spans_are_compared_at_once(site: Site, page: Page) -> None:
    """What is missing in the middle moves nothing that comes after it; and of one id there is no run."""
    one, other = site.trace("run of many", 2000, "compared"), site.trace("run of more", 2300, "compared")
    page.goto(f"/traces/{one}/compare")
    page.get_by_role("searchbox").fill(other)
    expect(page.get_by_role("status")).to_contain_text("of 2,300 spans differ")
    expect(page.get_by_role("row", name="difference")).to_contain_text("+300")
    assert page.get_by_role("treeitem").count() < 80
    page.goto(f"/traces/{one}/compare/{'0' * 31}1")
    expect(page.get_by_text("There is no such trace")).to_be_visible()
