"""What goes into storage and comes out of it beside records."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec
from numpy import float32
from numpy.typing import NDArray

from domain.blob import BlobFilter
from domain.document import DocumentChunk
from domain.graph import GraphEdge
from domain.link import LinkDirection, MemoryLinkKind
from domain.memory import Memory, MemoryFilter
from domain.message import MemoryRef, Message, MessageFilter
from domain.node import Id, Node
from domain.search import Candidate, Ranking, SearchMode, Tie
from domain.session_link import SessionLinkKind
from domain.state import StateEntry, StateFilter

Vector = NDArray[float32]
NaturalKey = tuple[str, ...]
"""What a record is called by beside its id, within its workspace: (externalId,) for sessions, users, agents, messages
and memories; (session id, identity) for participants; (session id, name) for threads; (session id, externalId) for
trace events; (trace id, span id) for spans; (trace id,) for traces; (source id, kind, target id) for
links;
(namespace, key) for state; (digest,) for API keys."""


Fields = frozenset[str]
"""The names of the fields of records that are wanted."""


Way = Sequence[tuple[type[Node], str]]
"""From records to others that name them, at once or by way of nearer ones: each time the class of those that name, and
their column that does."""


class Collection(enum.Enum):
    """The lists there are. The first word is what a list hangs on; those without one are a workspace's own.

    TENANT_KEYS hang on the name of the workspace they open.
    """

    SESSIONS = "sessions"
    USERS = "users"
    AGENTS = "agents"
    MEMORIES = "memories"
    SPANS = "spans"
    MESSAGES = "messages"
    STATES = "states"
    AUDIT = "audit"
    TENANT_KEYS = "tenant.keys"
    SESSION_PARTICIPANTS = "session.participants"
    SESSION_MESSAGES = "session.messages"
    SESSION_THREADS = "session.threads"
    SESSION_MEMORIES = "session.memories"
    SESSION_TRACE = "session.trace"
    SESSION_SPANS = "session.spans"
    SESSION_TRACES = "session.traces"
    SESSION_LINKS = "session.links"
    ACTOR_SESSIONS = "actor.sessions"
    ACTOR_MEMORIES = "actor.memories"
    PARTICIPANT_MESSAGES = "participant.messages"
    THREAD_MESSAGES = "thread.messages"
    MESSAGE_REPLIES = "message.replies"
    MESSAGE_TRACE = "message.trace"
    MESSAGE_BRANCH = "message.branch"
    MEMORY_REFERENCED_BY = "memory.referencedBy"
    MEMORY_LINKS = "memory.links"
    MEMORY_HISTORY = "memory.history"
    MEMORY_RECALLS = "memory.recalls"
    ENTITY_MEMORIES = "entity.memories"
    ENTITY_MESSAGES = "entity.messages"
    SPAN_CHILDREN = "span.children"
    SPAN_EVENTS = "span.events"
    TRACE_SPANS = "trace.spans"


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
    """A log that can be followed: "trace" or "messages" of a session, "records" of a kind (stores.journal), or the
    workspace's "changes" of memories. of: the session's id, or the name of the kind."""

    kind: str
    of: str = ""

    @property
    def name(self) -> str:
        return f"{self.kind}:{self.of}" if self.of else self.kind

    @property
    def about(self) -> str:
        """The kind of the records whose changes it tells; empty for a log that tells none."""
        return {"changes": "memory", "records": self.of}.get(self.kind, "")

    @classmethod
    def of_changes(cls, about: str) -> Log:
        """The log of the changes of a kind."""
        return cls("changes") if about == "memory" else cls("records", about)


SESSION_LOGS = ("trace", "messages")
"""The logs of a session, which end with it."""


class LinkFilter(msgspec.Struct, frozen=True):
    """Of the links of a memory, or of a session."""

    direction: LinkDirection = LinkDirection.BOTH
    kinds: Sequence[MemoryLinkKind] | Sequence[SessionLinkKind] | None = None


class Search(msgspec.Struct, frozen=True):
    """A search for candidates: text for the words, vector (unit length, the embedder's dimension) for the meaning.

    Of the two the mode says which count; the words may stand in for the meaning where a part of the store is down.
    limit: how many the caller will show; an engine returns enough candidates that the best `limit` of them, ranked
    by domain.ranking.rank, are the best there are; in a HYBRID search also those that stand beside the best ones.
    ranking: None for what is usual in the mode. exclude: a memory that is not to be found (the one asked with).
    embedder: whose vector it is (label_of); where it is another one than the store's, the search raises Outdated.
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
    ranking: Ranking | None = None
    embedder: str | None = None

    @property
    def by_words(self) -> str | None:
        """The text, where its words count."""
        return None if self.mode is SearchMode.SEMANTIC else self.text

    @property
    def by_meaning(self) -> Vector | None:
        """The vector, where the meaning counts."""
        return None if self.mode is SearchMode.TEXT else self.vector


class Found(msgspec.Struct, frozen=True):
    """Candidates, in no order, their keys being ids; degraded: a part of the store was down and the rest answered.

    records: those of the best candidates' memories that the search has read anyway. ties: between candidates. covered:
    what share of the words that are looked for the best by words has (stores.words.covered), of a HYBRID search.
    """

    candidates: list[Candidate]
    degraded: bool = False
    records: Mapping[Id, Memory] = {}
    ties: Sequence[Tie] = ()
    covered: float = 1.0


class MessageSearch(msgspec.Struct, frozen=True):
    """A search for messages by their words. others: ids of those that are candidates whatever words they have. limit:
    how many candidates there may be by words."""

    text: str
    limit: int
    filter: MessageFilter | None = None
    others: Sequence[Id] = ()


class FoundMessages(msgspec.Struct, frozen=True):
    """The best by words and the others, as far as the filter lets them, in no order.

    ranks: by id BM25 as a share of the best's, of those best. covered: what share of the words that are looked for the
    best has."""

    messages: list[Message]
    ranks: Mapping[Id, float]
    covered: float = 1.0


class ChunkSearch(msgspec.Struct, frozen=True):
    """A search for chunks of documents that pass a filter. vector: of unit length, by that embedder (label_of); None
    where only words count. limit: how many candidates there may be by words, and by meaning."""

    text: str
    limit: int
    filter: BlobFilter | None = None
    vector: Vector | None = None
    embedder: str = ""


class FoundChunks(msgspec.Struct, frozen=True):
    """The best by words and the best by meaning, in no order.

    ranks, covered: as FoundMessages has them. cosines: by id, of those that have a vector. waiting: how many have none
    yet, and cannot be found by meaning."""

    chunks: list[DocumentChunk]
    ranks: Mapping[Id, float]
    cosines: Mapping[Id, float]
    covered: float = 1.0
    waiting: int = 0


class StateSearch(msgspec.Struct, frozen=True):
    """A search by meaning for state entries that pass a filter. namespace: theirs, or one that theirs are below.
    vector: of unit length, by that embedder (label_of). limit: how many."""

    namespace: str
    vector: Vector
    embedder: str
    limit: int
    filter: StateFilter | None = None


class FoundStates(msgspec.Struct, frozen=True):
    """The nearest entries, the nearest first, of equals the one with the greater id.

    cosines: of each, of its member that is nearest. waiting: how many members have no vector of this embedder yet."""

    entries: list[StateEntry]
    cosines: list[float]
    waiting: int


class Explored(msgspec.Struct, frozen=True):
    """The ids of a neighbourhood, the centre first and the best next, and the edges among them, the heaviest first.

    records: memories among them that were read anyway."""

    ids: list[Id]
    edges: list[GraphEdge]
    truncated: bool
    records: Mapping[Id, Memory] = {}


class Shared(msgspec.Struct, frozen=True):
    """What another memory shares with one: ids of at most 10 each, and the score."""

    memory_id: Id
    message_ids: list[Id]
    session_ids: list[Id]
    neighbor_ids: list[Id]
    score: float


class Drawn(msgspec.Struct, frozen=True):
    """What messages drew on: the references of each, and the memories that they name, with the fields asked for."""

    refs: list[list[MemoryRef]]
    memories: Mapping[Id, Memory]


class Usage(msgspec.Struct, frozen=True):
    """How many memories an owner has, and the bytes of the active ones' texts."""

    active: int
    archived: int
    size_bytes: int
