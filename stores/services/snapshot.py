"""Snapshot of the database for a group of write scripts, read in the group's transaction, each thing once.

What is asked for in one turn of the event loop is read by one statement; the store's reads are gathered so too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import msgspec

from domain.link import MemoryLink
from domain.node import Id, Node
from domain.participant import Participant
from stores.catalogue import kinds
from stores.catalogue.kinds import natural_key
from stores.policies import IDEMPOTENCY_US
from stores.ports import NaturalKey
from stores.services.labels import COUNTERS, HELD, PARTICIPANT, Label, label, link_lists, seek, whole_links
from stores.services.neo4j_client import Unit
from stores.services.vector_set import SETS, VectorSet

N = TypeVar("N", bound=Node)


What = tuple[str, Any]
"""What is read: "get" or "find" with a kind of record, "participants", "active" or "recalled"."""


class ReadBatch:
    """Gathers what is asked in one turn of the event loop into one statement: a round trip costs more than its work."""

    def __init__(self, run: Callable[..., Awaitable[Any]], merged: bool = False) -> None:
        """run: runs a statement with its parameters and gives the values of its one record, or more. merged: what is
        asked by the same text is asked once, by all keys, and each gets all of the value, which tells of which key a
        part is: however many ask at once, there is one plan."""
        self._run, self._merged = run, merged
        self._asked: list[tuple[str, Sequence[Any], asyncio.Future[Any]]] = []

    async def ask(self, text: str, keys: Sequence[Any]) -> Any:
        """The value of a statement that takes the parameter $keys and returns one value, given no name."""
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._asked.append((text, keys, answer))
        if len(self._asked) == 1:
            # A task of its own: the caller that came first may be cancelled, the others are not.
            self._answering = asyncio.ensure_future(self._answer())
        return await answer

    async def _answer(self) -> None:
        await asyncio.sleep(0)
        asked, self._asked = sorted(self._asked, key=lambda one: one[0]), []  # few texts: plans are remembered
        calls: list[tuple[str, list[Any]]] = []
        places: list[int] = []
        for text, keys, _ in asked:
            if self._merged and calls and calls[-1][0] == text:
                calls[-1][1].extend(keys)
            else:
                calls.append((text, list(keys)))
            places.append(len(calls) - 1)
        parts = [f"CALL () {{ {text.replace('$keys', f'$k{i}')} AS r{i} }}" for i, (text, _) in enumerate(calls)]
        names = ", ".join(f"r{i}" for i in range(len(calls)))
        given = {f"k{i}": keys for i, (_, keys) in enumerate(calls)}
        try:
            record = await self._run(f"{' '.join(parts)} RETURN {names}", **given)
        except Exception as error:
            for _, _, answer in asked:
                if not answer.done():
                    answer.set_exception(error)
            return
        for (_, _, answer), place in zip(asked, places, strict=True):
            if not answer.done():
                answer.set_result(record[place])


_LOCK = (
    f"MERGE (w:Workspace {{name: $workspace}}) {HELD.format('w')} SET w.writes = coalesce(w.writes, 0) + 1 WITH w "
    "MATCH (m:Recollect {one: 1}) "
    f"WITH [coalesce(w.events, 0), [c IN {list(COUNTERS.values())} | coalesce(w[c], 0)], "
    f"coalesce(w.last_id, ''), w.writes, {SETS}] AS held "
)
"""Begins the first statement of a transaction, which ends with a RETURN of values."""

_TURNS = 8
"""Of the event loop, after which what the scripts ask first has been gathered into one statement: five to gather, and
some for what stands between a script and its first question."""


class Held(NamedTuple):
    """A workspace that is locked: where its logs stand, the last id given, how many writes it has had with this one.
    vectors: the set in use. coming: the one that is being made."""

    events: int
    changes: dict[str, int]
    last_id: str
    writes: int
    vectors: VectorSet
    coming: VectorSet | None

    @classmethod
    def read(cls, found: Sequence[Any]) -> Held:
        vectors = VectorSet.of(*found[4:6])
        assert vectors is not None
        changes = dict(zip(COUNTERS, found[1], strict=True))
        return cls(found[0], changes, found[2], found[3], vectors, VectorSet.of(*found[6:8]))


class Snapshot:
    """Records by id and by natural key, and the few other things that scripts ask for. now: microseconds since 1970."""

    def __init__(self, unit: Unit, workspace: str, now: int) -> None:
        self.unit, self._given = unit, {"workspace": workspace, "now": now, "place": 0}
        self._held: asyncio.Future[Sequence[Any]] = asyncio.get_running_loop().create_future()
        self.held: Held | None = None
        self._asked = False
        self._known: dict[What, dict[Any, Any]] = {}
        self._wanted: dict[What, dict[Any, None]] = {}
        self._coming: dict[What, asyncio.Future[None]] = {}
        self._turn = ReadBatch(self._ask)
        self._fetching: set[asyncio.Future[None]] = set()
        self._one = asyncio.Lock()

    async def lock(self) -> Held:
        """Waits for the workspace; what is asked meanwhile for the first time is read by the same statement."""
        for _ in range(_TURNS):
            await asyncio.sleep(0)
        if not self._asked:
            await self._first("CALL () { RETURN 0 AS r0 } RETURN r0")
        held = Held.read(await self._held)
        self.held = held
        self._given["place"] = held.writes
        return held

    async def answered(self) -> None:
        """Until everything that was asked has its answer."""
        while self._fetching:
            await asyncio.gather(*self._fetching, return_exceptions=True)

    def forget(self) -> None:
        """Reads everything anew from now on."""
        self._known.clear()

    def known(self, kind: type[N], id: Id) -> N | None:
        """A record that has been read."""
        found: N | None = self._known.get(("get", _base(kind)), {}).get(id)
        return found

    async def get(self, kind: type[N], ids: Sequence[Id]) -> list[N | None]:
        return await self._read(("get", _base(kind)), ids)

    async def find(self, kind: type[N], keys: Sequence[NaturalKey]) -> list[N | None]:
        return await self._read(("find", _base(kind)), keys)

    async def participants(self, session_id: Id) -> list[Participant]:
        return (await self._read(("participants", None), [session_id]))[0] or []

    async def active(self, owner_id: Id | None) -> int:
        return (await self._read(("active", None), [owner_id or ""]))[0] or 0

    async def recalled(self, key: str) -> tuple[str, Any] | None:
        found: tuple[str, Any] | None = (await self._read(("recalled", None), [key]))[0]
        return found

    async def run(self, statement: str, **parameters: Any) -> Any:
        """A statement of the transaction, when its turn has come; after the lock, for it may begin in any way."""
        if not self._held.done():
            await asyncio.shield(self._held)
        return await self._run(statement, **parameters)

    async def _ask(self, statement: str, **parameters: Any) -> Any:
        return await (self._run if self._asked else self._first)(statement, **parameters)

    async def _run(self, statement: str, **parameters: Any) -> Any:
        async with self._one:
            return await self.unit.run(statement, **self._given, **parameters)

    async def _first(self, statement: str, **parameters: Any) -> Any:
        """The first statement of the transaction, which locks the workspace before it reads."""
        self._asked = True
        async with self._one:
            try:
                record = await self.unit.run(f"{_LOCK}{statement}, held", **self._given, **parameters)
            except BaseException as error:
                self._held.set_exception(error)
                self._held.exception()  # seen: nobody may wait for it
                raise
            assert record is not None
            self._held.set_result(record["held"])
            return record

    async def _read(self, what: What, keys: Sequence[Any]) -> list[Any]:
        known = self._known.setdefault(what, {})
        if missing := [key for key in keys if key not in known]:
            self._wanted.setdefault(what, {}).update(dict.fromkeys(missing))
            if (coming := self._coming.get(what)) is None:
                coming = self._coming[what] = asyncio.ensure_future(self._fetch(what))
                self._fetching.add(coming)
                coming.add_done_callback(self._fetching.discard)
            await asyncio.shield(coming)
        return [known.get(key) for key in keys]

    async def _fetch(self, what: What) -> None:
        await asyncio.sleep(0)  # the other scripts of the group ask meanwhile
        del self._coming[what]
        keys = list(self._wanted.pop(what))
        there = found(what, await self._turn.ask(statement(what), keys))
        self._known.setdefault(what, {}).update({**dict.fromkeys(keys), **there})
        if what[0] == "find":  # what is found is known by its id, too
            self._known.setdefault(("get", what[1]), {}).update({record.id: record for record in there.values()})


def _base(kind: type[Node]) -> type[Node]:
    return kinds.kind(kind).record


def statement(what: What) -> str:
    """The statement that reads what is wanted of the keys in the parameter $keys, up to the name of its one value."""
    name, kind = what
    if name == "participants":
        return (
            f"UNWIND $keys AS k {seek('Participant', 'session', '= k')} AND n.workspace = $workspace "
            f"WITH collect(n) AS ns RETURN {PARTICIPANT.lists()}"
        )
    if name == "active":
        # Both counts are read off indexes, not off nodes; "" stands for the memories of nobody.
        return (
            "UNWIND $keys AS k WITH k, CASE k WHEN '' THEN $workspace ELSE k END AS holder "
            f"CALL (holder) {{ {seek('Memory', 'holder', '= holder')} AND n.status = 'ACTIVE' "
            "RETURN count(n) AS all } "
            f"CALL (holder) {{ {seek('Memory', 'expires_at', '<= $now')} "
            "AND n.holder = holder AND n.status = 'ACTIVE' RETURN count(n) AS gone } RETURN collect([k, all - gone])"
        )
    if name == "recalled":
        return (
            "UNWIND $keys AS k MATCH (n:Idempotency {workspace: $workspace, key: k}) "
            f"WHERE n.at > $now - {IDEMPOTENCY_US} RETURN collect([n.key, n.digest, n.result])"
        )
    if kind is MemoryLink:
        if name == "get":
            where = "UNWIND $keys AS k MATCH (:Memory)-[l:LINK {id: k}]->(:Memory) WHERE l.workspace = $workspace"
        else:
            where = (
                "UNWIND $keys AS k MATCH (a:Memory {id: k[0]})-[l:LINK]->(b:Memory {id: k[2]}) "
                "WHERE l.kind = k[1] AND l.workspace = $workspace"
            )
        return (
            f"{where} AND ALL(m IN [startNode(l), endNode(l)] WHERE m.expires_at IS NULL OR m.expires_at > $now) "
            f"WITH collect(l) AS ls RETURN {link_lists()}"
        )
    of: Label[Any] = label(kind)
    natural = of.kind.natural
    named = "n.id = k" if name == "get" else " AND ".join(f"n.{c} = k[{i}]" for i, c in enumerate(natural))
    return (
        f"UNWIND $keys AS k MATCH (n:{of.name}) WHERE {named} AND {of.live()} WITH collect(n) AS ns RETURN {of.lists()}"
    )


def found(what: What, value: Any) -> dict[Any, Any]:
    """What a `statement` returned, by key."""
    name, kind = what
    if name == "active":
        return dict(value)
    if name == "recalled":
        return {key: (digest, msgspec.json.decode(result)) for key, digest, result in value}
    if name == "participants":
        by_session: dict[Any, list[Participant]] = {}
        for one in PARTICIPANT.records(value):
            by_session.setdefault(one.session_id, []).append(one)
        return by_session
    records = whole_links(value) if kind is MemoryLink else label(kind).records(value)
    return {record.id if name == "get" else natural_key(record): record for record in records}
