"""Experiments of playgrounds, their results, and how these compare."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from datetime import datetime
from sys import float_info
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from domain.declaration import NATURAL, listed, refers
from domain.node import Id, Node, register
from domain.page import OrderDirection
from domain.values import MAX_BATCH, Command, GivenJson, GivenObject, Json, Key, Ref, Text, decode_json

EXPERIMENT = "experiment"
RESULT = "result"


class Experiment(Node, frozen=True, kw_only=True, gc=False):
    """What is tried in a playground, and with which parameters."""

    prefix: ClassVar[str] = "exp"
    noun: ClassVar[str] = "experiment"

    external_id: Annotated[str | None, NATURAL]
    session_id: Annotated[Id, refers("Session", gone="cascade", edge="OF"), listed("created_at")]
    name: str
    description: str | None
    parameters: Json
    metadata: Json
    created_at: datetime


class ExperimentResult(Node, frozen=True, kw_only=True, gc=False):
    """What came out of an experiment once. metrics: numbers by name."""

    prefix: ClassVar[str] = "res"
    noun: ClassVar[str] = "experiment result"

    external_id: Annotated[str | None, NATURAL]
    experiment_id: Annotated[Id, refers("Experiment", gone="cascade", edge="OF"), listed("created_at")]
    session_id: Annotated[Id, refers("Session", gone="cascade"), listed("created_at")]
    metrics: Json
    output: Json
    comment: str | None
    metadata: Json
    created_at: datetime


register(Experiment, ExperimentResult)


class Figure(enum.Enum):
    """What experiments are compared by: of the results of each, the best, the worst, the average or the latest."""

    BEST = "BEST"
    WORST = "WORST"
    AVERAGE = "AVERAGE"
    LATEST = "LATEST"


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """An experiment among others. rank: from 1 for the best; equal figures share it; None where no result has the
    metric, and then there are no figures. count: of the results that have it."""

    experiment: Experiment
    rank: int | None = None
    count: int = 0
    best: float | None = None
    worst: float | None = None
    average: float | None = None
    latest: float | None = None


def compare(
    experiments: Sequence[Experiment],
    results: Sequence[ExperimentResult],
    metric: str,
    figure: Figure,
    direction: OrderDirection,
) -> list[Compared]:
    """The experiments in the order of a figure of a metric, the best first; those without it come last.

    results: the latest last. direction: DESC where more is better.
    """
    values: dict[Id, list[float]] = {}
    for result in results:
        value = decode_json(result.metrics).get(metric)
        if value is not None:
            values.setdefault(result.experiment_id, []).append(value)
    more = direction is OrderDirection.DESC
    found = [_compared(one, values.get(one.id, ()), more) for one in experiments]
    wanted = figure.value.lower()
    with_ = sorted((one for one in found if one.count), key=lambda one: getattr(one, wanted), reverse=more)
    ranked: list[Compared] = []
    for place, one in enumerate(with_, 1):
        same = ranked and getattr(ranked[-1], wanted) == getattr(one, wanted)
        ranked.append(msgspec.structs.replace(one, rank=ranked[-1].rank if same else place))
    return ranked + [one for one in found if not one.count]


def _compared(experiment: Experiment, values: Sequence[float], more: bool) -> Compared:
    if not values:
        return Compared(experiment=experiment)
    least, most = min(values), max(values)
    return Compared(
        experiment=experiment,
        count=len(values),
        best=most if more else least,
        worst=least if more else most,
        average=sum(value / len(values) for value in values),
        latest=values[-1],
    )


def are_metrics(value: Mapping[str, object]) -> bool:
    """Whether these are numbers by name, one at least."""
    return bool(value) and all(map(_is_number, value.values()))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= float_info.max


class ExperimentInput(Command, frozen=True, kw_only=True):
    """An experiment of a playground."""

    name: Key
    description: Text | None = None
    parameters: GivenObject = None
    metadata: GivenObject = None
    external_id: Key | None = None


class PlaygroundInput(Command, frozen=True, kw_only=True):
    """What a playground is set up with."""

    experiments: Annotated[list[ExperimentInput], Meta(max_length=MAX_BATCH)] | None = None


class AddExperimentInput(ExperimentInput, frozen=True, kw_only=True):
    """An experiment to add to a playground."""

    session: Ref
    created_at: datetime | None = None
    idempotency_key: Key | None = None


class AddResultInput(Command, frozen=True, kw_only=True):
    """A result of an experiment. metrics: an object with a number for each name."""

    experiment: Ref
    metrics: GivenObject
    output: GivenJson = None
    comment: Text | None = None
    metadata: GivenObject = None
    created_at: datetime | None = None
    external_id: Key | None = None
    idempotency_key: Key | None = None
