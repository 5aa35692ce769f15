"""ChatGPT exports: trees of nodes become messages."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats import chatgpt
from formats.conversation import Conversation, FormatError, parse

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def said(role: str, *parts: Any, **more: Any) -> dict[str, Any]:
    """A message of a node."""
    content = {"content_type": "text", "parts": list(parts)}
    return {"author": {"role": role, "name": None, "metadata": {}}, "create_time": None, "content": content, **more}


def node(parent: str | None, message: dict[str, Any] | None, *children: str) -> dict[str, Any]:
    """A node of a mapping."""
    return {"parent": parent, "message": message, "children": list(children)}


def conversation(mapping: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A conversation of an export."""
    return {"conversation_id": "c1", "title": "Bread", "create_time": 1700000000.5, "mapping": mapping, **more}


def only(mapping: dict[str, Any], **more: Any) -> Conversation:
    """The one conversation of a mapping."""
    (found,) = chatgpt.conversations([conversation(mapping, **more)], "conversations.json")
    return found


def texts(found: Conversation) -> list[list[str | None]]:
    """The text parts of each message."""
    return [[part.text for part in message.content or ()] for message in found.messages]


def about(message: Any) -> Any:
    """The metadata of a message or session."""
    return msgspec.json.decode(message.metadata)


def refused(value: Any) -> str:
    """Why a file is refused."""
    with pytest.raises(FormatError) as error:
        chatgpt.conversations(value if isinstance(value, list) else [value], "f")
    return str(error.value)


def test_a_conversation_is_known_by_its_id_and_keeps_title_time_and_the_rest() -> None:
    session = only({}, id="other", gizmo_id="g-1", safe_urls=[], current_node="x").session
    assert (session.external_id, session.title) == ("chatgpt:c1", "Bread")
    assert session.created_at == datetime(2023, 11, 14, 22, 13, 20, 500000, UTC)
    assert about(session)["gizmo_id"] == "g-1"
    assert about(session)["imported_from"] == {"format": "chatgpt", "file": "conversations.json"}


def test_nodes_without_a_message_are_left_out_and_parents_reach_over_them() -> None:
    found = only(
        {
            "root": node(None, None, "sys"),
            "sys": node("root", said("system", ""), "gap"),
            "gap": node("sys", None, "ask"),
            "ask": node("gap", said("user", "Rye?")),
        }
    )
    assert [message.external_id for message in found.messages] == ["chatgpt:c1:sys", "chatgpt:c1:ask"]
    assert [message.parent and message.parent.external_id for message in found.messages] == [None, "chatgpt:c1:sys"]
    assert texts(found) == [[""], ["Rye?"]]


def test_branches_stay_branches_whatever_the_order_of_the_mapping() -> None:
    found = only(
        {
            "b2": node("a", said("assistant", "No", create_time=30)),
            "b1": node("a", said("assistant", "Yes", create_time=20)),
            "a": node(None, said("user", "Knead?", create_time=10), "b1", "b2"),
        }
    )
    assert texts(found) == [["Knead?"], ["Yes"], ["No"]]
    parents = [message.parent and message.parent.external_id for message in found.messages]
    assert parents == [None, "chatgpt:c1:a", "chatgpt:c1:a"]


def test_children_tell_the_parent_where_the_node_does_not() -> None:
    found = only({"a": node(None, said("user", "1"), "b"), "b": {"message": said("user", "2"), "children": []}})
    assert found.messages[1].parent is not None
    assert found.messages[1].parent.external_id == "chatgpt:c1:a"


def test_a_parent_that_is_not_in_the_file_makes_a_root() -> None:
    assert only({"a": node("elsewhere", said("user", "1"))}).messages[0].parent is None


def test_parents_in_a_circle_are_refused() -> None:
    mapping = {"a": node("b", said("user", "1")), "b": node("a", said("user", "2"))}
    assert refused([conversation(mapping)]) == 'conversation 1 ("Bread"), node a: its parents form a circle'


