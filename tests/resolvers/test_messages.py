"""Messages: who says what, in which place, and what it hangs on."""

# ruff: noqa: UP031 - the braces in these strings are GraphQL's

from __future__ import annotations

from typing import Any

import pytest

from tests.support.graphql_client import Graph, ids

SESSION = {"session": {"externalId": "s"}}
SENDER = "sender { id name type role actor { ... on User { externalId } ... on Agent { externalId } } }"


@pytest.fixture(autouse=True)
async def session(graph: Graph) -> None:
    await graph.do("createSession", {"externalId": "s"})


async def add(graph: Graph, returning: str = "id", **input: Any) -> Any:
    return (await graph.do("addMessage", {**SESSION, **input}, f"message {{ {returning} }}"))["message"]


async def said(graph: Graph, what: str = "text", arguments: str = "first: 1000") -> Any:
    data = await graph.data('{ session(by: {externalId: "s"}) { messages(%s) { nodes { %s } } } }' % (arguments, what))
    return data["session"]["messages"]["nodes"]


class TestSender:
    @pytest.mark.parametrize(
        ("role", "type"),
        [("user", "USER"), ("assistant", "AGENT"), ("system", "SYSTEM"), ("tool", "TOOL")],
    )
    async def test_a_role_is_a_voice_of_its_own(self, graph: Graph, role: str, type: str) -> None:
        one = await add(graph, f"senderType {SENDER}", role=role, text="a")
        other = await add(graph, SENDER, role=role, text="b")
        assert one["senderType"] == one["sender"]["type"] == type
        assert one["sender"]["name"] == role
        assert one["sender"] == other["sender"]

    async def test_a_name_beside_the_role(self, graph: Graph) -> None:
        senders = [
            (await add(graph, SENDER, role="user", senderName=name, text="x"))["sender"]
            for name in ("Ann", "Bob", "Ann")
        ]
        assert [sender["name"] for sender in senders] == ["Ann", "Bob", "Ann"]
        assert senders[0] == senders[2] != senders[1]

    @pytest.mark.parametrize("order", ["U UB U", "UA U UB U UA", "A U AU A", "UB UB U U UC U"])
    async def test_a_batch_is_said_by_those_who_would_say_it_alone(self, graph: Graph, order: str) -> None:
        names = {"A": "Ann", "B": "Bob", "C": "Cid", "U": "user"}
        messages = [
            {
                "role": "user" if one[0] == "U" else "assistant",
                "text": "x",
                "senderName": names[one[1]] if one[1:] else "",
            }
            for one in order.split()
        ]
        messages = [{name: value for name, value in one.items() if value} for one in messages]
        alone = [(await add(graph, SENDER, **one))["sender"]["name"] for one in messages]
        await graph.do("createSession", {"externalId": "other"})
        input = {"session": {"externalId": "other"}, "messages": messages}
        found = (await graph.do("addMessages", input, f"messages {{ {SENDER} }}"))["messages"]
        assert [one["sender"]["name"] for one in found] == alone

    async def test_the_only_one_of_its_type_needs_no_name(self, graph: Graph) -> None:
        await graph.do("addParticipant", {**SESSION, "type": "AGENT", "actor": {"externalId": "bot"}, "name": "Bot"})
        assert (await add(graph, SENDER, role="assistant", text="x"))["sender"]["name"] == "Bot"

    async def test_one_of_several_is_chosen_by_name(self, graph: Graph) -> None:
        for name in ("Ann", "Bob"):
            await graph.do("addParticipant", {**SESSION, "actor": {"externalId": name.lower()}, "name": name})
        found = (await add(graph, SENDER, role="user", senderName="Bob", text="x"))["sender"]
        assert found["actor"] == {"externalId": "bob"}
        assert (await add(graph, SENDER, role="user", text="x"))["sender"]["name"] == "user", "none is guessed"

    async def test_an_empty_name_is_no_name(self, graph: Graph) -> None:
        batch = [{"role": "user", "senderName": "", "text": text} for text in "ab"]
        done = await graph.do("addMessages", {**SESSION, "messages": batch}, "messages { sender { id name } }")
        assert done["messages"][0] == done["messages"][1]
        assert done["messages"][0]["sender"]["name"] == "user"

    async def test_by_id_external_id_and_actor(self, graph: Graph) -> None:
        user = (await graph.do("upsertUser", {"externalId": "ann"}, "user { id }"))["user"]
        made = await graph.do(
            "addParticipant", {**SESSION, "actor": {"externalId": "ann"}, "externalId": "p"}, "participant { id }"
        )
        for ref in ({"id": made["participant"]["id"]}, {"externalId": "p"}, {"externalId": "ann"}, {"id": user["id"]}):
            assert (await add(graph, SENDER, sender=ref, text="x"))["sender"]["id"] == made["participant"]["id"]

    async def test_nobody_of_this_session(self, graph: Graph) -> None:
        await graph.do("createSession", {"externalId": "other"})
        made = await graph.do("addParticipant", {"session": {"externalId": "other"}, "name": "A"}, "participant { id }")
        for ref in ({"id": made["participant"]["id"]}, {"externalId": "A"}, {"id": "garbage"}):
            assert await graph.fails("addMessage", {**SESSION, "sender": ref, "text": "x"}) == ("NOT_FOUND", ["sender"])

    @pytest.mark.parametrize(
        ("who", "path"),
        [
            ({}, ["role"]),
            ({"role": "User"}, ["role"]),
            ({"role": ""}, ["role"]),
            ({"senderName": "Ann"}, ["role"]),
            ({"role": "user", "sender": {"externalId": "p"}}, ["sender"]),
            ({"role": "user", "senderName": "x" * 1001}, ["senderName"]),
        ],
    )
    async def test_nobody_at_all(self, graph: Graph, who: Any, path: list[str]) -> None:
        assert await graph.fails("addMessage", {**SESSION, **who, "text": "x"}) == ("INVALID", path)
        batch = {**SESSION, "messages": [{"role": "user", "text": "fine"}, {**who, "text": "x"}]}
        assert await graph.fails("addMessages", batch) == ("INVALID", ["messages", "1", *path])


