"""The outbox: sends changed memories from Neo4j to Weaviate.

A transaction that changes a memory also makes a node Outbox {workspace, place, memory}. A pass of the relay takes the
oldest, reads how their memories are now, tells Weaviate, and takes the entries away; all in one transaction that holds
the lock of the workspace's node Relay, so that no two processes tell things in the wrong order. Telling a thing twice
changes nothing, so whatever ends a pass, the next does all of it again.

The last entries are kept as nodes Told: Weaviate 1.35 answers before the log of its vector index is written, and loses
up to 4 kB of it, some hundred vectors of each tenant, when it is killed. They are looked for after its restart.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Sequence
from typing import Any

import numpy as np

from domain.node import Id
from stores.errors import StoreError, Unavailable
from stores.services.labels import HELD, NODE_IS_THERE, seek
from stores.services.neo4j_client import Collided, Neo4jClient, patience
from stores.services.vector_set import PROPERTY, SETS, VectorSet
from stores.services.weaviate_client import FIRST, LAST, Entry, Missing, WeaviateClient

_log = logging.getLogger("recollect")

BATCH = 400
_LOOK_SECONDS = 5.0
"""How often entries are looked for that a process left which is no more."""

_RETRY_SECONDS = 0.5, 1.5

_NOTE_SECONDS = 1.0
"""How long the end of a pass may take, when the process ends: what is not noted as told is told again."""

_AT_ONCE = 3
"""How many workspaces have a pass at once: each holds a connection to Neo4j for as long as Weaviate takes."""

_COLUMNS = (
    "words", "owner", "scope", "type", "session", "status", "tag_list", "importance", "decay_factor", "created_at",
    "expires_at", "valid_from", "valid_until",
)  # fmt: skip

_TAKE = (
    f"MERGE (r:Relay {{workspace: $workspace}}) {HELD.format('r')} "
    f"MATCH (m:Recollect {{one: 1}}) WITH [{SETS}] AS sets "
    f"CALL () {{ {seek('Outbox', 'workspace', '= $workspace', 'o')} WITH o ORDER BY o.workspace, o.place "
    f"LIMIT {BATCH} RETURN collect(o) AS entries }} "
    "CALL (entries, sets) { UNWIND entries AS o WITH DISTINCT o.memory AS id, sets "
    "OPTIONAL MATCH (n:Memory {id: id}) WHERE n.workspace = $workspace "
    f"RETURN collect([id] + [c IN [coalesce(sets[1], '{PROPERTY}'), coalesce(sets[3], ''), "
    f"{', '.join(map(repr, (*_COLUMNS, *NODE_IS_THERE)))}] | n[c]]) AS memories }} "
    "RETURN [o IN entries | elementId(o)], memories, sets"
)
"""Waits for the workspace's relays, then reads the oldest entries and their memories as they are.

