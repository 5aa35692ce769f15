"""Writes of one workspace are counted in that one, and its tokens are good for nothing in another."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from domain.caller import LOCAL
from domain.consistency import Consistency
from domain.errors import Rejected
from domain.state import SetStateInput
from domain.values import encode_json
from resolvers import consistency, states
from resolvers.context import Context
from schema.payloads import StatePayload
from tests.support.graphql_client import Graph, Words

pytestmark = pytest.mark.both_families


async def test_a_token_is_of_one_workspace(graph: Graph) -> None:
    ours = graph.context
    theirs = Context(graph.engine, Words(), replace(LOCAL, workspace="theirs"), clock=graph.clock)
    tokens = []
    for context in (ours, theirs):
        for number in range(3):
            given = SetStateInput(namespace="n", key="k", value=encode_json(number))
            written = await states.set_one(context, given)
        tokens += await consistency.tokens(context, [StatePayload(state=written, errors=[])])
    at = ours.store.written, theirs.store.written
    await states.set_one(theirs, SetStateInput(namespace="n", key="k", value=encode_json(7)))
    assert ours.store.written == at[0]
    assert theirs.store.written in (at[1], at[1] + 1)
    for context, own, other in ((ours, *tokens), (theirs, *reversed(tokens))):
        assert await consistency.consistent(context, Consistency(after=own))
        with pytest.raises(Rejected):
            await consistency.consistent(context, Consistency(after=other))
