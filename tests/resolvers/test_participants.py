"""Participants: who is the same, who comes and goes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.graphql_client import Graph

ONE = (
    "participant { id type role name externalId joinedAt leftAt actor { __typename ... on User { "
    "externalId } ... on Agent { externalId } } session { externalId } }"
)
SESSION = {"session": {"externalId": "s"}}
LIST = '{ session(by: {externalId: "s"}) { participants { totalCount nodes { id name type leftAt } } } }'


@pytest.fixture(autouse=True)
async def session(graph: Graph) -> None:
    for name in ("s", "other"):
        await graph.do("createSession", {"externalId": name})


async def add(graph: Graph, **input: Any) -> Any:
    return (await graph.do("addParticipant", {**SESSION, **input}, ONE))["participant"]


class TestAdding:
    async def test_everything_that_is_given(self, graph: Graph) -> None:
        made = await add(graph, type="AGENT", actor={"externalId": "bot"}, role="host", name="Robot", externalId="p")
        assert made["actor"] == {"__typename": "Agent", "externalId": "bot"}
        assert [made[name] for name in ("type", "role", "name", "externalId", "leftAt")] == [
            "AGENT",
            "host",
            "Robot",
            "p",
            None,
        ]
        assert made["session"] == {"externalId": "s"}

    @pytest.mark.parametrize(
        ("input", "name", "role"),
        [
            ({}, "user", "user"),
            ({"type": "SYSTEM"}, "system", "system"),
            ({"role": "guest"}, "guest", "guest"),
            ({"name": "Ann"}, "Ann", "user"),
            ({"actor": {"externalId": "ann"}}, "ann", "user"),
        ],
    )
    async def test_names_and_roles_have_defaults(self, graph: Graph, input: Any, name: str, role: str) -> None:
        made = await add(graph, **input)
        assert (made["name"], made["role"]) == (name, role)

    async def test_an_actor_lends_its_name(self, graph: Graph) -> None:
        await graph.do("upsertUser", {"externalId": "ann", "name": "Ann Smith"})
        assert (await add(graph, actor={"externalId": "ann"}))["name"] == "Ann Smith"

    async def test_an_actor_by_id(self, graph: Graph) -> None:
        user = (await graph.do("upsertUser", {"externalId": "ann"}, "user { id }"))["user"]
        assert (await add(graph, actor={"id": user["id"]}))["actor"]["externalId"] == "ann"

    @pytest.mark.parametrize("id", ["usr_" + "0" * 32, "agt_" + "0" * 32, "garbage", ""])
    async def test_an_actor_by_an_unknown_id(self, graph: Graph, id: str) -> None:
        assert await graph.fails("addParticipant", {**SESSION, "actor": {"id": id}}) == ("NOT_FOUND", ["actor"])

    async def test_an_agent_is_no_user(self, graph: Graph) -> None:
        agent = (await graph.do("upsertAgent", {"externalId": "bot"}, "agent { id }"))["agent"]
        wrong = {**SESSION, "type": "USER", "actor": {"id": agent["id"]}}
        assert await graph.fails("addParticipant", wrong) == ("NOT_FOUND", ["actor"])

    @pytest.mark.parametrize("type", ["SYSTEM", "TOOL"])
    async def test_nobody_stands_behind_the_system_or_a_tool(self, graph: Graph, type: str) -> None:
        wrong = {**SESSION, "type": type, "actor": {"externalId": "x"}}
        assert await graph.fails("addParticipant", wrong) == ("INVALID", ["actor"])

    async def test_an_unknown_session(self, graph: Graph) -> None:
        wrong = {"session": {"externalId": "nowhere"}, "actor": {"externalId": "new"}}
        assert await graph.fails("addParticipant", wrong) == ("NOT_FOUND", ["session"])
        assert (await graph.data("{ users { totalCount } }"))["users"]["totalCount"] == 0


class TestIdentity:
    """The actor, else the externalId, else type and name."""

    @pytest.mark.parametrize(
        ("first", "second"),
        [
            (
                {"actor": {"externalId": "ann"}, "name": "A"},
                {"actor": {"externalId": "ann"}, "name": "B", "externalId": "p"},
            ),
            ({"externalId": "p", "name": "A"}, {"externalId": "p", "name": "B", "type": "AGENT"}),
            ({"name": "A", "role": "host"}, {"name": "A", "role": "guest"}),
            ({}, {"name": "user"}),
        ],
    )
    async def test_the_same(self, graph: Graph, first: Any, second: Any) -> None:
        made = await add(graph, **first)
        before = await graph.data(LIST)
        assert await graph.fails("addParticipant", {**SESSION, **second}) == ("DUPLICATE", [])
        assert await graph.data(LIST) == before
        found = (
            await graph.data("query ($id: ID!) { node(id: $id) { ... on Participant { name role } } }", id=made["id"])
        )["node"]
        assert found == {"name": made["name"], "role": made["role"]}, "a refused one changes nothing"

    @pytest.mark.parametrize(
        ("first", "second"),
        [
            ({"actor": {"externalId": "ann"}, "name": "A"}, {"actor": {"externalId": "bob"}, "name": "A"}),
            ({"actor": {"externalId": "ann"}}, {"actor": {"externalId": "ann"}, "type": "AGENT"}),
            ({"externalId": "p", "name": "A"}, {"externalId": "q", "name": "A"}),
            ({"externalId": "p", "name": "A"}, {"name": "A"}),
            ({"name": "A"}, {"name": "A", "type": "AGENT"}),
            ({"name": "A"}, {"name": "a"}),
        ],
    )
    async def test_different(self, graph: Graph, first: Any, second: Any) -> None:
        one, other = await add(graph, **first), await add(graph, **second)
        assert one["id"] != other["id"]

    async def test_another_session_has_its_own(self, graph: Graph) -> None:
        made = await add(graph, name="A")
        other = await graph.do("addParticipant", {"session": {"externalId": "other"}, "name": "A"}, ONE)
        assert other["participant"]["id"] != made["id"]


class TestLeaving:
    async def test_one_that_left_comes_back(self, graph: Graph) -> None:
        made = await add(graph, actor={"externalId": "ann"}, name="Ann")
        await graph.do("addMessage", {**SESSION, "sender": {"id": made["id"]}, "text": "bye"})
        graph.clock.forward(minutes=1)
        left = (await graph.do("removeParticipant", {**SESSION, "participant": {"externalId": "ann"}}, ONE))[
            "participant"
        ]
        assert left["leftAt"] > made["joinedAt"]
        again = (await graph.do("removeParticipant", {**SESSION, "participant": {"id": made["id"]}}, ONE))[
            "participant"
        ]
        assert again["leftAt"] == left["leftAt"], "it left when it left"
        back = await add(graph, actor={"externalId": "ann"}, name="Ann B.")
        assert (back["id"], back["joinedAt"], back["leftAt"], back["name"]) == (
            made["id"],
            made["joinedAt"],
            None,
            "Ann B.",
        )
        data = await graph.data(
            '{ session(by: {externalId: "s"}) { participants { totalCount } messages { nodes { sender { id name '
            "} } } } }"
        )
        assert data["session"]["participants"]["totalCount"] == 1
        assert data["session"]["messages"]["nodes"] == [{"sender": {"id": made["id"], "name": "Ann B."}}]

    async def test_by_each_of_its_names(self, graph: Graph) -> None:
        user = (await graph.do("upsertUser", {"externalId": "ann"}, "user { id }"))["user"]
        made = await add(graph, actor={"externalId": "ann"}, externalId="p")
        for ref in ({"id": made["id"]}, {"id": user["id"]}, {"externalId": "p"}, {"externalId": "ann"}):
            found = await graph.do("removeParticipant", {**SESSION, "participant": ref}, ONE)
            assert found["participant"]["id"] == made["id"]

    async def test_nobody_of_this_session(self, graph: Graph) -> None:
        there = await graph.do("addParticipant", {"session": {"externalId": "other"}, "name": "A"}, ONE)
        for ref in ({"id": there["participant"]["id"]}, {"externalId": "A"}, {"id": ""}, {"externalId": ""}):
            wrong = {**SESSION, "participant": ref}
            assert await graph.fails("removeParticipant", wrong) == ("NOT_FOUND", ["participant"])


async def test_what_a_participant_said(graph: Graph) -> None:
    one, other = await add(graph, name="A"), await add(graph, name="B", type="AGENT")
    said = [{"sender": {"id": (one, other)[i % 2]["id"]}, "text": str(i)} for i in range(6)]
    await graph.do("addMessages", {**SESSION, "messages": said})
    query = (
        '{ session(by: {externalId: "s"}) { participants { nodes { name messages(last: 2) { totalCount nodes '
        "{ text senderType } } } } } }"
    )
    nodes = (await graph.data(query))["session"]["participants"]["nodes"]
    assert nodes == [
        {"name": "A", "messages": {"totalCount": 3, "nodes": [{"text": "2", "senderType": "USER"}, {"text": "4", "senderType": "USER"}]}},
        {"name": "B", "messages": {"totalCount": 3, "nodes": [{"text": "3", "senderType": "AGENT"}, {"text": "5", "senderType": "AGENT"}]}},
    ]  # fmt: skip
