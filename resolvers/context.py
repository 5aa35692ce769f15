"""The context of resolvers: the caller, their workspace's store, the embedder and the clock."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, Concatenate, Literal, ParamSpec, TypeVar, cast
from weakref import WeakKeyDictionary

from domain.audit import DONE
from domain.caller import Caller
from domain.errors import Rejected, invalid, not_found
from domain.memory import Memory
from domain.node import Id, Node, kind_of
from domain.page import MAX_FIRST_LONG, Slice
from domain.part import PartLimits
from domain.ranking import WEIGHTS, Weights
from domain.retention import RetentionPolicy
from domain.tool_execution import ToolLimits
from domain.values import Ref
from resolvers.audit import entry, note, targets
from resolvers.treatment import Find, Treating, Treatments
from stores.embedder import Batching
from stores.errors import NoEmbedder, Outdated
from stores.outage import OUTAGE_SECONDS, PatientStore
from stores.past import PastStore
from stores.ports import Collection, Engine, Fields, Intake, Records, Script, Store, Transaction
from stores.replaced import Replacements
from stores.treated import TreatedStore

N = TypeVar("N", bound=Node)
T = TypeVar("T")
P = ParamSpec("P")

MEMORY_CAPACITY = 10_000

Told = Literal["auto", "always", "off"]
"""Those sessions that nobody else has added messages to, all, or none."""


class Unchanged(Exception):
    """What a script of Context.write raises where there is nothing to change: nothing is written, and `result` is what
    the write returns."""

    def __init__(self, result: object) -> None:
        self.result = result
        super().__init__("nothing to change")


_of_engines: WeakKeyDictionary[Engine, Replacements] = WeakKeyDictionary()


def _replacements(engine: Engine) -> Replacements:
    """What is remembered of an engine's past."""
    return _of_engines.setdefault(engine, Replacements())


_TRIES = 3
"""How often an operation begins that embeds texts, where the embedder changes meanwhile."""


def _now() -> datetime:
    return datetime.now(UTC)


class Context:
    """One caller's view. capacity: how many active memories an owner may have before the least are archived.
    telemetry_messages: which sessions get messages of telemetry. weights: of the signals of a HYBRID search. tools: how
    long and how many tools may run. parts: how many a session may have. intake: for the bytes of blobs. treatments: of
    records before they are stored. retention: what is kept. trash_days: how long deleted sessions can be brought back.

    renewed: gives the embedder whose vectors the store holds, where that has changed.

    outage_seconds: how long a subscription waits for a store that does not answer. action: what its writes are called
    in the audit log; None for those that are not noted there. drawn: memories that the last read of references to
    memories brought along, and the fields they have; None: all.
    """

    def __init__(  # noqa: PLR0913 - what may be set
        self,
        engine: Engine,
        embedder: Batching,
        caller: Caller,
        capacity: int = MEMORY_CAPACITY,
        clock: Callable[[], datetime] = _now,
        telemetry_messages: Told = "auto",
        outage_seconds: float = OUTAGE_SECONDS,
        weights: Weights = WEIGHTS,
        tools: ToolLimits = ToolLimits(),  # noqa: B008 - a constant
        parts: PartLimits = PartLimits(),  # noqa: B008 - a constant
        intake: Intake | None = None,
        treatments: Treatments = Treatments(),  # noqa: B008 - a constant
        retention: Sequence[RetentionPolicy] = (),
        trash_days: float = 0.0,
    ) -> None:
        self.engine, self.embedder, self.caller, self.capacity, self.clock = engine, embedder, caller, capacity, clock
        self.telemetry_messages: Told = telemetry_messages
        store = engine.workspace(caller.workspace)
        self.store: Store = cast(Store, TreatedStore(store, self.treating)) if treatments else store
        self.retention = retention
        self.trash_days = trash_days
        self._treatments = treatments
        self.outage_seconds = outage_seconds
        self.renewed: Callable[[], Awaitable[Batching]] | None = None
        self.weights = weights
        self.tools = tools
        self.parts = parts
        self._intake = intake
        self.action: str | None = None
        self.drawn: tuple[Mapping[Id, Memory], Fields | None] = {}, None

    def treating(self) -> Treating:
        """For what is stored beside the records of a write."""
        return Treating(self._treatments, self.caller)

    @property
    def find(self) -> Find:
        """What finds entities in texts. Raises Rejected (INVALID) where that is switched off."""
        if self._treatments.find is None:
            raise invalid("No rule finds entities: set RECOLLECT_ENTITIES, to all for instance.")
        return self._treatments.find

    @property
    def takes_blobs(self) -> bool:
        return self._intake is not None

    @property
    def intake(self) -> Intake:
        """For the bytes of blobs. Raises Rejected (INVALID) where there is no place for them."""
        if self._intake is None:
            raise invalid("Blobs cannot be stored: with Neo4j, Weaviate and Redis, set RECOLLECT_BLOBS_URL.")
        return self._intake

    def stay(self) -> None:
        """Its reads wait through outages of the store from now on."""
        if not isinstance(self.store, PatientStore):
            self.store = cast(Store, PatientStore(self.store, self.outage_seconds))

    async def renew(self) -> None:
        """Goes on with the embedder whose vectors the store holds by now. Raises NoEmbedder where there is none."""
        if self.renewed is None:
            raise NoEmbedder("the store holds vectors of another embedder")
        self.embedder = await self.renewed()

    def as_of(self, at: datetime | None) -> Context:
        """The same, with memories and links as they were known at a time; None: as they are."""
        if at is None:
            return self
        remembered = partial(_replacements(self.engine).of, self.caller.workspace, self.embedder)
        return self.on(cast(Store, PastStore(self.store, at, remembered)))

    def on(self, store: Store) -> Context:
        """The same, reading from another view of the store."""
        other = Context.__new__(Context)
        other.__dict__.update(self.__dict__, store=store)
        return other

    def copying(self) -> Context:
        """The same, which finds no entities in what it writes: what is copied has them with it."""
        if self._treatments.find is None:
            return self
        treatments = self._treatments._replace(find=None)
        store = self.engine.workspace(self.caller.workspace)
        return self.on(cast(Store, TreatedStore(store, lambda: Treating(treatments, self.caller))))

    def acting(self, action: str) -> Context:
        acting = Context.__new__(Context)
        acting.__dict__.update(self.__dict__, action=action)  # copy.copy takes five times as long
        return acting

    async def write(self, script: Script[T]) -> T:
        """Runs a script as one durable transaction of the workspace (stores.ports.Store.write)."""
        try:
            return await self.store.write(self.audited(script))
        except Unchanged as unchanged:
            return cast(T, unchanged.result)

    async def refused(self, rejected: Rejected) -> None:
        if self.action is not None:
            await note(self.store, self.caller, self.action, rejected.errors[0].code.name)

    def audited(self, script: Script[T]) -> Script[T]:
        """The same script, which also notes in the audit log that it has done what it does."""
        action = self.action
        if action is None:
            return script

        async def noted(tx: Transaction) -> T:
            result = await script(tx)
            await tx.put([entry(tx, self.caller, action, DONE, targets(result))])
            return result

        return noted