class TestContent:
    PARTS = (
        "text content { __typename ... on TextContent { text } ... on ToolCall { callId tool arguments } ... "
        "on ToolResponse { callId result isError } }"
    )

    async def test_text_comes_before_the_other_parts(self, graph: Graph) -> None:
        call = {"toolCall": {"callId": "c", "tool": "t", "arguments": {"a": [1, 2.0]}}}
        response = {"toolResponse": {"callId": "c", "result": None, "isError": True}}
        made = await add(
            graph, self.PARTS, role="user", text="one", content=[call, {"text": "two"}, response, {"text": ""}]
        )
        assert made["text"] == "one\ntwo\n"
        assert made["content"] == [
            {"__typename": "TextContent", "text": "one"},
            {"__typename": "ToolCall", "callId": "c", "tool": "t", "arguments": {"a": [1, 2.0]}},
            {"__typename": "TextContent", "text": "two"},
            {"__typename": "ToolResponse", "callId": "c", "result": None, "isError": True},
            {"__typename": "TextContent", "text": ""},
        ]

    async def test_an_empty_text_is_a_part(self, graph: Graph) -> None:
        for given in ({"text": ""}, {"content": [{"text": ""}]}):
            made = await add(graph, self.PARTS, role="user", **given)
            assert made == {"text": "", "content": [{"__typename": "TextContent", "text": ""}]}

    @pytest.mark.parametrize("given", [{}, {"content": []}, {"text": None, "content": None}])
    async def test_no_part_at_all(self, graph: Graph, given: Any) -> None:
        assert await graph.fails("addMessage", {**SESSION, "role": "user", **given}) == ("INVALID", ["content"])
        batch = {**SESSION, "messages": [{"role": "user", "text": "x"}] * 2 + [{"role": "user", **given}]}
        assert await graph.fails("addMessages", batch) == ("INVALID", ["messages", "2", "content"])

    @pytest.mark.parametrize(
        "part",
        [{}, {"text": "a", "toolCall": {"callId": "c", "tool": "t", "arguments": 1}}, {"hologram": 1}, {"text": None}, {"text": 5}, "text", None],
    )  # fmt: skip
    async def test_an_unknown_part(self, graph: Graph, part: Any) -> None:
        """It is refused with the variables, or where it is read."""
        query = (
            "mutation ($input: AddMessageInput!) { addMessage(input: $input) { message { id } errors { code path } } }"
        )
        with graph.untouched():
            answer = await graph.ask(query, input={**SESSION, "role": "user", "content": [{"text": "x"}, part]})
        if "errors" in answer:
            assert {error["extensions"]["code"] for error in answer["errors"]} == {"BAD_USER_INPUT"}
        else:
            assert answer["data"]["addMessage"]["errors"] == [{"code": "INVALID", "path": ["content", "1"]}]

    @pytest.mark.parametrize(
        ("change", "path"),
        [
            ({"text": "x" * 100_001}, ["text"]),
            ({"content": [{"text": "x" * 100_001}]}, ["content", "0", "text"]),
            ({"externalId": "x" * 1001}, ["externalId"]),
            ({"thread": "x" * 1001}, ["thread"]),
            ({"thread": ""}, ["thread"]),
            ({"metadata": 5}, ["metadata"]),
            ({"content": [{"toolCall": {"callId": "", "tool": "t", "arguments": 1}}]}, ["content", "0", "toolCall", "callId"]),
            ({"content": [{"toolCall": {"callId": "c", "tool": "t", "arguments": "x" * 262_143}}]}, ["content", "0", "toolCall", "arguments"]),
            ({"content": [{"toolResponse": {"callId": "c", "result": ["x" * 262_143]}}]}, ["content", "0", "toolResponse", "result"]),
            ({"memoryRefs": [{"memory": {"externalId": "m"}, "note": "x" * 1001}]}, ["memoryRefs", "0", "note"]),
        ],
    )  # fmt: skip
    async def test_too_long_or_of_the_wrong_shape(self, graph: Graph, change: Any, path: list[str]) -> None:
        message = {"role": "user", "text": "x", **change}
        assert await graph.fails("addMessage", {**SESSION, **message}) == ("INVALID", path)
        batch = {**SESSION, "messages": [{"role": "user", "text": "fine"}, message]}
        assert await graph.fails("addMessages", batch) == ("INVALID", ["messages", "1", *path])

    async def test_metadata_and_times_are_kept(self, graph: Graph) -> None:
        given = {"metadata": {"a": {"b": [None]}}, "createdAt": "2001-02-03T04:05:06.000007Z", "externalId": "m"}
        assert await add(graph, "metadata createdAt externalId", role="user", text="x", **given) == given