Not n.id, n.words, ...: Neo4j has n.id from the index that found the node, also when the node is deleted since."""

_TAIL = 512
"""A record of a vector takes 11 bytes of the log or more, so no more of them are lost."""

_TOLD_OF = seek("Told", "workspace", "= $workspace", "t")

_DONE = (
    "MATCH (r:Relay {workspace: $workspace}) SET r.told = coalesce(r.told, 0) + size($entries) WITH r.told AS last "
    "CALL (last) { UNWIND range(0, size($entries) - 1) AS i MATCH (o:Outbox) WHERE elementId(o) = $entries[i] "
    "REMOVE o:Outbox SET o:Told, o.place = last - i } "
    f"CALL (last) {{ {_TOLD_OF} AND t.place <= last - {_TAIL} DELETE t }} FINISH"
)

_WITH_VECTOR = "MATCH (n:Memory {{id: id}}) WHERE n.{vector} IS NOT NULL RETURN collect([id, n.{vector}])"

_UNTOLD = f"{_TOLD_OF} REMOVE t:Told SET t:Outbox, t.place = 0"

_EVERYONE = "MATCH (w:Workspace) RETURN collect(w.name)"

_MANY = 10_000
_WAITING = f"MATCH (o:Outbox) WITH o LIMIT {_MANY} RETURN collect(DISTINCT o.workspace), count(o)"
"""Reads no more than so many entries; where there are more, each workspace is asked for."""

_ALL_WAITING = (
    f"MATCH (w:Workspace) WHERE EXISTS {{ {seek('Outbox', 'workspace', '= w.name', 'o')} }} RETURN collect(w.name)"
)

_COUNT = (
    f"RETURN COUNT {{ {seek('Memory', 'workspace', '= $workspace')} }}, "
    f"COUNT {{ {seek('Outbox', 'workspace', '= $workspace', 'o')} }}"
)

_TELL_AGAIN = (
    f"MATCH (n:Memory) WHERE n.workspace = $workspace AND n.id > $after WITH n ORDER BY n.id LIMIT {10 * BATCH} "
    "CREATE (:Outbox {workspace: $workspace, place: 0, memory: n.id}) WITH max(n.id) AS last RETURN last"
)


class _Line:
    """The passes of one workspace in this process. asked, told, done: how often it was notified, of how much of that
    Weaviate knows, and how much of it is noted as told."""

    def __init__(self) -> None:
        self.asked = self.told = self.done = 0
        self.passed = asyncio.Event()
        self.running: asyncio.Task[None] | None = None


class Relay:
    """Passes of all workspaces; one at a time for each."""

    def __init__(self, graph: Neo4jClient, vectors: WeaviateClient) -> None:
        self._graph, self._vectors = graph, vectors
        self._lines: dict[str, _Line] = {}
        self._unsure: set[str] = set()  # workspaces that Weaviate may have lost something of
        self._incarnation: Any = None
        self._passing = asyncio.Semaphore(_AT_ONCE)
        self._looking: asyncio.Task[None] | None = None
        self._backlog = 0
        self._closed = False

    def start(self) -> None:
        if self._looking is None and not self._closed:
            self._looking = asyncio.create_task(self._look())

    def notify(self, workspace: str) -> None:
        """Entries of a workspace were committed: they are told at once."""
        line = self._lines.setdefault(workspace, _Line())
        line.asked += 1
        if line.running is None and not self._closed:
            line.running = asyncio.create_task(self._drain(workspace, line))

    async def delivered(self, workspace: str, seconds: float) -> bool:
        """Waits until Weaviate knows what was committed before, at most that long, and not at all while it is behind.

        Where it does not, it is behind from now on: searches do without it until it has caught up.
        """
        if (line := self._lines.get(workspace)) is None:
            return True
        asked = line.asked
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while line.told < asked and workspace not in self._vectors.behind:
                    await line.passed.wait()
        if line.told < asked:
            self._vectors.behind.add(workspace)
        return line.told >= asked

    async def backlog(self) -> int:
        """How many entries wait, of all workspaces; what it last was where Neo4j does not say."""
        with contextlib.suppress(StoreError):
            self._backlog = (await self._graph.read("MATCH (o:Outbox) RETURN count(o)"))[0]
        return self._backlog

    async def close(self) -> None:
        self._closed = True
        if noting := [line.running for line in self._lines.values() if line.running and line.told == line.asked]:
            await asyncio.wait(noting, timeout=_NOTE_SECONDS)
        tasks = [task for task in (self._looking, *(line.running for line in self._lines.values())) if task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _look(self) -> None:
        while True:
            try:
                await self._round()
            except StoreError as error:
                _log.debug("could not read the outbox: %s", error)
            except Exception:  # it looks again all the same
                _log.exception("could not read the outbox")
            await asyncio.sleep(_LOOK_SECONDS)

    async def _round(self) -> None:
        waiting, count = await self._graph.read(_WAITING)
        if count == _MANY:
            [waiting] = await self._graph.read(_ALL_WAITING)
        for workspace in waiting:
            self.notify(workspace)
        incarnation = await self._vectors.incarnation()
        if incarnation != self._incarnation:
            self._unsure.update((await self._graph.read(_EVERYONE))[0])
            self._incarnation = incarnation
        for workspace in self._unsure.difference(waiting):
            await self._compare(workspace)
        await self._vectors.rest()

    async def _drain(self, workspace: str, line: _Line) -> None:
        """Passes until nothing is left; through outages too."""
        checked, collided = False, 0
        try:
            while line.done < line.asked:
                asked = line.asked
                try:
                    if await self._pass(workspace):
                        continue
                    if workspace in self._vectors.behind and not checked:
                        checked = True
                        if await self._lost(workspace):
                            continue
                except Collided:
                    await patience(collided := collided + 1)
                    continue
                except StoreError as error:
                    checked = False
                    await self._failed(workspace, line, error)
                    continue
                self._vectors.behind.discard(workspace)
                line.told = line.done = asked
                self._wake(line)
        finally:
            line.running = None
            if line.done == line.asked:
                del self._lines[workspace]
            self._wake(line)

    async def _failed(self, workspace: str, line: _Line, error: StoreError) -> None:
        self._vectors.behind.add(workspace)
        self._wake(line)
        if not isinstance(error, Unavailable):
            _log.error("could not update memories in Weaviate", exc_info=error)
        await asyncio.sleep(random.uniform(*_RETRY_SECONDS))

    def _wake(self, line: _Line) -> None:
        line.passed.set()
        line.passed = asyncio.Event()

    async def _pass(self, workspace: str) -> bool:
        """Tells up to 400 entries; whether there may be more. Two statements and one or two calls of Weaviate. Who
        waits for these is woken before they are noted as told."""
        line = self._lines.get(workspace, _Line())
        asked = line.asked
        if self._vectors.breaker.state == "open":
            raise Unavailable("Weaviate is not being called for the moment")
        async with self._passing, self._graph.transaction() as unit:
            record = await unit.run(_TAKE, workspace=workspace)
            assert record is not None
            entries, rows, sets = record
            if not entries:
                await unit.roll_back()
                return False
            vectors = VectorSet.of(*sets[:2])
            assert vectors is not None
            for number, of in enumerate((vectors, VectorSet.of(*sets[2:]))):
                if of is not None:
                    await self._tell_of(workspace, rows, of, number)
            if len(entries) < BATCH:
                line.told = asked
                self._wake(line)
            await unit.run(_DONE, workspace=workspace, entries=entries)
        return len(entries) == BATCH

    async def _tell_of(self, workspace: str, rows: Sequence[Sequence[Any]], of: VectorSet, number: int) -> None:
        """Tells the set in use (0), or the one that is made to take its place (1)."""
        try:
            await self._tell(workspace, rows, of, number)
        except Missing as missing:
            # A new workspace, or Weaviate has lost it, or everything.
            if number == 0:
                self._unsure.add(workspace)
                if missing.everything:
                    self._incarnation = None
            await self._vectors.open(workspace, of)
            await self._tell(workspace, rows, of, number)

    async def _tell(self, workspace: str, rows: Sequence[Sequence[Any]], of: VectorSet, number: int) -> None:
        """A set that is being made is told of a memory once that has a vector in it."""
        there, gone = [], []
        for id, *vectors_and_columns, exists in rows:
            vector, columns = vectors_and_columns[number], vectors_and_columns[2:]
            if not exists:
                gone.append(Id(id))
            elif number == 0 or vector is not None:
                there.append(_entry(Id(id), vector, columns))
        if there:
            await self._vectors.put(workspace, there, of)
        if gone:
            await self._vectors.remove(workspace, gone, of)

    async def _compare(self, workspace: str) -> None:
        """Tells again what Weaviate has lost: everything, where it knows another number of memories than Neo4j."""
        record = await self._graph.read(_COUNT, workspace=workspace)
        memories, left = record
        known = await self._vectors.count(workspace)
        if left or list(await self._graph.read(_COUNT, workspace=workspace)) != [memories, left]:
            return  # somebody writes: the next time
        if known != memories:
            await self._rebuild(workspace, memories, known)
        elif await self._lost(workspace):
            self._vectors.behind.add(workspace)
            self.notify(workspace)
        self._unsure.discard(workspace)

    async def _lost(self, workspace: str) -> bool:
        """Whether Weaviate has lost some of the vectors that it was told of last; if so, all of them are told again."""
        told_of = f"{_TOLD_OF} WITH DISTINCT t.memory AS id {_WITH_VECTOR.format(vector=self._vectors.set.field)}"
        rows = (await self._graph.read(told_of, workspace=workspace))[0]
        told = [Id(id) for id, vector in rows if any(vector or ())]
        lost = set(told) - await self._vectors.indexed(workspace, told) if told else set()
        if not lost:
            return False
        _log.warning("Weaviate has lost %d vectors of %s: sending them again", len(lost), workspace)
        with contextlib.suppress(Missing):  # it would take the same object for one that it has
            await self._vectors.remove(workspace, list(lost))
        async with self._graph.transaction() as unit:
            await unit.run(_UNTOLD, workspace=workspace)
        return True

    async def _rebuild(self, workspace: str, memories: int, known: int) -> None:
        _log.warning("Weaviate has %d of the %d memories of %s: sending all of them again", known, memories, workspace)
        self._vectors.behind.add(workspace)
        with contextlib.suppress(Missing):
            await self._vectors.forget(workspace)
        last: str | None = ""
        done = 0
        while last is not None:
            async with self._graph.transaction() as unit:
                record = await unit.run(_TELL_AGAIN, workspace=workspace, after=last)
                last = record[0] if record is not None else None
            done = min(memories, done + 10 * BATCH)
            _log.info("sending %d of %d memories of %s", done, memories, workspace)
        self.notify(workspace)


def _entry(id: Id, vector: Any, columns: Sequence[Any]) -> Entry:
    """What Weaviate is told of a memory, from the columns of its node."""
    row = dict(zip(_COLUMNS, columns, strict=True))
    decay = row.pop("decay_factor")
    row["tags"] = row.pop("tag_list") or []
    row["weight"] = row["importance"] * decay
    for name, never in (("expires_at", LAST), ("valid_from", FIRST), ("valid_until", LAST)):
        row[name] = never if row[name] is None else row[name]
    properties = {name: value for name, value in row.items() if value is not None}
    return Entry(id, properties, None if vector is None else np.frombuffer(bytes(vector), "<f4"))