def test_times_are_kept_to_the_microsecond_and_come_from_above_where_missing() -> None:
    mapping = {
        "a": node(None, said("user", "1", create_time=1700000001.123456)),
        "b": node("a", said("user", "2")),
        "c": node(None, said("system", "")),
    }
    times = {message.external_id: message.created_at for message in only(mapping).messages}
    assert times["chatgpt:c1:a"] == times["chatgpt:c1:b"] == datetime(2023, 11, 14, 22, 13, 21, 123456, UTC)
    assert times["chatgpt:c1:c"] == datetime(2023, 11, 14, 22, 13, 20, 500000, UTC)


def test_a_session_without_a_time_begins_with_its_first_message() -> None:
    assert only({"a": node(None, said("user", "1", create_time=60))}, create_time=None).session.created_at == datetime(
        1970, 1, 1, 0, 1, tzinfo=UTC
    )


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"content_type": "text", "parts": ["a", "b"]}, ["a", "b"]),
        ({"content_type": "text", "parts": []}, [""]),
        ({"content_type": "code", "language": "python", "text": "1 + 1"}, ["1 + 1"]),
        ({"content_type": "execution_output", "text": "2\n"}, ["2\n"]),
        ({"content_type": "tether_quote", "url": "u", "title": "t", "text": "quoted"}, ["quoted"]),
        ({"content_type": "tether_browsing_display", "result": "r", "summary": None}, [""]),
        ({"content_type": "thoughts", "thoughts": [{"summary": "s", "content": "c"}]}, [""]),
        ({"content_type": "reasoning_recap", "content": "Thought for 3 s"}, [""]),
        ({"content_type": "user_editable_context", "user_profile": "p"}, [""]),
        (
            {"content_type": "multimodal_text", "parts": [{"content_type": "audio_transcription", "text": "hey"}]},
            ["hey"],
        ),
    ],
)
def test_the_text_of_each_content_type(content: dict[str, Any], expected: list[str]) -> None:
    assert texts(only({"a": node(None, said("user", content=content))})) == [expected]


def test_what_has_no_words_is_kept_as_metadata() -> None:
    picture = {"content_type": "image_asset_pointer", "asset_pointer": "sediment://file_1", "fovea": None}
    shown = {"content_type": "multimodal_text", "parts": [picture, "Proofed?"]}
    odd = {"content_type": "new_thing", "payload": [1, None]}
    found = only(
        {
            "a": node(None, said("user", content=shown)),
            "b": node("a", said("assistant", content=odd)),
        }
    )
    assert texts(found) == [["Proofed?"], [""]]
    assert about(found.messages[0])["content"] == {"parts": [picture]}
    assert about(found.messages[1])["content"] == {"payload": [1, None]}
    assert about(found.messages[1])["content_type"] == "new_thing"


def test_model_recipient_status_weight_and_hidden_marks_are_kept() -> None:
    message = said(
        "assistant", "x", recipient="python", status="finished", weight=0.0, end_turn=False,
        metadata={"model_slug": "m-1", "is_visually_hidden_from_conversation": True, "citations": []},
    )  # fmt: skip
    assert about(only({"a": node(None, message)}).messages[0]) == {
        "content_type": "text",
        "model_slug": "m-1",
        "recipient": "python",
        "status": "finished",
        "weight": 0.0,
        "end_turn": False,
        "metadata": {"is_visually_hidden_from_conversation": True},
    }


def test_large_members_that_mean_nothing_to_us_are_only_named() -> None:
    message = said("assistant", "x", metadata={"finish": "stop", "results": "r" * 70_000})
    assert about(only({"a": node(None, message)}).messages[0])["metadata"] == {
        "finish": "stop",
        "left_out": ["results"],
    }


def test_a_tool_speaks_under_its_name() -> None:
    tool = said("tool", "42")
    tool["author"]["name"] = "python"
    found = only({"a": node(None, tool), "b": node("a", said("developer", "Be brief."))})
    assert [(message.role, message.sender_name) for message in found.messages] == [
        ("tool", "python"),
        ("system", "system"),
    ]
    assert about(found.messages[1])["role"] == "developer"


def test_a_long_title_is_cut() -> None:
    assert len(only({}, title="t" * 2_000).session.title or "") == 1_000