class TestPlace:
    async def test_messages_stand_in_the_order_they_came_in(self, graph: Graph) -> None:
        times = [f"20{99 - i}-01-01T00:00:00Z" for i in range(9)]
        await graph.do(
            "addMessages",
            {**SESSION, "messages": [{"role": "user", "text": str(i), "createdAt": times[i]} for i in range(8)]},
        )
        await add(graph, role="user", text="8", createdAt=times[8])
        assert [node["text"] for node in await said(graph)] == [str(i) for i in range(9)]
        assert [node["text"] for node in await said(graph, arguments="last: 2")] == ["7", "8"]

    async def test_one_bad_of_a_thousand_writes_nothing(self, graph: Graph) -> None:
        batch = [
            {"role": "user", "senderName": f"n{i % 7}", "text": f"t{i}", "externalId": f"m{i}"} for i in range(1000)
        ]
        wrong = [*batch[:999], {**batch[999], "externalId": "m0"}]
        assert await graph.fails("addMessages", {**SESSION, "messages": wrong}) == (
            "DUPLICATE",
            ["messages", "999", "externalId"],
        )
        assert await said(graph) == []
        done = await graph.do("addMessages", {**SESSION, "messages": batch}, "messages { text }")
        assert done["messages"] == await said(graph) == [{"text": f"t{i}"} for i in range(1000)]
        counted = await graph.data(
            '{ session(by: {externalId: "s"}) { messageCount participants { totalCount } messages { totalCount } } }'
        )
        assert counted["session"] == {
            "messageCount": 1000,
            "participants": {"totalCount": 7},
            "messages": {"totalCount": 1000},
        }

    async def test_at_most_a_thousand(self, graph: Graph) -> None:
        batch = {**SESSION, "messages": [{"role": "user", "text": ""}] * 1001}
        assert await graph.fails("addMessages", batch) == ("INVALID", ["messages"])

    async def test_none_is_fine_too(self, graph: Graph) -> None:
        assert (await graph.do("addMessages", {**SESSION, "messages": []}, "messages { id }"))["messages"] == []

    async def test_an_unknown_session(self, graph: Graph) -> None:
        for ref in ({"externalId": "nowhere"}, {"id": "ses_" + "0" * 32}, {"id": "garbage"}, {"id": "msg_" + "0" * 32}):
            assert await graph.fails("addMessage", {"session": ref, "role": "user", "text": "x"}) == (
                "NOT_FOUND",
                ["session"],
            )
            assert await graph.fails("addMessages", {"session": ref, "messages": []}) == ("NOT_FOUND", ["session"])

    async def test_a_taken_external_id(self, graph: Graph) -> None:
        await add(graph, role="user", text="x", externalId="m")
        assert await graph.fails("addMessage", {**SESSION, "role": "user", "text": "x", "externalId": "m"}) == (
            "DUPLICATE",
            ["externalId"],
        )
        await graph.do("createSession", {"externalId": "other"})
        other = {"session": {"externalId": "other"}, "role": "user", "text": "x", "externalId": "m"}
        assert await graph.fails("addMessage", other) == ("DUPLICATE", ["externalId"])


