"""What held when: facts that are replaced, and replacements that are taken back."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from resolvers.expiry import sweep
from tests.support.graphql_client import Graph, vector_of

LISTS = {
    "memories": "query ($f: MemoryFilter) { found: memories(filter: $f) { totalCount nodes { text } } }",
    "owner": 'query ($f: MemoryFilter) { of: user(by: {externalId: "me"}) { found: memories(filter: $f) { totalCount nodes { text } } } }',
}
FACT = "text status validFrom validUntil"
ALL = ["ACTIVE", "ARCHIVED", "SUPERSEDED"]


async def remember(graph: Graph, name: str, over: str | None = None, **more: Any) -> None:
    links = {} if over is None else {"links": [{"target": {"externalId": over}, "kind": "SUPERSEDES"}]}
    given = {"externalId": name, "text": f"works at {name}", "owner": {"externalId": "me"}, **links, **more}
    await graph.do("createMemory", given)


async def fact(graph: Graph, name: str) -> dict[str, Any]:
    query = f"query ($r: Ref!) {{ memory(by: $r) {{ {FACT} }} }}"
    return dict((await graph.data(query, r={"externalId": name}))["memory"])


async def searched(graph: Graph, mode: str = "HYBRID", **filter: Any) -> set[str]:
    query = (
        "query ($q: MemoryQuery!, $f: MemoryFilter, $m: SearchMode!) "
        "{ searchMemories(query: $q, filter: $f, mode: $m, threshold: 0) { hits { memory { text } } } }"
    )
    asked = {"vector": vector_of("works")} if mode == "SEMANTIC" else {"text": "works"}
    found = await graph.data(query, q=asked, f={"owner": {"externalId": "me"}, **filter}, m=mode)
    return {hit["memory"]["text"].removeprefix("works at ") for hit in found["searchMemories"]["hits"]}


async def listed(graph: Graph, of: str = "memories", **filter: Any) -> set[str]:
    found = await graph.data(LISTS[of], f=filter or None)
    page = found.get("of", found)["found"]
    assert page["totalCount"] == len(page["nodes"])
    return {node["text"].removeprefix("works at ") for node in page["nodes"]}


async def link(graph: Graph, *pairs: str, kind: str = "SUPERSEDES") -> list[str]:
    given = [{"source": {"externalId": a}, "target": {"externalId": b}, "kind": kind} for a, b in pairs]
    return [one["id"] for one in (await graph.do("linkMemories", {"links": given}, "links { id }"))["links"]]


@pytest.fixture
async def jobs(graph: Graph) -> Graph:
    """Three jobs one after another, in January, February and from March on."""
    for name, over, month in (("a", None, 1), ("b", "a", 2), ("c", "b", 3)):
        await remember(graph, name, over, validFrom=f"2026-0{month}-01T00:00:00Z")
    graph.clock.forward(days=60)
    return graph


@pytest.mark.parametrize(("at", "held"), [(None, "c"), ("2025-12-31", ""), ("2026-01-15", "a"), ("2026-02-01", "b"), ("2026-03-01", "c"), ("2027-01-01", "c")])  # fmt: skip
async def test_the_interval_decides(jobs: Graph, at: str | None, held: str) -> None:
    when = {} if at is None else {"validAt": f"{at}T00:00:00Z"}
    for mode in ("TEXT", "SEMANTIC", "HYBRID"):
        assert await searched(jobs, mode, **when) == set(held)
        assert await searched(jobs, mode, **({"and": [when]} if when else {})) == set(held)
    for of in LISTS:
        assert await listed(jobs, of, **when) == set(held)


async def test_superseding_says_when_it_ended(jobs: Graph) -> None:
    assert (await fact(jobs, "a"))["validUntil"] == "2026-02-01T00:00:00Z"
    assert (await fact(jobs, "a"))["status"] == "SUPERSEDED"
    assert (await fact(jobs, "c"))["validUntil"] is None


async def test_without_a_beginning_it_ends_when_it_is_replaced(graph: Graph) -> None:
    await remember(graph, "a")
    await remember(graph, "b", "a")
    ended = await fact(graph, "a")
    assert ended["validUntil"] is not None
    assert (await listed(graph), await searched(graph)) == ({"b"}, {"b"})
    assert await searched(graph, validAt="2020-01-01T00:00:00Z") == {"a", "b"}


async def test_everything_can_be_asked_for(jobs: Graph) -> None:
    assert await listed(jobs, statuses=ALL) == set("abc")
    assert await listed(jobs, statuses=["SUPERSEDED"]) == set("ab")
    assert await searched(jobs, statuses=ALL) == set("abc")
    assert await searched(jobs, statuses=["SUPERSEDED"]) == set("ab")
    await jobs.do("updateMemory", {"memory": {"externalId": "c"}, "validUntil": "2026-04-01T00:00:00Z"})
    assert (await listed(jobs), await searched(jobs)) == (set(), set())
    assert await listed(jobs, statuses=ALL) == set("abc")


async def test_archived_ones_did_not_hold_for_a_search(jobs: Graph) -> None:
    await jobs.do("archiveMemories", {"memories": [{"externalId": "a"}]})
    assert await searched(jobs, validAt="2026-01-15T00:00:00Z") == set()
    assert await listed(jobs, validAt="2026-01-15T00:00:00Z") == {"a"}


async def test_a_replacement_that_begins_later(graph: Graph) -> None:
    await remember(graph, "a")
    await remember(graph, "b", "a", validFrom="2026-04-01T00:00:00Z")
    assert await fact(graph, "a") == {
        "text": "works at a", "status": "ACTIVE", "validFrom": None, "validUntil": "2026-04-01T00:00:00Z"
    }  # fmt: skip
    assert (await searched(graph), await listed(graph)) == ({"a"}, {"a"})
    graph.clock.forward(days=60)
    assert (await searched(graph), await listed(graph)) == ({"b"}, {"b"})


@pytest.mark.parametrize("away", ["unlink", "delete"])
@pytest.mark.parametrize("until", [None, "2026-02-10T00:00:00Z", "2030-01-01T00:00:00Z"])
async def test_what_is_taken_back_leaves_it_as_it_was(graph: Graph, away: str, until: str | None) -> None:
    await remember(graph, "a", **({"validUntil": until} if until else {}))
    before = await fact(graph, "a")
    await remember(graph, "b")
    await remember(graph, "c")
    [first, second] = await link(graph, "ba", "ca")
    assert (await fact(graph, "a"))["status"] == "SUPERSEDED"
    for name, id in (("b", first), ("c", second)):
        if away == "unlink":
            await graph.do("unlinkMemories", {"links": [id]})
        else:
            await graph.do("deleteMemories", {"memories": [{"externalId": name}]})
        assert (await fact(graph, "a"))["status"] == ("SUPERSEDED" if name == "b" else "ACTIVE")
    assert await fact(graph, "a") == before


async def test_a_dry_run_and_deleting_both_take_nothing_back(graph: Graph) -> None:
    await remember(graph, "a")
    await remember(graph, "b", "a")
    before = await fact(graph, "a")
    await graph.do("deleteMemories", {"memories": [{"externalId": "b"}], "dryRun": True})
    assert await fact(graph, "a") == before
    await graph.do("deleteMemories", {"memories": [{"externalId": "b"}, {"externalId": "a"}]})
    assert await listed(graph, statuses=ALL) == set()


@pytest.mark.both_families
@pytest.mark.parametrize("away", ["delete", "erase", "expire", "both"])
async def test_one_in_the_middle_goes(graph: Graph, away: str) -> None:
    """What it superseded does not hold again beside what superseded it, but till that begins."""
    await remember(graph, "a", validFrom="2025-01-01T00:00:00Z")
    for name, over, month in (("b", "a", 2), ("c", "b", 3), ("d", "c", 4)):
        more = {"ttlSeconds": 60} if away == "expire" and name == "b" else {}
        owner = {"owner": {"externalId": "you"}} if away == "erase" and name == "b" else {}
        await remember(graph, name, over, validFrom=f"2025-0{month}-01T00:00:00Z", **more, **owner)
    if away == "expire":
        graph.clock.forward(seconds=61)
        await sweep(graph.context)
    elif away == "erase":
        await graph.do("eraseUser", {"user": {"externalId": "you"}})
    else:
        await graph.do(
            "deleteMemories", {"memories": [{"externalId": name} for name in ("bc" if away == "both" else "b")]}
        )
    month = 4 if away == "both" else 3
    assert await fact(graph, "a") == {
        "text": "works at a", "status": "SUPERSEDED", "validFrom": "2025-01-01T00:00:00Z",
        "validUntil": f"2025-0{month}-01T00:00:00Z",
    }  # fmt: skip
    assert await listed(graph) == await searched(graph) == {"d"}
    assert await listed(graph, validAt="2025-02-15T00:00:00Z") == {"a"}
    await graph.do("deleteMemories", {"memories": [{"externalId": "d"}]})
    left = "a" if away == "both" else "c"
    assert await listed(graph) == {left}
    if left == "c":
        await graph.do("deleteMemories", {"memories": [{"externalId": "c"}]})
    ended = await fact(graph, "a")
    assert (ended["status"], ended["validUntil"]) == ("ACTIVE", None)


async def test_one_in_the_middle_goes_before_what_supersedes_it_begins(jobs: Graph) -> None:
    await remember(jobs, "d", "c", validFrom="2027-01-01T00:00:00Z")
    await jobs.do("deleteMemories", {"memories": [{"externalId": "c"}]})
    assert await listed(jobs) == {"b"}
    assert ((await fact(jobs, "b"))["validUntil"], (await fact(jobs, "b"))["status"]) == (
        "2027-01-01T00:00:00Z",
        "ACTIVE",
    )
    assert await listed(jobs, validAt="2027-02-01T00:00:00Z") == {"d"}


async def test_a_superseded_one_is_restored(jobs: Graph) -> None:
    done = await jobs.do("restoreMemories", {"memories": [{"externalId": "a"}]}, f"memories {{ {FACT} }}")
    assert (done["memories"][0]["status"], done["memories"][0]["validUntil"]) == ("ACTIVE", None)
    assert await searched(jobs) == {"a", "c"}


@pytest.mark.parametrize("circle", [["ab", "ba"], ["ab", "bc", "ca"], ["cd", "bc", "ab", "da"]])
async def test_a_circle_is_refused_with_its_path(graph: Graph, circle: list[str]) -> None:
    for name in "abcd":
        await remember(graph, name)
    pairs = [{"source": {"externalId": a}, "target": {"externalId": b}, "kind": "SUPERSEDES"} for a, b in circle]
    last = str(len(circle) - 1)
    assert await graph.fails("linkMemories", {"links": pairs}) == ("INVALID", ["links", last, "target"])
    await link(graph, *circle[:-1])
    assert await graph.fails("linkMemories", {"links": pairs[-1:]}) == ("INVALID", ["links", "0", "target"])
    await link(graph, circle[-1], kind="CONTRADICTS")
    await link(graph, *circle[:-1])


@pytest.mark.both_families
@pytest.mark.parametrize("circle", [["ab", "ba"], ["ab", "bc", "ca"]])
async def test_of_replacements_that_together_are_a_circle_one_is_refused_though_all_are_made_at_once(
    graph: Graph, circle: list[str]
) -> None:
    """Each alone may be made, by whatever makes such links, and none is there when any of them begins."""
    for name in "abc":
        await remember(graph, name)
    merged = {"into": {"externalId": circle[0][0]}, "memories": [{"externalId": circle[0][1]}]}
    asked = [graph.answered("mergeMemories", merged, "memory { id }")]
    for a, b in circle[1:]:
        pair = {"source": {"externalId": a}, "target": {"externalId": b}, "kind": "SUPERSEDES"}
        asked.append(graph.answered("linkMemories", {"links": [pair]}, "links { id }"))
    answers = await asyncio.gather(*asked)
    assert [error["code"] for one in answers for error in one["errors"]] == ["INVALID"]
    assert len(await listed(graph, statuses=["ACTIVE"])) == 4 - len(circle), "what supersedes all others is left"


@pytest.mark.both_families
async def test_memories_of_one_write_make_no_circle(graph: Graph) -> None:
    new = [
        {"externalId": a, "text": a, "scope": "GLOBAL", "links": [{"target": {"externalId": b}, "kind": "SUPERSEDES"}]}
        for a, b in ("ab", "bc", "ca")
    ]
    refused = await graph.fails("createMemories", {"memories": new})
    assert refused == ("INVALID", ["memories", "2", "links", "0", "target"])
    assert await listed(graph, statuses=ALL) == set()


async def test_a_link_put_again_changes_nothing_of_its_target(graph: Graph) -> None:
    await remember(graph, "a")
    await remember(graph, "b", "a")
    ended = await fact(graph, "a")
    await link(graph, "ba")
    assert await fact(graph, "a") == ended
    [id] = await link(graph, "ba")
    await graph.do("unlinkMemories", {"links": [id]})
    assert (await fact(graph, "a"))["validUntil"] is None


@pytest.mark.both_families
async def test_a_replacement_whose_time_is_over_gives_back_what_it_replaced(jobs: Graph) -> None:
    """As one that is deleted does, also where it began at a time of its own and others supersede the same."""
    await remember(jobs, "d", "c", ttlSeconds=60, validFrom="2026-04-01T00:00:00Z")
    await remember(jobs, "e", ttlSeconds=3600)
    assert (await fact(jobs, "c"))["validUntil"] == "2026-04-01T00:00:00Z"
    jobs.clock.forward(seconds=61)
    await sweep(jobs.context)
    assert await fact(jobs, "c") == {
        "text": "works at c", "status": "ACTIVE", "validFrom": "2026-03-01T00:00:00Z", "validUntil": None,
    }  # fmt: skip
    assert await searched(jobs) == await listed(jobs) == {"c", "e"}
    assert (await fact(jobs, "b"))["status"] == "SUPERSEDED"


@pytest.mark.both_families
async def test_one_of_two_replacements_whose_time_is_over(graph: Graph) -> None:
    await remember(graph, "old", validUntil="2030-01-01T00:00:00Z")
    await remember(graph, "short", "old", ttlSeconds=60, validFrom="2025-01-01T00:00:00Z")
    await remember(graph, "long", "old", validFrom="2025-06-01T00:00:00Z")
    graph.clock.forward(seconds=61)
    await sweep(graph.context)
    old = await fact(graph, "old")
    assert (old["status"], old["validUntil"]) == ("SUPERSEDED", "2025-06-01T00:00:00Z")
    await graph.do("deleteMemories", {"memories": [{"externalId": "long"}]})
    old = await fact(graph, "old")
    assert (old["status"], old["validUntil"]) == ("ACTIVE", "2030-01-01T00:00:00Z")


@pytest.mark.both_families
async def test_a_fact_and_its_replacement_that_end_together_leave_nothing(graph: Graph) -> None:
    await remember(graph, "a", ttlSeconds=60)
    await remember(graph, "b", "a", ttlSeconds=60)
    graph.clock.forward(seconds=61)
    await sweep(graph.context)
    assert await listed(graph, statuses=ALL) == set()


async def move(graph: Graph, name: str, at: str | None) -> None:
    await graph.do("updateMemory", {"memory": {"externalId": name}, "validFrom": at})


@pytest.mark.both_families
async def test_the_end_of_what_is_replaced_goes_with_the_beginning_of_the_other(jobs: Graph) -> None:
    await move(jobs, "c", "2026-03-15T00:00:00Z")
    assert (await fact(jobs, "b"))["validUntil"] == "2026-03-15T00:00:00Z"
    assert (await fact(jobs, "a"))["validUntil"] == "2026-02-01T00:00:00Z"
    assert await listed(jobs, validAt="2026-03-10T00:00:00Z") == {"b"}
    made = await listed(jobs)
    await move(jobs, "c", None)
    assert (await fact(jobs, "b"))["validUntil"] not in (None, "2026-03-15T00:00:00Z")
    assert made == {"c"}


@pytest.mark.both_families
async def test_what_is_to_begin_later_leaves_the_other_until_then(graph: Graph) -> None:
    await remember(graph, "old")
    await remember(graph, "new", "old", validFrom="2020-01-01T00:00:00Z")
    assert (await fact(graph, "old"))["status"] == "SUPERSEDED"
    await move(graph, "new", "2090-01-01T00:00:00Z")
    old = await fact(graph, "old")
    assert (old["status"], old["validUntil"]) == ("ACTIVE", "2090-01-01T00:00:00Z")
    assert await listed(graph) == {"old"}
    await move(graph, "new", "2020-01-01T00:00:00Z")
    old = await fact(graph, "old")
    assert (old["status"], old["validUntil"]) == ("SUPERSEDED", "2020-01-01T00:00:00Z")


@pytest.mark.both_families
async def test_an_end_that_somebody_has_set_stays_where_it_is(jobs: Graph) -> None:
    await jobs.do("updateMemory", {"memory": {"externalId": "b"}, "validUntil": "2026-02-20T00:00:00Z"})
    await move(jobs, "c", "2026-03-15T00:00:00Z")
    assert (await fact(jobs, "b"))["validUntil"] == "2026-02-20T00:00:00Z"
