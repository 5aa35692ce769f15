"""What one process has written, as another one reads it: when it asks for nothing, for what is new enough, by a token."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from domain.errors import Rejected
from domain.search import SearchMode
from stores.consistent import ConsistentStore
from stores.contract.making import DIMENSION, Clock, axis, memory, remember
from stores.open import open_engine
from stores.ports import Opening, Search
from stores.services.engine import ServicesEngine
from tests.support.running import Running
from tests.support.servers import SETTINGS
from tests.support.services import empty, urls

pytestmark = pytest.mark.services

LIKE = Search(SearchMode.SEMANTIC, 0.9, 10, "sky", axis(0))

UNREACHED = "weaviate://:key@127.0.0.1:9?grpc=10"
CREATE = """mutation($text: String!) {
  createMemory(input: {text: $text, scope: GLOBAL}) { memory { id } consistencyToken } }"""
FIND = """query($q: String!) @consistency(%s) {
  searchMemories(query: {text: $q}, mode: SEMANTIC) { hits { memory { id } } degraded } }"""


@pytest.fixture
async def pair(real_servers: None, tmp_path: Path) -> AsyncIterator[tuple[ServicesEngine, ServicesEngine]]:
    """Two processes: one that does not reach Weaviate, and one that has not begun to relay what others leave."""
    empty()
    engines = []
    for more in ({"vectors_url": UNREACHED}, {}):
        opening = Opening(data=str(tmp_path), embedder="test", dimension=DIMENSION, clock=Clock(), **urls() | more)
        engine = open_engine(opening)
        assert isinstance(engine, ServicesEngine)
        engines.append(engine)
    yield engines[0], engines[1]
    for engine in engines:
        await engine.close()


async def test_a_search_finds_what_it_must_and_asks_no_more_than_it_needs(
    pair: tuple[ServicesEngine, ServicesEngine],
) -> None:
    writing, reading = (engine.workspace("main") for engine in pair)
    calls = pair[1].graph

    async def found(written: int = 0, within: float | None = None) -> int:
        [one] = await ConsistentStore(reading, written, within).search([LIKE])
        assert not one.degraded
        return len(one.candidates)

    await remember(reading, memory(text="sky"), vectors=[axis(0)])
    assert await found(within=3600) == 1
    await remember(writing, memory(text="sky"), vectors=[axis(0)])
    assert writing.written == 2
    pair[1].vectors.behind.discard("main")
    before = calls.calls
    await reading.reach(0, None)
    await reading.reach(1, 3600.0)
    assert calls.calls == before, "it is known already"
    await reading.reach(2, None)
    await reading.reach(2, None)
    assert calls.calls == before + 1, "it is asked once"
    assert reading.written == 2
    await reading.reach(0, 0.0)
    assert calls.calls == before + 2, "what is new now must be asked now"
    assert await found(within=3600) == 1, "it may be an hour old"
    assert await found(written=2) == 2
    await remember(writing, memory(text="sky"), vectors=[axis(0)])
    assert await found(within=3600) == 2
    assert await found(within=0.0) == 3
    with pytest.raises(Rejected):
        await reading.reach(4, None)


async def test_two_servers_show_what_was_written_through_the_other(real_servers: None, tmp_path: Path) -> None:
    """The one that is written through does not reach Weaviate, and leaves it to the other."""
    empty()
    settings = {name: os.environ[name] for name in SETTINGS}
    here = Running(tmp_path / "one", **settings | {"RECOLLECT_VECTORS_URL": UNREACHED})
    there = Running(tmp_path / "other", **settings)
    try:
        here.start()
        there.start()
        for asked in ('after: "{}"', "level: STRONG", "bounded: 0", 'after: "{}"'):
            text = f"who asks {asked} likes tea"
            made = (await here.ask(CREATE, {"text": text}))["createMemory"]
            token = made["consistencyToken"]
            shown = (await there.ask(FIND % asked.format(token), {"q": text}))["searchMemories"]
            assert made["memory"]["id"] in [hit["memory"]["id"] for hit in shown["hits"]], asked
            assert not shown["degraded"]
        async with httpx.AsyncClient(trust_env=False) as client:
            wrong = {"query": FIND % f'after: "{token[:-1]}"', "variables": {"q": "x"}}
            answer = await client.post(f"http://{there.address}/graphql", json=wrong)
        [error] = answer.json()["errors"]
        assert error["extensions"] == {"code": "INVALID", "path": ["consistency", "after"]}
    finally:
        here.end()
        there.end()
