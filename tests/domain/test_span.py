"""Token usage, and what the spans of a trace come to."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.span import Span, SpanStatusCode, TokenUsage, Trace, milliseconds, summarize, usage_of
from tests.contract.making import NOON, after, plain, span, trace

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
        ({"inputTokens": "3"}, None),
        ({"inputTokens": True}, None),
        ({"inputTokens": None, "other": 1}, None),
        ({}, None),
        ([], None),
        (None, None),
        ("text", None),
    ],
)
def test_usage_is_read_by_its_known_names(attributes: Any, usage: TokenUsage | None) -> None:
    assert usage_of(attributes) == usage


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), lambda inner: st.lists(inner)))
def test_anything_else_has_no_usage(value: Any) -> None:
    assert usage_of(value) is None


@given(counts, counts)
def test_a_total_that_is_not_given_is_the_sum(asked: int | None, said: int | None) -> None:
    attributes = {"inputTokens": asked, "outputTokens": said}
    usage = usage_of(attributes)
    if asked is None and said is None:
        assert usage is None
    else:
        assert usage == TokenUsage(asked, said, (asked or 0) + (said or 0))


spans = st.builds(
    lambda begin, lasts, code, tokens: plain(
        span(
            started_at=after(seconds=begin),
            ended_at=None if lasts is None else after(seconds=begin + lasts),
            status_code=code,
            attributes={} if tokens is None else {"inputTokens": tokens, "costUsd": tokens / 2},
        )
    ),
    st.integers(-100, 100),
    st.none() | st.integers(0, 100),
    st.sampled_from(SpanStatusCode),
    st.none() | st.integers(0, 1_000),
)


@given(st.lists(spans, min_size=1, max_size=8))
def test_a_trace_runs_from_its_first_start_to_its_last_end(made: list[Span]) -> None:
    started, ended, status, usage = summarize(made)
    assert started == min(one.started_at for one in made)
    ends = [one.ended_at for one in made]
    assert ended == (None if None in ends else max(end for end in ends if end))
    codes = {one.status_code for one in made}
    worst = next(code for code in (SpanStatusCode.ERROR, SpanStatusCode.OK, SpanStatusCode.UNSET) if code in codes)
    assert status is worst
    spent = [one.usage for one in made if one.usage]
    assert usage.input_tokens == (sum(one.input_tokens or 0 for one in spent) if spent else None)
    assert usage.cost_usd == (pytest.approx(sum(one.cost_usd or 0 for one in spent)) if spent else None)


def test_how_long_spans_and_traces_take() -> None:
    assert plain(span(ended_at=after(milliseconds=1.5))).duration_ms == 1.5
    assert plain(span()).duration_ms is None
    assert plain(trace(ended_at=after(seconds=2))).duration_ms == 2_000
    assert plain(trace()).duration_ms is None
    assert milliseconds(NOON, after(seconds=-1)) == -1_000
    assert isinstance(plain(trace()), Trace)
