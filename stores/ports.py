"""What is asked of storage. An engine implements these protocols; nothing above this layer knows which one.

Engine opens a data folder or servers; Store is the graph of one workspace; Transaction is what one atomic write
sees and does.
"""

from __future__ import annotations

import enum
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Protocol, TypeVar

import msgspec
from numpy import float32
from numpy.typing import NDArray

from domain.change import MemoryChange
from domain.graph import Exploration, GraphEdge
from domain.link import LinkDirection, MemoryLink, MemoryLinkKind
from domain.memory import Memory, MemoryFilter
from domain.message import MemoryRef, ToolCall, ToolResponse
from domain.node import Id, Node
from domain.page import Listing, Page, Slice
from domain.participant import Participant
from domain.search import Candidate, SearchMode
from domain.trace import TraceEvent

N = TypeVar("N", bound=Node)
T = TypeVar("T")

Vector = NDArray[float32]
NaturalKey = tuple[str, ...]
"""What a record is called by beside its id, within its workspace: (externalId,) for sessions, users, agents, messages
and memories; (session id, identity) for participants; (session id, name) for threads; (session id, externalId) for
trace events; (trace id, span id) for spans; (trace id,) for traces; (source id, kind, target id) for links;
(namespace, key) for state; (digest,) for API keys."""


class Collection(enum.Enum):
    """The lists there are. The first word is what a list hangs on; those without one are a workspace's own.

    TENANT_KEYS hang on the name of the workspace they open. The value is the default order: NEWEST by createdAt, OLDEST
    the other way round, PLACE in a log, KEY by name.
    """

    SESSIONS = ("sessions", "NEWEST")
    USERS = ("users", "NEWEST")
    AGENTS = ("agents", "NEWEST")
    MEMORIES = ("memories", "NEWEST")
    SPANS = ("spans", "NEWEST")
    STATES = ("states", "KEY")
    AUDIT = ("audit", "NEWEST")
    TENANT_KEYS = ("tenant.keys", "NEWEST")
    SESSION_PARTICIPANTS = ("session.participants", "OLDEST")
    SESSION_MESSAGES = ("session.messages", "PLACE")
    SESSION_THREADS = ("session.threads", "OLDEST")
    SESSION_MEMORIES = ("session.memories", "NEWEST")
    SESSION_TRACE = ("session.trace", "PLACE")
    SESSION_SPANS = ("session.spans", "NEWEST")
    SESSION_TRACES = ("session.traces", "NEWEST")
    ACTOR_SESSIONS = ("actor.sessions", "NEWEST")
    ACTOR_MEMORIES = ("actor.memories", "NEWEST")
    PARTICIPANT_MESSAGES = ("participant.messages", "PLACE")
    THREAD_MESSAGES = ("thread.messages", "PLACE")
    MESSAGE_REPLIES = ("message.replies", "PLACE")
    MESSAGE_TRACE = ("message.trace", "PLACE")
    MEMORY_REFERENCED_BY = ("memory.referencedBy", "NEWEST")
    MEMORY_LINKS = ("memory.links", "NEWEST")
    MEMORY_HISTORY = ("memory.history", "NEWEST")
    MEMORY_RECALLS = ("memory.recalls", "NEWEST")
    SPAN_CHILDREN = ("span.children", "OLDEST")
    SPAN_EVENTS = ("span.events", "PLACE")
    TRACE_SPANS = ("trace.spans", "OLDEST")


class Records(NamedTuple):
    """A list that follows from a declaration: a workspace's records of a kind, or those that name the parent in a
    column; newest first."""

    kind: type[Node]
    column: str = ""

    @property
    def name(self) -> str:
        """What it is called, to people and in cursors."""
        return f"{self.kind.__name__}.{self.column}"


class Log(NamedTuple):
    """A log that can be followed: "trace" or "messages" of a session, or the workspace's "changes" of memories."""

    kind: str
    session_id: str = ""

    @property
    def name(self) -> str:
        return f"{self.kind}:{self.session_id}" if self.session_id else self.kind


SESSION_LOGS = ("trace", "messages")
"""The logs of a session, which end with it."""


class LinkFilter(msgspec.Struct, frozen=True):
    direction: LinkDirection = LinkDirection.BOTH
    kinds: Sequence[MemoryLinkKind] | None = None


