"""Values that many records share."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import ErrorCode, Rejected, UserError, invalid, not_found, reject
from domain.values import MAX_JSON, decode_json, encode_json, has_members, merge, same

floats = st.floats(allow_nan=False, allow_infinity=False)
scalars = st.none() | st.booleans() | st.integers(-(2**64), 2**64) | floats | st.text(max_size=5)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
)
objects = st.dictionaries(st.text(max_size=3), values, max_size=4)


@given(values)
def test_json_keeps_plain_values(value: Any) -> None:
    assert decode_json(encode_json(value)) == value


@given(objects, st.none() | objects, st.none() | st.lists(st.text(max_size=3), max_size=3))
def test_merging_sets_members_then_removes_names(
    base: dict[str, Any], patch: dict[str, Any] | None, remove: list[str] | None
) -> None:
    merged = decode_json(merge(encode_json(base), None if patch is None else encode_json(patch), remove, []))
    expected = {**base, **(patch or {})}
    for name in remove or ():
        expected.pop(name, None)
    assert merged == expected


def test_a_merge_that_grows_too_large_is_refused() -> None:
    half = "x" * (MAX_JSON // 2)
    base = encode_json({"a": half})
    with pytest.raises(Rejected) as refused:
        merge(base, encode_json({"b": half}), None, ["events", 1, "data"])
    assert refused.value.errors[0].path == ["events", "1", "data"]
    assert decode_json(merge(base, encode_json({"a": half}), None, [])) == {"a": half}


@given(values)
def test_a_value_is_the_same_as_itself_in_any_order(value: Any) -> None:
    assert same(value, turned(value))


def turned(value: Any) -> Any:
    """The value with the members of all its objects in another order."""
    if isinstance(value, dict):
        return {name: turned(value[name]) for name in reversed(value)}
    return [turned(one) for one in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    ("a", "b"),
    [(True, 1), (False, 0), (None, False), (1, "1"), ([], {}), ([1], [True]), ({"a": None}, {}), ([1, 2], [2, 1])],
    ids=repr,
)
def test_different_values_are_not_the_same(a: Any, b: Any) -> None:
    assert not same(a, b)
    assert not same(b, a)
    assert not same([a], [b])
    assert not same({"k": a}, {"k": b})


def test_numbers_are_the_same_by_value() -> None:
    assert same(1, 1.0)
    assert same({"k": [2.0]}, {"k": [2]})


@given(objects, objects)
def test_an_object_has_the_members_of_its_parts(base: dict[str, Any], more: dict[str, Any]) -> None:
    whole = bytes(encode_json({**base, **more})).decode()
    assert has_members(whole, bytes(encode_json(more)).decode())
    assert has_members(whole, "{}")
    missing = {**more, "not there": 1}
    assert not has_members(whole, bytes(encode_json(missing)).decode())


def test_a_refusal_tells_code_message_and_path() -> None:
    error = reject(ErrorCode.CONFLICT, "Too late.", ["a", 1])
    assert error.errors == [UserError(ErrorCode.CONFLICT, "Too late.", ["a", "1"])]
    assert str(error) == "Too late."
    assert invalid("Wrong.").errors == [UserError(ErrorCode.INVALID, "Wrong.", [])]
    assert not_found("memory", ["id"]).errors[0].code is ErrorCode.NOT_FOUND


def test_a_refusal_of_a_part_is_one_of_the_whole() -> None:
    error = Rejected([*invalid("One.", ["text"]).errors, *invalid("Two.").errors]).below(["items", 3])
    assert [one.path for one in error.errors] == [["items", "3", "text"], ["items", "3"]]
    assert str(error) == "One.; Two."
