"""How often the servers are asked: a round trip costs more than what it is for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from domain.session import Session
from stores.ports import Log
from stores.services.engine import ServicesEngine
from stores.services.neo4j_client import Unit
from tests.support.graphql_client import Clock, Graph
from tests.support.services import run

PAGE = """query ($after: String) { session(by: {externalId: "s"}) { title messages(first: 50, after: $after) { edges { cursor node {
    text content { ... on TextContent { text } } sender { name actor { ... on User { externalId } ... on Agent { externalId } } }
    memoryRefs { score note memory { text } } } } pageInfo { hasNextPage endCursor } } } }"""


class Counted:
    """A graph whose calls of the servers are counted from the last look on."""

    def __init__(self, graph: Graph) -> None:
        assert isinstance(graph.engine, ServicesEngine)
        self.graph, self._engine = graph, graph.engine
        self._before = self._now

    @property
    def _now(self) -> tuple[int, int, int]:
        commits = sum(int(figure.value) for figure in self._engine.figures() if figure.name == "commits")
        return self._engine.graph.calls, self._engine.vectors.calls, commits

    def look(self) -> dict[str, int]:
        """The calls since the last look."""
        before, self._before = self._before, self._now
        return dict(zip(("neo4j", "weaviate", "commits"), map(int.__sub__, self._before, before), strict=True))


@pytest.fixture
async def counted(real_servers: None, tmp_path: Path) -> AsyncIterator[Counted]:
    """A session of two who talk, with memories that they draw on; nothing goes on by itself."""
    graph = Graph(tmp_path, Clock(), family="services")
    await graph.do("upsertUser", {"externalId": "ada"})
    await graph.do("upsertAgent", {"externalId": "bot"})
    participants = [
        {"type": type, "actor": {"externalId": name}, "externalId": name} for type, name in (("USER", "ada"), ("AGENT", "bot"))
    ]  # fmt: skip
    await graph.do("createSession", {"externalId": "s", "participants": participants})
    texts = [{"text": f"tea of {index}", "owner": {"externalId": "ada"}} for index in range(20)]
    made = (await graph.do("createMemories", {"memories": texts}, "memories { id }"))["memories"]
    messages = [
        {"text": f"message {index}", "sender": {"externalId": ("ada", "bot")[index % 2]}, "memoryRefs": [{"memory": {"id": made[index % 20]["id"]}, "score": 0.5}]}
        for index in range(60)
    ]  # fmt: skip
    await graph.do("addMessages", {"session": {"externalId": "s"}, "messages": messages})
    await graph.engine.close()
    again = Graph(tmp_path, Clock(), family="services")
    await again.data("{ viewer { name } }")  # when a session ends next is asked once in half a second
    yield Counted(again)
    await again.close()


async def test_a_page_of_a_session(counted: Counted) -> None:
    answer = await counted.graph.data(PAGE)
    assert len(answer["session"]["messages"]["edges"]) == 50
    assert answer["session"]["messages"]["edges"][7]["node"]["memoryRefs"][0]["memory"] == {"text": "tea of 7"}
    assert counted.look()["neo4j"] <= 4
    rest = await counted.graph.data(PAGE, after=answer["session"]["messages"]["pageInfo"]["endCursor"])
    assert len(rest["session"]["messages"]["edges"]) == 10
    assert counted.look()["neo4j"] <= 4


async def test_a_search(counted: Counted) -> None:
    found = await counted.graph.data(
        '{ searchMemories(query: {text: "tea of 7"}) { degraded hits { memory { text } } } }'
    )
    assert found["searchMemories"]["hits"][0]["memory"]["text"] == "tea of 7"
    assert not found["searchMemories"]["degraded"]
    calls = counted.look()
    assert calls["weaviate"] == 1, "those that mean the same were found by their words, too"
    assert calls["neo4j"] == 4, "the words, how usual they are, what stands beside the best, and if there are entities"


async def test_a_neighborhood(counted: Counted) -> None:
    [[id]] = run("MATCH (n:Memory) WHERE n.text = 'tea of 7' RETURN n.id")
    around = "query ($id: ID!) { memory(by: {id: $id}) { neighborhood { nodes { id ... on Memory { text } } } } }"
    found = await counted.graph.data(around, id=id)
    assert [node["text"] for node in found["memory"]["neighborhood"]["nodes"]] == ["tea of 7"]
    assert counted.look()["neo4j"] == 2, "the memory, and its neighborhood with the memories in it"


async def test_a_message(counted: Counted, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    run_in = Unit.run

    async def counting(unit: Unit, statement: str, **parameters: Any) -> Any:
        asked.append(statement)
        return await run_in(unit, statement, **parameters)

    monkeypatch.setattr(Unit, "run", counting)
    said = {"session": {"externalId": "s"}, "text": "one more", "sender": {"externalId": "ada"}}
    await counted.graph.do("addMessage", said)
    assert counted.look()["commits"] == 1
    assert len(asked) == 3, "the lock with the session, those who take part, and what is written"


async def test_however_many_begin_to_follow_at_once_there_is_one_plan(counted: Counted) -> None:
    engine = counted.graph.engine
    assert isinstance(engine, ServicesEngine)
    store = engine.workspace("default")
    [session] = [session.id for session in await store.scan(Session, None, 10)]
    asked = [
        [Log("changes")],
        [Log("trace", session), Log("messages", session)],
        [Log("changes"), Log("messages", session)],
    ]
    alone = [await store.ends(logs) for logs in asked]
    counted.look()
    before = set(engine.graph.plans.hot())
    for many in (1, 2, 5):
        together = await asyncio.gather(*(store.ends(logs) for logs in asked * many))
        assert together == alone * many
        assert counted.look()["neo4j"] == 1
    assert set(engine.graph.plans.hot()) == before
