"""Corrections: messages that are edited, redacted or deleted, and sessions that are forked."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.graphql_client import Graph

pytestmark = pytest.mark.both_families

S = {"session": {"externalId": "s"}}
M = {"message": {"externalId": "m"}}
SEEN = (
    "message { externalId text version editedAt isRedacted versions { totalCount nodes { version text replacedAt } } }"
)


async def say(graph: Graph, name: str, text: str | None = None, **more: Any) -> str:
    given = {**S, "role": "user", "text": name if text is None else text, "externalId": name, **more}
    return (await graph.do("addMessage", given, "message { id }"))["message"]["id"]


@pytest.fixture
async def session(graph: Graph) -> str:
    return (await graph.do("createSession", {"externalId": "s"}, "session { id }"))["session"]["id"]


async def edit(graph: Graph, name: str = "m", **more: Any) -> Any:
    given = {"message": {"externalId": name}, **more}
    return (await graph.do("editMessage", given, SEEN))["message"]


async def texts(graph: Graph, session: str = "s", field: str = "messages") -> list[str]:
    query = f"query ($s: String!) {{ session(by: {{externalId: $s}}) {{ {field} {{ nodes {{ text }} }} }} }}"
    return [one["text"] for one in (await graph.data(query, s=session))["session"][field.partition("(")[0]]["nodes"]]


async def told(graph: Graph) -> list[str]:
    query = (
        """{ session(by: {externalId: "s"}) { trace(filter: {components: ["conversation"]}) { nodes { type } } } }"""
    )
    return [one["type"] for one in (await graph.data(query))["session"]["trace"]["nodes"]]


class TestEditing:
    async def test_what_it_was_is_kept(self, graph: Graph, session: str) -> None:
        await say(graph, "m", "one")
        for text in ("two", "three"):
            now = await edit(graph, text=text)
        assert (now["text"], now["version"], now["editedAt"] is not None) == ("three", 3, True)
        assert [(one["version"], one["text"]) for one in now["versions"]["nodes"]] == [(2, "two"), (1, "one")]
        assert await texts(graph) == ["three"]
        assert await texts(graph, field='messages(filter: {text: "one"})') == []
        assert await told(graph) == ["message_edited"] * 2

    async def test_what_changes_nothing_writes_nothing(self, graph: Graph, session: str) -> None:
        await say(graph, "m", "one", metadata={"a": 1})
        with graph.untouched():
            assert (await edit(graph, text="one", metadata={"a": 1.0}))["version"] == 1

    async def test_an_idempotency_key_counts_once(self, graph: Graph, session: str) -> None:
        await say(graph, "m", "one")
        for _ in range(2):
            assert (await edit(graph, text="two", idempotencyKey="k"))["version"] == 2

    async def test_tool_calls_are_answered_by_what_it_is_now(self, graph: Graph, session: str) -> None:
        call = {"toolCall": {"callId": "c", "tool": "x", "arguments": {}}}
        await say(graph, "m", None, content=[call], role="assistant")
        await say(graph, "r", None, content=[{"toolResponse": {"callId": "c", "result": 1}}], role="tool")
        await edit(graph, "r", content=[{"toolResponse": {"callId": "c", "result": 2}}])
        query = (
            '{ session(by: {externalId: "s"}) { messages(first: 1) { nodes { toolCalls { response { result } } } } } }'
        )
        [first] = (await graph.data(query))["session"]["messages"]["nodes"]
        assert first["toolCalls"] == [{"response": {"result": 2}}]

    async def test_followers_of_memories_formed_from_it_are_told(self, graph: Graph, session: str) -> None:
        await say(graph, "m", "one")
        await graph.do("upsertUser", {"externalId": "ann"})
        made = {"text": "tea", "owner": {"externalId": "ann"}, "sourceMessage": {"externalId": "m"}}
        await graph.do("createMemory", made)
        start = (await graph.data("{ memoryCursor }"))["memoryCursor"]
        follow = "subscription ($a: String) { memoryChanges(after: $a) { kind memory { text } } }"
        async with graph.follow(follow, a=start) as events:
            await edit(graph, text="two")
            redacted = await graph.do("redactMessage", M, "message { isRedacted } memories { text }")
            assert redacted["memories"] == [{"text": "tea"}]
            await graph.do("deleteMessages", {"messages": [{"externalId": "m"}]})
            seen = [event["memoryChanges"] for event in await events.next(3)]
        assert seen == [{"kind": "UPDATED", "memory": {"text": "tea"}}] * 3

    @pytest.mark.one_family
    @pytest.mark.parametrize(
        ("given", "code", "path"),
        [
            ({}, "INVALID", ["content"]),
            ({"content": []}, "INVALID", ["content"]),
            ({"text": "x" * 100_001}, "INVALID", ["text"]),
            ({"text": "x", "metadata": [1]}, "INVALID", ["metadata"]),
            ({"text": "x", "ifVersion": 2}, "CONFLICT", ["ifVersion"]),
            ({"text": "x", "message": {"externalId": "none"}}, "NOT_FOUND", ["message"]),
            ({"text": "x", "message": {"externalId": "gone"}}, "CONFLICT", ["message"]),
        ],
    )
    async def test_what_cannot_be(self, graph: Graph, session: str, given: Any, code: str, path: Any) -> None:
        await say(graph, "m", "one")
        await say(graph, "gone", "two")
        await graph.do("redactMessage", {"message": {"externalId": "gone"}})
        with graph.untouched():
            assert await graph.fails("editMessage", {**M, **given}) == (code, path)


class TestRedacting:
    SECRET = 'the "gate code" is\nharrow-7719'

    async def fill(self, graph: Graph) -> None:
        """The text, wherever it may be told in a session."""
        text = self.SECRET
        await graph.do(
            "updateSession", {**S, "title": text.replace("\n", " "), "contextPatch": {"set": {"about": text}}}
        )
        call = {"callId": "c", "tool": "x", "arguments": {"q": text}}
        await say(graph, "m", content=[{"text": "before"}, {"toolCall": call}], text=text, metadata={"raw": text})
        await say(graph, "n", "another one")
        await edit(graph, text=f"{text} now")
        await edit(graph, text="the gate code is elsewhere")
        await graph.do("recall", {**S, "query": {"text": text}, "message": {"externalId": "m"}})
        span = {**S, "traceId": "0f", "spanId": "0a", "name": "chat", "kind": "LLM"}
        said = '[{"role": "user", "parts": [{"type": "text", "content": "the \\"gate code\\" is\\nharrow-7719"}]}]'
        await graph.do("startSpan", {**span, "attributes": {"gen_ai.input.messages": said, "n": 1}})
        await graph.do("endSpan", {"traceId": "0f", "spanId": "0a", "statusMessage": f"not {text}"})
        event = {"type": "note", "data": {"deep": [{"text": f"they said {text}!"}]}}
        await graph.do("appendTraceEvents", {**S, "events": [event]})
        await graph.do("startToolExecution", {**S, "tool": "x", "callId": "c", "arguments": {"q": text}})
        await graph.do("finishToolExecution", {**S, "callId": "c", "error": f"no {text}"})
        ids = await graph.data(
            '{ message: session(by: {externalId: "s"}) { messages(first: 1) { nodes { id } } } '
            'session(by: {externalId: "s"}) { id spans { nodes { id } } } }'
        )
        spans = [one["id"] for one in ids["session"]["spans"]["nodes"]]
        assert spans
        for target in (ids["message"]["messages"]["nodes"][0]["id"], ids["session"]["id"], *spans):
            said = {"label": text, "comment": f"not {text}", "metadata": {"why": text}}
            await graph.do("annotate", {"target": target, "name": "leak", **said})

    async def test_it_is_nowhere_any_more(self, graph: Graph, session: str) -> None:
        await self.fill(graph)
        dry = await graph.do("redactMessage", {**M, "dryRun": True}, SEEN)
        assert dry["message"]["text"] == "the gate code is elsewhere"
        assert "harrow" in repr(graph.rows())
        gone = (await graph.do("redactMessage", M, SEEN))["message"]
        assert (gone["text"], gone["isRedacted"], gone["versions"]["totalCount"]) == ("", True, 0)
        assert "harrow" not in repr(graph.rows())
        assert await texts(graph) == ["", "another one"]
        assert (await told(graph))[-1] == "message_redacted"
        query = (
            "{ spans { nodes { name attributes inputMessages { role text } } } toolExecutions { nodes { status } } }"
        )
        found = await graph.data(query)
        [span] = found["spans"]["nodes"]
        assert (span["name"], span["attributes"]["n"], span["inputMessages"][0]["role"]) == ("chat", 1, "user")
        assert found["toolExecutions"]["nodes"] == [{"status": "ERROR"}]

    async def test_nor_in_an_experiment(self, graph: Graph) -> None:
        await graph.do("createSession", {"externalId": "s", "kind": "PLAYGROUND"})
        await say(graph, "m", self.SECRET)
        tried = {"name": "e", "externalId": "e", "description": self.SECRET, "parameters": {"prompt": self.SECRET}}
        await graph.do("addExperiment", {**S, **tried, "metadata": {"of": self.SECRET}})
        result = {"experiment": {"externalId": "e"}, "metrics": {"n": 1}, "metadata": {"of": self.SECRET}}
        await graph.do("addResult", result)
        await graph.do("redactMessage", M)
        assert "harrow" not in repr(graph.rows())

    async def test_once_more_changes_nothing_and_finds_what_came_since(self, graph: Graph, session: str) -> None:
        await say(graph, "m", "OK")
        await graph.do("startSpan", {**S, "name": "OK", "kind": "LLM", "attributes": {"a": "OK", "b": "OKAY"}})
        first = await graph.do("redactMessage", M, SEEN)
        assert await graph.do("redactMessage", M, SEEN) == first
        [span] = (await graph.data("{ spans { nodes { name kind attributes } } }"))["spans"]["nodes"]
        assert span == {"name": "[redacted]", "kind": "LLM", "attributes": {"a": "[redacted]", "b": "OKAY"}}

    async def test_what_is_not_there(self, graph: Graph, session: str) -> None:
        assert await graph.fails("redactMessage", M) == ("NOT_FOUND", ["message"])


class TestDeleting:
    async def delete(self, graph: Graph, *names: str, **more: Any) -> list[str]:
        given = {"messages": [{"externalId": name} for name in names], **more}
        gone = await graph.do("deleteMessages", given, "messages { text }")
        return [one["text"] for one in gone["messages"]]

    async def test_places_and_cursors_stay_right(self, graph: Graph, session: str) -> None:
        for name in "abcd":
            await say(graph, name)
        page = """query ($n: Int, $a: String) { session(by: {externalId: "s"}) { messageCount messageCursor
            messages(first: $n, after: $a) { totalCount edges { cursor node { text } } } } }"""
        before = (await graph.data(page))["session"]
        last = before["messages"]["edges"][-1]["cursor"]
        assert await self.delete(graph, "d", "b", dryRun=True) == ["d", "b"]
        assert await self.delete(graph, "d", "b", "d") == ["d", "b"]
        now = (await graph.data(page))["session"]
        assert (now["messageCount"], now["messages"]["totalCount"]) == (2, 2)
        assert await texts(graph) == ["a", "c"]
        follow = (
            'subscription ($a: String) { sessionMessages(session: {externalId: "s"}, after: $a) { node { text } } }'
        )
        async with graph.follow(follow, a=before["messageCursor"]) as events:
            await say(graph, "e")
            assert [event["sessionMessages"]["node"]["text"] for event in await events.next()] == ["e"]
        for after, found in (
            (last, "e"),
            (before["messages"]["edges"][1]["cursor"], "ce"),
            (now["messageCursor"], "e"),
        ):
            edges = (await graph.data(page, a=after))["session"]["messages"]["edges"]
            assert "".join(one["node"]["text"] for one in edges) == found
        current = '{ session(by: {externalId: "s"}) { messageCount currentBranch { text } } }'
        assert (await graph.data(current))["session"] == {"messageCount": 3, "currentBranch": {"text": "e"}}
        await self.delete(graph, "e")
        assert (await graph.data(current))["session"] == {"messageCount": 2, "currentBranch": {"text": "c"}}
        order = "{ sessions(orderBy: {field: MESSAGE_COUNT, direction: ASC}) { nodes { messageCount } } }"
        await graph.do("createSession", {"externalId": "t"})
        for name in "xyz":
            await say(graph, name, session={"externalId": "t"})
        assert [one["messageCount"] for one in (await graph.data(order))["sessions"]["nodes"]] == [2, 3]

    async def test_replies_go_on_from_what_was_before(self, graph: Graph, session: str) -> None:
        await say(graph, "q")
        for answer in ("one", "two"):
            await say(graph, answer, parent={"externalId": "q"})
        for end in "ab":
            await say(graph, end, parent={"externalId": "two"})
        assert await self.delete(graph, "two") == ["two"]
        query = '{ session(by: {externalId: "s"}) { branches { text parent { text } } } }'
        found = (await graph.data(query))["session"]["branches"]
        assert found == [{"text": name, "parent": {"text": "q"}} for name in ("one", "a", "b")]

    async def test_all_or_none(self, graph: Graph, session: str) -> None:
        await say(graph, "a")
        with graph.untouched():
            wrong = {"messages": [{"externalId": "a"}, {"externalId": "none"}]}
            assert await graph.fails("deleteMessages", wrong) == ("NOT_FOUND", ["messages", "1"])


class TestForking:
    async def test_it_begins_as_the_other_one(self, graph: Graph, session: str) -> None:
        await graph.do("upsertUser", {"externalId": "ann"})
        await graph.do("addParticipant", {**S, "actor": {"externalId": "ann"}, "externalId": "p", "name": "Ann"})
        await graph.do("createMemory", {"text": "tea", "owner": {"externalId": "ann"}, "externalId": "k"})
        await graph.do("updateSession", {**S, "title": "Talk", "contextPatch": {"set": {"a": 1}}})
        await say(graph, "q", role=None, sender={"externalId": "p"}, thread="side")
        used = [{"memory": {"externalId": "k"}, "score": 0.5}]
        at = await say(graph, "one", role="assistant", parent={"externalId": "q"}, memoryRefs=used, thread="side")
        await say(graph, "two", role="assistant", parent={"externalId": "q"}, thread="side")
        await say(graph, "more", thread="side")
        seen = """session { externalId title context messageCount forkedFrom { id } currentBranch { text }
            participants { nodes { name actor { ... on User { externalId } } } }
            messages { nodes { text externalId parent { text } sender { name } thread { name } memoryRefs { score memory { text } } } } }"""
        given = {**S, "at": {"id": at}, "externalId": "f", "idempotencyKey": "k"}
        made = (await graph.do("forkSession", given, seen))["session"]
        assert (made["title"], made["context"], made["messageCount"]) == ("Talk", {"a": 1}, 2)
        assert (made["forkedFrom"], made["currentBranch"]) == ({"id": at}, {"text": "one"})
        assert [one["text"] for one in made["messages"]["nodes"]] == ["q", "one"]
        assert made["messages"]["nodes"][1] == {
            "text": "one", "externalId": None, "parent": {"text": "q"}, "sender": {"name": "assistant"},
            "thread": {"name": "side"}, "memoryRefs": [{"score": 0.5, "memory": {"text": "tea"}}],
        }  # fmt: skip
        assert {"name": "Ann", "actor": {"externalId": "ann"}} in made["participants"]["nodes"]
        assert (await graph.do("forkSession", given, seen))["session"] == made
        await say(graph, "new", session={"externalId": "f"})
        assert await texts(graph, "f") == ["q", "one", "new"]
        assert await texts(graph) == ["q", "one", "two", "more"]
        whole = (await graph.do("forkSession", {**S, "title": "Again"}, seen))["session"]
        assert (whole["title"], [one["text"] for one in whole["messages"]["nodes"]]) == ("Again", ["q", "two", "more"])

    async def test_of_nothing(self, graph: Graph, session: str) -> None:
        made = await graph.do("forkSession", S, "session { messageCount forkedFrom { id } }")
        assert made["session"] == {"messageCount": 0, "forkedFrom": None}

    @pytest.mark.one_family
    async def test_what_cannot_be(self, graph: Graph, session: str) -> None:
        await graph.do("createSession", {"externalId": "t"})
        await say(graph, "x", session={"externalId": "t"})
        for given, refused in (
            ({"session": {"externalId": "none"}}, ("NOT_FOUND", ["session"])),
            ({**S, "at": {"externalId": "x"}}, ("NOT_FOUND", ["at"])),
            ({**S, "at": {"externalId": "none"}}, ("NOT_FOUND", ["at"])),
            ({**S, "externalId": "t"}, ("DUPLICATE", ["externalId"])),
        ):
            with graph.untouched():
                assert await graph.fails("forkSession", given) == refused