class TestThreads:
    async def test_a_thread_is_made_by_its_first_message(self, graph: Graph) -> None:
        batch = [{"role": "user", "text": str(i), "thread": f"side {i % 2}" if i < 4 else None} for i in range(5)]
        await graph.do("addMessages", {**SESSION, "messages": batch})
        await add(graph, role="user", text="5", thread="side 0")
        data = await graph.data(
            '{ session(by: {externalId: "s"}) { threads { totalCount nodes { name createdAt session { externalId } '
            "messages { totalCount nodes { text thread { name } } } } } } }"
        )
        threads = data["session"]["threads"]
        assert threads["totalCount"] == 2
        assert [(node["name"], [one["text"] for one in node["messages"]["nodes"]]) for node in threads["nodes"]] == [
            ("side 0", ["0", "2", "5"]),
            ("side 1", ["1", "3"]),
        ]
        assert threads["nodes"][0]["session"] == {"externalId": "s"}
        assert (await said(graph, "thread { name }"))[4] == {"thread": None}


class TestReplies:
    async def test_to_a_message_before_it_and_to_one_of_its_own_batch(self, graph: Graph) -> None:
        first = await add(graph, role="user", text="first")
        batch = [
            {"role": "user", "text": "a", "externalId": "a", "parent": {"id": first["id"]}},
            {"role": "user", "text": "b", "parent": {"externalId": "a"}},
            {"role": "user", "text": "c", "parent": {"externalId": "a"}},
        ]
        await graph.do("addMessages", {**SESSION, "messages": batch})
        found = await said(graph, "text parent { text } replies { totalCount nodes { text } }")
        assert [(node["parent"] or {}).get("text") for node in found] == [None, "first", "a", "a"]
        assert [[reply["text"] for reply in node["replies"]["nodes"]] for node in found] == [["a"], ["b", "c"], [], []]

    async def test_not_to_a_later_one(self, graph: Graph) -> None:
        batch = [
            {"role": "user", "text": "a", "parent": {"externalId": "b"}},
            {"role": "user", "text": "b", "externalId": "b"},
        ]
        assert await graph.fails("addMessages", {**SESSION, "messages": batch}) == (
            "NOT_FOUND",
            ["messages", "0", "parent"],
        )

    async def test_not_to_itself(self, graph: Graph) -> None:
        wrong = {**SESSION, "role": "user", "text": "a", "externalId": "a", "parent": {"externalId": "a"}}
        assert await graph.fails("addMessage", wrong) == ("NOT_FOUND", ["parent"])

    async def test_not_to_one_of_another_session(self, graph: Graph) -> None:
        await graph.do("createSession", {"externalId": "other"})
        there = (
            await graph.do(
                "addMessage",
                {"session": {"externalId": "other"}, "role": "user", "text": "x", "externalId": "there"},
                "message { id }",
            )
        )["message"]
        for ref in ({"id": there["id"]}, {"externalId": "there"}, {"externalId": ""}, {"id": "garbage"}):
            assert await graph.fails("addMessage", {**SESSION, "role": "user", "text": "x", "parent": ref}) == (
                "NOT_FOUND",
                ["parent"],
            )


