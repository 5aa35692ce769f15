"""Branches of a session through GraphQL: the path to a message, and the mark of the current one."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.graphql_client import Graph

pytestmark = pytest.mark.both_families

PATH = """query ($s: Ref!, $branch: ID, $first: Int, $after: String, $filter: MessageFilter) { session(by: $s) {
  messages(branch: $branch, first: $first, after: $after, filter: $filter) {
    totalCount pageInfo { hasNextPage endCursor } nodes { text } } } }"""
MARKS = """query ($s: Ref!, $first: Int, $after: String) { session(by: $s) { currentBranch { text }
  messages(first: $first, after: $after) { pageInfo { endCursor } nodes { id text onCurrentBranch } } } }"""
S = {"externalId": "s"}


async def say(graph: Graph, text: str, parent: str | None = None, **more: Any) -> str:
    if parent is not None:
        more["parent"] = {"externalId": parent}
    given = {"session": S, "role": "user", "text": text, "externalId": text, **more}
    return str((await graph.do("addMessage", given, "message { id }"))["message"]["id"])


@pytest.fixture
async def ids(graph: Graph) -> dict[str, str]:
    """A question that was answered twice, and each answer replied to: the ids by the texts."""
    await graph.do("createSession", {"externalId": "s"})
    tree = (("q", None), ("a", "q"), ("b", "q"), ("a2", "a"), ("b2", "b"))
    return {text: await say(graph, text, parent) for text, parent in tree}


async def path(graph: Graph, branch: str | None, **page: Any) -> list[str]:
    found = (await graph.data(PATH, s=S, branch=branch, **page))["session"]["messages"]
    return [node["text"] for node in found["nodes"]]


async def marks(graph: Graph, **page: Any) -> tuple[str | None, str]:
    """Where the current branch ends, and the texts on it."""
    found = (await graph.data(MARKS, s=S, **page))["session"]
    shown = [node["text"] for node in found["messages"]["nodes"] if node["onCurrentBranch"]]
    return found["currentBranch"] and found["currentBranch"]["text"], " ".join(shown)


async def test_the_path_to_a_message(graph: Graph, ids: dict[str, str]) -> None:
    assert await path(graph, ids["a2"]) == ["q", "a", "a2"]
    assert await path(graph, ids["b"]) == ["q", "b"]
    assert await path(graph, None) == ["q", "a", "b", "a2", "b2"]
    assert await path(graph, ids["a2"], filter={"text": "2"}) == ["a2"]


async def test_pages_of_a_path(graph: Graph, ids: dict[str, str]) -> None:
    found = (await graph.data(PATH, s=S, branch=ids["a2"], first=2))["session"]["messages"]
    assert ([node["text"] for node in found["nodes"]], found["totalCount"]) == (["q", "a"], 3)
    assert found["pageInfo"]["hasNextPage"]
    await say(graph, "c", "q")
    assert await path(graph, ids["a2"], first=2, after=found["pageInfo"]["endCursor"]) == ["a2"]
    code, _ = await graph.refusal(PATH, s=S, branch=ids["b2"], after=found["pageInfo"]["endCursor"])
    assert code == "INVALID"


async def test_the_path_to_a_message_of_another_session(graph: Graph, ids: dict[str, str]) -> None:
    await graph.do("createSession", {"externalId": "other"})
    for branch in (ids["a"], "msg_" + 32 * "0", "nonsense"):
        of = {"externalId": "other"} if branch == ids["a"] else S
        assert await graph.refusal(PATH, s=of, branch=branch) == ("NOT_FOUND", ["branch"])


async def test_the_current_branch_is_the_one_of_the_newest_message(graph: Graph, ids: dict[str, str]) -> None:
    assert await marks(graph) == ("b2", "q b b2")
    await say(graph, "a3", "a2")
    assert await marks(graph) == ("a3", "q a a2 a3")
    assert await marks(graph, first=2) == ("a3", "q a")


async def test_another_branch_is_made_current(graph: Graph, ids: dict[str, str]) -> None:
    changed = "session { currentBranch { text } version }"
    found = await graph.do("updateSession", {"session": S, "currentBranch": {"externalId": "a"}}, changed)
    assert found["session"] == {"currentBranch": {"text": "a"}, "version": 2}
    assert await marks(graph) == ("a", "q a")
    again = await graph.do("updateSession", {"session": S, "currentBranch": {"id": ids["a"]}}, changed)
    assert again["session"]["version"] == 2
    await graph.do("updateSession", {"session": S, "currentBranch": None})
    assert await marks(graph) == ("b2", "q b b2")


async def test_a_branch_of_another_session_cannot_be_made_current(graph: Graph, ids: dict[str, str]) -> None:
    await graph.do("createSession", {"externalId": "other"})
    for end in ({"externalId": "a"}, {"externalId": "nobody"}, {"id": "msg_" + 32 * "0"}):
        given = {"session": {"externalId": "other"}, "currentBranch": end}
        assert await graph.fails("updateSession", given) == ("NOT_FOUND", ["currentBranch"])


async def test_without_parents_all_is_on_the_current_branch(graph: Graph) -> None:
    await graph.do("createSession", {"externalId": "s"})
    assert await marks(graph) == (None, "")
    for number in range(5):
        await say(graph, f"m{number}")
    assert await marks(graph) == ("m4", "m0 m1 m2 m3 m4")


async def test_marks_of_many_sessions_at_once(graph: Graph, ids: dict[str, str]) -> None:
    await graph.do("createSession", {"externalId": "t"})
    await graph.do("addMessage", {"session": {"externalId": "t"}, "role": "user", "text": "alone"})
    query = "{ sessions { nodes { currentBranch { text } messages { nodes { text onCurrentBranch } } } } }"
    found = (await graph.data(query))["sessions"]["nodes"]
    shown = {node["text"]: node["onCurrentBranch"] for one in found for node in one["messages"]["nodes"]}
    assert shown == {"q": True, "a": False, "b": True, "a2": False, "b2": True, "alone": True}
    assert {one["currentBranch"]["text"] for one in found} == {"b2", "alone"}
