"""What the demo's panels decide, which states its workflows go through, and what is tried in its playgrounds."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from domain.experiment import AddResultInput, ExperimentInput, PlaygroundInput
from domain.panel import AddDecisionInput, AddInsightInput, InsightCategory, PanelFormat, PanelInput, VoteInput
from domain.reasoning import ReasoningStepInput, ReasoningStepKind, RecordReasoningInput
from domain.session import SessionKind
from domain.values import Command, Ref, encode_json
from domain.workflow import (
    AdvanceWorkflowInput,
    RecordExecutionInput,
    WorkflowInput,
    WorkflowStateInput,
    WorkflowTransitionInput,
)
from server.demo.screenplay import message_name

FORMATS = {
    "refund-policy": PanelFormat.DEBATE,
    "parcel-delays": PanelFormat.PROBLEM_SOLVING,
    "week": PanelFormat.REVIEW,
}

WAYS = {
    "teapot": "requested > inspected, inspected > replaced, inspected > refunded, replaced > closed, refunded > closed",
    "harvest": "collecting > writing, writing > collecting, writing > done",
    "restock": "planning > ordered, ordered > in transit, in transit > arrived",
}
"""From state to state; the first one is where a workflow begins."""

TAKEN = {"teapot": ["inspected", "replaced", "closed"], "harvest": ["writing", "done"],
         "restock": ["ordered", "in transit"]}  # fmt: skip

EXECUTED: dict[str, tuple[str, Any, Any, str | None, float]] = {
    "teapot": ("orders.replace", {"return": "R-208"}, {"id": "4719", "total": 0}, None, 420.0),
    "harvest": ("mail.send", {"to": "exports@kirishima.example"}, None, "Mailbox is full.", 5000.0),
    "restock": ("purchase.create", {"lots": 2}, {"purchase": "P-77", "eur": 1140.0}, None, 610.0),
}

DECIDED: list[tuple[str, str, str, dict[str, str]]] = [
    ("refund-policy", "How long do we take tea back?",
     "30 days for unopened tea; no refund for opened tea unless it is our fault.",
     {"nadia": "30 days", "iris": "30 days", "rune": "30 days", "ben": "14 days"}),
    ("parcel-delays", "What do we do about late parcels?",
     "Express orders to the north go by the other carrier, all others get a delay notice at once.",
     {"nadia": "both", "pax": "both", "ben": "both"}),
]  # fmt: skip

UNDERSTOOD: list[tuple[str, InsightCategory, str, str, list[str]]] = [
    ("refund-policy", InsightCategory.ANALYSIS, "rune", "Thirty days are usual, and cost us little.",
     ["compare", "cost"]),
    ("parcel-delays", InsightCategory.CONCLUSION, "iris", "Nearly all delays come from one sorting line in Neumünster.",
     ["cluster", "sorter"]),
    ("parcel-delays", InsightCategory.RECOMMENDATION, "iris", "Who knows of a delay beforehand does not ask.",
     ["tell"]),
]  # fmt: skip

TRIED: dict[str, list[tuple[str, Any, list[dict[str, float]]]]] = {
    "delay-tone": [("formal", {"tone": "formal", "cases": 40}, [{"questionsBack": 0.31}]),
                   ("warm", {"tone": "warm", "cases": 40}, [{"questionsBack": 0.22}, {"questionsBack": 0.29}]),
                   ("short", {"tone": "short", "cases": 40}, [{"questionsBack": 0.27}])],
    "recall-size": [("3", {"memories": 3}, [{"right": 0.81}]),
                    ("8", {"memories": 8}, [{"right": 0.93}, {"right": 0.96}]),
                    ("20", {"memories": 20}, [{"right": 0.92}])],
}  # fmt: skip
"""By playground: experiments, their parameters and the metrics of their results."""


REASONED: list[tuple[str, str, str, list[tuple[str, str]]]] = [
    ("teapot", "pax", "rule", [
        ("THOUGHT", "Glass broke in a box with one layer of paper. Is that the rule or a slip?"),
        ("OBSERVATION", "The box itself was fine, so the blow came through the paper."),
        ("CONCLUSION", "Glass needs a double box and two layers of paper.")]),
    ("refund-policy", "rune", "cost", [
        ("THOUGHT", "What 30 days cost depends on how much of it comes back unopened."),
        ("TOOL_CALL", "web.search: tea shops and their days"),
        ("OBSERVATION", "Eight of twelve give 30 days."),
        ("CONCLUSION", "About 70 EUR a month, as unopened tea goes back to the shelf.")]),
]  # fmt: skip
"""By session: which agent reasoned, for which message, and the steps."""


def set_up(key: str) -> dict[str, Any]:
    """What a session is created with, by its kind."""
    if key in FORMATS:
        return {SessionKind.PANEL.value.lower(): PanelInput(format=FORMATS[key])}
    if key in WAYS:
        ways = [way.split(" > ") for way in WAYS[key].split(", ")]
        names = dict.fromkeys(name for way in ways for name in way)
        states = [WorkflowStateInput(name=name) for name in names]
        transitions = [WorkflowTransitionInput(from_=start, to=end) for start, end in ways]
        return {SessionKind.WORKFLOW.value.lower(): WorkflowInput(states=states, transitions=transitions)}
    if key in TRIED:
        tried = [
            ExperimentInput(name=name, parameters=encode_json(parameters), external_id=f"demo-{key}-{name}")
            for name, parameters, _ in TRIED[key]
        ]
        return {SessionKind.PLAYGROUND.value.lower(): PlaygroundInput(experiments=tried)}
    return {}


def came_of(key: str, at: datetime) -> Iterator[tuple[str, Command]]:
    """The mutations that tell what came of a session, which was at that time, and their inputs."""
    once = (f"demo:{key}:part:{number}" for number in range(100))
    session, told = Ref(external_id=f"demo-{key}"), dict[str, Any]()
    for of, topic, text, votes in DECIDED:
        if of == key:
            cast = [VoteInput(participant=Ref(external_id=name), choice=choice) for name, choice in votes.items()]
            told = {"topic": topic, "text": text, "votes": cast, "created_at": at}
            yield "addDecision", AddDecisionInput(session=session, idempotency_key=next(once), **told)
    for of, category, by, text, places in UNDERSTOOD:
        if of == key:
            said = [Ref(external_id=message_name(f"{key}/{place}")) for place in places]
            told = {"category": category, "by": Ref(external_id=by), "text": text, "created_at": at}
            told["supporting_messages"] = said
            yield "addInsight", AddInsightInput(session=session, idempotency_key=next(once), **told)
    if key in EXECUTED:
        name, put, came, error, took = EXECUTED[key]
        told = {"name": name, "input": encode_json(put), "output": encode_json(came), "error": error}
        told |= {"duration_ms": took, "ended_at": at + timedelta(minutes=5)}
        yield "recordExecution", RecordExecutionInput(session=session, idempotency_key=next(once), **told)
    for state in TAKEN.get(key, ()):
        yield "advanceWorkflow", AdvanceWorkflowInput(session=session, to=state, idempotency_key=next(once))
    for of, agent, place, steps in REASONED:
        if of == key:
            thought = [ReasoningStepInput(kind=ReasoningStepKind[kind], text=text) for kind, text in steps]
            told = {"agent": Ref(external_id=agent), "message": Ref(external_id=message_name(f"{key}/{place}"))}
            told |= {"steps": thought, "created_at": at}
            yield "recordReasoning", RecordReasoningInput(session=session, idempotency_key=next(once), **told)
    for name, _, results in TRIED.get(key, ()):
        for metrics in results:
            told = {"experiment": Ref(external_id=f"demo-{key}-{name}"), "metrics": encode_json(metrics)}
            yield "addResult", AddResultInput(idempotency_key=next(once), created_at=at, **told)
