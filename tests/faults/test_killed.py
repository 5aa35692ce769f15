"""Each server and a process of ours killed in the middle of a mixed load: nothing is lost and nothing comes twice."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import httpx
from neo4j import Driver

from stores.services.vector_set import VectorSet
from stores.services.weaviate_client import WeaviateClient
from tests.support.faults import Start, column, health, seconds_until
from tests.support.load import (
    CHANGES,
    EVENTS,
    MEMORY,
    MESSAGE,
    MESSAGES,
    STATE,
    TOGETHER,
    TRACE,
    Load,
    Subscriber,
    doubled,
    end,
    in_lanes,
)
from tests.support.running import Running
from tests.support.servers import Server, Servers

WRITES, WRITERS, SUBSCRIBERS = 2_000, 16, 51
DIMENSION = 256
PATIENCE = 240
"""Seconds for what takes a few on a machine that does nothing else; no bound that is tested."""

CURSORS = '{ memoryCursor session(by: {externalId: "load"}) { traceCursor messageCursor } }'


async def test_nothing_is_lost(servers: Servers, start: Start, graph: Driver) -> None:
    first, second = start(), start()
    await first.ask('mutation { createSession(input: {externalId: "load"}) { session { id } } }')
    at = await first.ask(CURSORS)
    cursors = {
        TRACE: at["session"]["traceCursor"],
        MESSAGES: at["session"]["messageCursor"],
        CHANGES: at["memoryCursor"],
    }
    subscribers = [
        Subscriber([first, second][index % 2], query, cursors[query], "load")
        for query in cursors
        for index in range(SUBSCRIBERS // 3)
    ]
    [changes] = column(graph, "MATCH (w:Workspace {name: 'default'}) RETURN coalesce(w.changes, 0)")
    load = Load("load", [first, first, second])
    following = [asyncio.create_task(one.run()) for one in subscribers]
    writing = asyncio.create_task(load.run(WRITERS, pause=0.02))

    report: dict[str, Any] = {}
    began = time.monotonic()
    await whole(load, [first, second])
    for server in (servers.redis, servers.weaviate, servers.neo4j):
        report[server.name] = await fall(server, [first, second], load)
        await beside(load, 200)
    report["Recollect"] = await crash(first, load)
    await beside(load, max(200, WRITES - load.count))
    load.stop()
    async with asyncio.timeout(PATIENCE):
        await writing

    report["outbox empty after"] = await asyncio.to_thread(
        seconds_until, lambda: column(graph, "MATCH (o:Outbox) RETURN count(o)") == [0], 30
    )
    logs = stored(graph, changes)
    acknowledged = load.acknowledged
    assert load.count >= WRITES
    assert not any(map(doubled, (*logs.values(), *acknowledged.values())))
    assert set(logs[TRACE]) == {f"{name} {part}" for name in acknowledged[EVENTS] for part in range(TOGETHER)}
    assert set(logs[MESSAGES]) == set(acknowledged[MESSAGE])
    assert set(logs[CHANGES]) == set(acknowledged[MEMORY])
    assert set(column(graph, "MATCH (s:State {namespace: 'load'}) RETURN s.name")) == set(acknowledged[STATE])
    for names in logs.values():
        assert all(numbers == sorted(numbers) for numbers in in_lanes(names).values()), "in the order of each writer"
    assert logs[TRACE] == [f"{name} {part}" for name in heads(logs[TRACE]) for part in range(TOGETHER)]
    assert await without_vectors(servers, graph) == set()

    await asyncio.to_thread(
        seconds_until, lambda: all(len(one.seen) >= len(logs[one.query]) for one in subscribers), 30
    )  # fmt: skip
    for one in subscribers:
        assert one.seen == logs[one.query]
    assert all(one.breaks for one in subscribers if one.target is first), "all of them lost their connection"
    await end(following)
    report |= figures(load, subscribers, logs) | {"seconds of load": time.monotonic() - began}
    print("\n" + "\n".join(f"{name}: {figure}" for name, figure in report.items()))


async def whole(load: Load, processes: list[Running]) -> None:
    """Some writes beside which every search of every process is a whole one: all servers are well."""
    beginning = Load("load", processes)
    searching = asyncio.create_task(beginning.search())
    await beside(load, 300)
    beginning.stop()
    await searching
    assert (beginning.searches > 0, beginning.degraded) == (True, 0)


async def beside(load: Load, writes: int) -> None:
    """Until so many more writes were acknowledged."""
    wanted = load.count + writes
    async with asyncio.timeout(PATIENCE):
        while load.count < wanted:  # noqa: ASYNC110 - the writers are tasks of their own
            await asyncio.sleep(0.02)


async def fall(server: Server, processes: list[Running], load: Load) -> str:
    """Kills a server, has it gone for a while, starts it again, and waits until all is well: what that was like."""
    name, before, refused = server.name.lower(), load.count, len(load.refused)
    await asyncio.to_thread(server.kill)
    if name == "neo4j":
        await asyncio.to_thread(without_neo4j, processes)
    else:
        await beside(load, 100)
        for process in processes:
            told = await asyncio.to_thread(health, process)
            assert (told["code"], told[name]["status"]) == (200, "degraded"), told
    went_on, answers = load.count - before, load.refused[refused:]
    slowest = max((answer.took for answer in answers), default=0.0)
    assert slowest < 3, "what cannot be done is said soon"
    begun = time.monotonic()
    await asyncio.to_thread(server.restart)
    ready = time.monotonic()
    for process in processes:
        await asyncio.to_thread(seconds_until, well(process), 30)
    return (
        f"{went_on} writes acknowledged while it was gone; {len(answers)} refused, the slowest after {slowest:.2f} s; "
        f"started again in {ready - begun:.1f} s, all well {time.monotonic() - ready:.1f} s later"
    )


def well(process: Running) -> Callable[[], bool]:
    return lambda: health(process)["status"] == "healthy"


def without_neo4j(processes: list[Running]) -> None:
    """Each process says that it can do nothing, and says it soon."""
    for query in ("{ sessions { totalCount } }", 'mutation { createMemory(input: {text: "x", scope: GLOBAL}) { errors { code } } }'):  # fmt: skip
        for process in processes:
            begun = time.monotonic()
            body = httpx.post(f"http://{process.address}/graphql", json={"query": query}, trust_env=False).json()
            assert time.monotonic() - begun < 2
            assert body["errors"][0]["extensions"]["code"] == "UNAVAILABLE"
            assert 100 <= body["errors"][0]["extensions"]["retryAfterMs"] <= 36_000
    for process in processes:
        told = health(process)
        assert (told["code"], told["status"], told["neo4j"]["status"]) == (503, "unhealthy", "unhealthy")
        assert told["neo4j"]["circuit"] in ("open", "half-open")


async def crash(process: Running, load: Load) -> str:
    """Kills a process of ours and starts it again."""
    broken = load.broken
    process.kill()
    await asyncio.sleep(0.5)
    assert load.broken > broken, "it was in the middle of something"
    begun = time.monotonic()
    await asyncio.to_thread(process.start)
    await asyncio.to_thread(seconds_until, well(process), 30)
    return f"{load.broken - broken} requests broken off; all well {time.monotonic() - begun:.1f} s after its start"


def stored(graph: Driver, changes: int) -> dict[str, list[str]]:
    """What is in the logs, in order; of the memory log what comes after a place."""
    return {
        TRACE: column(graph, "MATCH (s:Session {external_id: 'load'}) MATCH (n:TraceEvent {session: s.id}) RETURN replace(n.data, '\"', '') ORDER BY n.place"),
        MESSAGES: column(graph, "MATCH (s:Session {external_id: 'load'}) MATCH (n:Message {session: s.id}) RETURN n.texts[0] ORDER BY n.place"),
        CHANGES: column(graph, "MATCH (c:Change {about: 'memory'}) WHERE c.place > $changes MATCH (n:Memory {id: c.record}) RETURN n.text ORDER BY c.place", changes=changes),
    }  # fmt: skip


def heads(names: list[str]) -> list[str]:
    """The writes that the events are of, in the order of their first ones."""
    return list(dict.fromkeys(name.rpartition(" ")[0] for name in names))


async def without_vectors(servers: Servers, graph: Driver) -> set[Any]:
    """The memories that Weaviate cannot find by their vector."""
    ids = column(graph, "MATCH (n:Memory) RETURN n.id")
    vectors = WeaviateClient(servers.weaviate.url, VectorSet(f"test {DIMENSION}"))
    found: set[Any] = set()
    for begin in range(0, len(ids), 400):
        found |= await vectors.indexed("default", ids[begin : begin + 400])
    await vectors.close()
    return set(ids) - found


def figures(load: Load, subscribers: list[Subscriber], logs: dict[str, list[str]]) -> dict[str, Any]:
    """What the load was."""
    return {
        "writes acknowledged": {query.split("{")[1].split("(")[0].strip(): len(names) for query, names in load.acknowledged.items()},
        "in all": load.count,
        "tried again": f"{len(load.refused)} after UNAVAILABLE, {load.broken} after a broken connection",
        "lines of the logs": [len(names) for names in logs.values()],
        "subscribers": f"{len(subscribers)}, {sum(one.breaks for one in subscribers)} times gone on after a break",
        "events delivered": sum(len(one.seen) for one in subscribers),
    }  # fmt: skip