class TestTools:
    async def test_a_call_is_joined_to_the_first_response_that_follows(self, graph: Graph) -> None:
        def call(id: str) -> Any:
            return {"toolCall": {"callId": id, "tool": "add", "arguments": {"id": id}}}

        def response(id: str, result: Any, **more: Any) -> Any:
            return {"toolResponse": {"callId": id, "result": result, **more}}

        batch = [
            {"role": "tool", "content": [response("a", "before")]},
            {"role": "assistant", "content": [call("a"), call("b"), call("never")]},
            {"role": "tool", "content": [response("b", 1), response("a", {"x": 255.0}, isError=True)]},
            {"role": "tool", "content": [response("a", "later")]},
            {"role": "assistant", "content": [call("a"), response("a", "same message")]},
        ]
        await graph.do("addMessages", {**SESSION, "messages": batch})
        joined = "callId tool arguments response { callId result isError }"
        found = await said(graph, "toolCalls { %s } content { ... on ToolCall { %s } }" % (joined, joined))
        calls = found[1]["toolCalls"]
        assert [one["callId"] for one in calls] == ["a", "b", "never"]
        assert calls[0]["response"] == {"callId": "a", "result": {"x": 255.0}, "isError": True}
        assert calls[1]["response"] == {"callId": "b", "result": 1, "isError": False}
        assert calls[2]["response"] is None
        assert [part for part in found[1]["content"] if part] == calls
        assert found[4]["toolCalls"][0]["response"]["result"] == "same message"
        assert found[0]["toolCalls"] == []

    async def test_not_to_one_of_another_session(self, graph: Graph) -> None:
        await add(
            graph,
            role="assistant",
            content=[{"toolCall": {"callId": "a", "tool": "t", "arguments": None if False else 0}}],
        )
        await graph.do("createSession", {"externalId": "other"})
        answer = {
            "session": {"externalId": "other"},
            "role": "tool",
            "content": [{"toolResponse": {"callId": "a", "result": 1}}],
        }
        await graph.do("addMessage", answer)
        assert await said(graph, "toolCalls { response { result } }") == [{"toolCalls": [{"response": None}]}]


class TestMemories:
    async def test_what_a_message_drew_on(self, graph: Graph) -> None:
        memories = [{"text": text, "scope": "GLOBAL", "externalId": text} for text in "abc"]
        await graph.do("createMemories", {"memories": memories})
        refs = [
            {"memory": {"externalId": "b"}, "score": 0.5, "note": "why"},
            {"memory": {"externalId": "a"}},
            {"memory": {"externalId": "b"}, "score": 0.1},
        ]
        made = await add(graph, "memoryRefs { score note memory { text } }", role="user", text="x", memoryRefs=refs)
        assert made["memoryRefs"] == [
            {"score": 0.5, "note": "why", "memory": {"text": "b"}},
            {"score": None, "note": None, "memory": {"text": "a"}},
        ]
        await add(graph, role="user", text="y", memoryRefs=[{"memory": {"externalId": "b"}}])
        data = await graph.data("{ memories { nodes { text referencedBy { totalCount nodes { text } } } } }")
        assert {
            node["text"]: [one["text"] for one in node["referencedBy"]["nodes"]] for node in data["memories"]["nodes"]
        } == {
            "a": ["x"],
            "b": ["y", "x"],
            "c": [],
        }
        used = await graph.data('{ session(by: {externalId: "s"}) { memories { totalCount nodes { text } } } }')
        assert sorted(node["text"] for node in used["session"]["memories"]["nodes"]) == ["a", "b"]

    async def test_a_memory_that_is_not_there(self, graph: Graph) -> None:
        await graph.do("createMemory", {"text": "a", "scope": "GLOBAL", "externalId": "a"})
        refs = [{"memory": {"externalId": "a"}}, {"memory": {"externalId": "nowhere"}}]
        wrong = {"role": "user", "text": "x", "memoryRefs": refs}
        assert await graph.fails("addMessage", {**SESSION, **wrong}) == ("NOT_FOUND", ["memoryRefs", "1", "memory"])
        batch = {**SESSION, "messages": [{"role": "user", "text": "fine"}, wrong]}
        assert await graph.fails("addMessages", batch) == ("NOT_FOUND", ["messages", "1", "memoryRefs", "1", "memory"])

    async def test_what_was_formed_from_a_message(self, graph: Graph) -> None:
        await add(graph, role="user", text="x", externalId="m")
        for text in ("first", "second"):
            await graph.do("createMemory", {"text": text, "scope": "GLOBAL", "sourceMessage": {"externalId": "m"}})
        assert await said(graph, "formedMemories { text source { ... on Message { text } } }") == [
            {"formedMemories": [{"text": text, "source": {"text": "x"}} for text in ("first", "second")]}
        ]

    async def test_events_about_a_message(self, graph: Graph) -> None:
        await add(graph, role="user", text="x", externalId="m")
        events = [
            {"type": "a", "message": {"externalId": "m"}},
            {"type": "b"},
            {"type": "c", "message": {"externalId": "m"}},
        ]
        await graph.do("appendTraceEvents", {**SESSION, "events": events})
        [found] = await said(graph, "trace { totalCount nodes { type message { externalId } } }")
        assert found["trace"] == {
            "totalCount": 2,
            "nodes": [{"type": type, "message": {"externalId": "m"}} for type in "ac"],
        }