class Search(msgspec.Struct, frozen=True):
    """A search for candidates: text for the words, vector (unit length, the embedder's dimension) for the meaning.

    Of the two the mode says which count; the words may stand in for the meaning where a part of the store is down.
    limit: how many the caller will show; an engine returns enough candidates that the best `limit` of them, ranked
    by domain.search.rank, are the best there are. exclude: a memory that is not to be found (the one asked with).
    owners: whose memories are looked at, beside GLOBAL ones; None for everybody's.
    """

    mode: SearchMode
    threshold: float
    limit: int
    text: str | None = None
    vector: Vector | None = None
    filter: MemoryFilter | None = None
    exclude: Id | None = None
    owners: Sequence[Id] | None = None


class Found(msgspec.Struct, frozen=True):
    """Candidates, in no order, their keys being ids; degraded: a part of the store was down and the rest answered.

    records: those of the best candidates' memories that the search has read anyway.
    """

    candidates: list[Candidate]
    degraded: bool = False
    records: Mapping[Id, Memory] = {}


class Explored(msgspec.Struct, frozen=True):
    """The ids of a neighbourhood, the centre first and the best next, and the edges among them, the heaviest first."""

    ids: list[Id]
    edges: list[GraphEdge]
    truncated: bool


class Shared(msgspec.Struct, frozen=True):
    """What another memory shares with one: ids of at most 10 each, and the score."""

    memory_id: Id
    message_ids: list[Id]
    session_ids: list[Id]
    neighbor_ids: list[Id]
    score: float


class Drawn(msgspec.Struct, frozen=True):
    """What messages drew on: the references of each, and the memories that they name."""

    refs: list[list[MemoryRef]]
    memories: Mapping[Id, Memory]


class Usage(msgspec.Struct, frozen=True):
    """How many memories an owner has, and the bytes of the active ones' texts."""

    active: int
    archived: int
    size_bytes: int


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

    async def append(self, events: Sequence[TraceEvent]) -> list[TraceEvent]:
        """Adds lines to session logs and returns them with their places."""

    async def log(self, changes: Sequence[MemoryChange]) -> None:
        """Adds lines to the workspace's memory log. No line keeps the text of a memory that is deleted."""

    async def reference(self, message_id: Id, refs: Sequence[MemoryRef]) -> None:
        """Notes memories that a message draws on, in order, after those noted before; one noted already stays so."""

    async def embed(self, vectors: Mapping[Id, Vector]) -> None: ...

    async def delete(self, kind: type[Node], ids: Sequence[Id]) -> None:
        """Removes records and what only hangs on them: a session's messages and trace, a memory's links and history."""

    async def active(self, owner_id: Id | None) -> int:
        """How many active memories an owner has; None asks for the GLOBAL ones."""

    async def lightest(self, owner_id: Id | None, count: int, keep: Sequence[Id]) -> list[Memory]:
        """An owner's active memories with the least importance x decay, least first, without those to keep."""

    async def matching(self, filter: MemoryFilter | None, limit: int, after: Id | None = None) -> list[Memory]:
        """Active memories of a filter by id, the next `limit` after an id."""

    async def expired(self, kind: type[N], limit: int) -> list[N]:
        """Some memories or state entries whose time is over."""

    async def recalled(self, key: str) -> tuple[str, Any] | None:
        """What was noted under an idempotency key in the last 7 days: the input's digest and the result."""

    async def note(self, key: str, digest: str, result: Any) -> None:
        """Notes the result (plain JSON data) of a write under its idempotency key."""


Script = Callable[[Transaction], Awaitable[T]]
"""What a write does. It awaits nothing but the transaction's methods (an engine may run it in a thread, between two
steps of others), and may be run again from the start, so it keeps no state outside the transaction."""


