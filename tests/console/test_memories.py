"""Memories: searched with reasons, walked as a graph, watched, and seen as they were."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from playwright.sync_api import Page, expect

from tests.console.conftest import Site

LINK = "mutation ($i: LinkMemoriesInput!) { linkMemories(input: $i) { links { id } errors { message } } }"


@pytest.fixture(scope="module")
def chain(site: Site) -> list[str]:
    """Four memories, each linked to the next."""
    site.ask('mutation { upsertUser(input: {externalId: "lena", name: "Lena"}) { user { id } errors { message } } }')
    ids = [site.remember(f"The lighthouse has step {n}.", owner={"externalId": "lena"}) for n in range(4)]
    pairs = pairwise(ids)
    links = [{"source": {"id": one}, "target": {"id": other}, "weight": 0.8} for one, other in pairs]
    site.ask(LINK, i={"links": links})
    return ids


@pytest.mark.both_families
def test_a_search_says_why(chain: list[str], page: Page) -> None:
    page.goto("/memories")
    page.get_by_role("searchbox").fill("lighthouse step")
    hits = page.locator(".hits > li", has_text="The lighthouse has step")
    expect(hits).to_have_count(4)
    hits.first.get_by_text("Why was this found?").click()
    for part in ("similarity", "words", "importance", "decay"):
        expect(hits.first.locator(".reasons .score", has_text=part)).to_be_visible()


@pytest.mark.both_families
def test_the_list_is_live(site: Site, page: Page) -> None:
    page.goto("/memories")
    expect(page.get_by_role("status")).to_contain_text("memories")
    id = site.remember("A cormorant sat on the buoy.")
    row = page.get_by_role("link", name="A cormorant sat")
    expect(row).to_be_visible()
    site.ask(
        "mutation ($i: DeleteMemoriesInput!) { deleteMemories(input: $i) { memories { id } errors { message } } }",
        i={"memories": [{"id": id}]},
    )
    expect(row).to_have_count(0)


@pytest.mark.both_families
def test_the_graph_grows_by_a_click_and_shows_a_path(site: Site, chain: list[str], page: Page) -> None:
    page.goto(f"/memories?view=graph&start={chain[0]}&depth=1")
    status = page.get_by_role("status")
    expect(status).to_contain_text("2 nodes, 1 edges")
    page.get_by_text("As a list").click()
    nodes = page.locator(".as-list button")
    nodes.filter(has_text="step 1").click()
    expect(status).to_contain_text("3 nodes, 2 edges")
    expect(page.get_by_role("complementary", name="Selected")).to_contain_text("The lighthouse has step 1.")
    nodes.filter(has_text="step 2").click()
    nodes.filter(has_text="step 0").click()
    page.get_by_role("button", name="Path to…").click()
    nodes.filter(has_text="step 3").click()
    expect(status).to_contain_text("3 links from one to the other")
    expect(page.locator(".trail button")).to_have_count(3)
    page.get_by_label("weight from").fill("0.9")
    expect(status).to_contain_text("0 edges")


@pytest.mark.both_families
def test_what_is_mentioned_stands_in_the_graph(site: Site, page: Page) -> None:
    """A memory leads to what it mentions, and that to the others that mention it."""
    harbour = {"name": "Harbour of Vlissingen", "type": "place", "aliases": ["the old harbour"]}
    first = site.remember("The ferry leaves from the old harbour.", entities=[harbour])
    site.remember("Herring is sold at the harbour on Fridays.", entities=[{"name": harbour["name"], "type": "place"}])
    page.goto(f"/memories?view=graph&start={first}&depth=1")
    status = page.get_by_role("status")
    expect(status).to_contain_text("1 nodes, 0 edges")
    page.get_by_label("entities").check()
    expect(status).to_contain_text("2 nodes, 1 edges")
    page.get_by_text("As a list").click()
    page.locator(".as-list button", has_text="Vlissingen").click()
    expect(status).to_contain_text("3 nodes, 2 edges")
    selected = page.get_by_role("complementary", name="Selected")
    expect(selected).to_contain_text("the old harbour")
    selected.get_by_role("link", name="The ferry leaves").click()
    page.get_by_role("link", name="Harbour of Vlissingen place").click()
    expect(status).to_contain_text("3 nodes, 2 edges")


def test_a_click_on_the_picture_means_the_node_there(chain: list[str], page: Page) -> None:
    """One node alone stands in the middle, once it has settled."""
    page.goto(f"/memories?view=graph&start={chain[3]}&depth=1")
    page.get_by_label("semantic").wait_for()
    plane = page.locator(".plane")
    expect(plane).to_have_attribute("data-settled", "true", timeout=20_000)
    box = plane.bounding_box()
    assert box
    found = plane.locator("canvas").evaluate(
        """canvas => { const ink = canvas.getContext('2d'), {width, height} = canvas;
        const data = ink.getImageData(0, 0, width, height).data, back = data.slice(0, 3).join();
        for (let y = 4; y < height; y += 3) for (let x = 4; x < width; x += 3) { const at = (y * width + x) * 4;
          const [r, g, b] = data.slice(at, at + 3); if (b > r + 60) return [x, y]; } return null; }"""
    )
    assert found, "no node is drawn"
    page.mouse.click(box["x"] + found[0] + 3, box["y"] + found[1] + 3)
    expect(page.get_by_role("complementary", name="Selected")).to_contain_text("The lighthouse has step")


@pytest.mark.both_families
def test_links_of_one_kind_are_shown_alone(site: Site, page: Page) -> None:
    site.ask('mutation { upsertUser(input: {externalId: "pia", name: "Pia"}) { user { id } errors { message } } }')
    owner = site.ask('{ user(by: {externalId: "pia"}) { id } }')["user"]["id"]
    ids = [site.remember(f"Pia said {n}.", owner={"id": owner}) for n in range(3)]
    ends = [("SUPPORTS", 0, 1), ("CAUSES", 0, 2), ("CAUSES", 1, 2)]
    links = [{"kind": kind, "source": {"id": ids[one]}, "target": {"id": ids[other]}} for kind, one, other in ends]
    site.ask(LINK, i={"links": links})
    page.goto(f"/memories?view=graph&owner={owner}")
    status = page.get_by_role("status")
    expect(status).to_contain_text("3 nodes, 3 edges")
    page.get_by_role("combobox", name="Links").select_option("causes")
    expect(status).to_contain_text("3 nodes, 2 edges")
    page.reload()
    expect(status).to_contain_text("3 nodes, 2 edges")
    page.get_by_role("combobox", name="Links").select_option("all links")
    expect(status).to_contain_text("3 nodes, 3 edges")


@pytest.mark.both_families
def test_the_graph_is_live(site: Site, page: Page) -> None:
    site.ask('mutation { upsertUser(input: {externalId: "noor", name: "Noor"}) { user { id } errors { message } } }')
    first = site.remember("Noor keeps bees.", owner={"externalId": "noor"})
    owner = site.ask('{ user(by: {externalId: "noor"}) { id } }')["user"]["id"]
    page.goto(f"/memories?view=graph&owner={owner}")
    status = page.get_by_role("status")
    expect(status).to_contain_text("1 nodes, 0 edges")
    second = site.remember("Noor sells honey.", owner={"externalId": "noor"})
    site.ask(LINK, i={"links": [{"source": {"id": second}, "target": {"id": first}}]})
    expect(status).to_contain_text("2 nodes, 1 edges")


UPDATE = "mutation ($i: UpdateMemoryInput!) { updateMemory(input: $i) { memory { id } errors { message } } }"


def test_what_a_memory_was_before_is_a_diff(site: Site, page: Page) -> None:
    id = site.remember("The pier closes at eight in winter.", metadata={"told": "by Rosa"})
    changed = {"text": "The pier closes at nine in winter.", "importance": 0.9, "metadata": {"told": "by Ines"}}
    site.ask(UPDATE, i={"memory": {"id": id}, **changed})
    page.goto(f"/memories/{id}")
    expect(page.locator(".diff del")).to_have_text("eight")
    expect(page.locator(".diff ins")).to_have_text("nine")
    version = page.get_by_role("region", name="Version 1")
    expect(version).to_contain_text("importance 0.5 → 0.9")
    expect(version).to_contain_text("updated")
    expect(version.get_by_role("group", name="Metadata, line by line").locator("ins")).to_have_text('Ines"')


@pytest.mark.both_families
def test_it_is_seen_as_it_was_known_at_a_time(site: Site, page: Page) -> None:
    """A memory, then its graph, then the list: what was known later is in none of them; and back to now."""
    id = site.remember("The bell rings once an hour.")
    site.ask(UPDATE, i={"memory": {"id": id}, "text": "The bell rings twice an hour."})
    other = site.remember("The bell was cast in Leiden.")
    site.ask(LINK, i={"links": [{"source": {"id": id}, "target": {"id": other}, "weight": 0.8}]})
    page.goto(f"/memories/{id}")
    page.get_by_role("link", name="as it was then").click()
    expect(page.get_by_role("heading", name="The bell rings once an hour.")).to_be_visible()
    expect(page.get_by_text("As it was known at")).to_be_visible()
    page.get_by_role("link", name="in the graph").click()
    expect(page.get_by_role("status")).to_contain_text("1 nodes, 0 edges")
    page.get_by_text("As a list").click()
    expect(page.locator(".as-list")).to_contain_text("once an hour")
    page.get_by_role("link", name="List", exact=True).click()
    memories = page.get_by_role("list", name="Memories")
    expect(memories).to_contain_text("The bell rings once an hour.")
    expect(memories).not_to_contain_text("Leiden")
    page.get_by_role("button", name="now").click()
    expect(memories).to_contain_text("The bell was cast in Leiden.")
    expect(memories).to_contain_text("twice an hour")
    page.go_back()
    page.get_by_role("button", name="now").click()
    expect(page.get_by_role("status")).to_contain_text("edges")
    page.get_by_text("As a list").click()
    expect(page.locator(".as-list")).to_contain_text("twice an hour")


@pytest.mark.both_families
def test_what_will_be_forgotten_is_seen_ahead(site: Site, page: Page) -> None:
    """By a slider: how many and which, on a chart and in the graph."""
    site.ask('mutation { upsertUser(input: {externalId: "nils", name: "Nils"}) { user { id } errors { message } } }')
    mine = {"owner": {"externalId": "nils"}}
    site.remember("The gate code of this fortnight.", ttlSeconds=10 * 86_400, **mine)
    holds = datetime.now(UTC) + timedelta(days=40)
    site.remember("The ferry goes at seven.", validUntil=holds.isoformat(), **mine)
    page.goto("/memories")
    page.get_by_role("combobox", name="Owner").select_option("Nils")
    page.get_by_role("link", name="Forecast").click()
    told = page.get_by_role("status")
    expect(told).to_contain_text("0 faded, 1 ended, 1 expired, 0 evicted")
    expect(page.get_by_role("img")).to_have_attribute("aria-label", re.compile("1 ended, 1 expired"))
    page.get_by_role("slider", name="By when").fill("20")
    expect(told).to_contain_text("0 faded, 0 ended, 1 expired, 0 evicted")
    fates = page.get_by_role("list", name="What is forgotten")
    expect(fates.get_by_role("listitem")).to_have_count(1)
    expect(fates).to_contain_text("The gate code")
    assert "day=20" in page.url
    page.get_by_role("combobox", name="How fast they fade").select_option("0.05 a day")
    expect(told).to_contain_text("1 faded, 1 ended, 1 expired")
    page.get_by_role("link", name="Graph").click()
    page.get_by_role("slider", name="Days ahead").fill("30")
    expect(told).to_contain_text("in 30 days 0 faded, 1 gone")


FORM = "mutation ($i: FormMemoryInput!) { formMemory(input: $i) { memory { id } errors { message path } } }"


def test_a_memory_leads_to_all_that_formed_it(site: Site, page: Page) -> None:
    """Messages and spans, each where it stands; and it says that one of them was changed since."""
    session = site.session("keel", "The keel")
    said = site.say(session, "The keel is of oak.")
    span = site.begin("measure the keel", session={"id": session}, traceId="fe" * 16, spanId="fe" * 8, kind="TOOL")
    site.end(span)
    given = {"messages": [{"id": said}], "spans": [span], "text": "The keel of oak is nine metres.", "scope": "GLOBAL"}
    made = site.ask(FORM, i=given)["formMemory"]["memory"]["id"]
    page.goto(f"/memories/{made}")
    memory = page.get_by_role("region", name="Memory", exact=True)
    expect(memory).not_to_contain_text("was changed since")
    memory.get_by_role("link", name="measure the keel").click()
    expect(page.get_by_role("complementary", name="Span")).to_contain_text("measure the keel")
    assert f"/traces/{'fe' * 16}" in page.url
    edit = "mutation ($i: EditMessageInput!) { editMessage(input: $i) { message { id } errors { message } } }"
    site.ask(edit, i={"message": {"id": said}, "text": "The keel is of elm."})
    page.goto(f"/memories/{made}")
    expect(memory).to_contain_text("was changed since")
    memory.get_by_role("link", name="The keel is of elm.").click()
    expect(page.locator(".message.aimed")).to_contain_text("The keel is of elm.")


INKS = """canvas => {
  const {width, height} = canvas, {data} = canvas.getContext('2d').getImageData(0, 0, width, height);
  const found = {blue: [0, 0], orange: [0, 0]};
  for (let at = 0; at < data.length; at += 4) {
    const by = data[at + 2] - data[at], ink = by > 0 ? found.blue : found.orange;
    if (Math.abs(by) > 12) ink[0]++;
    ink[1] = Math.max(ink[1], Math.abs(by));
  }
  return found;
}"""


def test_what_matters_is_large_and_what_fades_or_is_beside_the_point_pale(site: Site, page: Page) -> None:
    """In the graph, by its pixels: semantic memories are blue, procedural ones orange."""
    site.ask('mutation { upsertUser(input: {externalId: "ivo", name: "Ivo"}) { user { id } errors { message } } }')
    owner = site.ask('{ user(by: {externalId: "ivo"}) { id } }')["user"]["id"]
    mine = {"owner": {"id": owner}}
    site.remember("Ivo is allergic to nuts.", importance=1, **mine)
    site.remember("How Ivo ties a bowline.", type="PROCEDURAL", importance=0, **mine)
    plane = page.locator(".plane")

    def opened() -> dict[str, list[int]]:
        """How many pixels of each colour there are, and how strong the strongest is."""
        page.goto(f"/memories?view=graph&owner={owner}")
        expect(plane).to_have_attribute("data-settled", "true", timeout=60_000)
        return inks(lambda found: found["blue"][0] > 0)

    def inks(holds: Callable[[dict[str, list[int]]], bool]) -> dict[str, list[int]]:
        until = time.monotonic() + 60
        while not holds(found := plane.locator("canvas").evaluate(INKS)):
            assert time.monotonic() < until, found
        return found

    first = opened()
    assert first["blue"][0] > 3 * first["orange"][0] > 0
    page.get_by_text("As a list").click()
    page.locator(".as-list button", has_text="nuts").click()
    dimmed = inks(lambda found: found["orange"][1] < first["orange"][1] / 2)
    assert dimmed["blue"][1] >= first["blue"][1]
    decay = "mutation ($i: DecayMemoriesInput!) { decayMemories(input: $i) { count errors { message } } }"
    site.ask(decay, i={"filter": {**mine, "types": ["SEMANTIC"]}, "rate": 0.9})
    faded = opened()
    assert faded["blue"][1] < first["blue"][1] * 0.6
    assert faded["orange"][1] >= first["orange"][1] - 2


def test_the_graph_begins_with_a_search_and_is_narrowed(site: Site, page: Page) -> None:
    """By type; a click opens a memory beside it, and on another a trail leads back."""
    site.remember("Walnut is sawn in March.")
    site.remember("How walnut is oiled.", type="PROCEDURAL")
    page.goto("/memories?view=graph")
    page.get_by_role("searchbox", name="Begin with a search").fill("walnut")
    page.keyboard.press("Enter")
    page.get_by_text("As a list").click()
    nodes = page.locator(".as-list button")
    expect(nodes.filter(has_text="oiled")).to_have_count(1)
    page.get_by_role("checkbox", name="procedural").uncheck()
    expect(nodes.filter(has_text="oiled")).to_have_count(0)
    expect(nodes.filter(has_text="sawn")).to_have_count(1)
    page.get_by_role("checkbox", name="procedural").check()
    nodes.filter(has_text="sawn").click()
    nodes.filter(has_text="oiled").click()
    selected = page.get_by_role("complementary", name="Selected")
    expect(selected).to_contain_text("How walnut is oiled.")
    page.locator(".trail button", has_text="sawn").click()
    expect(selected).to_contain_text("Walnut is sawn in March.")