class TestFilters:
    @pytest.mark.parametrize(
        ("filter", "found"),
        [
            ({}, "01234"),
            ({"senderTypes": ["AGENT", "TOOL"]}, "13"),
            ({"senderTypes": []}, ""),
            ({"sender": {"externalId": "ann"}}, "04"),
            ({"sender": {"externalId": "p"}}, "04"),
            ({"sender": {"externalId": "nobody"}}, ""),
            ({"thread": "side"}, "24"),
            ({"thread": "none"}, ""),
            ({"text": "TEXT 2"}, "2"),
            ({"text": "no such"}, ""),
            ({"tool": "add"}, "1"),
            ({"tool": "sub"}, ""),
            ({"contentTypes": ["TOOL_CALL", "IMAGE"]}, "1"),
            ({"contentTypes": ["AUDIO"]}, ""),
            ({"contentTypes": []}, ""),
            ({"not": {"contentTypes": ["TOOL_CALL"]}, "senderTypes": ["AGENT"]}, ""),
            ({"createdAt": {"from": "2020-01-02T00:00:00Z", "until": "2020-01-04T00:00:00Z"}}, "12"),
            ({"metadata": {"n": 3}}, "3"),
            ({"metadata": {"n": 3.0}}, "3"),
            ({"text": "text", "thread": "side", "senderTypes": ["USER"]}, "4"),
        ],
    )
    async def test_each(self, graph: Graph, filter: Any, found: str) -> None:
        await graph.do("addParticipant", {**SESSION, "actor": {"externalId": "ann"}, "externalId": "p"})
        who: list[dict[str, Any]] = [
            {"sender": {"externalId": "p"}},
            {"role": "assistant"},
            {"role": "system"},
            {"role": "tool"},
            {"sender": {"externalId": "p"}},
        ]
        batch: list[dict[str, Any]] = [
            {
                **who[i],
                "text": f"text {i}",
                "thread": "side" if i in (2, 4) else None,
                "metadata": {"n": i},
                "createdAt": f"2020-01-0{i + 1}T00:00:00Z",
            }
            for i in range(5)
        ]
        batch[1]["content"] = [{"toolCall": {"callId": "c", "tool": "add", "arguments": {"tool": "sub"}}}]
        await graph.do("addMessages", {**SESSION, "messages": batch})
        query = (
            'query ($f: MessageFilter) { session(by: {externalId: "s"}) { messages(filter: $f) { totalCount '
            "nodes { text } } } }"
        )
        data = (await graph.data(query, f=filter))["session"]["messages"]
        assert [node["text"] for node in data["nodes"]] == [f"text {i}" for i in found]
        assert data["totalCount"] == len(found)

    async def test_text_is_looked_for_in_texts_only(self, graph: Graph) -> None:
        await add(
            graph,
            role="assistant",
            content=[{"toolCall": {"callId": "needle", "tool": "needle", "arguments": "needle"}}],
        )
        assert await said(graph, arguments='filter: {text: "needle"}') == []


async def test_ids_grow_with_the_place(graph: Graph) -> None:
    for i in range(3):
        await graph.do("addMessages", {**SESSION, "messages": [{"role": "user", "text": f"{i}{j}"} for j in range(3)]})
    found = await said(graph, "id")
    assert ids(found) == sorted(ids(found))
