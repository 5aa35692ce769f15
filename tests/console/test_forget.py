"""What is to be forgotten is counted first, and done only then."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.console.conftest import Site

USER = "mutation ($i: UpsertUserInput!) { upsertUser(input: $i) { user { id } errors { message } } }"


def agree(page: Page) -> None:
    page.evaluate("window.confirm = () => true")


@pytest.mark.both_families
def test_old_traces_are_counted_and_then_deleted(site: Site, page: Page) -> None:
    site.end(site.begin("of long ago", traceId="0a" * 16, spanId="0a" * 8, startedAt="2001-02-03T04:05:06Z"))
    page.goto("/operate?tab=forget")
    job = page.get_by_role("region", name="Retention")
    job.get_by_label("Of").select_option("TRACES")
    expect(job.get_by_role("button", name="Dry run")).to_be_disabled()
    job.get_by_label("Days that are kept").fill("8000")
    job.get_by_role("button", name="Dry run").click()
    expect(job.get_by_role("status")).to_contain_text("Nothing is done yet")
    expect(job.get_by_role("row", name="traces")).to_contain_text("1")
    job.get_by_label("Days that are kept").fill("8001")
    expect(job.get_by_role("status")).to_have_count(0)
    job.get_by_role("button", name="Dry run").click()
    agree(page)
    job.get_by_role("button", name="Delete 1 for good").click()
    expect(job.get_by_role("status")).to_contain_text("Done:")
    job.get_by_role("button", name="Dry run").click()
    expect(job.get_by_role("status")).to_contain_text("Nothing would be done.")


@pytest.mark.both_families
def test_a_user_is_erased_after_it_was_seen_what_goes(site: Site, page: Page) -> None:
    site.ask(USER, i={"externalId": "eve", "name": "Eve <img src=x onerror=alert(1)>"})
    memory = site.remember("Eve keeps her boat at the northern quay.", owner={"externalId": "eve"})
    page.goto("/operate?tab=forget")
    job = page.get_by_role("region", name="Erasure")
    job.get_by_label("Its id or external id").fill("nobody of that name")
    job.get_by_role("button", name="Dry run").click()
    expect(job.get_by_role("alert")).to_be_visible()
    job.get_by_label("Its id or external id").fill("eve")
    job.get_by_role("button", name="Dry run").click()
    expect(job.get_by_role("status")).to_contain_text("memory: 1")
    assert site.ask("query ($id: ID!) { memory(by: {id: $id}) { id } }", id=memory)["memory"]
    agree(page)
    job.get_by_role("button", name="Erase the user for good").click()
    expect(job.get_by_role("status")).to_contain_text("0 are left")
    assert site.ask("query ($id: ID!) { memory(by: {id: $id}) { id } }", id=memory)["memory"] is None


def test_memories_are_let_fade_after_they_were_counted(site: Site, page: Page) -> None:
    site.ask(USER, i={"externalId": "olaf", "name": "Olaf"})
    memory = site.remember("Olaf whistles.", owner={"externalId": "olaf"})
    page.goto("/operate?tab=forget")
    job = page.get_by_role("region", name="Decay")
    job.get_by_label("Of").select_option("Olaf")
    job.get_by_label("How much less fresh").fill("0.25")
    job.get_by_role("button", name="Dry run").click()
    expect(job.get_by_role("status")).to_contain_text("1 active memory is less fresh by 0.25")
    fresh = "query ($id: ID!) { memory(by: {id: $id}) { decayFactor } }"
    assert site.ask(fresh, id=memory)["memory"]["decayFactor"] == 1
    agree(page)
    job.get_by_role("button", name="Lower the freshness of 1").click()
    expect(job.get_by_role("status")).to_contain_text("Done:")
    assert site.ask(fresh, id=memory)["memory"]["decayFactor"] == 0.75
