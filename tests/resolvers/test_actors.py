"""Users and agents."""

# ruff: noqa: UP031 - the braces in these strings are GraphQL's

from __future__ import annotations

from typing import Any

import pytest
from msgspec import Raw

from domain.actor import AgentVersion
from tests.support.graphql_client import Graph

USER = "user { id externalId name profile createdAt }"
AGENT = "agent { id externalId name description config capabilities createdAt }"


class TestUpserting:
    async def test_a_user_is_created_then_changed(self, graph: Graph) -> None:
        made = (await graph.do("upsertUser", {"externalId": "ann"}, USER))["user"]
        assert (made["name"], made["profile"], made["externalId"]) == ("ann", {}, "ann")
        named = (await graph.do("upsertUser", {"externalId": "ann", "name": "Ann", "profile": {"tea": True}}, USER))[
            "user"
        ]
        assert named == {**made, "name": "Ann", "profile": {"tea": True}}
        again = (await graph.do("upsertUser", {"externalId": "ann"}, USER))["user"]
        assert again == named, "what is left out stays"
        assert (await graph.data('{ user(by: {externalId: "ann"}) { id externalId name profile createdAt } }'))[
            "user"
        ] == named

    async def test_an_agent_is_created_then_changed(self, graph: Graph) -> None:
        given = {"name": "Bot", "description": "helps", "config": {"model": "m"}, "capabilities": ["draw"]}
        made = (await graph.do("upsertAgent", {"externalId": "bot", **given}, AGENT))["agent"]
        assert {name: made[name] for name in given} == given
        changed = (await graph.do("upsertAgent", {"externalId": "bot", "capabilities": []}, AGENT))["agent"]
        assert changed == {**made, "capabilities": []}
        assert (await graph.data("query ($id: ID!) { agent(by: {id: $id}) { name } }", id=made["id"]))["agent"] == {
            "name": "Bot"
        }

    @pytest.mark.both_families
    async def test_a_message_knows_what_the_agent_was_that_sent_it(self, graph: Graph) -> None:
        """Before each change and after it, kept once for all messages between; what others sent knows none."""
        part = {"type": "AGENT", "actor": {"externalId": "bot"}}
        await graph.do("createSession", {"externalId": "s", "participants": [part]})

        async def say(**more: Any) -> None:
            await graph.do("addMessage", {"session": {"externalId": "s"}, "text": "tea", **more})
            graph.clock.forward(hours=1)

        bot = {"externalId": "bot", "name": "Bot", "config": {"model": "a"}, "capabilities": ["draw"]}
        await say(role="user")
        for changes in (bot, {**bot, "routes": []}, {"config": {"model": "b"}}, {"description": "helps"}):
            await graph.do("upsertAgent", {"externalId": "bot", **changes})
            await say(sender={"externalId": "bot"})
        asked = """{ session(by: {externalId: "s"}) { messages { nodes {
            senderSnapshot { name description config capabilities replacedAt agent { externalId } } } } } }"""
        nodes = (await graph.data(asked))["session"]["messages"]["nodes"]
        none, *spoke = [one["senderSnapshot"] for one in nodes]
        assert none is None
        assert [(one["config"]["model"], one["description"], one["replacedAt"] is None) for one in spoke] == [
            ("a", None, False),
            ("a", None, False),
            ("b", None, False),
            ("b", "helps", True),
        ]
        assert [one["agent"]["externalId"] for one in spoke] == ["bot"] * 4
        assert (spoke[0]["name"], spoke[0]["capabilities"]) == ("Bot", ["draw"])
        stored = await graph.context.store.scan(AgentVersion, None, 10)
        assert [one.config for one in stored] == [Raw(b"{}"), Raw(b'{"model":"a"}'), Raw(b'{"model":"b"}')]

    async def test_users_and_agents_do_not_share_names(self, graph: Graph) -> None:
        user = (await graph.do("upsertUser", {"externalId": "x"}, USER))["user"]
        agent = (await graph.do("upsertAgent", {"externalId": "x"}, AGENT))["agent"]
        found = await graph.data('{ user(by: {externalId: "x"}) { id } agent(by: {externalId: "x"}) { id } }')
        assert found == {"user": {"id": user["id"]}, "agent": {"id": agent["id"]}}

    @pytest.mark.parametrize(
        ("mutation", "input", "path"),
        [
            ("upsertUser", {"externalId": ""}, ["externalId"]),
            ("upsertUser", {"externalId": "x" * 1001}, ["externalId"]),
            ("upsertUser", {"externalId": "x", "name": "x" * 1001}, ["name"]),
            ("upsertUser", {"externalId": "x", "profile": []}, ["profile"]),
            ("upsertAgent", {"externalId": "x", "description": "x" * 100_001}, ["description"]),
            ("upsertAgent", {"externalId": "x", "config": 1}, ["config"]),
            ("upsertAgent", {"externalId": "x", "capabilities": ["a", ""]}, ["capabilities", "1"]),
        ],
    )
    async def test_wrong_values(self, graph: Graph, mutation: str, input: Any, path: list[str]) -> None:
        assert await graph.fails(mutation, input) == ("INVALID", path)


