"""A workflow, whatever is asked of it, is in a state that was defined, and came there by ways that were."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import Rejected
from domain.workflow import Workflow, WorkflowInput, WorkflowStateInput, WorkflowTransitionInput, defined, redefined

pytestmark = pytest.mark.hypothesis

NAMES = st.sampled_from("abcdef")
CALLED = st.none() | st.sampled_from(["next", "back"])


@st.composite
def definitions(draw: st.DrawFn) -> WorkflowInput:
    names = draw(st.lists(NAMES, min_size=1, max_size=6, unique=True))
    among = st.sampled_from(names)
    ways = draw(st.lists(st.tuples(among, among, CALLED), max_size=12, unique=True))
    return WorkflowInput(
        states=[WorkflowStateInput(name=name) for name in names],
        transitions=[WorkflowTransitionInput(from_=start, to=end, name=name) for start, end, name in ways],
        initial=draw(st.none() | among),
    )


@given(definitions(), st.lists(st.tuples(st.none() | NAMES, CALLED) | definitions(), max_size=20))
def test_no_state_that_was_not_defined_is_reached(first: WorkflowInput, steps: list[object]) -> None:
    workflow, definition = defined(first, []), first
    for step in steps:
        before = workflow
        try:
            if isinstance(step, WorkflowInput):
                workflow, definition = redefined(before, step, []), step
                assert workflow.state == before.state
            else:
                to, name = step  # type: ignore[misc]
                workflow = before.advanced(to, name)
                taken = [
                    way
                    for way in definition.transitions or ()
                    if (way.from_, way.to) == (before.state, workflow.state) and name in (None, way.name)
                ]
                assert taken
                assert to in (None, workflow.state)
        except Rejected:
            assert workflow is before
        _check(workflow, definition)


def _check(workflow: Workflow, definition: WorkflowInput) -> None:
    names = [state.name for state in definition.states]
    assert [state.name for state in workflow.states] == names
    assert workflow.state in names
    assert all(way.to in names for state in workflow.states for way in state.transitions)
