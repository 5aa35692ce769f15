"""Experiments of playgrounds."""

from __future__ import annotations

from datetime import datetime

import strawberry

from domain import experiment as domain
from resolvers import playground, sessions
from schema import payloads, refs
from schema.fields import backed_by, relation
from schema.page import Node
from schema.scalars import JSON


@backed_by(domain.ExperimentResult)
@strawberry.type(description="What came out of an experiment once.")
class ExperimentResult(Node):
    external_id: str | None
    experiment = relation(playground.experiments_of, refs.optional(refs.Experiment), reads=["experiment_id"])
    metrics: JSON = strawberry.field(description="A number for each name.")
    output: JSON | None
    comment: str | None
    metadata: JSON
    created_at: datetime


@backed_by(domain.Experiment)
@strawberry.type(description="What is tried in a playground.")
class Experiment(Node):
    external_id: str | None
    session = relation(sessions.sessions_of, refs.optional(refs.Session), reads=["session_id"])
    name: str
    description: str | None
    parameters: JSON
    results = relation(playground.results, list[ExperimentResult], "What came out, the oldest first.", reads=["id"])
    metadata: JSON
    created_at: datetime


@backed_by(domain.Compared)
@strawberry.type(description="An experiment among others: the figures of one metric of its results.")
class ExperimentComparison:
    experiment: Experiment
    rank: int | None = strawberry.field(
        description="From 1 for the best; equal figures share it. Null, like the figures, if no result has it."
    )
    count: int = strawberry.field(description="How many of its results have the metric.")
    best: float | None
    worst: float | None
    average: float | None
    latest: float | None


ExperimentPayload = payloads.payload("Experiment", experiment=refs.optional(Experiment))
ExperimentResultPayload = payloads.payload("ExperimentResult", result=refs.optional(ExperimentResult))
