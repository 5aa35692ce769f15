"""What is left to graphql-core is counted by reason: a bug there costs ten times as much, and nobody would see it."""

from __future__ import annotations

from typing import Any

import pytest

from schema.variables import Variables
from server.graphql import compiled, fallbacks
from server.graphql.fallbacks import FALLBACKS, Fallbacks
from tests.support.graphql_client import Graph

SESSIONS = "{ sessions { nodes { title kind messages { totalCount } } } }"


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Fallbacks:
    """The counts of this test alone, bugs and all."""
    monkeypatch.setattr(FALLBACKS, "counts", Fallbacks().counts)
    return FALLBACKS


def told(counted: Fallbacks) -> dict[str, int]:
    return {reason: count for reason, count in counted.counts.items() if count}


async def test_what_is_well_leaves_nothing(graph: Graph, counted: Fallbacks) -> None:
    await graph.do("createSession", {"externalId": "s", "title": "t"})
    await graph.data(SESSIONS)
    await graph.data("query ($n: Int) { sessions(first: $n) { totalCount } }", n=3)
    assert told(counted) == {}


async def test_a_bug_in_what_is_compiled_is_counted_and_logged(
    graph: Graph, counted: Fallbacks, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await graph.do("createSession", {"externalId": "s", "title": "t"})
    monkeypatch.setitem(compiled._EXACT, "String", "1 / 0 == {0}")
    found = await graph.data("{ sessions { nodes { title } } }  # compiled with a bug")
    assert found["sessions"]["nodes"] == [{"title": "t"}], "the answer is right all the same"
    assert told(counted) == {"unexpected": 1}
    assert any(record.exc_info and record.exc_info[0] is ZeroDivisionError for record in caplog.records)


async def test_a_bug_of_the_compiler_is_counted(
    graph: Graph, counted: Fallbacks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled, "read_by", lambda _: 1 / 0)
    await graph.data("{ sessions { nodes { title kind } } }  # not compiled")
    assert told(counted) == {"unexpected": 1}


async def test_a_bug_in_reading_variables_is_counted(
    graph: Graph, counted: Fallbacks, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(Variables, "read", broken)
    assert await graph.data("query ($n: Int) { sessions(first: $n) { totalCount } }", n=3)
    assert told(counted) == {"unexpected": 1}


@pytest.mark.parametrize("wrong", [2**40, "3", 1.5, True, [1], {}])
async def test_variables_that_do_not_fit(graph: Graph, counted: Fallbacks, wrong: Any) -> None:
    assert "errors" in await graph.ask("query ($n: Int) { sessions(first: $n) { totalCount } }", n=wrong)
    assert told(counted) == {"variables": 1}


async def test_a_member_that_there_is_not(graph: Graph, counted: Fallbacks) -> None:
    asked = "mutation ($i: CreateSessionInput!) { createSession(input: $i) { __typename } }"
    for wrong in ({"nothing": 1}, {"participants": [{"hologram": 1}]}):
        assert "errors" in await graph.ask(asked, i=wrong)
    assert told(counted) == {"variables": 2}


async def test_a_relation_that_is_refused(graph: Graph, counted: Fallbacks) -> None:
    await graph.do("createSession", {"externalId": "s"})
    answer = await graph.ask('{ sessions { nodes { messages(after: "no cursor") { totalCount } } } }')
    assert answer["errors"][0]["extensions"]["code"] == "INVALID"
    assert set(told(counted)) == {"resolver"}


def test_only_some_bugs_are_logged_whole(counted: Fallbacks, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(fallbacks._LOGGED + 5):
        counted.unexpected(ZeroDivisionError())
    assert counted.counts["unexpected"] == fallbacks._LOGGED + 5
    assert len(caplog.records) == fallbacks._LOGGED
