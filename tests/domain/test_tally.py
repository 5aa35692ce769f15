"""What traces add up to: kept span by span, and beside it computed from all spans at once."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import astuple

from domain.node import Id, Node
from domain.span import Span, SpanStatusCode, TokenUsage
from domain.tally import TOP, Tallies, Tally
from stores.contract.making import after, plain, span

_ids = count(1)


def new_id(kind: type[Node]) -> Id:
    return kind.make_id(next(_ids))


class Kept:
    """A store of tallies that is written as engines do it."""

    def __init__(self) -> None:
        self.stored: dict[tuple[str, str], Tally] = {}

    def put(self, *spans: Span) -> set[tuple[str, str]]:
        """What was written."""
        wanted = {(one.trace_id, id or TOP) for one in spans for id in (one.span_id, one.parent_span_id, TOP)}
        known: dict[tuple[str, str], Tally] = {}
        while wanted:
            known.update({key: self.stored[key] for key in wanted if key in self.stored})
            wanted = {
                (t.trace_id, t.parent_span_id) for key in wanted if (t := known.get(key)) and t.parent_span_id
            } - known.keys()
            wanted &= self.stored.keys()
        tallies = Tallies(known.values(), new_id)
        for one in spans:
            tallies.put(one)
        for trace_id in tallies.stale:
            tallies.reckon(trace_id, [t for t in self.stored.values() if t.trace_id == trace_id])
        tallies.settle()
        self.stored.update(tallies.changed)
        return set(tallies.changed)

    def usage(self, trace_id: str = "t") -> TokenUsage:
        return self.stored[trace_id, TOP].usage


def oracle(spans: dict[str, Span]) -> dict[str, Any]:
    """The same from all spans of a trace at once, as docs/opentelemetry.md says it."""
    parents = {id: one.parent_span_id for id, one in spans.items()}

    def in_a_circle(id: str) -> bool:
        on, seen = parents.get(id), set()
        while on is not None and on not in seen:
            if on == id:
                return True
            seen.add(on)
            on = parents.get(on)
        return False

    children: dict[str | None, list[str]] = {}
    for id, parent in parents.items():
        children.setdefault(None if in_a_circle(id) or parent not in spans else parent, []).append(id)

    def together(ids: list[str]) -> list[Any]:
        found = [counted(id) for id in ids]
        return [None if all(one[i] is None for one in found) else sum(one[i] or 0 for one in found) for i in range(7)]

    def counted(id: str) -> list[Any]:
        own = list(astuple(spans[id].tokens))
        below = together(children.get(id, []))
        most = [max((n for n in (a, b) if n is not None), default=None) for a, b in zip(own, below, strict=True)]
        if most[:2] != own[:2] and most[:2] != below[:2]:
            most[2] = max(most[2], (most[0] or 0) + (most[1] or 0))
        return most

    every = list(spans.values())
    ends = [one.ended_at for one in every if one.ended_at is not None]
    return {
        "usage": together(children[None]),
        "spans": len(every),
        "running": len(every) - len(ends),
        "errors": sum(one.status_code is SpanStatusCode.ERROR for one in every),
        "oks": sum(one.status_code is SpanStatusCode.OK for one in every),
        "started_at": min(one.started_at for one in every),
        "ended_at": max(ends, default=None),
        "root": min((one.parent_span_id is not None, one.started_at, one.id) for one in every),
    }


NAMES = "abcdefg"
tokens = st.none() | st.integers(0, 9)


@st.composite
def told(draw: Any) -> dict[str, Any]:
    """What one report says of a span. Parents may be missing, come later, or go round in circles."""
    used = {
        "inputTokens": draw(tokens),
        "outputTokens": draw(tokens),
        "totalTokens": draw(tokens),
        "costUsd": draw(st.none() | st.sampled_from([0.1, 0.2, 0.7])),
        "cachedTokens": draw(tokens),
        "reasoningTokens": draw(tokens),
    }
    begin, lasts = draw(st.integers(0, 5)), draw(st.none() | st.integers(0, 5))
    return {
        "span_id": draw(st.sampled_from(NAMES)),
        "parent_span_id": draw(st.none() | st.sampled_from(NAMES + "xy")),
        "started_at": after(seconds=begin),
        "ended_at": None if lasts is None else after(seconds=begin + lasts),
        "status_code": draw(st.sampled_from(SpanStatusCode)),
        "attributes": {name: value for name, value in used.items() if value is not None},
    }


@given(st.lists(st.lists(told(), min_size=1, max_size=6), min_size=1, max_size=6))
def test_sums_are_those_of_all_spans_whatever_the_order(batches: list[list[dict[str, Any]]]) -> None:
    kept, spans = Kept(), {}
    for batch in batches:
        made = []
        for one in batch:
            before = spans.get(one["span_id"])
            new = plain(span(trace_id="t", id=before.id if before else new_id(Span), **one))
            spans[new.span_id] = new
            made.append(new)
        kept.put(*made)
        top = kept.stored["t", TOP]
        whole = oracle(spans)
        assert list(top.counted) == [None if n is None else pytest.approx(n) for n in whole.pop("usage")]
        assert top.census is not None
        assert {name: getattr(top.census, name) for name in whole} == whole


@given(st.lists(told(), min_size=2, max_size=8, unique_by=lambda one: one["span_id"]), st.randoms())
def test_the_order_of_arrival_does_not_matter(reports: list[dict[str, Any]], random: Any) -> None:
    one, other = Kept(), Kept()
    spans = [plain(span(trace_id="t", **report)) for report in reports]
    one.put(*spans)
    random.shuffle(spans)
    for each in spans:
        other.put(each)
    assert other.usage() == one.usage()
    assert other.stored["t", TOP].census == one.stored["t", TOP].census


def made(id: str, parent: str | None = None, **used: Any) -> Span:
    return plain(span(trace_id="t", span_id=id, parent_span_id=parent, attributes=used))


def test_a_write_touches_only_the_chain_it_changes() -> None:
    kept = Kept()
    kept.put(made("root"), *(made(f"chain{i}", "root") for i in range(100)))
    kept.put(*(made(f"call{i}", f"chain{i}", inputTokens=1) for i in range(100)))
    assert kept.usage().input_tokens == 100
    assert kept.put(made("more", "chain7", inputTokens=1)) == {("t", id) for id in ("more", "chain7", "root", TOP)}
    assert kept.put(made("less", "more", inputTokens=1)) == {("t", "less"), ("t", "more"), ("t", TOP)}, "told already"
    same = made("same", "more")
    assert kept.put(same) == {("t", "same"), ("t", TOP)}
    assert kept.put(same) == set()


def test_a_chain_as_deep_as_it_may_be_takes_no_stack_and_no_square_of_its_length() -> None:
    kept, depth = Kept(), 2_000
    chain = [made(str(i), str(i - 1) if i else None) for i in range(depth)]
    kept.put(*chain)
    kept.put(made("call", str(depth - 1), inputTokens=5))
    assert kept.usage().input_tokens == 5
    kept = Kept()
    kept.put(*reversed([*chain, made("call", str(depth - 1), inputTokens=5)]))
    assert kept.usage().input_tokens == 5


@pytest.mark.parametrize(
    ("above", "below", "sums"),
    [
        ({"inputTokens": 9}, [{"inputTokens": 2}, {"inputTokens": 3}], (9, None, 9)),
        ({"inputTokens": 4}, [{"inputTokens": 2}, {"inputTokens": 3}], (5, None, 5)),
        ({"inputTokens": 9}, [{"outputTokens": 3}], (9, 3, 12)),
        ({"totalTokens": 12}, [{"inputTokens": 3, "outputTokens": 4}], (3, 4, 12)),
        ({"inputTokens": 5, "outputTokens": 5, "totalTokens": 8}, [], (5, 5, 8)),
        ({}, [{}, {}], (None, None, None)),
        ({"inputTokens": 0}, [{}], (0, None, 0)),
    ],
)
def test_of_each_member_the_greater_counts(above: Any, below: Any, sums: Any) -> None:
    kept = Kept()
    kept.put(*(made(str(i), "above", **used) for i, used in enumerate(below)), made("above", **above))
    usage = kept.usage()
    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == sums