class TestMadeByAWrite:
    async def test_by_what_names_an_actor(self, graph: Graph) -> None:
        await graph.do("createSession", {"externalId": "s", "participants": [{"actor": {"externalId": "participant"}}]})
        await graph.do("createMemory", {"text": "x", "owner": {"externalId": "owner"}})
        await graph.do("createMemory", {"text": "x", "scope": "AGENT", "owner": {"externalId": "owner"}})
        event = {"type": "x", "user": {"externalId": "event user"}, "agent": {"externalId": "event agent"}}
        await graph.do("appendTraceEvents", {"session": {"externalId": "s"}, "events": [event, event]})
        await graph.do("startSpan", {"name": "x", "agent": {"externalId": "span agent"}})
        data = await graph.data("{ users { nodes { externalId name } } agents { nodes { externalId } } }")
        assert [node["externalId"] for node in data["users"]["nodes"]] == ["event user", "owner", "participant"]
        assert data["users"]["nodes"][0]["name"] == "event user"
        assert [node["externalId"] for node in data["agents"]["nodes"]] == ["span agent", "event agent", "owner"]

    async def test_not_by_a_write_that_fails(self, graph: Graph) -> None:
        wrong = {"text": "x", "owner": {"externalId": "new"}, "sourceMessage": {"externalId": "nowhere"}}
        assert await graph.fails("createMemory", wrong) == ("NOT_FOUND", ["sourceMessage"])
        assert (await graph.data("{ users { totalCount } }"))["users"]["totalCount"] == 0

    async def test_not_by_a_filter(self, graph: Graph) -> None:
        await graph.do("createSession", {"externalId": "s"})
        with graph.untouched():
            found = await graph.data(
                """{ memories(filter: {owner: {externalId: "new"}}) { nodes { id } }
                sessions(filter: {participant: {externalId: "new"}}) { nodes { id } }
                spans(filter: {agent: {externalId: "new"}}) { nodes { id } }
                session(by: {externalId: "s"}) { trace(filter: {agent: {externalId: "new"}}) { nodes { id } }
                    messages(filter: {sender: {externalId: "new"}}) { nodes { id } } }
                searchMemories(query: {text: "x"}, filter: {owner: {externalId: "new"}}) { hits { score } } }"""
            )
        assert found["memories"]["nodes"] == found["sessions"]["nodes"] == found["spans"]["nodes"] == []
        assert found["session"] == {"trace": {"nodes": []}, "messages": {"nodes": []}}
        assert found["searchMemories"]["hits"] == []
        assert (await graph.data("{ users { totalCount } agents { totalCount } }")) == {
            "users": {"totalCount": 0},
            "agents": {"totalCount": 0},
        }

    async def test_the_filter_of_a_mutation_makes_nobody(self, graph: Graph) -> None:
        filter = {"owner": {"externalId": "new"}}
        assert (await graph.do("decayMemories", {"filter": filter}, "count"))["count"] == 0
        await graph.do("recall", {"query": {"text": "x"}, "filter": filter})
        assert (await graph.data("{ users { totalCount } }"))["users"]["totalCount"] == 0

    @pytest.mark.parametrize("name", ["", "x" * 1001])
    async def test_not_under_a_name_that_cannot_be(self, graph: Graph, name: str) -> None:
        await graph.do("createSession", {"externalId": "s"})
        who = {"externalId": name}
        for mutation, input, path in (
            ("createMemory", {"text": "x", "owner": who}, ["owner"]),
            ("createMemories", {"memories": [{"text": "x", "owner": who}]}, ["memories", "0", "owner"]),
            ("addParticipant", {"session": {"externalId": "s"}, "actor": who}, ["actor"]),
            (
                "appendTraceEvents",
                {"session": {"externalId": "s"}, "events": [{"type": "x", "user": who}]},
                ["events", "0", "user"],
            ),
        ):
            assert await graph.fails(mutation, input) == ("INVALID", [*path, "externalId"])


