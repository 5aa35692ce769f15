"""The graph of one workspace, as it is read, written and followed."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from datetime import datetime
from typing import Any, Protocol, TypeVar

from domain.graph import Exploration
from domain.link import MemoryLink, MemoryLinkKind
from domain.memory import Memory
from domain.message import ToolCall, ToolResponse
from domain.node import Id, Node
from domain.page import Listing, Page, Slice
from stores.ports.grouping import Group, Grouping
from stores.ports.transaction import Script
from stores.ports.values import (
    ChunkSearch,
    Collection,
    Drawn,
    Explored,
    Fields,
    Found,
    FoundChunks,
    FoundMessages,
    FoundStates,
    Log,
    MessageSearch,
    NaturalKey,
    Records,
    Search,
    Shared,
    StateSearch,
    Usage,
    Vector,
)

N = TypeVar("N", bound=Node)
T = TypeVar("T")


class Store(Protocol):
    """The graph of one workspace. All methods may raise stores.errors.Unavailable."""

    async def get(self, kind: type[N], ids: Sequence[Id]) -> list[N | None]:
        """The records of these ids, None where there is none (or it has expired), in the order asked."""

    async def find(self, kind: type[N], keys: Sequence[NaturalKey]) -> list[N | None]:
        """The records of these natural keys, None where there is none, in the order asked."""

    async def scan(self, kind: type[N], after: Id | None, limit: int) -> list[N]:
        """Records of a kind in the order of their ids, the next `limit` after an id, archived and ended ones too."""

    async def pages(
        self,
        of: Collection | Records,
        parents: Sequence[Id],
        slice: Slice,
        filter: Any = None,
        order: Any = None,
        fields: Fields | None = None,
    ) -> list[Page[Any]]:
        """A page of the list for each parent, in the order of the parents; a workspace's own lists have the parent "".

        fields: of the records, besides their id, that will be looked at; the others may be msgspec.UNSET. None: all.
        Raises Rejected (INVALID) for a cursor of another list or order, CursorExpired for one of another epoch.
        """

    async def ending(self, before: datetime) -> datetime | None:
        """When the time of the first session is over, of those where that is before a time and that are not swept."""

    async def passing(self, kind: type[Node], ids: Sequence[Id], filter: Any) -> set[Id]:
        """Those of some records of a kind that are there and that a filter of the kind lets through."""

    async def counts(self, keys: Sequence[Any]) -> list[int]:
        """The lengths of whole lists, by the count_key of their pages."""

    async def grouped(
        self, of: Collection | Records, parents: Sequence[Id], grouping: Grouping, filter: Any = None
    ) -> list[list[Group]]:
        """The groups of the list of each parent, in no order; without a `by` one, even of an empty list.

        Raises Rejected (LIMIT) for too many groups.
        """

    async def memory_refs(self, message_ids: Sequence[Id], fields: Fields | None = None) -> Drawn:
        """The memories each message drew on, in order. fields: of the memories, as for pages."""

    async def formed_from(self, message_ids: Sequence[Id]) -> list[list[Memory]]:
        """The memories formed from each message, oldest first."""

    async def responses(self, calls: Sequence[ToolCall]) -> list[ToolResponse | None]:
        """The response of each stored tool call, by the rule of domain.tool_calls."""

    async def branches(self, message_ids: Sequence[Id]) -> list[list[int]]:
        """The places of the messages from the first to each of these, by the rule of domain.branch, in order."""

    async def usage(self, owner_ids: Sequence[Id]) -> list[Usage]: ...

    async def explore(
        self, centers: Sequence[Id], exploration: Exploration, fields: Fields | None = None
    ) -> list[Explored]:
        """The neighbourhood of each memory. fields: of the records, as for pages."""

    async def paths(
        self,
        start: Id,
        goal: Id,
        kinds: Sequence[MemoryLinkKind] | None,
        max_depth: int,
        first: int,
        entities: bool = False,
    ) -> list[list[Id]]:
        """Ways between two memories as ids, the shortest first, then the strongest. entities: also over those that
        memories on the way mention; that weighs 1, from the memory to the entity and back."""

    async def links_between(
        self, pairs: Sequence[tuple[Id, Id]], kinds: Sequence[MemoryLinkKind] | None
    ) -> list[MemoryLink]:
        """For each pair of memories the strongest link between them, in either direction; of equals the first made."""

    async def shared(self, memory_ids: Sequence[Id], first: int) -> list[list[Shared]]:
        """Memories that share messages, sessions or neighbours with each and are not linked to it, best first."""

    async def search(self, searches: Sequence[Search]) -> list[Found]:
        """Candidates of each search among active memories that are valid now, unless the filter says otherwise
        (domain.memory.says_when)."""

    async def search_messages(self, search: MessageSearch) -> FoundMessages:
        """Candidates of a search of what was said, by the words of domain.message.Message.searched."""

    async def search_chunks(self, search: ChunkSearch) -> FoundChunks:
        """Candidates of a search of what documents say."""

    async def search_states(self, search: StateSearch) -> FoundStates:
        """The state entries that are nearest in meaning. Raises Rejected (LIMIT) where there are more vectors in those
        namespaces than stores.state_index.COMPARED."""

    async def namespaces(self, prefix: str) -> list[tuple[str, int]]:
        """The namespaces of state whose names begin so, in order, with how many entries each has."""

    async def usual(self, words: Sequence[str], search: Search) -> set[str]:
        """Those of these words (exact ones of stores.words) that so many of the memories a search is among have that
        they say nothing of what it means (stores.policies.most_of_usual). What is counted may be a while old."""

    async def vectors(self, memory_ids: Sequence[Id]) -> list[Vector | None]: ...

    @property
    def written(self) -> int:
        """How many writes of the workspace this process knows of at the least: its own, and those they came after; 0
        where every process sees each at once."""

    async def reach(self, written: int, within: float | None, found: bool = False) -> None:
        """Waits until reads of this process see so many writes of the workspace, and all that had been committed
        `within` seconds ago, if that is asked. found: until searches by meaning do; those that cannot in time go
        without. Raises Rejected (INVALID) where there were not so many writes.
        """

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
        MemoryFilter, that held before the change or holds after it). Ends where the log's session is not there. Raises
        CursorExpired where lines after the place are forgotten.
        """


class AtOnce:
    """Of a store whose reads see each write as soon as it is committed."""

    written = 0

    async def reach(self, written: int, within: float | None, found: bool = False) -> None:
        return None