def test_a_single_conversation_is_read_too() -> None:
    assert chatgpt.recognizes(conversation({}))
    assert len(chatgpt.conversations([conversation({})], "f")) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"author": {}}, "node a: author.role is missing"),
        ({"author": "user"}, "node a: author must be an object, not a text"),
        ({"author": {"role": "poet"}}, "node a: author.role is 'poet'; expected one of"),
        ({"content": None}, "node a: content must be an object, not null"),
        ({"content": {"parts": []}}, "node a: content.content_type is missing"),
        ({"content": {"content_type": "text"}}, "node a: content.parts is missing"),
        ({"content": {"content_type": "text", "parts": "x"}}, "node a: content.parts must be a list, not a text"),
        ({"content": {"content_type": "text", "parts": [1]}}, "node a: content.parts must hold texts and objects"),
        ({"content": {"content_type": "code", "text": 1}}, "node a: content.text must be a text, not a number"),
        ({"create_time": "yesterday"}, "node a: create_time is not a time"),
        ({"create_time": 1e300}, "node a: create_time is not a time"),
        ({"metadata": []}, "node a: metadata must be an object, not a list"),
    ],
)
def test_a_message_of_the_wrong_shape_says_where_it_is(change: dict[str, Any], message: str) -> None:
    good = conversation({"a": node(None, said("user", "1"))})
    bad = conversation({"a": node(None, {**said("user", "1"), **change})})
    assert refused([good, bad]).startswith(f'conversation 2 ("Bread"), {message}')


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([3], "conversation 1: it must be an object, not a number"),
        ([{"title": "T", "mapping": {}}], 'conversation 1 ("T"): id is missing'),
        ([{"id": "", "mapping": {}}], "conversation 1: id must have 1 to 500 characters"),
        ([{"id": "a"}], "conversation 1: mapping is missing"),
        ([conversation({"n": []})], 'conversation 1 ("Bread"), node n: it must be an object, not a list'),
        ([conversation({"n": {"parent": 1}})], 'conversation 1 ("Bread"), node n: parent must be a text, not a number'),
        ("x", "conversation 1: it must be an object, not a text"),
    ],
)
def test_a_conversation_of_the_wrong_shape_says_where_it_is(value: Any, message: str) -> None:
    assert refused(value) == message


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the file is empty"),
        (b" \n", "the file is empty"),
        (b'[\n {"id": "a",', "line 2, column 13: not JSON: Expecting property name enclosed in double quotes"),
        (b"[NaN]", "not JSON: NaN is not a JSON value"),
        (b"[" * 100_000, "the JSON is nested too deeply"),
    ],
)
def test_what_is_no_json_says_where(data: bytes, message: str) -> None:
    with pytest.raises(FormatError) as error:
        parse(data)
    assert str(error.value).startswith(message)


def test_half_a_surrogate_pair_does_not_stop_a_file() -> None:
    assert parse(b'["cut \\ud83d"]') == ["cut \ufffd"]
    assert parse(b'["\xff"]') == ["\ufffd"]
    assert parse("\ufeff[1]".encode()) == [1]


@given(st.data())
def test_parents_come_before_their_children(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 12))
    parents = [data.draw(st.none() | st.integers(0, place - 1)) if place else None for place in range(size)]
    times = data.draw(st.lists(st.none() | st.integers(0, 5), min_size=size, max_size=size))
    silent = data.draw(st.lists(st.booleans(), min_size=size, max_size=size))
    order = data.draw(st.permutations(range(size)))
    mapping = {
        f"n{place}": node(
            None if parents[place] is None else f"n{parents[place]}",
            None if silent[place] else said("user", str(place), create_time=times[place]),
        )
        for place in order
    }
    found = only(mapping)
    assert sorted(text for parts in texts(found) for text in parts if text) == sorted(
        str(place) for place in range(size) if not silent[place]
    )
    seen: set[str | None] = {None}
    for message in found.messages:
        assert (message.parent and message.parent.external_id) in seen
        seen.add(message.external_id)


@given(JSON)
def test_any_json_is_read_or_refused(value: Any) -> None:
    spoiled = ({"a": value}, {"a": {"message": value}}, {"a": {"message": {**said("user"), "content": value}}})
    for file in ([value], *([conversation(mapping)] for mapping in spoiled)):
        try:
            chatgpt.conversations(file, "f")
        except FormatError as error:
            assert len(str(error).splitlines()) == 1
