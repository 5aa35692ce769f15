"""An opened store with all that stands on it: what the server, the importers and the command line share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable
from pathlib import Path
from typing import cast

from domain.caller import Caller, Role
from domain.part import PartLimits
from domain.tool_execution import ToolLimits
from resolvers.context import Context
from resolvers.entity_finding import Finding
from resolvers.expiry import settled
from resolvers.treatment import Treatments
from schema.build import build
from schema.loading import Loading
from server.embedding import Embedders, open_by
from server.errors import OperationRefused
from server.graphql.executor import Executor
from server.graphql.persisted import Persisted, read_trusted
from server.http.console import console_documents
from server.instrumentation import span
from server.price_list import prices_of
from server.settings import BadSetting, Settings
from server.telemetry.store_calls import TimedEngine
from stores.blobs.opening import open_blobs
from stores.embedder import Batching
from stores.errors import CannotOpen
from stores.open import open_engine
from stores.ports import Engine, Intake, Opening


class Service:
    """The engine, the embedder and the executor; close it when done."""

    def __init__(self, engine: Engine, embedder: Batching, settings: Settings, intake: Intake | None = None) -> None:
        self.timed = TimedEngine(engine)
        self.engine = cast(Engine, self.timed)
        self.embedders = Embedders(self.engine, embedder, settings)
        self.settings, self._weights = settings, settings.signals
        self.intake = intake
        self.retired = Counter[str]()  # what retention has deleted, by kind
        self.treatments = Treatments(prices_of(settings), settings.masks, Counter(), _finding(settings))
        trusted = read_trusted(Path(settings.trusted_documents)) if settings.trusted_documents else None
        allowed = None if trusted is None else {**console_documents(), **trusted}
        self.executor = Executor(
            build(),
            limits=settings,
            persisted=Persisted(allowed),
            audience=_workspace,
            caller=_credential,
            role=_role,
            before=_settled,
        )
        for id, text in (trusted or {}).items():
            _check(self.executor, id, text)

    def context(self, caller: Caller) -> Context:
        settings = self.settings
        made = Context(
            self.engine,
            self.embedder,
            caller,
            settings.memory_capacity,
            telemetry_messages=settings.telemetry_messages,
            outage_seconds=settings.max_outage_seconds,
            weights=self._weights,
            tools=ToolLimits(settings.tool_seconds, settings.tools_in_session, settings.tools_at_once),
            parts=PartLimits(settings.parts_in_session),
            intake=self.intake,
            treatments=self.treatments,
            retention=self.settings.policies,
            trash_days=settings.trash_days,
        )
        made.renewed = self.embedders.renewed
        return made

    @property
    def embedder(self) -> Batching:
        return self.embedders.now

    def operation(self, caller: Caller) -> Loading:
        return Loading(self.context(caller), span)

    async def reading(self, caller: Caller) -> Context:
        """The context of a caller who reads without an operation."""
        context = self.context(caller)
        if (waited := settled(context)) is not None:
            await waited
        return context

    async def close(self) -> None:
        await self.embedders.close()
        await self.engine.close()


def _finding(settings: Settings) -> Finding | None:
    """What finds entities, if that is switched on."""
    masks = settings.masks
    return Finding(settings.entity_rules, () if masks is None else masks.marks) if settings.entity_rules else None


def _caller(operation: object) -> Caller:
    return cast(Loading, operation).context.caller


def _settled(operation: Loading) -> Awaitable[None] | None:
    return settled(operation.context)


def _workspace(operation: object) -> str:
    """All roles see the same of a workspace: rights are looked at before an operation runs."""
    return _caller(operation).workspace


def _credential(operation: object) -> str:
    return _caller(operation).id


def _role(operation: object) -> Role:
    return _caller(operation).role


def _check(executor: Executor, id: str, text: str) -> None:
    try:
        executor.check(text)
    except OperationRefused as refused:
        raise BadSetting(f"RECOLLECT_TRUSTED_DOCUMENTS: {id} cannot run here: {refused}") from None


def open_service(data: Path, settings: Settings, *, must_exist: bool = False) -> Service:
    """Opens the servers of the settings, or else a data folder, which is made where it is missing unless it must exist.

    Raises stores.errors.CannotOpen or BadSetting, each with one sentence.
    """
    if must_exist and not (settings.on_servers or data.exists()):
        raise CannotOpen(f"The folder {data} does not exist; choose one with --data.")
    rules, embedder = settings.media_rules, open_by(settings)
    engine = open_engine(
        Opening(
            embedder=embedder.name,
            dimension=embedder.dimension,
            data=str(data),
            graph_url=settings.graph_url,
            vectors_url=settings.vectors_url,
            events_url=settings.events_url,
            read_seconds=settings.max_read_seconds,
        )
    )
    blobs = open_blobs(settings.blobs_url, None if settings.on_servers else data)
    return Service(engine, Batching(embedder), settings, None if blobs is None else Intake(blobs, rules))
