"""Token usage, and what the spans of a trace come to."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.conventions.reading import read
from domain.span import TokenUsage, Trace, milliseconds
from stores.contract.making import NOON, after, plain, span, trace


def usage_of(attributes: dict[str, Any]) -> TokenUsage | None:
    usage = read(attributes).usage
    return None if usage == TokenUsage() else usage


counts = st.none() | st.integers(0, 10**9)


@pytest.mark.parametrize(
    ("attributes", "usage"),
    [
        ({"gen_ai.usage.input_tokens": 3, "gen_ai.usage.output_tokens": 4}, TokenUsage(3, 4, 7)),
        ({"gen_ai.usage.prompt_tokens": 3, "gen_ai.usage.completion_tokens": 4}, TokenUsage(3, 4, 7)),
        ({"llm.token_count.prompt": 3, "llm.token_count.total": 9, "llm.cost.total": 0.5}, TokenUsage(3, None, 9, 0.5)),
        ({"inputTokens": 3, "costUsd": 1}, TokenUsage(3, None, 3, 1)),
        ({"gen_ai.usage.input_tokens": 1, "inputTokens": 9}, TokenUsage(1, None, 1)),
        ({"totalTokens": 5.0}, TokenUsage(None, None, 5)),
        ({"inputTokens": "3"}, TokenUsage(3, None, 3)),
        ({"inputTokens": "three"}, None),
        ({"inputTokens": True}, None),
        ({"inputTokens": None, "other": 1}, None),
        ({}, None),
    ],
)
def test_usage_is_read_by_its_known_names(attributes: Any, usage: TokenUsage | None) -> None:
    assert usage_of(attributes) == usage


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), lambda inner: st.lists(inner)))
def test_anything_else_has_no_usage(value: Any) -> None:
    assert isinstance(value, float) or usage_of({"gen_ai.usage.input_tokens": value}) is None


@given(counts, counts)
def test_a_total_that_is_not_given_is_the_sum(asked: int | None, said: int | None) -> None:
    attributes = {"inputTokens": asked, "outputTokens": said}
    usage = usage_of(attributes)
    if asked is None and said is None:
        assert usage is None
    else:
        assert usage == TokenUsage(asked, said, (asked or 0) + (said or 0))


def test_how_long_spans_and_traces_take() -> None:
    assert plain(span(ended_at=after(milliseconds=1.5))).duration_ms == 1.5
    assert plain(span()).duration_ms is None
    assert plain(trace(ended_at=after(seconds=2))).duration_ms == 2_000
    assert plain(trace()).duration_ms is None
    assert milliseconds(NOON, after(seconds=-1)) == -1_000
    assert isinstance(plain(trace()), Trace)


@pytest.mark.parametrize(
    ("told", "count"),
    [
        ("10", 10),
        (" 7 ", 7),
        ("1e3", 1000),
        ("3.0", 3),
        ("ten", None),
        ("", None),
        ("1_0", None),
        ("0x10", None),
        ("9" * 30, None),
    ],
)
def test_usage_may_be_told_as_text(told: str, count: int | None) -> None:
    usage = usage_of({"gen_ai.usage.input_tokens": told})
    assert (usage and usage.input_tokens) == count
