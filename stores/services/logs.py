"""The logs of a workspace: where they stand, and following them.

A follower reads no further than a log is known to reach. It hears that from the commits of this process and, by Redis,
from those of others; at its start, and where it may have missed something, it asks Neo4j behind the workspace's lock,
which a write holds until all of it can be seen.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from typing import Any

from domain.change import MemoryChange
from domain.errors import CursorExpired
from domain.memory import Memory, MemoryFilter
from stores.catalogue.kinds import called
from stores.catalogue.logs import LOGS
from stores.changes import asked, line_of, lost, state_of, told
from stores.ports import SESSION_LOGS, Log
from stores.rows import moment
from stores.services.filters import Where, apply, matches
from stores.services.followers import GONE, Followers
from stores.services.labels import HELD, NODE_IS_THERE, label, lists, standing
from stores.services.neo4j_client import Neo4jClient
from stores.services.snapshot import ReadBatch

_BATCH = 500
"""How many lines of a log a follower reads at a time."""

_END = {
    **{
        name: f"COLLECT {{{{ MATCH (n:{of.label}) WHERE n.{column} = {{}} AND n.place > 0 AND n.workspace = $workspace "
        "RETURN n.place ORDER BY n.place DESC LIMIT 1 }}[0]"
        for name, (of, column) in LOGS.items()
    },
    "messages": "COLLECT {{ MATCH (n:Session {{id: {}}}) WHERE n.workspace = $workspace RETURN n.message_count }}[0]",
    "changes": "COLLECT {{ MATCH (w:Workspace {{name: $workspace}}) RETURN w.changes }}[0]",
    "records": "COLLECT {{ MATCH (w:Workspace {{name: $workspace}}) RETURN w['changes_' + {}] }}[0]",
}
"""The place of a log's last line, by its kind; the blank is what it is of."""

_CASES = " ".join(f"WHEN '{kind}' THEN {end.format('k[1]')}" for kind, end in _END.items())
_THERE = (
    f"NOT k[0] IN {list(SESSION_LOGS)} OR EXISTS {{ MATCH (s:Session {{id: k[1]}}) WHERE s.workspace = $workspace }}"
)
_ENDS = f"UNWIND $keys AS k RETURN collect([k[1], k[0], CASE k[0] {_CASES} END, {_THERE}])"

_LOCK = f"OPTIONAL MATCH (w:Workspace {{name: $workspace}}) {HELD.format('w')} WITH count(w) AS locked "


_TRIMMED = "COLLECT { MATCH (w:Workspace {name: $workspace}) RETURN w[$trimmed] }[0]"
"""How far a log of changes is forgotten."""

Read = Callable[..., Awaitable[Any]]
"""Reads the one record of a statement of the workspace, with its parameters."""


