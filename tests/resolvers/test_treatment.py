"""What is written is treated by either engine before it is stored: answers and reads show the same."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from domain.caller import LOCAL
from domain.masking import RULES, Masks
from domain.price import Price, Prices
from resolvers.context import Context
from resolvers.treatment import Treatments
from tests.support.graphql_client import Graph

pytestmark = pytest.mark.both_families

S = {"session": {"externalId": "s"}}
SECRET = "ghp_a1b2c3d4e5f6a1b2c3d4e5f6a1b2c3d4e5f6"


@pytest.fixture
def treating(graph: Graph) -> Graph:
    masks = Masks([rule for rules in RULES.values() for rule in rules])
    rules = Treatments(Prices([Price(models=["m"], input=2, output=4)]), masks, Counter())
    graph.context = Context(graph.engine, graph.context.embedder, LOCAL, clock=graph.clock, treatments=rules)
    return graph


async def test_secrets_are_masked_and_costs_are_reckoned(treating: Graph) -> None:
    graph, text = treating, f"quince {SECRET}, ada@example.com"
    masked = "quince [secret], [email]"
    await graph.do("createSession", {"externalId": "s", "metadata": {"password": "x", "n": 1}})
    said: Any = {**S, "role": "user", "text": text, "externalId": "m"}
    assert (await graph.do("addMessage", said, "message { text }"))["message"]["text"] == masked
    memory = {"text": text, "scope": "GLOBAL", "externalId": "f", "tags": ["ada@example.com"]}
    made = await graph.do("createMemory", memory, "memory { text tags }")
    assert made["memory"] == {"text": masked, "tags": ["[email]"]}
    used = {"gen_ai.request.model": "m", "gen_ai.usage.input_tokens": 1000, "note": text}
    span = {**S, "traceId": "0a", "spanId": "01", "name": "x", "attributes": used}
    usage = "usage { costUsd costSource }"
    told = (await graph.do("startSpan", span, f"span {{ {usage} attributes }}"))["span"]
    assert (told["usage"], told["attributes"]["note"]) == ({"costUsd": 0.002, "costSource": "RECKONED"}, masked)
    found = await graph.data(
        f"""{{ session(by: {{externalId: "s"}}) {{ metadata {usage} messages {{ nodes {{ text }} }} spans {{ nodes {{ attributes {usage} }} }} }}
        memory(by: {{externalId: "f"}}) {{ text tags }} traceStats {{ total {{ {usage} }} }} }}"""
    )
    session = found["session"]
    assert session["metadata"] == {"password": "[secret]", "n": 1}
    assert session["messages"]["nodes"] == [{"text": masked}]
    assert session["spans"]["nodes"] == [{"attributes": told["attributes"], "usage": told["usage"]}]
    assert found["memory"] == made["memory"]
    assert session["usage"] == found["traceStats"]["total"]["usage"] == told["usage"]
    audit = await graph.data('{ auditLog(filter: {actions: ["mask"]}) { nodes { targets } } }')
    assert {target[:3] for one in audit["auditLog"]["nodes"] for target in one["targets"]} >= {
        "ses",
        "msg",
        "mem",
        "spn",
    }