class Store(Protocol):
    """The graph of one workspace. All methods may raise stores.errors.Unavailable."""

    async def get(self, kind: type[N], ids: Sequence[Id]) -> list[N | None]:
        """The records of these ids, None where there is none (or it has expired), in the order asked."""

    async def find(self, kind: type[N], keys: Sequence[NaturalKey]) -> list[N | None]:
        """The records of these natural keys, None where there is none, in the order asked."""

    async def scan(self, kind: type[N], after: Id | None, limit: int) -> list[N]:
        """Records of a kind in the order of their ids, the next `limit` after an id, archived and ended ones too."""

    async def pages(
        self, of: Collection | Records, parents: Sequence[Id], slice: Slice, filter: Any = None, order: Any = None
    ) -> list[Page[Any]]:
        """A page of the list for each parent, in the order of the parents; a workspace's own lists have the parent "".

        Raises Rejected (INVALID) for a cursor of another list or order, CursorExpired for one of another epoch.
        """

    async def counts(self, keys: Sequence[Any]) -> list[int]:
        """The lengths of whole lists, by the count_key of their pages."""

    async def memory_refs(self, message_ids: Sequence[Id]) -> Drawn:
        """The memories each message drew on, in order."""

    async def formed_from(self, message_ids: Sequence[Id]) -> list[list[Memory]]:
        """The memories formed from each message, oldest first."""

    async def responses(self, calls: Sequence[ToolCall]) -> list[ToolResponse | None]:
        """The response of each stored tool call, by the rule of domain.tool_calls."""

    async def usage(self, owner_ids: Sequence[Id]) -> list[Usage]: ...

    async def explore(self, centers: Sequence[Id], exploration: Exploration) -> list[Explored]: ...

    async def paths(
        self, start: Id, goal: Id, kinds: Sequence[MemoryLinkKind] | None, max_depth: int, first: int
    ) -> list[list[Id]]:
        """Ways between two memories as memory ids, the shortest first, then the strongest."""

    async def links_between(
        self, pairs: Sequence[tuple[Id, Id]], kinds: Sequence[MemoryLinkKind] | None
    ) -> list[MemoryLink]:
        """For each pair of memories the strongest link between them, in either direction."""

    async def shared(self, memory_ids: Sequence[Id], first: int) -> list[list[Shared]]:
        """Memories that share messages, sessions or neighbours with each and are not linked to it, best first."""

    async def search(self, searches: Sequence[Search]) -> list[Found]:
        """Candidates of each search among active memories that are valid now, unless the filter says otherwise."""

    async def vectors(self, memory_ids: Sequence[Id]) -> list[Vector | None]: ...

    async def write(self, script: Script[T]) -> T:
        """Runs a script as one durable transaction and returns what it returned, after the commit.

        What the script raises is raised here, and nothing of it is kept.
        """

    def listing(self, log: Log) -> Listing:
        """How a log's cursors are written."""

    async def ends(self, logs: Sequence[Log]) -> list[int]:
        """Where logs stand: the place of the last line, 0 for an empty one."""

    def follow(self, log: Log, after: int, filter: Any = None) -> AsyncGenerator[list[Any]]:
        """The lines of a log after a place, in batches, in order, each once: what is there, then what comes.

        Lines of a trace are TraceEvent (filter: TraceFilter), of messages Message, of changes MemoryChange (filter:
        MemoryFilter, that held before the change or holds after it). Ends where the log's session is not there.
        """


class StoreHealth(msgspec.Struct, frozen=True, rename="camel"):
    """The health of one part of a store. status: "healthy", "degraded" with a reason, or "unhealthy" with one.

    latency_ms: what a trivial call took just now. circuit: of parts behind a circuit breaker. backlog: what waits.
    """

    name: str
    status: str
    latency_ms: float
    reason: str | None = None
    circuit: str | None = None
    backlog: int = 0


class Stats(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a store holds: records of each kind, by its name; bytes on the disk, where that is known."""

    records: dict[str, int]
    bytes: int | None = None


class Figure(NamedTuple):
    """A figure of an engine for those who watch it. name: one of FIGURES; of: the part it is of."""

    name: str
    of: str
    value: float


FIGURES = {
    "bytes": ("Bytes that a part takes, on the disk or in memory.", False),
    "commits": ("Transactions that were committed.", True),
    "writes": ("Writes that were committed; those that come together share a transaction.", True),
    "calls": ("Calls of a part.", True),
    "errors": ("Calls of a part that it did not answer.", True),
    "cache_hits": ("Searches that found what they needed in memory.", True),
    "cache_misses": ("Searches that had to load it.", True),
}
"""What each figure tells, and whether it is counted from the start on; of the other ones it is how things are now."""


class Engine(Protocol):
    """An opened store of all workspaces."""

    def workspace(self, name: str) -> Store:
        """The graph of a workspace, which is made when it is first written to."""

    async def health(self) -> list[StoreHealth]: ...

    async def workspaces(self) -> list[str]: ...

    async def due(self) -> list[str]:
        """The names of those in which memories or state entries have expired and were not swept yet."""

    async def spend(self, name: str, per_minute: int) -> float:
        """Spends one of what a name may have in a minute, in all processes on this store together.

        The seconds to wait where there is none left, else 0.
        """

    async def stats(self) -> Stats:
        """Counts of records and bytes, for people."""

    def figures(self) -> list[Figure]:
        """What can be told at once and at no cost, as often as somebody asks."""

    async def close(self) -> None:
        """Finishes what was begun and lets go of files and connections."""
