"""Only what a selection shows is read of records, and what is shown is never something that was not read."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from domain.caller import LOCAL
from domain.correction import MessageVersion
from domain.memory import Memory, MemoryType
from domain.message import Message, TextContent, ToolCall
from domain.node import Node
from domain.panel import PanelFormat
from domain.session import SESSION_TYPES
from domain.tally import ZERO
from domain.workflow import Workflow, WorkflowState
from schema.fields import shown_by
from server.graphql.documents import Request
from server.service import Service, open_service
from server.settings import Settings

TOOL = {"toolCall": {"callId": "c", "tool": "t", "arguments": {}}}


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    service = open_service(tmp_path, Settings())
    refs = [{"memory": {"externalId": name}, "score": 0.5} for name in "ab"]
    messages = [{"role": "user", "content": [{"text": "said"}, TOOL], "memoryRefs": refs, "metadata": {"n": 1}}] * 2
    for mutation, type_, given in (
        (
            "createMemories",
            "CreateMemoriesInput",
            {"memories": [{"text": name, "externalId": name, "scope": "GLOBAL"} for name in "ab"]},
        ),
        ("createSession", "CreateSessionInput", {"externalId": "s"}),
        ("addMessages", "AddMessagesInput", {"session": {"externalId": "s"}, "messages": messages}),
    ):
        query = f"mutation($input: {type_}!) {{ {mutation}(input: $input) {{ errors {{ message }} }} }}"
        answer = await ask(service, query, {"input": given})
        assert answer["data"][mutation]["errors"] == []
    yield service
    await service.close()


async def ask(service: Service, query: str, variables: dict[str, Any] | None = None) -> Any:
    return json.loads(await service.executor.execute(Request(query, variables), service.operation(LOCAL)))


@pytest.fixture
def asked(service: Service, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, frozenset[str] | None]]:
    """The fields that the store was asked for, by method."""
    found: list[tuple[str, frozenset[str] | None]] = []
    store: Any = service.engine.workspace(LOCAL.workspace)

    def noting(name: str) -> Any:
        original = getattr(store, name)

        async def noted(*given: Any, **named: Any) -> Any:
            fields = named.get("fields", given[-1] if type(given[-1]) is frozenset else None)
            found.append((name, fields))
            return await original(*given, **named)

        return noted

    for name in ("pages", "memory_refs"):
        monkeypatch.setattr(store, name, noting(name))
    return found


MESSAGES = '{ session(by: {externalId: "s"}) { messages(first: 5) { %s } } }'
REF = "memoryRefs { score memory { %s } }"


@pytest.mark.parametrize(
    ("selection", "fields"),
    [
        ("nodes { id }", {"id"}),
        ("nodes { __typename }", set()),
        ("totalCount", set()),
        ("pageInfo { hasNextPage endCursor }", set()),
        ("nodes { text }", {"content"}),
        ("edges { cursor node { createdAt senderType } }", {"created_at", "sender_type"}),
        ("nodes { toolCalls { tool } }", {"content", "session_id", "id", "place"}),
        ("nodes { content { __typename } }", {"content", "session_id", "id", "place"}),
        ("nodes { sender { name } thread { name } }", {"sender_id", "thread_id"}),
        ("nodes { id } edges { node { metadata } }", {"id", "metadata"}),
        ("nodes { ... on Node { id } ...F } } } } fragment F on Message { parent { text } on: sender { name } }",
         {"id", "parent_id", "sender_id"}),
        ("nodes { warnings }", None),
        ("nodes { onCurrentBranch }", None),
    ],
)  # fmt: skip
async def test_messages(
    service: Service, asked: list[tuple[str, Any]], selection: str, fields: set[str] | None
) -> None:
    query = MESSAGES % selection
    answer = await ask(service, query[:-6] if "fragment" in selection else query)
    assert "errors" not in answer, answer
    assert asked[0] == ("pages", fields)


async def test_memories_that_messages_drew_on(service: Service, asked: list[tuple[str, Any]]) -> None:
    answer = await ask(service, MESSAGES % f"nodes {{ {REF % 'text importance type'} }}")
    [one, _] = answer["data"]["session"]["messages"]["nodes"]
    assert [ref["memory"]["text"] for ref in one["memoryRefs"]] == ["a", "b"]
    assert asked == [("pages", {"id"}), ("memory_refs", {"text", "importance", "type"})]


async def test_two_selections_of_the_same_memories_do_not_mix(service: Service) -> None:
    both = f"nodes {{ x: {REF % 'importance'} y: {REF % 'text tags'} z: {REF % 'text'} }}"
    answer = await ask(service, MESSAGES % both)
    assert "errors" not in answer
    for message in answer["data"]["session"]["messages"]["nodes"]:
        assert [ref["memory"] for ref in message["x"]] == [{"importance": 0.5}] * 2
        assert [ref["memory"]["text"] for ref in message["y"]] == ["a", "b"]
        assert [ref["memory"] for ref in message["z"]] == [{"text": "a"}, {"text": "b"}]


async def test_what_graphql_core_answers_is_read_whole(
    service: Service, asked: list[tuple[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.graphql.compiled.MAX_PLANS", 0)
    monkeypatch.setattr("server.graphql.executor.MAX_PLANS", 0)
    answer = await ask(service, MESSAGES % f"nodes {{ text metadata {REF % 'text tags'} }}")
    assert "errors" not in answer
    assert {fields for _, fields in asked} == {None}


_OWN = {"panel_format": PanelFormat.REVIEW, "workflow": Workflow([WorkflowState("a")], "a")}

FILLED: dict[type[Node], dict[str, Any]] = {
    Message: {
        "content": [TextContent("a"), ToolCall("c", "t", msgspec.Raw(b"{}"))],
        "session_id": "s",
        "id": "m",
        "place": 7,
    },
    Memory: {"type": MemoryType.EPISODIC},
    **{of: {"message_count": 7, "deleted_count": 2, "used": ZERO, **_OWN} for of in SESSION_TYPES.values()},
    MessageVersion: {"content": [TextContent("a")]},
}


def test_properties_are_made_of_what_they_say() -> None:
    """Of a record that has nothing else they are the same."""
    looked = set()
    for record in shown_by():
        for name in dir(record):
            fields = getattr(getattr(getattr(record, name, None), "fget", None), "made_of", None)
            if fields is not None:
                names = record.__struct_fields__  # type: ignore[attr-defined]
                few = {field: FILLED[record][field] if field in fields else msgspec.UNSET for field in names}
                assert getattr(record(**few), name) == getattr(
                    record(**{f: FILLED[record].get(f) for f in names}), name
                )
                looked.add(name)
    assert looked == {
        "text",
        "searched",
        "blobs",
        "tool_calls",
        "placed_content",
        "messages_there",
        "usage",
        "type_name",
        "format",
        "state",
        "states",
    }