class TestListing:
    @pytest.mark.parametrize(
        ("filter", "found"),
        [
            (None, ["cas", "bob", "ann"]),
            ({"text": "AN"}, ["ann"]),
            ({"text": "smith"}, ["bob", "ann"]),
            ({"metadata": {"tea": True}}, ["ann"]),
            ({"metadata": {"tea": 1}}, []),
            ({"capability": "draw"}, []),
        ],
    )
    async def test_users(self, graph: Graph, filter: Any, found: list[str]) -> None:
        await graph.do("upsertUser", {"externalId": "ann", "name": "A. Smith", "profile": {"tea": True}})
        await graph.do("upsertUser", {"externalId": "bob", "name": "B. Smith", "profile": {"tea": False}})
        await graph.do("upsertUser", {"externalId": "cas"})
        data = await graph.data(
            "query ($f: ActorFilter) { users(filter: $f) { totalCount nodes { externalId } } }", f=filter
        )
        assert [node["externalId"] for node in data["users"]["nodes"]] == found
        assert data["users"]["totalCount"] == len(found)

    async def test_agents_by_capability(self, graph: Graph) -> None:
        await graph.do("upsertAgent", {"externalId": "a", "capabilities": ["draw", "count"], "config": {"m": [1]}})
        await graph.do("upsertAgent", {"externalId": "b", "capabilities": ["count"]})
        query = "query ($f: ActorFilter) { agents(filter: $f) { nodes { externalId } } }"
        for filter, found in (
            ({"capability": "draw"}, ["a"]),
            ({"capability": "count"}, ["b", "a"]),
            ({"metadata": {"m": [1]}}, ["a"]),
        ):
            data = await graph.data(query, f=filter)
            assert [node["externalId"] for node in data["agents"]["nodes"]] == found


async def test_memory_usage(graph: Graph) -> None:
    texts = ["four", "é", "archived"]
    owner = {"externalId": "ann"}
    await graph.do(
        "createMemories", {"memories": [{"text": text, "owner": owner, "externalId": text} for text in texts]}
    )
    await graph.do("archiveMemories", {"memories": [{"externalId": "archived"}]})
    await graph.do("upsertUser", {"externalId": "empty"})
    usage = "memoryUsage { active archived capacity sizeBytes fullness }"
    data = await graph.data("{ users(last: 2) { nodes { externalId %s } } }" % usage)
    assert {node["externalId"]: node["memoryUsage"] for node in data["users"]["nodes"]} == {
        "ann": {"active": 2, "archived": 1, "capacity": 10_000, "sizeBytes": 6, "fullness": 2 / 10_000},
        "empty": {"active": 0, "archived": 0, "capacity": 10_000, "sizeBytes": 0, "fullness": 0},
    }
