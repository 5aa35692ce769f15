"""Long values keep their beginning and end."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.conventions.reading import read
from domain.model_call import ModelMessage
from domain.shortening import LEAST, fitted, fitted_json, shortened
from domain.values import decode_json, encode_json

MARK = re.compile(r" … \[([\d,]+) (characters|elements) left out\] … ")


def input_messages(attributes: Any) -> list[ModelMessage]:
    call = read(attributes).call
    return [] if call is None else call.input


@given(st.text(max_size=3_000), st.integers(LEAST, 2_000))
def test_a_text_says_how_much_is_missing(text: str, limit: int) -> None:
    cut = shortened(text, limit)
    assert len(cut) <= limit
    if len(text) <= limit:
        assert cut == text
    else:
        found = list(MARK.finditer(cut))[-1] if "…" not in text else MARK.search(cut, len(cut) // 2 - 40)
        assert found is not None
        assert text.startswith(cut[: found.start()])
        assert text.endswith(cut[found.end() :])
        assert int(found[1].replace(",", "")) == len(text) - found.start() - (len(cut) - found.end())


@given(
    st.dictionaries(
        st.text(max_size=5),
        st.integers(0, 9_000).map(lambda size: "é" * size) | st.lists(st.integers(), max_size=5) | st.none(),
        max_size=8,
    )
)
def test_an_object_fits(members: dict[str, Any]) -> None:
    found = fitted(members, 8_192)
    assert len(bytes(found.value)) <= 8_192
    kept = decode_json(found.value)
    assert sorted([*kept, *found.left_out]) == sorted(members)
    assert all(kept[name] == members[name] for name in kept if name not in found.shortened)


def test_messages_in_json_stay_messages() -> None:
    said = [
        {"role": "user", "parts": [{"type": "text", "content": f"message {n} " + "p" * size + f" end {n}"}]}
        for n, size in enumerate([10, 200_000, 50, 90_000, 300_000])
    ]
    for written in (json.dumps(said), said):
        found = fitted({"gen_ai.input.messages": written, "other": 1}, 100_000)
        assert len(bytes(found.value)) <= 100_000
        assert found.shortened == ["gen_ai.input.messages"]
        read = input_messages(decode_json(found.value))
        assert len(read) == len(said)
        for n, message in enumerate(read):
            assert message.text.startswith(f"message {n} ")
            assert message.text.endswith(f" end {n}")
        assert len(bytes(found.value)) > 60_000, "it uses the room there is"


def test_json_with_half_an_emoji_is_read_too() -> None:
    said = r'[{"role": "user", "parts": [{"type": "text", "content": "cut \ud83d"}]}]'
    assert [message.text for message in input_messages({"gen_ai.input.messages": said})] == ["cut \ufffd"]


def test_what_is_no_text_is_left_out_last() -> None:
    found = fitted({"numbers": list(range(5_000)), "small": 1, "text": "x" * 9_000}, 8_192)
    kept = decode_json(found.value)
    assert kept["small"] == 1
    assert kept["text"].startswith("x")
    assert kept["numbers"][0] == 0
    assert kept["numbers"][-1] == 4_999
    many = {f"key {n}": n for n in range(2_000)}
    found = fitted(many, 8_192)
    assert found.left_out
    assert len(bytes(found.value)) <= 8_192


@pytest.mark.parametrize(
    ("value", "begin", "end"),
    [
        ("first " + "x" * 20_000 + " last", '"first x', 'x last"'),
        ({"first": "x" * 20_000, "last": 1}, '{"first":"xxx', '"last":1}'),
        ([{"row": n} for n in range(3_000)], '[{"row":0},', ',{"row":2999}]'),
        ({f"key {n}": n for n in range(3_000)}, '{"key 0":0,', '"key 2999":2999}'),
        (json.dumps({"rows": list(range(9_000))}), r'"{\"rows\":[0,1,', r'8999]}"'),
        ([list(range(300))] * 20, "[[0,1,", "298,299]]"),
    ],
)
def test_any_json_keeps_its_beginning_and_end(value: Any, begin: str, end: str) -> None:
    found = fitted_json(encode_json(value), 8_192)
    assert found is not None
    text = bytes(found).decode()
    assert 2_000 < len(text.encode()) <= 8_192
    assert text.startswith(begin)
    assert text.endswith(end)
    assert re.search(r"\[[\d,]+ (characters|elements|members) left out\]", text)


def test_a_json_value_that_cannot_be_cut_is_none() -> None:
    assert fitted_json(encode_json({"k" * 9_000: 1}), 8_192) is None
