"""Messages of chat completions: lists of them, and runs that hold them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given

from formats import openai_messages
from formats.conversation import Conversation, FormatError
from tests.formats.test_chatgpt import JSON, about, texts

ASK: dict[str, Any] = {"role": "user", "content": "Where is\nmy   parcel?"}
CALL: dict[str, Any] = {
    "role": "assistant",
    "content": None,
    "tool_calls": [{"id": "c9", "type": "function", "function": {"name": "track", "arguments": '{"n": 1.0}'}}],
}
RESULT: dict[str, Any] = {"role": "tool", "tool_call_id": "c9", "content": "255.0"}


def read(value: Any) -> list[Conversation]:
    """The runs of a file."""
    return list(openai_messages.conversations(value if isinstance(value, list) else [value], "runs.json"))


def refused(value: Any) -> str:
    """Why a file is refused."""
    with pytest.raises(FormatError) as error:
        read(value)
    return str(error.value)


def test_one_list_is_one_run() -> None:
    (run,) = read([ASK, CALL, RESULT])
    assert [message.role for message in run.messages] == ["user", "assistant", "tool"]
    assert run.session.title == "Where is my parcel?"
    assert texts(run) == [[ASK["content"]], ["", None], ["255.0", None]]


def test_lists_of_lists_and_of_objects_are_runs() -> None:
    runs = read([[ASK], {"messages": [ASK, CALL]}, {"traj": [RESULT]}])
    assert [len(run.messages) for run in runs] == [1, 2, 1]
    assert len(read({"messages": [ASK]})) == 1


def test_a_call_and_its_result() -> None:
    (run,) = read([CALL, RESULT])
    call, response = run.messages[0].content or [], run.messages[1].content or []
    assert call[1].tool_call is not None and response[1].tool_response is not None
    assert (call[1].tool_call.call_id, call[1].tool_call.tool) == ("c9", "track")
    assert bytes(call[1].tool_call.arguments) == b'{"n": 1.0}'
    assert response[1].tool_response.call_id == "c9"
    assert msgspec.json.decode(response[1].tool_response.result) == "255.0"
    assert run.messages[1].sender_name == "track"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ('{"a": [1]}', {"a": [1]}),
        ("", ""),
        ('{"a": ', '{"a": '),
        ("null", "null"),
        ({"a": 1}, {"a": 1}),
        (None, {}),
    ],
)
def test_arguments_are_json_or_stay_a_text(given: Any, expected: Any) -> None:
    call = {"id": "c", "function": {"name": "f", "arguments": given}}
    (run,) = read([{"role": "assistant", "tool_calls": [call]}])
    made = (run.messages[0].content or [])[1].tool_call
    assert made is not None
    assert msgspec.json.decode(made.arguments) == expected


def test_the_older_form_of_a_call_is_joined_by_the_functions_name() -> None:
    called = {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}}
    (run,) = read([called, {"role": "function", "name": "f", "content": "done"}])
    call, response = (run.messages[0].content or [])[1].tool_call, (run.messages[1].content or [])[1].tool_response
    assert call is not None and response is not None
    assert call.call_id == response.call_id
    assert (run.messages[1].role, about(run.messages[1])) == ("tool", {"role": "function"})


def test_a_result_of_nothing_is_an_empty_text() -> None:
    (run,) = read([CALL, {"role": "tool", "tool_call_id": "c9", "content": None}])
    response = (run.messages[1].content or [])[1].tool_response
    assert response is not None
    assert msgspec.json.decode(response.result) == ""


def test_parts_that_are_no_text_are_kept_as_metadata() -> None:
    picture = {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}
    heavy = {"type": "input_audio", "input_audio": {"data": "A" * 100_000}}
    content = [{"type": "text", "text": "Look"}, picture, {"type": "text", "text": "here"}, heavy]
    (run,) = read([{"role": "user", "content": content, "logprobs": None, "tokens": 7}])
    assert texts(run) == [["Look", "here"]]
    light = {"type": "input_audio", "left_out": ["input_audio", "type"]}
    assert about(run.messages[0]) == {"tokens": 7, "content": [picture, light]}


def test_a_developer_is_a_system_that_says_so() -> None:
    (run,) = read([{"role": "developer", "content": "Be brief."}, ASK])
    assert (run.messages[0].role, about(run.messages[0])) == ("system", {"role": "developer"})
    assert run.messages[1].metadata is None


def test_names_are_the_senders() -> None:
    (run,) = read([{"role": "user", "name": "ada", "content": "1"}, {"role": "user", "content": "2"}])
    assert [message.sender_name for message in run.messages] == ["ada", "user"]


@pytest.mark.parametrize(
    ("given", "role"), [("human", "user"), ("ai", "assistant"), ("model", "assistant"), ("exit", "system")]
)
def test_a_role_of_another_name_is_kept(given: str, role: str) -> None:
    (run,) = read([{"role": given, "content": "x"}])
    assert (run.messages[0].role, about(run.messages[0])) == (role, {"role": given})


RAIN = {"celsius": 9, "rain": True}
FAILED = "No such city."
ANTHROPIC = [
    {"role": "assistant", "content": [
        {"type": "thinking", "thinking": "Which?"}, {"type": "text", "text": "I look."},
        {"type": "tool_use", "id": "c1", "name": "weather", "input": {"city": "Lyon"}},
        {"type": "tool_use", "id": "c2", "name": "weather", "input": {"city": "Lyno"}}]},
    {"role": "user", "content": [
        {"type": "tool_result", "tool_use_id": "c1", "content": [RAIN]},
        {"type": "tool_result", "tool_use_id": "c2", "content": [{"type": "text", "text": FAILED}], "is_error": True}]},
]  # fmt: skip
SENT = [
    {"role": "assistant", "content": [
        {"type": "reasoning", "text": "Which?"}, {"type": "text", "text": "I look."},
        {"type": "tool-call", "toolCallId": "c1", "toolName": "weather", "input": {"city": "Lyon"}},
        {"type": "tool-call", "toolCallId": "c2", "toolName": "weather", "input": {"city": "Lyno"}}]},
    {"role": "tool", "content": [
        {"type": "tool-result", "toolCallId": "c1", "output": {"type": "json", "value": [RAIN]}},
        {"type": "tool-result", "toolCallId": "c2", "output": {"type": "error-text", "value": FAILED}}]},
]  # fmt: skip
SHOWN = [
    {"role": "assistant", "parts": [
        {"type": "reasoning", "text": "Which?"}, {"type": "text", "text": "I look."},
        {"type": "tool-weather", "toolCallId": "c1", "state": "output-available", "input": {"city": "Lyon"}, "output": [RAIN]},
        {"type": "dynamic-tool", "toolName": "weather", "toolCallId": "c2", "input": {"city": "Lyno"}, "errorText": FAILED}]},
]  # fmt: skip
OLDER = [
    {"role": "assistant", "content": "I look.", "parts": [
        {"type": "reasoning", "text": "Which?"},
        {"type": "tool-invocation", "toolInvocation": {
            "toolCallId": "c1", "toolName": "weather", "args": {"city": "Lyon"}, "result": [RAIN]}},
        {"type": "tool-invocation", "toolInvocation": {
            "toolCallId": "c2", "toolName": "weather", "args": {"city": "Lyno"}, "errorText": FAILED}}]},
]  # fmt: skip


@pytest.mark.parametrize("given", [ANTHROPIC, SENT, SHOWN, OLDER], ids=["Anthropic", "sent", "shown", "older"])
def test_calls_and_results_among_the_parts(given: list[Any]) -> None:
    (run,) = read(given)
    said = [part for message in run.messages for part in message.content or []]
    assert [part.text for part in said if part.text is not None] == ["I look."]
    calls = [part.tool_call for part in said if part.tool_call is not None]
    assert [(one.call_id, one.tool, msgspec.json.decode(one.arguments)) for one in calls] == [
        ("c1", "weather", {"city": "Lyon"}),
        ("c2", "weather", {"city": "Lyno"}),
    ]
    results = [part.tool_response for part in said if part.tool_response is not None]
    assert [(one.call_id, msgspec.json.decode(one.result), one.is_error) for one in results] == [
        ("c1", [RAIN], False),
        ("c2", FAILED, True),
    ]
    (kept,) = about(run.messages[0])["content"]
    assert "Which?" in kept.values()
    assert [(one.role, one.sender_name) for one in run.messages[1:]] == [("tool", "weather")] * (len(given) - 1)


@pytest.mark.parametrize(
    "kind", ["tool_use", "tool_result", "tool-call", "tool-result", "tool-x", "tool-invocation", 7]
)
def test_parts_that_name_no_call_are_kept_as_metadata(kind: Any) -> None:
    (run,) = read([{"role": "user", "content": [{"type": kind, "id": "", "x": 1}]}])
    assert texts(run) == [[""]]
    assert about(run.messages[0]) == {"content": [{"type": kind, "id": "", "x": 1}]}


def test_messages_that_differ_in_their_parts_alone_are_two() -> None:
    one, other = ({"role": "user", "parts": [{"type": "text", "text": text}]} for text in "ab")
    (run,) = read([{"id": "s", "messages": [one]}, {"sessionId": "t", "id": "s", "messages": [other]}])
    assert texts(run) == [["a"], ["b"]]
    assert run.session.title == "a"


@pytest.mark.parametrize("name", ["timestamp", "ts", "createdAt"])
def test_times_may_be_in_milliseconds(name: str) -> None:
    (run,) = read([{**ASK, name: 1788000000500}])
    assert run.messages[0].created_at is not None
    assert run.messages[0].created_at.timestamp() == 1788000000.5


def test_a_run_without_an_id_is_known_by_its_messages_only() -> None:
    first, second = read([{"task_id": 1, "trial": 0, "traj": [ASK]}, {"task_id": 1, "trial": 0, "traj": [ASK, CALL]}])
    (again,) = read([{"task_id": 9, "reward": 0.5, "messages": [dict(reversed(ASK.items()))]}])
    assert first.key != second.key
    assert first.key == again.key
    assert [message.external_id for message in first.messages] == [message.external_id for message in again.messages]
    assert about(first.session) == {
        "imported_from": {"format": "openai-messages", "file": "runs.json"},
        "task_id": 1,
        "trial": 0,
    }


def test_the_same_run_twice_is_one_session() -> None:
    assert len(read([[ASK], [ASK]])) == 1


def test_a_run_is_known_by_an_id_of_its_own_if_that_is_a_text() -> None:
    assert read([{"run_id": "r7", "messages": [ASK]}])[0].key == "openai:r7"
    assert read([{"id": 7, "messages": [ASK]}])[0].key.startswith("openai:sha256:")


def test_a_log_that_repeats_what_was_said_is_one_session_and_nothing_is_lost() -> None:
    other = {"role": "user", "content": "Never mind."}
    (run,) = read([{"session_id": "s", "messages": given} for given in ([ASK], [ASK, CALL, RESULT], [ASK, other])])
    assert texts(run) == [[ASK["content"]], ["", None], ["255.0", None], ["Never mind."]]
    assert run.messages[3].parent == run.messages[1].parent


def test_title_and_time_of_a_run() -> None:
    (run,) = read([{"title": "Parcels", "created": 60, "messages": [ASK]}])
    assert run.session.title == "Parcels"
    assert run.session.created_at is not None
    assert run.session.created_at.timestamp() == 60
    (vague,) = read([{"created_at": "lately", "timestamp": "1970-01-01T00:02:00Z", "messages": [ASK]}])
    assert vague.session.created_at is not None
    assert vague.session.created_at.timestamp() == 120
    (long,) = read([[{"role": "user", "content": "w" * 200}]])
    assert long.session.title == "w" * 79 + "…"
    assert read([[]])[0].session.title == ""


def test_the_rest_of_a_run_is_kept_as_far_as_it_is_small() -> None:
    (run,) = read([{"messages": [ASK], "info": {"cost": 0.5}, "dump": "d" * 70_000}])
    assert about(run.session)["info"] == {"cost": 0.5}
    assert about(run.session)["left_out"] == ["dump"]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([[ASK], [ASK, 5]], "run 2, message 2: it must be an object, not a number"),
        ([[ASK], 5], "run 2: it must be an object, not a number"),
        ([[ASK], {"task_id": 3}], "run 2: messages is missing"),
        ([{"messages": "x"}], "run 1: messages must be a list, not a text"),
        ([ASK, {"content": "x"}], "message 2: role is missing"),
        ([ASK, {"role": 5, "content": "x"}], "message 2: role must be a text, not a number"),
        ([ASK, {"role": "user", "content": 5}], "message 2: content must be a list, not a number"),
        ([ASK, {"role": "user", "content": [5]}], "message 2: a part of content must be an object, not a number"),
        ([ASK, {"role": "user", "content": [{"type": "text"}]}], "message 2: text is missing"),
        ([ASK, {"role": "tool", "content": "x"}], "message 2: tool_call_id is missing"),
        ([{**CALL, "tool_calls": [{"id": "c"}]}], "message 1: tool_calls[0].function is missing"),
        ([{**CALL, "tool_calls": [{"function": {}}]}], "message 1: tool_calls[0].id is missing"),
        ([{**CALL, "tool_calls": [{"id": "c", "function": {}}]}], "message 1: tool_calls[0].function.name is missing"),
        ([{**CALL, "tool_calls": {}}], "message 1: tool_calls must be a list, not an object"),
        (5, "run 1: it must be an object, not a number"),
    ],
)
def test_a_wrong_shape_says_where_it_is(value: Any, message: str) -> None:
    assert refused(value).startswith(message)


@given(JSON)
def test_any_json_is_read_or_refused(value: Any) -> None:
    spoiled = ([ASK, value], [{"messages": [value]}], [{**ASK, "content": value}], [{**CALL, "tool_calls": value}])
    for file in (value, *spoiled):
        try:
            read(file)
        except FormatError as error:
            assert len(str(error).splitlines()) == 1
