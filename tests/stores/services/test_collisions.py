"""Transactions that meet: of two processes in one workspace, and of others in the same database."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import pytest

from domain.search import SearchMode
from domain.session import Session
from stores.contract.making import (
    DIMENSION,
    Clock,
    directions,
    keep,
    memory,
    message,
    remember,
    replace,
    say,
    session,
    talk,
)
from stores.open import open_engine
from stores.ports import Opening, Search, Transaction
from stores.services.engine import ServicesEngine
from stores.services.neo4j_client import Address, Collided, Neo4jClient
from tests.support.services import empty, run, urls

SECONDS = 6.0


@pytest.fixture
async def engines(real_servers: None, tmp_path: Path) -> AsyncIterator[list[ServicesEngine]]:
    """Two engines over empty servers, as two processes have them."""
    empty()
    opened: list[Any] = [
        open_engine(Opening(data=str(tmp_path), embedder="test", dimension=DIMENSION, clock=Clock(), **urls()))
        for _ in range(2)
    ]
    yield opened
    for engine in opened:
        await engine.close()


async def test_two_processes_that_write_one_workspace_do_not_disturb_each_other(engines: list[ServicesEngine]) -> None:
    """No deadlock is told to anyone, and none is taken for an outage: every search is a whole one."""
    stores = [engine.workspace("main") for engine in engines]
    where, who, _ = await talk(stores[0])
    vectors, number = directions(50), count()
    await remember(stores[0], *(memory(text="a sky") for _ in vectors), vectors=vectors)
    end = time.monotonic() + SECONDS
    degraded: list[bool] = []

    async def again(step: Callable[[Any, int], Awaitable[Any]], store: Any) -> None:
        while time.monotonic() < end:
            await step(store, next(number))

    async def tell(store: Any, index: int) -> None:
        [made] = await remember(store, memory(text=f"sky n{index}"), vectors=[vectors[index % 50]])
        await replace(store, made, importance=0.7)

    async def speak(store: Any, index: int) -> None:
        await say(store, where, message(who))

    async def search(store: Any, index: int) -> None:
        asked = Search(SearchMode.HYBRID, 0.0, 10, "sky", vectors[index % 50])
        degraded.extend(found.degraded for found in await store.search([asked]))

    steps = (tell, tell, speak, search)
    await asyncio.gather(*(again(step, store) for store in stores for step in steps))
    assert len(degraded) > SECONDS
    assert degraded.count(True) == 0
    assert [
        figure for engine in engines for figure in engine.figures() if figure.name == "errors" and figure.value
    ] == []
    [now] = await stores[1].get(Session, [where.id])
    assert now is not None
    places = [record[0] for record in run("MATCH (n:Message) RETURN n.place ORDER BY n.place")]
    assert places == list(range(1, now.message_count + 1))


async def test_of_two_that_wait_for_each_other_one_is_told_to_begin_anew(real_servers: None) -> None:
    client = Neo4jClient(Address(urls()["graph_url"]))
    run("UNWIND ['a', 'b'] AS name MERGE (n:Thing {name: name})")
    first_locks = [asyncio.Event(), asyncio.Event()]

    async def lock(me: int, names: str) -> None:
        async with client.transaction() as unit:
            for name in names:
                await unit.run("MATCH (n:Thing {name: $name}) SET n.held = true FINISH", name=name)
                first_locks[me].set()
                await first_locks[1 - me].wait()

    told = await asyncio.gather(lock(0, "ab"), lock(1, "ba"), return_exceptions=True)
    run("MATCH (n:Thing) DELETE n")
    assert sorted(type(one) for one in told if one is not None) == [Collided]
    assert (client.breaker.state, client.breaker.errors) == ("closed", 0)
    await client.close()


async def test_a_write_that_meets_another_transaction_is_made_again(engines: list[ServicesEngine]) -> None:
    """The other one has a record of the write's and wants the workspace, which the write has."""
    store = engines[0].workspace("main")
    [where] = await keep(store, session())
    other = Neo4jClient(Address(urls()["graph_url"]))
    lost = 0
    run("UNWIND range(1, 500) AS i CREATE (:Thing)")  # Neo4j goes by who has more locks

    async def write(number: int) -> None:
        async def slowly(tx: Transaction) -> None:
            [now] = await tx.get(Session, [where.id])
            assert now is not None
            await asyncio.sleep(0.3)  # the other waits for the workspace meanwhile
            await tx.put([msgspec.structs.replace(now, message_count=number)])

        await store.write(slowly)

    for number in range(1, 6):
        try:
            async with other.transaction() as unit:
                await unit.run(
                    "MATCH (n:Session {id: $id}) SET n.held = true WITH n MATCH (t:Thing) SET t.held = true FINISH",
                    id=where.id,
                )
                writing = asyncio.ensure_future(write(number))
                await asyncio.sleep(0.15)
                await unit.run("MATCH (w:Workspace {name: 'main'}) SET w.held = true FINISH")
        except Collided:
            lost += 1
        await writing
    await other.close()
    [now] = await store.get(Session, [where.id])
    assert now is not None
    assert now.message_count == 5
    assert engines[0].graph.breaker.errors == 0
    assert lost < 5, "Neo4j ends either of the two; the write was never it"