def embedding(
    operation: Callable[Concatenate[Context, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[Context, P], Coroutine[Any, Any, T]]:
    """An operation that tells the store of vectors, which begins again where they are of another embedder by now."""

    @functools.wraps(operation)
    async def run(context: Context, *args: P.args, **named: P.kwargs) -> T:
        for _ in range(_TRIES):
            try:
                return await operation(context, *args, **named)
            except Outdated:
                await context.renew()
        raise NoEmbedder("the store's embedder changes again and again")

    return cast("Callable[Concatenate[Context, P], Coroutine[Any, Any, T]]", run)


Reader = Store | Transaction


async def lookup(reader: Reader, kind: type[N], ref: Ref) -> N | None:
    """The record a reference names, or None."""
    if ref.id is not None:
        return (await reader.get(kind, [ref.id]))[0] if ref.id.startswith(f"{kind.prefix}_") else None
    return (await reader.find(kind, [(ref.external_id or "",)]))[0]


async def lookup_all(reader: Reader, kind: type[N], refs: Sequence[Ref]) -> dict[Ref, N]:
    """The records that references name, without those that are not there; read together, whatever their number."""
    ids = {ref: ref.id for ref in refs if ref.id is not None and ref.id.startswith(f"{kind.prefix}_")}
    keys = {ref: (ref.external_id or "",) for ref in refs if ref.id is None}
    found = [*zip(ids, await reader.get(kind, list(ids.values())) if ids else [], strict=True)]
    found += zip(keys, await reader.find(kind, list(keys.values())) if keys else [], strict=True)
    return {ref: record for ref, record in found if record is not None}


async def require(reader: Reader, kind: type[N], ref: Ref, path: Sequence[str | int]) -> N:
    """The record a reference names. Raises Rejected (NOT_FOUND, at the path) where there is none."""
    if (found := await lookup(reader, kind, ref)) is None:
        raise not_found(kind.noun, path)
    return found


async def present(reader: Reader, kind: type[N], ids: Sequence[Id]) -> list[N]:
    """The records of ids that are there, in order."""
    return [record for record in await reader.get(kind, ids) if record is not None]


async def each(context: Context, of: Collection | Records, parent: Id, filter: Any = None) -> AsyncIterator[Any]:
    """All records of a list, in its order."""
    more, after = True, None
    while more:
        [page] = await context.store.pages(of, [parent], Slice(MAX_FIRST_LONG, after=after), filter)
        for one in page.nodes:
            yield one
        more, after = page.has_next_page, page.page_info.end_cursor


async def every(context: Context, of: Collection | Records, parents: Sequence[Id]) -> list[Any]:
    """All records that lists of several parents have."""
    found: list[Any] = []
    pages = await context.store.pages(of, parents, Slice(_FEW)) if parents else []
    for parent, page in zip(parents, pages, strict=True):
        found += [one async for one in each(context, of, parent)] if page.has_next_page else page.nodes
    return found


_FEW = 100
"""So many of a list are read together with others'."""


async def named_by(context: Context, kind: type[N], ids: Sequence[Id | None]) -> list[N | None]:
    """The record of each id, None for none; each is read once."""
    wanted = list({id for id in ids if id is not None})
    found = dict(zip(wanted, await context.store.get(kind, wanted), strict=True)) if wanted else {}
    return [None if id is None else found[id] for id in ids]


async def records_of(context: Context, ids: Sequence[Id]) -> dict[Id, Node]:
    """The records of ids of any kind that are there; a read for each kind."""
    by_kind: dict[type[Node], dict[Id, None]] = {}
    for id in ids:
        if (kind := kind_of(id)) is not None:
            by_kind.setdefault(kind, {})[id] = None
    found = await asyncio.gather(*(context.store.get(kind, list(some)) for kind, some in by_kind.items()))
    return {record.id: record for some in found for record in some if record is not None}