class Logs:
    def __init__(self, graph: Neo4jClient, followers: Followers, workspace: str, read: Read) -> None:
        self._graph, self._followers, self._workspace, self._read = graph, followers, workspace, read
        self._reached = ReadBatch(self._read_behind, merged=True)
        self._one = asyncio.Lock()

    async def _read_behind(self, text: str, **parameters: Any) -> Any:
        """A record as it is when no write is under way; 3 ms. One at a time: it may wait, on one connection then."""
        async with self._one:
            return await self._graph.read_locking(_LOCK + text, workspace=self._workspace, **parameters)

    async def follow(self, log: Log, after: int, filter: Any = None) -> AsyncGenerator[list[Any]]:
        with self._followers.following(f"{self._workspace}/{log.name}") as heard:
            while heard.end < GONE:
                while after < heard.end < GONE:
                    lines, after = await self._lines(log, after, heard.end, filter)
                    if lines:
                        yield lines
                if heard.unsure:
                    heard.unsure = False  # what comes while it is asked makes it so again
                    heard.tell((await _reached(self._reached, [log]))[0])
                else:
                    await heard.wait()

    async def _lines(self, log: Log, after: int, end: int, filter: Any) -> tuple[list[Any], int]:
        """The next lines that match, up to an end, and the place they reach."""
        if log.about:
            return await self._changes(log.about, after, end, filter)
        lines_of, column = LOGS[log.kind]
        of = label(lines_of.record)
        where = Where()
        apply(filter, of.kind.record, where)
        [nodes] = await self._read(
            f"{where.given}MATCH (n:{of.name}) WHERE n.{column} = $of AND n.place > $after AND n.place <= $end "
            f"AND {of.live()} AND {where.cypher} WITH n ORDER BY n.place LIMIT {_BATCH} WITH collect(n) AS ns "
            f"RETURN {of.lists()}",
            of=log.of,
            after=after,
            end=end,
            **where.parameters,
        )
        lines = of.records(nodes)
        if len(nodes[0]) < _BATCH:
            return lines, end
        return lines, lines[-1].place if lines else after

    async def _changes(self, about: str, after: int, end: int, filter: Any) -> tuple[list[Any], int]:
        """The next lines of a log of changes, of records that match before or after them."""
        then = (
            "COLLECT { MATCH (d:Change) WHERE d.record = n.record AND d.before IS NOT NULL AND d.place > n.place "
            "AND d.workspace = $workspace RETURN [d.before, d.text] ORDER BY d.place LIMIT 1 }[0]"
        )
        of = label(called(about).record)
        record = lists([*of.columns, *NODE_IS_THERE], "[r IN rows | r.m[c]]")
        found = await self._read(
            "MATCH (n:Change) WHERE n.workspace = $workspace AND n.about = $about AND n.place > $after "
            f"AND n.place <= $end WITH n ORDER BY n.place LIMIT {_BATCH} "
            f"OPTIONAL MATCH (m:{of.name} {{id: n.record}}) "
            f"WITH n, m, {then} AS then ORDER BY n.place WITH collect({{n: n, m: m, then: then}}) AS rows "
            "RETURN [r IN rows | r.n.place], [r IN rows | r.n.kind], [r IN rows | r.n.record], "
            "[r IN rows | r.n.time], [r IN rows | r.n.link], [r IN rows | [r.n.before, r.n.text]], "
            f"[r IN rows | r.then], {record}, [r IN rows | r.n.place] AS there, {_TRIMMED}",
            about=about,
            trimmed=standing("trimmed", about),
            after=after,
            end=end,
        )
        places, *columns, records, there, trimmed = found
        if after < (trimmed or 0) or None in there:  # lines are deleted where they are forgotten, nowhere else
            raise CursorExpired
        lines = []
        for place, kind, id, time, link, was, then, row in zip(
            places, *columns, zip(*records, strict=True), strict=True
        ):
            now = of.decode(row) if row[-1] else None
            seen = (state_of(about, *was), state_of(about, *(then or (None,))), now, lost(was[0]))
            line = line_of(about, place, kind, id, moment(time), link, *seen)
            if line is not None:
                lines.append(line)
        reached = places[-1] if len(places) == _BATCH else end
        if about != MemoryChange.about:
            return [line.change for line in lines], reached
        return told(lines, await self._hold(list(asked(lines, filter)))), reached

    async def _hold(self, states: Sequence[tuple[Memory, MemoryFilter | None]]) -> list[bool]:
        """Of which memories their filters hold, all those of one filter by one statement."""
        filters = {id(filter): filter for _, filter in states if filter is not None}
        answers: dict[int, Iterator[bool]] = {}
        for key, filter in filters.items():
            text, parameters = matches(filter, [memory for memory, of in states if of is filter])
            [held] = await self._read(text, **parameters)
            answers[key] = iter(held)
        return [filter is None or next(answers[id(filter)]) for _, filter in states]


async def ends(turn: ReadBatch, logs: Sequence[Log]) -> list[int]:
    return [end % GONE for end in await _reached(turn, logs)]


async def _reached(turn: ReadBatch, logs: Sequence[Log]) -> list[int]:
    """Where logs stand; GONE where their session is not there."""
    value = await turn.ask(_ENDS, [[log.kind, log.of] for log in logs])
    found = {Log(kind, session): (end or 0) if there else GONE for session, kind, end, there in value}
    return [found[log] for log in logs]
