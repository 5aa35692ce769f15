"""What traces add up to is kept by the write: whoever reads a trace, and however, sees the same."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any

import pytest
from msgspec.structs import replace

from domain.node import Id
from domain.page import OrderDirection, Slice
from domain.session import Session, SessionFilter, SessionOrder, SessionOrderField, SessionStatus
from domain.span import Span, SpanStatusCode, TokenUsage, Trace
from domain.values import FloatRange
from stores.contract.making import after, delete, keep, page, session, span, trace
from stores.ports import Collection, Records, Store, Transaction


async def found(store: Store, trace_id: str = "t") -> Trace:
    """The trace, as each way of reading gives it."""
    [by_key] = await store.find(Trace, [(trace_id,)])
    assert by_key is not None

    async def script(tx: Transaction) -> list[Trace | None]:
        return [*await tx.get(Trace, [by_key.id]), *await tx.find(Trace, [(trace_id,)])]

    seen = [*await store.get(Trace, [by_key.id]), *await store.scan(Trace, None, 100), *await store.write(script)]
    if by_key.session_id is not None:
        [page] = await store.pages(Collection.SESSION_TRACES, [by_key.session_id], Slice(10))
        seen += page.nodes
    assert all(one == by_key for one in seen if one is not None and one.trace_id == trace_id)
    return by_key


def part(name: str, parent: str | None = None, tokens: int | None = None, **values: Any) -> Any:
    used = {} if tokens is None else {"inputTokens": tokens}
    return span(**{"trace_id": "t", "span_id": name, "parent_span_id": parent, "attributes": used, **values})


ERROR = SpanStatusCode.ERROR

TREE: dict[str, dict[str, Any]] = {
    "agent": {"tokens": 300},
    "chain": {"parent": "agent", "tokens": 120, "status_code": SpanStatusCode.ERROR},
    "call": {"parent": "chain", "tokens": 120, "started_at": after(seconds=-9)},
    "same call": {"parent": "call", "tokens": 120},
    "other": {"parent": "agent", "tokens": 180},
    "lost": {"parent": "nobody", "tokens": 7},
}


@pytest.mark.parametrize("seed", range(4))
async def test_in_any_order_and_in_any_company(store: Store, seed: int) -> None:
    [talk] = await keep(store, session())
    random = Random(seed)
    names = random.sample(list(TREE), len(TREE))
    while names:
        together, names = names[: (size := random.randint(1, 3))], names[size:]
        await keep(store, *(part(name, session_id=talk.id, **TREE[name]) for name in together))
    whole = await found(store)
    assert whole.usage == TokenUsage(307, None, 307)
    assert (whole.span_count, whole.status_code, whole.started_at) == (6, SpanStatusCode.ERROR, after(seconds=-9))
    assert (whole.ended_at, whole.session_id) == (None, talk.id)
    assert await store.find(Span, [("t", "agent")]) == await store.get(Span, [whole.root_id or Id("")])


async def test_scripts_of_one_moment_see_each_others_spans(store: Store) -> None:
    await asyncio.gather(*(keep(store, part(name, **values)) for name, values in TREE.items()))
    assert (await found(store)).usage == TokenUsage(307, None, 307)


async def test_a_span_that_is_told_again_counts_as_it_was_told_last(store: Store) -> None:
    times = {"started_at": after(seconds=-9), "ended_at": after(seconds=9)}
    [first, _] = await keep(store, part("a", None, 10, **times), part("b", "a", 4, ended_at=after(seconds=1)))
    assert (await found(store)).ended_at == after(seconds=9)
    await keep(store, part("a", "b", 1, id=first.id, started_at=after(seconds=5), ended_at=after(seconds=6)))
    whole = await found(store)
    assert (whole.usage.input_tokens, whole.span_count) == (5, 2), "each is the other's part now, so both are counted"
    assert (whole.started_at, whole.ended_at, whole.root_id) == (after(), None, None), "none is without a parent"
    await keep(store, part("a", None, None, id=first.id, ended_at=after(seconds=1)))
    whole = await found(store)
    assert (whole.usage.input_tokens, whole.root_id, whole.ended_at) == (4, first.id, after(seconds=1))


async def test_a_trace_that_is_put_keeps_the_sums_there_are(store: Store) -> None:
    [one] = await keep(store, part("a", None, 10))
    whole = await found(store)
    [talk] = await keep(store, session())
    told = {"trace_id": "t", "session_id": talk.id, "usage": TokenUsage(99), "started_at": after(days=1)}
    await keep(store, trace(id=whole.id, **told))
    kept = await found(store)
    assert (kept.session_id, kept.usage, kept.started_at) == (talk.id, TokenUsage(10, None, 10), one.started_at)
    await keep(store, trace(**{**told, "trace_id": "empty"}))
    assert (await found(store, "empty")).usage == TokenUsage()


async def test_spans_that_go_are_counted_no_longer(store: Store) -> None:
    [here, there] = await keep(store, session(), session())
    [a, b, *_] = await keep(
        store,
        part("a", None, 10, session_id=here.id),
        part("b", "a", 4, session_id=there.id, ended_at=after(seconds=1)),
        part("c", "b", 3, session_id=there.id),
        part("d", "a", 5, session_id=here.id),
    )
    await delete(store, there)
    whole = await found(store)
    assert (whole.usage.input_tokens, whole.span_count) == (10, 2)
    await delete(store, a)
    whole = await found(store)
    assert (whole.usage.input_tokens, whole.span_count, whole.root_id == a.id) == (5, 1, False)
    await delete(store, here)
    assert await store.find(Trace, [("t",)]) == [None]
    [late] = await keep(store, part("a", None, 2, id=b.id))
    assert ((await found(store)).usage.input_tokens, late.id) == (2, b.id), "as if there had been none"


@pytest.mark.parametrize("seed", range(3))
async def test_what_comes_again_and_goes_leaves_what_would_be_there_without(
    store: Store, elsewhere: Store, seed: int
) -> None:
    """Against the spans that are left, put at once into another workspace."""
    random = Random(seed)
    [talk] = await keep(store, session())
    spans: dict[str, Span] = {}
    for _ in range(12):
        told = []
        for name in random.sample("abcdefg", random.randint(1, 3)):
            used = {
                "tokens": random.choice([None, random.randint(1, 99)]),
                "started_at": after(seconds=random.randint(0, 9)),
            }
            used["ended_at"] = random.choice([None, after(seconds=random.randint(10, 20))])
            used["status_code"] = random.choice([ERROR, SpanStatusCode.OK])
            if name in spans:
                used["id"] = spans[name].id
            told.append(part(name, random.choice([None, *"abcdefg", "nobody"]), session_id=talk.id, **used))
        spans |= {one.span_id: one for one in await keep(store, *told)}
        if random.random() < 0.3:
            await delete(store, gone := spans.pop(random.choice(list(spans))))
            assert gone not in spans.values()
        if not spans:
            continue
        other = f"t{random.random()}"
        await keep(elsewhere, *(part_of(other, one) for one in spans.values()))
        here, there = await found(store), await found(elsewhere, other)
        assert (here.usage, here.span_count, here.started_at) == (there.usage, there.span_count, there.started_at)
        assert (here.ended_at, here.status_code) == (there.ended_at, there.status_code)
        assert here.error_spans == there.error_spans == sum(one.status_code is ERROR for one in spans.values())
        assert here.running_spans == there.running_spans == sum(one.ended_at is None for one in spans.values())
        roots = [one for one in spans.values() if one.parent_span_id is None]
        first = min(roots, key=lambda one: (one.started_at, one.id), default=None)
        assert (here.root_id, there.root_id is None) == (None if first is None else first.id, first is None)


@pytest.mark.parametrize("seed", range(3))
async def test_a_session_has_what_its_traces_use_whatever_becomes_of_them(store: Store, seed: int) -> None:
    """Spans come, are told again, go to another session with their trace and are deleted; sessions are put as they were
    read before, and go."""
    random = Random(seed)
    talks = await keep(store, *(session(title=title) for title in "abc"))
    spans: dict[tuple[str, str], Span] = {}
    for _ in range(14):
        told: dict[tuple[str, str], Any] = {}
        for _ in range(random.randint(1, 3)):
            key = random.choice("tuvw"), random.choice("ABC")
            used = TokenUsage(total_tokens=random.choice([None, 3, 50]), cost_usd=random.choice([None, 0.1, 0.7]))
            more: dict[str, Any] = {"id": spans[key].id} if key in spans else {}
            where = random.choice([None, *(one.id for one in talks)])
            told[key] = span(trace_id=key[0], span_id=key[1], session_id=where, tokens=used, **more)
        spans |= zip(told, await keep(store, *told.values()), strict=True)
        if random.random() < 0.4:
            await delete(store, spans.pop(random.choice(list(spans))))
        traces = (await page(store, Records(Trace), limit=100)).nodes
        if random.random() < 0.4 and traces:
            await _put(store, replace(random.choice(traces), session_id=random.choice(talks).id))
        if random.random() < 0.4:
            await _put(store, replace(random.choice(talks), status=SessionStatus.ENDED))
        await _are_charged(store, talks)
    gone = talks.pop()
    await delete(store, gone)
    await _are_charged(store, talks)


async def _put(store: Store, record: Trace | Session) -> None:
    async def script(tx: Transaction) -> None:
        await tx.put([record])

    await store.write(script)


async def _are_charged(store: Store, talks: list[Session]) -> None:
    """That these are all sessions, and have, and are found and sorted by, what all their traces use."""
    whole: dict[Id, list[Any]] = {}
    for talk in talks:
        used = [one.usage for one in (await page(store, Collection.SESSION_TRACES, talk, limit=100)).nodes]
        whole[talk.id] = [
            None if not (some := [told for one in used if (told := getattr(one, name)) is not None]) else sum(some)
            for name in ("total_tokens", "cost_usd")
        ]
    order = SessionOrder(field=SessionOrderField.COST, direction=OrderDirection.ASC)
    found = (await page(store, Collection.SESSIONS, order=order)).nodes
    assert {one.id: [one.total_tokens, one.cost_usd] for one in found} == {
        id: [tokens, None if cost is None else pytest.approx(cost)] for id, (tokens, cost) in whole.items()
    }
    assert all([one.usage.total_tokens, one.usage.cost_usd] == [one.total_tokens, one.cost_usd] for one in found)
    assert [one.id for one in found] == [one.id for one in sorted(found, key=lambda one: (one.cost_usd or -1, one.id))]
    some = SessionFilter(cost_usd=FloatRange(min=0.5), total_tokens=FloatRange(max=100))
    among = {one.id for one in found if (one.cost_usd or 0) >= 0.5 and one.total_tokens and one.total_tokens <= 100}
    assert {one.id for one in (await page(store, Collection.SESSIONS, filter=some)).nodes} == among


async def test_a_session_that_is_put_keeps_the_sums_there_are(store: Store) -> None:
    """Also after its spans came in the same write."""
    used = {"tokens": TokenUsage(total_tokens=5, cost_usd=0.5)}

    async def script(tx: Transaction) -> Session:
        made = session()(tx)
        await tx.put([made])
        await tx.put([span(session_id=made.id, **used)(tx)])
        await tx.put([replace(made, title="later", total_tokens=99)])
        return made

    made = await store.write(script)
    [kept] = await store.get(Session, [made.id])
    assert kept is not None
    assert (kept.title, kept.total_tokens, kept.cost_usd, kept.usage) == ("later", 5, 0.5, used["tokens"])


def part_of(trace_id: str, one: Span) -> Any:
    """A copy of a span in another trace."""
    names = ("parent_span_id", "started_at", "ended_at", "status_code", "tokens", "attributes")
    return span(trace_id=trace_id, span_id=one.span_id, **{name: getattr(one, name) for name in names})


@pytest.mark.parametrize("name", ["a\0b", "a"])
async def test_spans_of_any_name_are_counted(store: Store, name: str) -> None:
    await keep(store, span(trace_id="t", span_id=name, attributes={"inputTokens": 5}))
    await keep(store, part("child", name, 7), part("other", name, 2))
    assert (await found(store)).usage.input_tokens == 9


async def test_workspaces_do_not_count_each_others_spans(store: Store, elsewhere: Store) -> None:
    await keep(store, part("a", None, 10))
    await keep(elsewhere, part("a", None, 1), part("b", "a", 2))
    assert (await found(store)).usage.input_tokens == 10
    assert (await found(elsewhere)).usage.input_tokens == 2
