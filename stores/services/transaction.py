"""What one write script sees and does: stores.ports.Transaction over what is committed and what is pending."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

import msgspec
import numpy as np

from domain.change import Change
from domain.link import MemoryLink
from domain.memory import Memory, MemoryFilter, MemoryStatus
from domain.message import MemoryRef, Message
from domain.node import Id, Node
from domain.participant import Participant
from domain.session import Session
from domain.tally import Tally
from domain.tool_execution import ToolExecution
from stores import keeping
from stores.catalogue import kinds
from stores.catalogue.kinds import natural_key
from stores.catalogue.logs import logs_of
from stores.changes import forgotten
from stores.errors import Outdated
from stores.ids import Ids
from stores.ports import SESSION_LOGS, Log, NaturalKey, Vector, Way
from stores.rows import micros
from stores.services.filters import Where, apply
from stores.services.flush import along, at_the_end, delete, drawn, flush, in_batches, spans_of
from stores.services.followers import GONE
from stores.services.labels import MEMORY, MESSAGE, TALLY, label, link_lists, seek, standing, whole_links
from stores.services.pending import Pending
from stores.services.snapshot import Snapshot

N = TypeVar("N", bound=Node)


class Alone(BaseException):
    """Raised through a script that needs a database transaction of its own: it asks for more than records by their
    keys after something was written, or it deletes. No Exception, so that no script catches it."""


class ServicesTransaction:
    """See stores.ports.Transaction. before: what earlier scripts of the group wrote; alone: there are none."""

    def __init__(
        self, committed: Snapshot, before: Pending, workspace: str, now: datetime, ids: Ids, alone: bool
    ) -> None:
        self._committed, self._before, self._workspace, self.now, self._ids = committed, before, workspace, now, ids
        self._alone = alone
        self.pending = Pending(before.events, before.changes)

    def new_id(self, kind: type[Node]) -> Id:
        id = kind.make_id(self._ids.next())
        self.pending.fresh.add(id)
        return id

    async def get(self, kind: type[N], ids: Sequence[Id]) -> list[N | None]:
        name = kinds.kind(kind).name
        found = {id: self._there(record) for id in ids if (record := self._put(name, id)) is not None}
        missing = [id for id in ids if id not in found and id not in self.pending.fresh]
        if missing:
            found.update(zip(missing, await self._committed.get(kind, missing), strict=True))
        return [found.get(id) for id in ids]

    async def find(self, kind: type[N], keys: Sequence[NaturalKey]) -> list[N | None]:
        name = kinds.kind(kind).name
        named = {key: id for key in keys if (id := self._named(name, key)) is not None}
        found: dict[NaturalKey, Any] = {}
        for key, id in named.items():
            record = self._put(name, id)
            if record is not None and natural_key(record) == key and self._there(record) is not None:
                found[key] = record
        missing = [key for key in keys if key not in found]
        if missing:
            for key, record in zip(missing, await self._committed.find(kind, missing), strict=True):
                if record is not None and (later := self._put(name, record.id)) is not None:
                    record = self._there(later) if natural_key(later) == key else None
                found[key] = record
        return [found[key] for key in keys]

    def _put(self, name: str, id: Id) -> Any:
        for layer in (self.pending, self._before):
            if (put := layer.records.get(name, {}).get(id)) is not None:
                return put[0]
        return None

    def _named(self, name: str, key: NaturalKey) -> Id | None:
        for layer in (self.pending, self._before):
            if (id := layer.keys.get(name, {}).get(key)) is not None:
                return id
        return None

    def _there(self, record: Any) -> Any:
        """The record, or None where its time is over."""
        return None if kinds.kind(type(record)).is_over(record, self.now) else record

    async def participants(self, session_id: Id) -> list[Participant]:
        found = {one.id: one for one in await self._committed.participants(session_id)}
        for layer in (self._before, self.pending):
            for record, _ in layer.records.get("participant", {}).values():
                if isinstance(record, Participant) and record.session_id == session_id:
                    found[record.id] = record
        return sorted(found.values(), key=lambda one: (one.joined_at, one.id))

    async def put(self, records: Sequence[Node]) -> None:
        if not records:
            return
        await keeping.put(self, records)
        self.pending.told |= isinstance(records[0], Memory)
        for record in records:
            if isinstance(record, Message):
                self.pending.grow(Log("messages", record.session_id).name, record.place)

    async def store(self, records: Sequence[Node]) -> None:
        """Stores records of one type, as they are."""
        if records:
            self.pending.put(records)

    async def tallies(self, trace_id: str) -> list[Tally]:
        """All tallies of a trace."""
        await self._settle()
        [nodes] = await self._committed.run(
            f"{seek('Tally', 'workspace', '= $workspace')} AND n.trace_id = $trace "
            f"WITH collect(n) AS ns RETURN {TALLY.lists()}",
            trace=trace_id,
        )
        return TALLY.records(nodes)

    async def append(self, lines: Sequence[N]) -> list[N]:
        if not lines:
            return []
        first = self.pending.events + 1
        placed = [msgspec.structs.replace(line, place=first + index) for index, line in enumerate(lines)]
        self.pending.events += len(placed)
        self.pending.put(placed)
        for place, line in enumerate(placed, first):
            for log in logs_of([line]):
                self.pending.grow(log.name, place)
        return placed

    def is_logged(self, id: Id) -> bool:
        return id in self.pending.logged or id in self._before.logged

    async def log(self, changes: Sequence[Change]) -> None:
        for one in changes:
            place = self.pending.changes[one.about] = self.pending.changes[one.about] + 1
            self.pending.lines.append((place, one))
            self.pending.logged.add(one.record_id)
            self.pending.grow(Log.of_changes(one.about).name, place)

    async def reference(self, message_id: Id, refs: Sequence[MemoryRef]) -> None:
        first: dict[Id, MemoryRef] = {}
        for ref in refs:
            first.setdefault(ref.memory_id, ref)
        if first:
            self.pending.references.append((message_id, list(first.values())))

    async def embed(self, vectors: Mapping[Id, Vector], embedder: str | None = None) -> None:
        held = self._committed.held  # None while a script is only run for what it asks
        if held is not None and embedder not in (None, held.vectors.embedder):
            raise Outdated(f"the vectors are of {held.vectors.embedder}")
        self.pending.told = True
        self.pending.vectors.update({id: np.asarray(vector, "<f4").tobytes() for id, vector in vectors.items()})

    async def along(self, kind: type[Node], way: Way, ids: Sequence[Id]) -> list[Any]:
        await self._settle()
        steps = tuple((of := kinds.kind(record), of.columns[name]) for record, name in way)
        return await at_the_end(self._committed, kind, steps, list(ids))

    async def drawn(self, message_ids: Sequence[Id]) -> list[list[MemoryRef]]:
        await self._settle()
        found = await drawn(self._committed, list(message_ids))
        return [found.get(id, []) for id in message_ids]

    async def delete(self, kind: type[Node], ids: Sequence[Id]) -> None:
        if not ids:
            return
        if not self._alone:
            raise Alone
        await self._settle()
        gone = await along(self._committed, kind, list(ids))
        spans = await spans_of(self._committed, kind, list(ids))
        await delete(self._committed, kind, list(ids))
        if issubclass(kind, Session):
            for id in ids:
                for log in SESSION_LOGS:
                    self.pending.grow(Log(log, id).name, GONE)
        self.pending.told = True
        self.pending.logged.clear()
        self._committed.forget()
        await keeping.delete(self, gone, spans)

    async def active(self, owner_id: Id | None) -> int:
        count = await self._committed.active(owner_id)
        later = {memory.id: memory for layer in (self._before, self.pending) for memory in layer.memories()}
        mine = [memory for memory in later.values() if memory.owner_id == owner_id]
        was = await self._committed.get(Memory, [memory.id for memory in mine if memory.id not in self.pending.fresh])
        count -= sum(memory is not None and self._counts(memory) for memory in was)
        return count + sum(map(self._counts, mine))

    def _counts(self, memory: Memory) -> bool:
        return memory.status is MemoryStatus.ACTIVE and self._there(memory) is not None

    async def lightest(self, owner_id: Id | None, count: int, keep: Sequence[Id]) -> list[Memory]:
        await self._settle()
        [nodes] = await self._committed.run(
            f"{seek('Memory', 'holder', '= $holder')} AND n.status = 'ACTIVE' AND NOT n.id IN $keep "
            f"AND {MEMORY.live()} WITH n ORDER BY n.holder, n.status, n.weight, n.id LIMIT $count "
            f"WITH collect(n) AS ns RETURN {MEMORY.lists()}",
            holder=owner_id or self._workspace,
            keep=list(keep),
            count=count,
        )
        return MEMORY.records(nodes)

    async def matching(self, filter: MemoryFilter | None, limit: int, after: Id | None = None) -> list[Memory]:
        await self._settle()
        where = Where()
        apply(filter, Memory, where)
        [nodes] = await self._committed.run(
            f"{where.given}MATCH (n:Memory) WHERE n.workspace = $workspace AND n.status = 'ACTIVE' AND n.id > $after "
            f"AND {MEMORY.live()} AND {where.cypher} WITH n ORDER BY n.id LIMIT $limit "
            f"WITH collect(n) AS ns RETURN {MEMORY.lists()}",
            after=after or "",
            limit=limit,
            **where.parameters,
        )
        return MEMORY.records(nodes)

    async def expired(self, kind: type[N], limit: int) -> list[N]:
        await self._settle()
        of = label(kind)
        [nodes] = await self._committed.run(
            f"{seek(of.name, str(of.kind.due), '<= $now')} AND n.workspace = $workspace WITH n LIMIT $limit "
            f"WITH collect(n) AS ns RETURN {of.lists()}",
            limit=limit,
        )
        return of.records(nodes)

    async def running(self, limit: int) -> list[ToolExecution]:
        of, later = label(ToolExecution), self._later(ToolExecution)
        [nodes] = await self._committed.run(
            f"{seek(of.name, 'times_out_at', '> $now')} AND n.workspace = $workspace WITH n LIMIT $limit "
            f"WITH collect(n) AS ns RETURN {of.lists()}",
            limit=limit + len(later),
        )
        found = {one.id: one for one in of.records(nodes)} | later
        return [one for one in found.values() if one.times_out_at is not None and one.times_out_at > self.now][:limit]

    async def latest(self, session_id: Id, limit: int) -> list[Message]:
        later = {id: one for id, one in self._later(Message).items() if one.session_id == session_id}
        [nodes] = await self._committed.run(
            "MATCH (n:Message) USING INDEX SEEK n:Message(session, place) WHERE n.session = $session AND n.place > 0 "
            "AND n.workspace = $workspace WITH n ORDER BY n.session DESC, n.place DESC LIMIT $limit "
            f"WITH collect(n) AS ns RETURN {MESSAGE.lists()}",
            session=session_id,
            limit=limit,
        )
        found = {one.id: one for one in MESSAGE.records(nodes)} | later
        return sorted(found.values(), key=lambda one: one.place, reverse=True)[:limit]

    def _later(self, kind: type[N]) -> dict[Id, Any]:
        """The records of a kind that are pending."""
        name = kinds.kind(kind).name
        layers = (self._before, self.pending)
        return {id: record for layer in layers for id, (record, _) in layer.records.get(name, {}).items()}

    async def trim(self, log: Log, before: datetime, keep: int, limit: int) -> int:
        if not self._alone:
            raise Alone
        await self._settle()
        trimmed = f"w.{standing('trimmed', log.about)}"
        [count] = await self._committed.run(
            "MATCH (w:Workspace {name: $workspace}) CALL () { MATCH (n:Change) WHERE n.workspace = $workspace "
            "AND n.about = $about AND n.place > 0 AND n.place < $last WITH n ORDER BY n.place LIMIT $limit "
            "WITH n WHERE n.time < $before OR n.place <= $last - $keep "
            "RETURN collect(n) AS gone, max(n.place) AS end } "
            f"WITH w, gone, end, size(gone) AS count SET {trimmed} = coalesce(end, {trimmed}) "
            "FOREACH (n IN gone | DELETE n) RETURN count",
            about=log.about,
            last=self.pending.changes[log.about],
            before=micros(before),
            keep=keep,
            limit=limit,
        )
        return int(count)

    async def forget(self, ids: Sequence[Id], links: bool = False) -> None:
        if not self._alone:
            raise Alone
        await self._settle()
        await self._forget(f"{seek('Change', 'record', 'IN $ids')} AND n.workspace = $workspace", ids)
        if links:
            of = "MATCH (n:Change) WHERE n.workspace = $workspace AND n.about = 'memory' AND n.place > 0 "
            await self._forget(f"{of}AND n.link IS NOT NULL AND NOT EXISTS {{ MATCH (:Memory {{id: n.record}}) }}", ids)

    async def _forget(self, where: str, ids: Sequence[Id]) -> None:
        [found] = await self._committed.run(
            f"{where} RETURN collect([elementId(n), n.about, n.before, n.link])", ids=list(ids)
        )
        for some in in_batches([[id, *forgotten(*kept)] for id, *kept in found]):
            await self._committed.run(
                "UNWIND $rows AS r MATCH (n:Change) WHERE elementId(n) = r[0] SET n.before = r[1], n.link = r[2]",
                rows=some,
            )

    async def supersessions(self, ids: Sequence[Id]) -> list[MemoryLink]:
        await self._settle()
        [links] = await self._committed.run(
            "UNWIND $ids AS id MATCH (n:Memory {id: id}) WHERE n.workspace = $workspace "
            f"MATCH (n)-[l:LINK {{kind: 'SUPERSEDES'}}]-() WITH collect(DISTINCT l) AS ls RETURN {link_lists()}",
            ids=list(ids),
        )
        return whole_links(links)

    async def recalled(self, key: str) -> tuple[str, Any] | None:
        for layer in (self.pending, self._before):
            if (noted := layer.notes.get(key)) is not None:
                return noted
        return await self._committed.recalled(key)

    async def note(self, key: str, digest: str, result: Any) -> None:
        self.pending.notes[key] = digest, result

    async def _settle(self) -> None:
        """Puts what is pending into the database, where a question needs it there."""
        if not self._alone:
            if self.pending or self._before:
                raise Alone
            return
        if self.pending:
            await flush(self._committed, self.pending, self._ids.last)
            self.pending.empty()
            self._committed.forget()
