"""Groups and what they come to: an engine groups as the plain records do (stores.grouping)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import astuple

from domain.actor import User
from domain.calendar import TimeBucket, offsets
from domain.memory import Memory, MemoryFilter, MemoryStatus
from domain.message import Message
from domain.node import Id, Node
from domain.page import Slice
from domain.participant import Participant
from domain.session import Session, SessionFilter, SessionKind
from domain.span import Span, SpanFilter, SpanKind, SpanStatusCode, Trace
from domain.tally import Tally
from stores.contract.making import agent, keep, memory, message, participant, session, span, user
from stores.grouping import grouped
from stores.ports import By, Collection, Group, Grouping, Store, Value
from stores.predicate import World

BERLIN = ZoneInfo("Europe/Berlin")
ENDS_OF_TIME = (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))
TOKENS = tuple(map(Value, ("input_tokens", "output_tokens", "cost_usd")))
DURATION = Value("ended_at", since="started_at", ends=True)


async def _fill(store: Store) -> list[Any]:
    """Sessions with people, what was said and remembered there, and spans over years; deterministic."""
    chance = Random(7)
    ada, bob, helper = await keep(store, user(name="Ada"), user(name="Bob"), agent())
    kinds = [SessionKind.CHAT, SessionKind.PANEL, SessionKind.CHAT]
    talks = await keep(store, *(session(kind=kind) for kind in kinds))
    people = [(talks[0], ada), (talks[0], bob), (talks[0], helper), (talks[1], bob)]
    joined = await keep(store, *(participant(session_id=talk.id, actor_id=who.id, name=who.id) for talk, who in people))
    await keep(store, *(message(one, place=place) for place, one in
                        enumerate(joined, 1)))  # fmt: skip
    await keep(
        store,
        memory(ada, text="grün", tags=["a", "b"], importance=0.25),
        memory(ada, text="x", tags=["a", "a"], importance=0.75, status=MemoryStatus.ARCHIVED),
        memory(bob, text="", tags=[]),
    )
    spans = []
    for index in range(60):
        start = datetime(2024, 3, 28, tzinfo=UTC) + timedelta(hours=chance.randrange(24 * 400), seconds=index)
        parent = None if index % 3 else f"s{index + 1}"
        used = {} if index % 5 == 0 else {"inputTokens": chance.randrange(9), "costUsd": chance.randrange(8) / 8}
        spans.append(
            span(
                trace_id=f"t{index // 6}",
                span_id=f"s{index}",
                parent_span_id=parent,
                session_id=chance.choice([None, *(talk.id for talk in talks)]),
                kind=chance.choice([SpanKind.LLM, SpanKind.TOOL]),
                status_code=chance.choice(list(SpanStatusCode)),
                started_at=start,
                ended_at=chance.choice([None, *[start + timedelta(milliseconds=chance.randrange(5000))] * 3]),
                attributes={**used, **({"gen_ai.request.model": chance.choice("xy")} if index % 4 else {})},
            )
        )
    late = datetime(9990, 1, 1, tzinfo=UTC)
    spans += [span(trace_id="late", span_id=f"{index}", started_at=late, ended_at=late) for index in range(40)]
    ends = (*ENDS_OF_TIME, datetime(1970, 1, 1, tzinfo=UTC) - timedelta(microseconds=1))
    spans += [span(trace_id="end", span_id=f"{time}", started_at=time, ended_at=time) for time in ends]
    await keep(store, *spans)  # of the late ones the sum of times does not fit 64 bits
    return talks


async def _world(store: Store) -> World:
    found: list[Node] = []
    for kind in (Session, Participant, Message, Memory, Span, Trace):
        found += await store.scan(kind, None, 1_000)
    return World.of({one.id: one for one in found})


def _sorted(groups: list[Group]) -> list[Any]:
    def plain(group: Group) -> Any:
        values = [(n, round(sum, 9), least, most) for n, sum, least, most in map(astuple, group.values)]
        return [group.key, group.count, values, group.having, group.percentiles, group.apart]

    return sorted(map(plain, groups), key=lambda one: str(one[0]))


_SUMMER = offsets(BERLIN, datetime(2024, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC))
_WEST = offsets(ZoneInfo("America/Los_Angeles"), *ENDS_OF_TIME)
_WITH_ACTORS = (Participant, "session")
CASES: dict[str, tuple[Collection, Grouping, Any]] = {
    "all": (Collection.SPANS, Grouping(values=TOKENS, spread=DURATION), None),
    "none": (Collection.SPANS, Grouping(values=TOKENS, spread=DURATION), SpanFilter(names=["nobody"])),
    "none in groups": (Collection.SPANS, Grouping((By("model"),), TOKENS), SpanFilter(names=["nobody"])),
    "by model and status": (
        Collection.SPANS,
        Grouping((By("model"), By("kind")), TOKENS, (("status_code", "ERROR"), ("ended_at", None)), DURATION),
        SpanFilter(kinds=[SpanKind.LLM, SpanKind.TOOL], not_=SpanFilter(names=["x"])),
    ),
    "by session": (Collection.SPANS, Grouping((By("session"),), TOKENS), None),
    **{
        f"by {bucket.name.lower()} {place}": (
            Collection.SPANS,
            Grouping(
                (By("started_at", bucket=bucket, offsets=zone),),
                (Value("started_at", sum=False, ends=True), DURATION),
            ),
            None,
        )
        for bucket in TimeBucket
        for place, zone in (("east", _SUMMER), ("west", _WEST))
    },
    "sessions by users": (
        Collection.SESSIONS,
        Grouping((By("kind"), By("actor", joined=_WITH_ACTORS, kind=User)), apart="kind"),
        None,
    ),
    "traces of sessions": (Collection.SESSIONS, Grouping((By("kind"),), TOKENS, values_of=(Trace, "session")), None),
    "traces of none": (
        Collection.SESSIONS,
        Grouping((By("kind"),), TOKENS, values_of=(Trace, "session")),
        SessionFilter(text="nothing is called so"),
    ),
    "traces of the sessions of users": (
        Collection.SESSIONS,
        Grouping((By("actor", joined=_WITH_ACTORS, kind=User),), TOKENS, values_of=(Trace, "session")),
        None,
    ),
    "messages by who said them": (
        Collection.MESSAGES,
        Grouping((By("actor", through="sender"), By("kind", through="session")), having=(("is_redacted", True),)),
        None,
    ),
    "memories by tag": (
        Collection.MEMORIES,
        Grouping(
            (By("tags", each=True),),
            (Value("text", size=True), Value("importance")),
            (("status", "ACTIVE"),),
            apart="owner",
        ),
        None,
    ),
    "memories of one status": (
        Collection.MEMORIES,
        Grouping((By("owner"),), (Value("access_count"),)),
        MemoryFilter(statuses=[MemoryStatus.ARCHIVED]),
    ),
}


async def test_groups_are_those_of_the_records(store: Store) -> None:
    await _fill(store)
    world = await _world(store)
    for name, (of, grouping, filter) in CASES.items():
        [found] = await store.grouped(of, [Id("")], grouping, filter)
        [page] = await store.pages(of, [Id("")], Slice(1_000), filter)
        assert _sorted(found) == _sorted(grouped(page.nodes, grouping, world)), name
        assert found or "none" in name


async def test_groups_of_the_lists_of_several_parents(store: Store) -> None:
    talks = await _fill(store)
    grouping = Grouping(values=TOKENS)
    found = await store.grouped(Collection.SESSION_TRACES, [talk.id for talk in talks] * 2, grouping)
    world = await _world(store)
    pages = await store.pages(Collection.SESSION_TRACES, [talk.id for talk in talks], Slice(100))
    assert [*map(_sorted, found)] == [_sorted(grouped(page.nodes, grouping, world)) for page in pages] * 2
    assert await store.grouped(Collection.SESSION_TRACES, [], grouping) == []


@pytest.mark.parametrize("by", [(), (By("model"),)], ids=["all", "by model"])
async def test_what_is_told_twice_is_known(store: Store, by: tuple[By, ...]) -> None:
    """A sum over spans less what is told twice is the sum of their traces."""
    await _fill(store)
    names = ("input_tokens", "cost_usd")
    values = tuple(map(Value, names))
    [own] = await store.grouped(Collection.SPANS, [Id("")], Grouping(by, values))
    [twice] = await store.grouped(Collection.SPANS, [Id("")], Grouping(by, values, values_of=(Tally, "span")))
    traces = await store.scan(Trace, None, 100)
    assert twice
    for index, name in enumerate(names):
        sums = [sum(group.values[index].sum for group in groups) for groups in (own, twice)]
        assert sums[1] > 0
        assert sums[0] - sums[1] == pytest.approx(sum(getattr(one.usage, name) or 0 for one in traces))


async def test_groups_of_another_workspace_are_not_seen(store: Store, elsewhere: Store) -> None:
    await _fill(elsewhere)
    for of, grouping, _ in CASES.values():
        [found] = await store.grouped(of, [Id("")], grouping)
        assert sum(group.count for group in found) == 0
