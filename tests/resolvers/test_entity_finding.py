"""Entities that rules find in what is written, on either engine."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from domain.caller import LOCAL
from domain.entity_rules import ALL
from domain.masking import RULES, Masks
from resolvers.context import Context
from resolvers.entity_finding import Finding
from resolvers.treatment import Treatments
from tests.support.graphql_client import Graph

pytestmark = pytest.mark.both_families

S = {"session": {"externalId": "s"}}
U = {"owner": {"externalId": "u"}}


@pytest.fixture
async def finding(graph: Graph) -> Graph:
    """A session of Ada and an assistant, where rules find entities and addresses are masked."""
    masks = Masks(RULES["emails"])
    rules = Treatments(None, masks, Counter(), Finding(ALL, masks.marks))
    graph.context = Context(graph.engine, graph.context.embedder, LOCAL, clock=graph.clock, treatments=rules)
    await graph.do("upsertUser", {"externalId": "ada", "name": "Ada Lovelace"})
    people = [{"actor": {"externalId": "ada"}, "name": "Ada"}, {"type": "AGENT", "role": "assistant"}]
    await graph.do("createSession", {"externalId": "s", "participants": people})
    return graph


async def found(graph: Graph, message: str | None = None, memory: str | None = None) -> dict[str, tuple[str, bool]]:
    """By name the type of what is mentioned, and whether a rule found it."""
    fields = "mentions { found entity { name type } }"
    if memory is not None:
        of = (await graph.data(f"query ($by: Ref!) {{ memory(by: $by) {{ {fields} }} }}", by={"externalId": memory}))[
            "memory"
        ]
    else:
        said = f'{{ session(by: {{externalId: "s"}}) {{ messages {{ nodes {{ externalId {fields} }} }} }} }}'
        nodes = (await graph.data(said))["session"]["messages"]["nodes"]
        [of] = [one for one in nodes if one["externalId"] == message]
    return {one["entity"]["name"]: (one["entity"]["type"], one["found"]) for one in of["mentions"]}


async def say(graph: Graph, text: str, name: str, **more: Any) -> dict[str, tuple[str, bool]]:
    await graph.do("addMessage", {**S, "role": "assistant", "text": text, "externalId": name, **more})
    return await found(graph, name)


async def entity(graph: Graph, name: str) -> Any:
    query = "query ($by: EntityRef!) { entity(by: $by) { name found memories { totalCount } messages { totalCount } } }"
    return (await graph.data(query, by={"name": name}))["entity"]


async def test_what_is_said_mentions_what_rules_find(finding: Graph) -> None:
    text = 'Ada and @octo-cat read "Project Nightingale" at https://x.org/a, in src/app.py; ask ada@example.com.'
    wanted = {
        "Ada Lovelace": ("person", True),
        "@octo-cat": ("handle", True),
        "Project Nightingale": ("thing", True),
        "https://x.org/a": ("url", True),
        "src/app.py": ("file", True),
    }
    assert await say(finding, text, "x") == wanted
    again = await say(finding, "Hello @ada: Project Nightingale is on", "y", entities=[{"name": "project nightingale"}])
    assert again == {"Ada Lovelace": ("person", True), "Project Nightingale": ("thing", False)}
    memory = {**U, "text": "The kiln is a part of Project Nightingale", "externalId": "m"}
    await finding.do("createMemory", memory)
    assert await found(finding, memory="m") == {"Project Nightingale": ("thing", True)}
    assert await entity(finding, "PROJECT nightingale") == {
        "name": "Project Nightingale", "found": False, "memories": {"totalCount": 1}, "messages": {"totalCount": 2},
    }  # fmt: skip
    listed = await finding.data("{ entities(filter: {found: true}) { nodes { name } } }")
    assert {one["name"] for one in listed["entities"]["nodes"]} == {*wanted} - {"Project Nightingale"}


async def test_another_text_mentions_something_else(finding: Graph) -> None:
    await say(finding, "See src/app.py", "x", entities=[{"name": "Porto"}])
    edited = {"message": {"externalId": "x"}, "text": "See src/main.py"}
    await finding.do("editMessage", edited)
    assert await found(finding, "x") == {"Porto": ("thing", False), "src/main.py": ("file", True)}
    await finding.do("redactMessage", {"message": {"externalId": "x"}})
    assert await found(finding, "x") == {}
    assert await entity(finding, "src/main.py") is None
    given = {**U, "text": "Porto has src/app.py", "externalId": "m", "entities": [{"name": "Kiln"}]}
    await finding.do("createMemory", given)
    m = {"memory": {"externalId": "m"}}
    await finding.do("updateMemory", {**m, "text": "Now it is src/kiln.py", "entities": [{"name": "Oven"}]})
    assert await found(finding, memory="m") == {"Oven": ("thing", False), "src/kiln.py": ("file", True)}
    await finding.do("touchMemories", {"memories": [{"externalId": "m"}]})
    await finding.do("supersedeMemory", {**m, "text": "It is nowhere", "externalId": "n"})
    assert await found(finding, memory="n") == {"Oven": ("thing", False)}
    finding.context = Context(finding.engine, finding.context.embedder, LOCAL, clock=finding.clock)
    await finding.do("updateMemory", {**m, "text": "Nothing finds src/oven.py here"})
    assert await found(finding, memory="m") == {"Oven": ("thing", False)}


async def test_nobody_who_is_erased_stays_an_entity(finding: Graph) -> None:
    await say(finding, "Ada and @ada-l met Bob", "x", entities=[{"name": "Ada", "type": "place"}])
    await say(finding, "@ada and Ada Lovelace read src/app.py", "y")
    u = {"owner": {"externalId": "u"}, "text": "About Ada Lovelace", "entities": [{"name": "@ada", "type": "handle"}]}
    await finding.do("createMemory", u)
    mine = {"owner": {"externalId": "ada"}, "text": "In src/mine.py", "externalId": "m"}
    await finding.do("createMemory", mine)
    await finding.do("updateMemory", {"memory": {"externalId": "m"}, "text": "It is gone"})
    await finding.do("addParticipant", {"session": {"externalId": "s"}, "actor": {"externalId": "bob"}, "name": "Bob"})
    names = {"Ada", "Ada Lovelace", "@ada", "@ada-l", "src/app.py", "src/mine.py"}
    for dry, left in ((True, names), (False, {"Ada", "@ada-l", "src/app.py"})):
        report = "report { found stores { removed } }"
        done = await finding.do("eraseUser", {"user": {"externalId": "ada"}, "dryRun": dry}, report)
        assert (done["report"]["stores"][0]["removed"]["entity"], done["report"]["found"]) == (3, 0)
        entities = (await finding.data("{ entities { nodes { name } } }"))["entities"]["nodes"]
        assert {one["name"] for one in entities} == left


async def test_texts_from_before_are_looked_through_later(graph: Graph, finding: Graph) -> None:
    """Some at a time, each text once, whatever is written in between; what is found already is not found twice."""
    rules = finding.context
    finding.context = Context(graph.engine, rules.embedder, LOCAL, clock=graph.clock)
    for index in range(5):
        said = {**S, "role": "assistant", "externalId": f"x{index}", "text": f"Hello @ada, see src/a{index}.py"}
        await finding.do("addMessage", said)
    await finding.do("createMemory", {**U, "text": "Ask ada@example.com about src/a0.py", "externalId": "m"})
    assert await finding.fails("findEntities", {}) == ("INVALID", [])
    finding.context = rules
    assert await say(finding, "src/a0.py", "new") == {"src/a0.py": ("file", True)}
    told, after = [], None
    while True:
        done = await finding.do("findEntities", {"first": 3, "after": after}, "searched endCursor")
        told.append(done["searched"])
        if (after := done["endCursor"]) is None:
            break
        await say(finding, "between", f"between {after}")
    assert sum(told) >= 7
    assert max(told) == 3
    assert await found(finding, "x4") == {"Ada Lovelace": ("person", True), "src/a4.py": ("file", True)}
    assert (await entity(finding, "src/a0.py")) | {"name": ""} == {
        "name": "", "found": True, "memories": {"totalCount": 1}, "messages": {"totalCount": 2},
    }  # fmt: skip
    before = finding.rows() if finding.family == "embedded" else None
    again = await finding.do("findEntities", {"first": 500}, "searched endCursor")
    assert (again["searched"], again["endCursor"]) == (sum(told), None)
    assert before is None or finding.rows() == before
    assert await finding.fails("findEntities", {"after": "ses_1"}) == ("INVALID", ["after"])
