"""What one atomic write sees and does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol, TypeVar

from domain.change import Change
from domain.link import MemoryLink
from domain.memory import Memory, MemoryFilter
from domain.message import MemoryRef, Message
from domain.node import Id, Node
from domain.participant import Participant
from domain.tool_execution import ToolExecution
from stores.ports.values import Log, NaturalKey, Vector, Way

N = TypeVar("N", bound=Node)
T = TypeVar("T")


class Transaction(Protocol):
    """One atomic write: it reads what is committed and what it wrote itself. All of it is kept, or nothing."""

    now: datetime

    def new_id(self, kind: type[Node]) -> Id:
        """A fresh id, greater than all before it."""

    async def get(self, kind: type[N], ids: Sequence[Id]) -> list[N | None]:
        """The records of these ids, None where there is none (or it has expired), in the order asked."""

    async def find(self, kind: type[N], keys: Sequence[NaturalKey]) -> list[N | None]:
        """The records of these natural keys, None where there is none, in the order asked."""

    async def participants(self, session_id: Id) -> list[Participant]:
        """All participants of a session, those that joined first coming first."""

    async def put(self, records: Sequence[Node]) -> None:
        """Stores records of one type, new or in place of those with the same ids. What they refer to must exist.

        The write raises stores.errors.Taken where another record has the natural key of one, or one of another
        workspace has its id.
        """

    async def append(self, lines: Sequence[N]) -> list[N]:
        """Adds lines of one type to logs, TraceEvent, and returns them with their places."""

    async def log(self, changes: Sequence[Change]) -> None:
        """Adds lines to the workspace's logs of changes. No line keeps the text of a memory that is deleted."""

    async def reference(self, message_id: Id, refs: Sequence[MemoryRef]) -> None:
        """Notes memories that a message draws on, in order, after those noted before; one noted already stays so."""

    async def embed(self, vectors: Mapping[Id, Vector], embedder: str | None = None) -> None:
        """Stores vectors of memories. embedder: whose they are (label_of); raises Outdated where it is another one
        than the store's. None: it is not looked at."""

    async def along(self, kind: type[Node], way: Way, ids: Sequence[Id]) -> list[Any]:
        """The records at the end of a way from some of a kind, in no order; a way has no links of memories."""

    async def drawn(self, message_ids: Sequence[Id]) -> list[list[MemoryRef]]:
        """What each message draws on, in order."""

    async def delete(self, kind: type[Node], ids: Sequence[Id]) -> None:
        """Removes records and what only hangs on them: a session's messages and trace, a memory's links and history."""

    async def active(self, owner_id: Id | None) -> int:
        """How many active memories an owner has; None asks for the GLOBAL ones."""

    async def lightest(self, owner_id: Id | None, count: int, keep: Sequence[Id]) -> list[Memory]:
        """An owner's active memories with the least importance x decay, least first, without those to keep."""

    async def matching(self, filter: MemoryFilter | None, limit: int, after: Id | None = None) -> list[Memory]:
        """Active memories of a filter by id, the next `limit` after an id."""

    async def expired(self, kind: type[N], limit: int) -> list[N]:
        """Some records of a kind that has such whose time is over: memories, state entries, tool executions."""

    async def running(self, limit: int) -> list[ToolExecution]:
        """Some tool executions that have not ended and have time left; all, where they are fewer than the limit."""

    async def latest(self, session_id: Id, limit: int) -> list[Message]:
        """The last messages of a session, the latest first."""

    async def trim(self, log: Log, before: datetime, keep: int, limit: int) -> int:
        """Forgets the oldest lines of a log of changes, those of before a time and those before the last `keep`, at
        most `limit` of them and never the last; how many. Following from before them raises CursorExpired then."""

    async def forget(self, ids: Sequence[Id], links: bool = False) -> None:
        """Takes out of the logs of changes what they keep of records that were erased, but for what
        stores.changes.forgotten leaves. links: and what the memory log keeps of links of memories that are not there
        any more. Lines stay, in their places."""

    async def supersessions(self, ids: Sequence[Id]) -> list[MemoryLink]:
        """The links of kind SUPERSEDES from and to these memories, of those too whose time is over."""

    async def recalled(self, key: str) -> tuple[str, Any] | None:
        """What was noted under an idempotency key in the last 7 days: the input's digest and the result."""

    async def note(self, key: str, digest: str, result: Any) -> None:
        """Notes the result (plain JSON data) of a write under its idempotency key."""


Script = Callable[[Transaction], Awaitable[T]]
"""What a write does. It awaits nothing but the transaction's methods (an engine may run it in a thread, between two
steps of others), and may be run again from the start, so it keeps no state outside the transaction."""
