"""What sessions of a kind have of their own: it comes back as it was, is listed under its session, and goes with it."""

from __future__ import annotations

from typing import Any

from domain.actor import Agent
from domain.experiment import Experiment
from domain.node import Id
from domain.page import Slice
from domain.panel import PanelFormat, Vote
from domain.reasoning import ReasoningStep, ReasoningStepKind
from domain.routing import AgentRoute
from domain.session import Session, SessionKind
from domain.values import encode_json
from domain.workflow import Workflow, WorkflowState, WorkflowTransition
from stores.contract.making import (
    NOON,
    World,
    after,
    agent,
    decision,
    delete,
    experiment,
    experiment_result,
    insight,
    keep,
    reasoning_chain,
    session,
    workflow_execution,
)
from stores.ports import Records, Store

STEPS = [
    ReasoningStep(ReasoningStepKind.THOUGHT, "what now?", NOON),
    ReasoningStep(ReasoningStepKind.TOOL_CALL, "", NOON, Id("tex_1"), encode_json({"n": 1})),
]
FLOW = Workflow([WorkflowState("a", "at first", [WorkflowTransition("b", "go")]), WorkflowState("b")], "a")


async def test_sessions_keep_what_they_were_set_up_with(store: Store) -> None:
    made = await keep(
        store,
        session(kind=SessionKind.PANEL, panel_format=PanelFormat.DEBATE),
        session(kind=SessionKind.WORKFLOW, workflow=FLOW),
        session(),
    )
    assert await store.get(Session, [one.id for one in made]) == made
    assert [(one.panel_format, one.workflow) for one in made] == [
        (PanelFormat.DEBATE, None),
        (None, FLOW),
        (None, None),
    ]


async def test_agents_keep_their_routes(store: Store) -> None:
    routes = [AgentRoute("a", ["web"], ["tea", "x y"], "^t+", ["which tea?"], 3), AgentRoute(is_fallback=True)]
    made = await keep(store, agent(routes=routes), agent())
    assert await store.get(Agent, [one.id for one in made]) == made
    assert [one.routes for one in made] == [routes, []]


async def test_parts_of_a_session(store: Store, things: World) -> None:
    [tried, other] = await keep(store, experiment(things.session, external_id="e"), experiment(things.session))
    parts: list[Any] = [
        *await keep(
            store,
            decision(things.session, votes=[Vote(things.participant.id, "yes", "gladly")], consensus=1.0),
            insight(things.session, message_ids=[things.message.id], participant_id=things.participant.id),
            workflow_execution(things.session, agent_id=things.agent.id),
            reasoning_chain(things.agent, session_id=things.session.id, steps=STEPS, message_id=things.message.id),
            experiment_result(tried, created_at=after(hours=1)),
            experiment_result(other, created_at=after(hours=2)),
            experiment_result(tried, created_at=after(hours=3)),
        ),
        tried,
        other,
    ]
    for part in parts:
        assert await store.get(type(part), [part.id]) == [part]
    assert await store.find(Experiment, [("e",), ("f",)]) == [tried, None]
    for kind in {type(part) for part in parts}:
        [page] = await store.pages(Records(kind, "session"), [things.session.id], Slice(limit=10))
        mine = [part for part in parts if isinstance(part, kind)]
        assert page.nodes == sorted(mine, key=lambda one: (one.created_at, one.id))
    results = Records(type(parts[4]), "experiment")
    pages = await store.pages(results, [other.id, tried.id], Slice(limit=10))
    assert [page.nodes for page in pages] == [[parts[5]], [parts[4], parts[6]]]
    await delete(store, tried)
    assert await store.get(type(parts[4]), [parts[4].id, parts[5].id]) == [None, parts[5]]
    await delete(store, things.session)
    for part in parts:
        assert await store.get(type(part), [part.id]) == [None]
