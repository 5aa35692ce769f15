"""Every operator of every filter, alone, negated, and nested: an engine finds what the predicate in Python lets through.

Values are taken from the records themselves, so a new member of a filter is tested as soon as it stands in its table.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, NamedTuple

import pytest
from hypothesis import settings
from msgspec import Raw

from domain import entity
from domain.actor import ActorFilter, Agent, User
from domain.annotation import Annotation, AnnotationFilter, AnnotationTargetKind
from domain.audit import AuditEntry, AuditFilter
from domain.blob import Attachment, Blob
from domain.context_version import ContextVersion, ContextVersionFilter
from domain.errors import ErrorCode, Rejected
from domain.history import LinkVersion, MemoryVersion, MemoryVersionFilter
from domain.link import MemoryLink
from domain.members import MemberTest
from domain.memory import Memory, MemoryFilter, MemoryStatus, MemoryType
from domain.message import ContentType, Message, MessageFilter, TextContent, Thread, ToolCall, ToolResponse
from domain.model_call import ModelCall, ModelMessage
from domain.node import Id, Node
from domain.participant import Participant, SenderType
from domain.reasoning import ReasoningChain, ReasoningChainFilter
from domain.session import Session, SessionFilter, SessionKind, SessionStatus
from domain.session_link import SessionLink
from domain.span import Span, SpanFilter, SpanKind, SpanStatusCode, TokenUsage, Trace, TraceListFilter
from domain.state import StateEntry, StateFilter
from domain.tool_execution import ToolExecution, ToolExecutionFilter, ToolStatus
from domain.trace import TraceEvent, TraceFilter
from domain.trash import TrashedSession, TrashedSessionFilter
from domain.values import NULL, Command, FloatRange, Ref, TimeRange, encode_json
from stores import filters as f
from stores.contract import making as m
from stores.contract.turns import in_turn
from stores.filters import FILTERS, Operator
from stores.ports import Collection, Store
from stores.ports import Records as Lines
from stores.predicate import World, column_of, passes


class Listed(NamedTuple):
    filter: type
    of: Collection | Lines


LISTS: dict[type[Node], Listed] = {
    Session: Listed(SessionFilter, Collection.SESSIONS),
    User: Listed(ActorFilter, Collection.USERS),
    Agent: Listed(ActorFilter, Collection.AGENTS),
    Memory: Listed(MemoryFilter, Collection.MEMORIES),
    ContextVersion: Listed(ContextVersionFilter, Lines(ContextVersion)),
    MemoryVersion: Listed(MemoryVersionFilter, Lines(MemoryVersion)),
    Message: Listed(MessageFilter, Collection.SESSION_MESSAGES),
    TraceEvent: Listed(TraceFilter, Collection.SESSION_TRACE),
    Span: Listed(SpanFilter, Collection.SPANS),
    Trace: Listed(TraceListFilter, Lines(Trace)),
    StateEntry: Listed(StateFilter, Collection.STATES),
    AuditEntry: Listed(AuditFilter, Collection.AUDIT),
    Annotation: Listed(AnnotationFilter, Lines(Annotation)),
    entity.Entity: Listed(entity.EntityFilter, Lines(entity.Entity)),
    ToolExecution: Listed(ToolExecutionFilter, Lines(ToolExecution)),
    ReasoningChain: Listed(ReasoningChainFilter, Lines(ReasoningChain)),
    TrashedSession: Listed(TrashedSessionFilter, Lines(TrashedSession)),
}


def test_every_filter_is_tested() -> None:
    """Those of files and links apart, whose members are those of others."""
    assert LISTS.keys() == FILTERS.keys() - {MemoryLink, SessionLink, LinkVersion, Blob, Attachment}


def test_a_table_has_all_members_of_its_filter() -> None:
    for kind, listed in LISTS.items():
        assert {*FILTERS[kind], "and_", "or_", "not_"} == set(listed.filter.__struct_fields__)  # type: ignore[attr-defined]


class Records:
    """Records of all kinds with few values, many of them null."""

    def __init__(self, store: Store) -> None:
        self._store, self._random = store, random.Random(7)
        self.records: dict[Id, Node] = {}
        self.session = Id("")

    def pick(self, *values: Any) -> Any:
        return self._random.choice(values)

    def some(self, *values: Any) -> list[Any]:
        return self._random.sample(values, self._random.randint(0, len(values)))

    def hour(self) -> datetime:
        return m.after(hours=self._random.randint(0, 5))

    def json(self) -> dict[str, Any]:
        return dict(self.pick({}, {"k": 1}, {"k": 1.0, "x": [True]}, {"k": "1"}, {"k": None}))

    def value(self) -> Any:
        found = self.json()
        return self.pick(1, ["k"], found, {**found, "x": 1.0, "o": found}, {"x": "12", "o": {"k": 2}, "k": [True]})

    def text(self) -> str:
        return str(self.pick("Hello", "hELLO world", "ΣΑΣ", "50%_", "text", "\U0001f600"))

    def call(self) -> ModelCall | None:
        """Of a model or of a tool, some with what looks like JSON inside, or letters that JSON may write otherwise."""
        said = ModelMessage("user", [TextContent(self.pick(self.text(), 'say "x"\n{é}'))])
        run = ToolCall(
            "c", "clock", Raw(b'{"k": ["\\u00e9t\\u00e9", 12.5, true]}'), response=ToolResponse("c", NULL, False)
        )
        return self.pick(None, ModelCall(asked=[said]), ModelCall(said=[said]), ModelCall(ran=run))

    async def keep(self, *drafts: Any) -> list[Any]:
        made = await m.keep(self._store, *drafts)
        self.records.update((one.id, one) for one in made)
        return made

    async def write(self) -> None:
        pick, hour = self.pick, self.hour
        users = await self.keep(
            *(m.user(external_id=x, name=self.text(), profile=self.json()) for x in ("u1", "both", None, None))
        )
        agents = await self.keep(
            *(m.agent(external_id=x, name=self.text(), config=self.json(), capabilities=self.some("web", "code"))
              for x in ("a1", "both", None))
        )  # fmt: skip
        sessions = await self.keep(
            *(m.session(external_id=x, kind=pick(*SessionKind), status=pick(*SessionStatus), title=self.text(),
                        capabilities=self.some("web", "code"), metadata=self.json(), created_at=hour(),
                        last_active_at=hour())
              for x in ("s1", "s2", "u1", *[None] * 9))
        )  # fmt: skip
        await self.keep(
            *(m.context_version(one, version=n, context=self.json(), recorded_at=hour(), replaced_at=hour())
              for one in sessions[:4] for n in range(4))
        )  # fmt: skip
        talk = sessions[0]
        self.session = talk.id
        people = await self.keep(
            *(m.participant(talk, actor_id=one.id, type=SenderType.AGENT) for one in (*users[:2], agents[0])),
            *(m.participant(talk, external_id=x, name=f"n{x}") for x in ("p1", "u1", None)),
            *(m.participant(one, actor_id=pick(*users, *agents).id) for one in sessions[1:8]),
            *(m.participant(one, external_id=pick("p1", "p2", "a1")) for one in sessions[6:]),
        )
        threads = await self.keep(m.thread(talk, name="a"), m.thread(talk, name="b"), m.thread(sessions[1], name="b"))
        said = await m.say(
            self._store,
            talk,
            *(m.message(who := pick(*people[:6]), sender_type=who.type, created_at=hour(), metadata=self.json(),
                        thread_id=pick(None, threads[0].id, threads[1].id),
                        content=[pick(TextContent(self.text()), ToolCall("c", pick("clock", "Hello"), encode_json({})))
                                 for _ in range(self._random.randint(0, 2))])
              for _ in range(40)),
        )  # fmt: skip
        self.records.update((one.id, one) for one in said)
        memories = await self.keep(
            *(m.memory(pick(*users, *agents, None), type=pick(*MemoryType), status=pick(*MemoryStatus),
                       text=self.text(), tags=self.some("a", "b", "c"), metadata=self.json(),
                       importance=pick(0.1, 0.5, 0.9), created_at=hour(), valid_from=pick(None, hour()),
                       valid_until=pick(None, hour()), session_id=pick(None, *(one.id for one in sessions[:3])))
              for _ in range(40))
        )  # fmt: skip
        await self.keep(
            *(m.version(one, status=pick(*MemoryStatus), text=self.text(), tags=self.some("a", "b", "c"),
                        metadata=self.json(), importance=pick(0.1, 0.5, 0.9), valid_from=pick(None, hour()),
                        valid_until=pick(None, hour()), recorded_at=pick(None, hour()), replaced_at=hour())
              for one in memories[:30])
        )  # fmt: skip
        await self.keep(
            *(m.span(span_id=f"{n}", trace_id=pick("ab", "cd", *"efghi"), name=self.text(), kind=pick(*SpanKind),
                     parent_span_id=pick(None, "x"), user_id=pick(None, *(one.id for one in users)),
                     model=pick(None, "m1", "m2"), provider=pick(None, "p1", "p2"), call=self.call(),
                     status_message=pick(None, self.text()), attributes=self.json(),
                     tokens=TokenUsage(total_tokens=pick(None, 0, 5, 9), cost_usd=pick(None, 0.0, 0.5)),
                     status_code=pick(*SpanStatusCode), session_id=pick(None, talk.id, sessions[1].id),
                     agent_id=pick(None, *(one.id for one in agents)), started_at=(start := hour()),
                     ended_at=pick(None, start + timedelta(milliseconds=1.5), start + timedelta(seconds=1)))
              for n in range(30))
        )  # fmt: skip
        await self.keep(
            *(m.event(talk, type=pick("a", "b"), component=pick("x", ""), time=hour(), duration_ms=pick(None, 0.0, 2.5),
                      agent_id=pick(None, *(one.id for one in agents)),
                      message_id=pick(None, *(one.id for one in said[:3])))
              for _ in range(30))
        )  # fmt: skip
        await self.keep(
            *(m.tool_execution(tool=pick("a", "b"), status=pick(*ToolStatus), started_at=hour(), duration_ms=pick(None, 2.5),
                               call_id=pick(None, f"c{n}"), times_out_at=pick(None, hour()),
                               session_id=pick(None, talk.id, sessions[1].id),
                               agent_id=pick(None, *(one.id for one in agents)),
                               message_id=pick(None, *(one.id for one in said[:3])))
              for n in range(30))
        )  # fmt: skip
        self.records.update((one.id, one) for one in (await m.page(self._store, Lines(Trace), limit=100)).nodes)
        await self.keep(
            *(m.reasoning_chain(pick(*agents), conclusion=pick(None, "so"), created_at=hour(),
                                session_id=pick(None, talk.id, sessions[1].id),
                                message_id=pick(None, *(one.id for one in said[:3])))
              for _ in range(20))
        )  # fmt: skip
        things = await self.keep(
            *(m.entity(external_id=x, name=self.text(), type=pick("place", "thing"), aliases=self.some("a", "b"),
                       metadata=self.json(), found=pick(True, False), created_at=hour(), updated_at=hour())
              for x in ("s1", "both", *[None] * 6))
        )  # fmt: skip
        await self.keep(*(m.mention(one, of) for one in (*said[::2], *memories[::2]) for of in self.some(*things[:4])))
        targets = self.some(
            *(one for one in self.records.values() if isinstance(one, Session | Message | Memory | Span))
        )
        await self.keep(
            *(m.annotation(one, name=name, value=pick(None, 0.5, -1.0), label=pick(None, "good", "bad"), created_at=hour(),
                           author_id=pick(None, *(by.id for by in (*users, *agents))),
                           external_id=pick(None, "x"), updated_at=hour())
              for one in targets[:40] for name in self.some("a", "b"))
        )  # fmt: skip
        keys = ("a%1", "a_2", "A", "\ud7ff", "\U0001f600", "\U0001f600a", "\ue000")
        await self.keep(
            *(
                m.state(key, tags=self.some("a", "b"), updated_at=hour(), value=encode_json(self.value()))
                for key in keys
            )
        )
        await self.keep(
            *(m.audit(action=pick("setState", "export"), caller=pick("k1", "k2"), outcome=pick("OK", "INVALID"),
                      targets=[one.id for one in self.some(*said[:3])], time=hour())
              for _ in range(20))
        )  # fmt: skip
        await self.keep(
            *(m.trashed(external_id=pick(None, "s1", "s2"), kind=pick(*SessionKind), title=self.text(), deleted_at=hour(),
                        expires_at=m.after(days=self._random.randint(1, 4)))
              for _ in range(20))
        )  # fmt: skip

    def world(self) -> World:
        return World.of(self.records)

    async def found(self, kind: type[Node], filter: Any = None) -> set[Id]:
        page = await m.page(self._store, LISTS[kind].of, self._parent(kind), filter, limit=1_000)
        if filter is not None:
            assert await self._store.counts([page.count_key]) == [len(page.nodes)]
        else:
            self.records.update((one.id, one) for one in page.nodes)
        return {one.id for one in page.nodes}

    def _parent(self, kind: type[Node]) -> str:
        return {StateEntry: "app", Message: self.session, TraceEvent: self.session}.get(kind, "")

    def expected(self, ids: set[Id], filter: Any) -> set[Id]:
        world = self.world()
        return {id for id in ids if passes(filter, self.records[id], world)}


class Values:
    """Values for the operators, of what records have."""

    def __init__(self, kind: type[Node], made: Records, seed: int) -> None:
        self._kind, self._made, self._random = kind, made, random.Random(seed)
        self._of = [one for one in made.records.values() if isinstance(one, kind)]

    def column(self, name: str) -> list[Any]:
        """What a column has in some records, without null."""
        values = [column_of(one, name) for one in self._of]
        return [value for value in values if value is not None]

    def value(self, op: Operator, member: str) -> Any:
        r = self._random
        match op:
            case f.Equal():
                return r.choice([str(r.choice(self.column(op.column))).upper(), "none"])
            case f.Among():
                values = self.column(op.column)
                others = list(type(values[0])) if isinstance(values[0], Enum) else ["none"]
                return r.sample([*values, *others], r.randint(0, 3))
            case f.Within() if isinstance(self.column(op.column)[0], datetime):
                low, high = (r.choice([None, r.choice(self.column(op.column))]) for _ in range(2))
                return TimeRange(from_=low, until=high)
            case f.Within():
                low, high = (r.choice([None, r.choice(self.column(op.column))]) for _ in range(2))
                return FloatRange(min=low, max=high)
            case f.AtLeast():
                return r.choice(self.column(op.column))
            case f.Lasts() if "Range" in str(LISTS[self._kind].filter.__annotations__[member]):
                return FloatRange(min=r.choice([None, 0, 1.5]), max=r.choice([None, 1.4, 1.5, 1e300]))
            case f.Lasts():
                return r.choice([0, 1.5, 1.6, 1_000, 1e300])
            case f.Either(operators):
                return self.value(r.choice(operators), member)
            case f.HoldsAt():
                return r.choice([*self.column(op.start), *self.column(op.end)])
            case f.IsNull():
                return r.random() < 0.5
            case f.Prefix():
                text = str(r.choice(self.column(op.column)))
                return text[: r.randint(0, len(text))]
            case f.Contains():
                return self._piece([text for column in op.columns for text in self.column(column)])
            case f.PartContains():
                return self._piece([text for content in self.column(op.part.column) for text in op.part.of(content)])
            case f.HasPart() if member == "content_types":
                return r.sample(list(ContentType), r.randint(0, 3))
            case f.HasPart():
                return r.choice([text for content in self.column(op.part.column) for text in op.part.of(content)])
            case f.HasAll():
                there = [*sorted({text for texts in self.column(op.column) for text in texts}), "none"]
                many = "list" in str(LISTS[self._kind].filter.__annotations__[member])
                return r.sample(there, r.randint(0, 2)) if many else r.choice(there)
            case f.HasMembers():
                return encode_json(self._made.json())
            case f.MembersPass():
                parts = {"equals": encode_json(r.choice([1, "1", [True], 2])), "exists": r.random() < 0.5}
                parts |= {"range": FloatRange(min=r.choice([None, -1, 0.5]), max=r.choice([None, 1, 3])), "prefix": "1"}
                at, name = r.choice(["/k", "/x", "/o/k"]), r.choice([*parts])
                return [MemberTest(at=at, **{name: parts[name]})]
            case f.RefersTo():
                ref = self._ref(op.kinds)
                if "Ref" in str(LISTS[self._kind].filter.__annotations__[member]):
                    return ref
                return ref.id or r.choice([*self.column(op.column), Id("none")])
            case f.OfKind():
                return r.sample(list(AnnotationTargetKind), r.randint(0, 3))
            case f.Some(operator=f.Matching()) | f.Shares(operator=f.Matching()) | f.Through(operator=f.Matching()):
                return Values(op.kind, self._made, r.randint(0, 99)).filter(2 if r.random() < 0.3 else 3)
            case f.Some(operator=f.PartContains(part=part)):
                contents = [one.content for one in self._made.records.values() if isinstance(one, Message)]
                return self._piece([text for content in contents for text in part.of(content)])
            case f.Some(operator=f.RefersTo(kinds=kinds)):
                return self._ref(kinds)
            case f.Some() | f.Through():
                if isinstance(op.operator, f.Called):
                    return self._ref((*op.operator.kinds, Participant))
                return r.choice([*(one.name for one in self._made.records.values() if isinstance(one, Thread)), "none"])
            case f.Never():
                return "web"
        raise AssertionError(op)

    def _piece(self, texts: list[str]) -> str:
        text = self._random.choice(texts)
        start = self._random.randint(0, len(text))
        return self._random.choice([str.upper, str.lower, str])(text[start : start + 3])

    def _ref(self, kinds: tuple[type[Node], ...]) -> Ref:
        known = self._random.choice([one for one in self._made.records.values() if isinstance(one, kinds)])
        names = ["none", "both", "u1", "a1", "s1", "p1", "p2"]
        return self._random.choice([Ref(id=known.id), Ref(external_id=self._random.choice(names)), Ref(id=Id("none"))])

    def filter(self, depth: int = 0) -> Any:
        r, of, members = self._random, LISTS[self._kind].filter, FILTERS[self._kind]
        often = min(0.16, 1.6 / len(members))
        given = {member: self.value(op, member) for member, op in members.items() if r.random() < often}
        if depth < 3:
            for name in ("and_", "or_"):
                if r.random() < 0.3:
                    given[name] = [self.filter(depth + 1) for _ in range(r.randint(0, 3))]
            if r.random() < 0.3:
                given["not_"] = self.filter(depth + 1)
        return of(**given)


@pytest.fixture
async def made(store: Store) -> Records:
    records = Records(store)
    await records.write()
    return records


@pytest.fixture
def scale(request: pytest.FixtureRequest) -> int:
    """How many more filters are tried where one costs a millisecond, as many as Hypothesis would; Neo4j makes a plan for
    each."""
    return 1 if "services" in request.node.name else settings.default.max_examples // 4


def single(kind: type[Node], made: Records, times: int) -> Iterator[Any]:
    values = Values(kind, made, 3)
    for member, op in FILTERS[kind].items():
        for _ in range(times):
            yield LISTS[kind].filter(**{member: values.value(op, member)})


async def test_a_member_and_its_negation_part_all_records(made: Records, scale: int, subtests: pytest.Subtests) -> None:
    for kind, listed in in_turn(LISTS.items(), scale == 1):
        with subtests.test(kind.__name__):
            everything = await made.found(kind)
            assert everything
            for filter in single(kind, made, 2 * scale):
                expected = made.expected(everything, filter)
                assert await made.found(kind, filter) == expected, filter
                assert await made.found(kind, listed.filter(not_=filter)) == everything - expected, filter


async def test_nested_filters_find_what_the_predicate_lets_through(
    made: Records, scale: int, subtests: pytest.Subtests
) -> None:
    for kind in in_turn(LISTS, scale == 1):
        with subtests.test(kind.__name__):
            everything = await made.found(kind)
            values = Values(kind, made, 11)
            drawn = [values.filter() for _ in range(max(12 * scale, 60))]
            drawn = [one for one in drawn if scale > 1 or conditions(one) <= PLANNED]
            telling = {len(made.expected(everything, one)): one for one in drawn}
            assert len(telling) > 2, "filters that tell records apart"
            for filter in [*telling.values(), *drawn][: 12 * scale]:
                assert await made.found(kind, filter) == made.expected(everything, filter), filter


PLANNED = 30
"""Conditions of a filter that Neo4j plans in good time on a machine that is busy; docs/scaling.md tells of more."""


def conditions(filter: Any) -> int:
    """How many members are given in a filter, and in those that stand in it."""
    if isinstance(filter, list):
        return sum(map(conditions, filter))
    if not isinstance(filter, Command):
        return 0
    given = [getattr(filter, name) for name in filter.__struct_fields__]
    return sum(1 + conditions(one) for one in given if one is not None)


async def test_members_of_and_or_and_not_count_as_others_do(store: Store) -> None:
    for kind, listed in LISTS.items():
        parent = "app" if kind is StateEntry else ""
        deep = wide = listed.filter()
        for _ in range(150):
            deep = listed.filter(not_=deep)
        for filter in (deep, listed.filter(or_=[wide] * 300), listed.filter(and_=[wide] * 300)):
            with pytest.raises(Rejected) as refused:
                await m.page(store, listed.of, parent, filter)
            assert [(error.code, error.path) for error in refused.value.errors] == [(ErrorCode.INVALID, ["filter"])]


async def test_the_values_of_all_conditions_together_are_bounded(store: Store) -> None:
    part = MemoryFilter(types=[MemoryType.WORKING] * 1_000)
    assert await m.names(store, Collection.MEMORIES, filter=MemoryFilter(and_=[part] * 9), by="id") == []
    for filter in (
        MemoryFilter(and_=[part] * 40),
        MemoryFilter(or_=[part] * 40),
        MemoryFilter(not_=part, or_=[part] * 10),
    ):
        with pytest.raises(Rejected):
            await m.page(store, Collection.MEMORIES, filter=filter)
