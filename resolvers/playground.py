"""Playgrounds: experiments and their results."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

from msgspec import Meta

from domain.errors import invalid
from domain.experiment import (
    EXPERIMENT,
    RESULT,
    AddExperimentInput,
    AddResultInput,
    Compared,
    Experiment,
    ExperimentInput,
    ExperimentResult,
    Figure,
    are_metrics,
    compare,
)
from domain.node import Id
from domain.page import OrderDirection
from domain.session import Session, SessionKind
from domain.values import EMPTY_OBJECT, MAX_NAME, NULL, Ref, decode_json
from resolvers.context import Context, lookup, named_by, require
from resolvers.event import log
from resolvers.idempotency import write
from resolvers.parts import check_name, check_room, is_full, parts, session_of
from stores.ports import Transaction

COMPONENT = "playground"

Metric = Annotated[str, Meta(min_length=1, max_length=MAX_NAME)]


async def add_experiment(context: Context, input: AddExperimentInput) -> Experiment:
    """Adds an experiment to a playground. Raises Rejected: NOT_FOUND; INVALID where the session is no playground;
    DUPLICATE for a taken externalId; LIMIT."""
    full = await is_full(context, Experiment, input.session)

    async def script(tx: Transaction) -> Experiment:
        session = await session_of(tx, SessionKind.PLAYGROUND, input.session)
        check_room(context, Experiment, full, ["session"])
        return await begin(tx, session.id, input, [], input.created_at or tx.now)

    return await write(context, input, script)


async def begin(
    tx: Transaction, session_id: Id, input: ExperimentInput, path: Sequence[str | int], at: datetime
) -> Experiment:
    """Adds an experiment and tells of it. Raises Rejected (DUPLICATE)."""
    await check_name(tx, Experiment, input.external_id, path)
    made = Experiment(
        id=tx.new_id(Experiment),
        external_id=input.external_id,
        session_id=session_id,
        name=input.name,
        description=input.description,
        parameters=input.parameters or EMPTY_OBJECT,
        metadata=input.metadata or EMPTY_OBJECT,
        created_at=at,
    )
    await tx.put([made])
    told = {"experiment": made.id, "name": made.name, "parameters": decode_json(made.parameters)}
    await log(tx, session_id, EXPERIMENT, COMPONENT, told, time=made.created_at)
    return made


async def add_result(context: Context, input: AddResultInput) -> ExperimentResult:
    """Adds a result to an experiment. Raises Rejected: NOT_FOUND; INVALID for metrics that are no numbers; DUPLICATE
    for a taken externalId; LIMIT."""
    of = await lookup(context.store, Experiment, input.experiment)
    full = await is_full(context, ExperimentResult, None if of is None else Ref(id=of.session_id))

    async def script(tx: Transaction) -> ExperimentResult:
        experiment = await require(tx, Experiment, input.experiment, ["experiment"])
        check_room(context, ExperimentResult, full, ["experiment"])
        await check_name(tx, ExperimentResult, input.external_id)
        metrics = decode_json(input.metrics)
        if not are_metrics(metrics):
            raise invalid("Must be an object with a finite number for each name, one at least.", ["metrics"])
        made = ExperimentResult(
            id=tx.new_id(ExperimentResult),
            external_id=input.external_id,
            experiment_id=experiment.id,
            session_id=experiment.session_id,
            metrics=input.metrics,
            output=NULL if input.output is None else input.output,
            comment=input.comment,
            metadata=input.metadata or EMPTY_OBJECT,
            created_at=input.created_at or tx.now,
        )
        await tx.put([made])
        told = {"result": made.id, "experiment": experiment.id, "name": experiment.name, "metrics": metrics}
        await log(tx, experiment.session_id, RESULT, COMPONENT, told, time=made.created_at)
        return made

    return await write(context, input, script)


async def experiments(context: Context, sessions: Sequence[Session]) -> list[list[Experiment]]:
    return await parts(context, Experiment, "session", [session.id for session in sessions])


async def results(context: Context, experiments: Sequence[Experiment]) -> list[list[ExperimentResult]]:
    return await parts(context, ExperimentResult, "experiment", [experiment.id for experiment in experiments])


async def experiments_of(context: Context, results: Sequence[ExperimentResult]) -> list[Experiment | None]:
    return await named_by(context, Experiment, [one.experiment_id for one in results])


async def comparisons(
    context: Context,
    sessions: Sequence[Session],
    metric: Metric,
    figure: Figure = Figure.BEST,
    direction: OrderDirection = OrderDirection.DESC,
) -> list[list[Compared]]:
    """The experiments of each playground by a metric of their results."""
    tried = await experiments(context, sessions)
    came = await parts(context, ExperimentResult, "session", [session.id for session in sessions])
    return [compare(of, results, metric, figure, direction) for of, results in zip(tried, came, strict=True)]
