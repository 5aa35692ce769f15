"""Messages and their parts."""

from __future__ import annotations

import pytest

from domain.errors import Rejected
from domain.message import (
    CallSite,
    ContentInput,
    MessageInput,
    TextContent,
    ToolCall,
    ToolCallInput,
    ToolResponse,
    ToolResponseInput,
    contents,
    sender_type,
)
from domain.node import Id
from domain.participant import ROLES, SenderType, identity
from domain.values import NULL, encode_json
from stores.contract.making import message, participant, plain

ARGUMENTS = encode_json({"zone": "UTC"})


@pytest.mark.parametrize(
    ("role", "type"),
    [
        ("user", SenderType.USER),
        ("assistant", SenderType.AGENT),
        ("agent", SenderType.AGENT),
        ("system", SenderType.SYSTEM),
        ("tool", SenderType.TOOL),
    ],
)
def test_role_words_name_sender_types(role: str, type: SenderType) -> None:
    assert sender_type(role) is type


@pytest.mark.parametrize("role", ["", "USER", "bot", "user "])
def test_other_role_words_are_refused_with_those_there_are(role: str) -> None:
    with pytest.raises(Rejected) as refused:
        sender_type(role)
    [error] = refused.value.errors
    assert error.path == ["role"]
    assert all(word in error.message for word in ROLES)


def test_parts_keep_their_order_after_the_text() -> None:
    parts = contents(
        MessageInput(
            text="first",
            content=[
                ContentInput(tool_call=ToolCallInput(call_id="c", tool="clock", arguments=ARGUMENTS)),
                ContentInput(text="second"),
                ContentInput(tool_response=ToolResponseInput(call_id="c")),
                ContentInput(tool_response=ToolResponseInput(call_id="d", result=ARGUMENTS, is_error=True)),
            ],
        )
    )
    assert parts == [
        TextContent("first"),
        ToolCall("c", "clock", ARGUMENTS),
        TextContent("second"),
        ToolResponse("c", NULL, False),
        ToolResponse("d", ARGUMENTS, True),
    ]


def test_an_empty_text_is_a_part_and_nothing_is_none() -> None:
    assert contents(MessageInput(text="")) == [TextContent("")]
    for nothing in (MessageInput(), MessageInput(content=[])):
        with pytest.raises(Rejected) as refused:
            contents(nothing)
        assert refused.value.errors[0].path == ["content"]


def test_a_part_that_is_nothing_is_refused_by_its_index() -> None:
    with pytest.raises(Rejected) as refused:
        contents(MessageInput(content=[ContentInput(text="a"), ContentInput()]))
    assert refused.value.errors[0].path[:2] == ["content", "1"]


def test_the_text_of_a_message_is_its_text_parts() -> None:
    voice = plain(participant(Id("ses_1")))
    call = ToolCall("c", "clock", ARGUMENTS)
    said = plain(message(voice, content=[TextContent("a"), call, TextContent("b")], place=7))
    assert said.text == "a\nb"
    [placed] = said.tool_calls
    assert placed.at == CallSite(Id("ses_1"), said.id, 7, 1)
    assert [type(part) for part in said.placed_content] == [TextContent, ToolCall, TextContent]
    assert plain(message(voice, text="just this")).tool_calls == []


def test_a_participant_is_the_same_by_actor_then_external_id_then_name() -> None:
    assert identity(SenderType.USER, "ada", Id("usr_1"), "x") == identity(SenderType.AGENT, "b", Id("usr_1"), "y")
    assert identity(SenderType.USER, "ada", None, "x") == identity(SenderType.TOOL, "b", None, "x")
    assert identity(SenderType.USER, "ada") != identity(SenderType.AGENT, "ada")
    assert len({identity(SenderType.USER, "x"), identity(SenderType.USER, "a", None, "x")}) == 2
