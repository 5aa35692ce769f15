"""Every member of every filter."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.actor import ActorFilter
from domain.errors import ErrorCode, Rejected
from domain.link import LinkDirection, MemoryLinkKind
from domain.memory import Memory, MemoryFilter, MemoryScope, MemoryStatus, MemoryType
from domain.message import MessageFilter, TextContent, ToolCall
from domain.node import Id
from domain.participant import SenderType
from domain.session import SessionFilter, SessionKind, SessionStatus
from domain.session_link import SessionLink, SessionLinkKind
from domain.span import SpanFilter, SpanKind, SpanStatusCode
from domain.state import StateFilter
from domain.trace import TraceFilter
from domain.values import FloatRange, Ref, TimeRange, encode_json
from stores.contract.making import (
    Clock,
    World,
    after,
    agent,
    delete,
    event,
    keep,
    link,
    memory,
    message,
    names,
    page,
    participant,
    remember,
    replace,
    say,
    session,
    session_link,
    span,
    state,
    thread,
    user,
)
from stores.ports import By, Collection, Grouping, LinkFilter, Store

EXAMPLES = settings(deadline=None, suppress_health_check=list(HealthCheck))

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=4)
)
NOWHERE = [Ref(id=Id("none")), Ref(external_id="none")]
ONE_TO_THREE = TimeRange(from_=after(hours=1), until=after(hours=3))


def hour(count: float) -> Any:
    return after(hours=count)


async def titles(store: Store, **filter: Any) -> list[str]:
    return sorted(await names(store, Collection.SESSIONS, filter=SessionFilter(**filter), by="title"))


async def texts(store: Store, **filter: Any) -> list[str]:
    return sorted(await names(store, Collection.MEMORIES, filter=MemoryFilter(**filter), by="text"))


async def test_a_filter_that_says_nothing_lets_everything_through(store: Store, things: World) -> None:
    kinds = {
        Collection.SESSIONS: SessionFilter(),
        Collection.USERS: ActorFilter(),
        Collection.AGENTS: ActorFilter(),
        Collection.MEMORIES: MemoryFilter(),
        Collection.SPANS: SpanFilter(),
    }
    for of, filter in kinds.items():
        assert await names(store, of, filter=filter, by="id") == await names(store, of, by="id") != []
    assert await names(store, Collection.SESSION_MESSAGES, things.session, MessageFilter(), by="text") == ["hello"]
    assert await names(store, Collection.SESSION_TRACE, things.session, TraceFilter(), by="type") == ["thought"]
    assert await names(store, Collection.MEMORY_LINKS, things.memory, LinkFilter(), by="weight") == [1.0]
    assert await names(store, Collection.STATES, "app", StateFilter(), by="key") == ["color"]


class TestSessions:
    async def test_kinds_and_statuses(self, store: Store) -> None:
        await keep(
            store,
            session(title="a", kind=SessionKind.CHAT, status=SessionStatus.ENDED),
            session(title="b", kind=SessionKind.PANEL, status=SessionStatus.ACTIVE),
            session(title="c", kind=SessionKind.PLAYGROUND, status=SessionStatus.ARCHIVED),
        )
        assert await titles(store, kinds=[SessionKind.PANEL, SessionKind.CHAT]) == ["a", "b"]
        assert await titles(store, statuses=[SessionStatus.ARCHIVED]) == ["c"]
        assert await titles(store, kinds=[SessionKind.PANEL], statuses=[SessionStatus.ARCHIVED]) == []
        assert await titles(store, kinds=[]) == []

    async def test_times_are_half_open(self, store: Store) -> None:
        await keep(store, *(session(title=str(n), created_at=hour(n), last_active_at=hour(9 - n)) for n in range(5)))
        assert await titles(store, created_at=ONE_TO_THREE) == ["1", "2"]
        assert await titles(store, created_at=TimeRange(from_=hour(3))) == ["3", "4"]
        assert await titles(store, created_at=TimeRange(until=hour(1))) == ["0"]
        assert await titles(store, created_at=TimeRange()) == ["0", "1", "2", "3", "4"]
        assert await titles(store, active_since=hour(7)) == ["0", "1", "2"]

    async def test_participants_by_id_or_external_id(self, store: Store) -> None:
        [ada, helper] = await keep(store, user(external_id="x1"), agent(external_id="x2"))
        [a, b, _] = await keep(store, session(title="a"), session(title="b"), session(title="c"))
        [first, second, _] = await keep(
            store,
            participant(a, actor_id=ada.id),
            participant(b, actor_id=helper.id, type=SenderType.AGENT),
            participant(b, actor_id=ada.id),
        )
        assert await titles(store, participant=Ref(id=ada.id)) == ["a", "b"]
        assert await titles(store, participant=Ref(external_id="x1")) == ["a", "b"]
        assert await titles(store, participant=Ref(external_id="x2")) == ["b"]
        assert await titles(store, participant=Ref(id=second.id)) == ["b"]
        assert await titles(store, participant=Ref(id=first.id)) == ["a"]

    async def test_participants_by_their_own_external_id(self, store: Store) -> None:
        [a, _] = await keep(store, session(title="a"), session(title="b"))
        await keep(store, participant(a, external_id="voice"))
        assert await titles(store, participant=Ref(external_id="voice")) == ["a"]

    async def test_text_looks_in_titles(self, store: Store) -> None:
        await keep(store, *(session(title=title) for title in ("Big Plan", "plans", "other")))
        assert await titles(store, text="PLAN") == ["Big Plan", "plans"]

    async def test_capabilities(self, store: Store) -> None:
        await keep(store, session(title="a", capabilities=["web", "code"]), session(title="b", capabilities=["webs"]))
        assert await titles(store, capability="web") == ["a"]

    async def test_and_or_not(self, store: Store) -> None:
        await keep(store, *(session(title=title, message_count=len(title)) for title in ("ab", "bc", "cd", "d")))

        def has(text: str) -> SessionFilter:
            return SessionFilter(text=text)

        assert await titles(store, and_=[has("b"), has("c")]) == ["bc"]
        assert await titles(store, or_=[has("a"), has("d")]) == ["ab", "cd", "d"]
        assert await titles(store, not_=has("b")) == ["cd", "d"]
        assert await titles(store, text="c", not_=has("b")) == ["cd"]
        assert await titles(store, or_=[SessionFilter(text="b", not_=has("a")), SessionFilter(and_=[has("d")])]) == [
            "bc",
            "cd",
            "d",
        ]
        assert await titles(store, and_=[]) == ["ab", "bc", "cd", "d"]
        assert await titles(store, or_=[]) == []
        assert await titles(store, not_=SessionFilter()) == []


class TestMemories:
    async def test_types_scopes_and_statuses(self, store: Store, things: World) -> None:
        await keep(
            store,
            memory(text="a", type=MemoryType.WORKING),
            memory(things.agent, text="b", type=MemoryType.PROCEDURAL, status=MemoryStatus.ARCHIVED),
            memory(text="c", status=MemoryStatus.SUPERSEDED),
        )
        assert await texts(store, types=[MemoryType.WORKING, MemoryType.PROCEDURAL]) == ["a", "b"]
        assert await texts(store, scopes=[MemoryScope.GLOBAL]) == ["a", "c"]
        assert await texts(store, scopes=[MemoryScope.AGENT, MemoryScope.GLOBAL]) == ["a", "b", "c"]
        assert await texts(store, statuses=[MemoryStatus.ARCHIVED, MemoryStatus.SUPERSEDED]) == ["b", "c"]
        assert await texts(store, statuses=[]) == []

    async def test_owners(self, store: Store) -> None:
        [ada, helper] = await keep(store, user(external_id="same"), agent(external_id="same"))
        await keep(store, memory(ada, text="a"), memory(helper, text="b"), memory(text="c"))
        assert await texts(store, owner=Ref(id=ada.id)) == ["a"]
        assert await texts(store, owner=Ref(id=helper.id)) == ["b"]
        assert await texts(store, owner=Ref(external_id="same")) == ["a", "b"]
        assert await texts(store, owner=Ref(external_id="same"), scopes=[MemoryScope.AGENT]) == ["b"]
        assert await texts(store, not_=MemoryFilter(owner=Ref(id=ada.id))) == ["b", "c"]

    async def test_sessions_they_were_formed_in(self, store: Store) -> None:
        [a, b] = await keep(store, session(external_id="s"), session())
        await keep(store, memory(text="a", session_id=a.id), memory(text="b", session_id=b.id), memory(text="c"))
        assert await texts(store, session=Ref(external_id="s")) == ["a"]
        assert await texts(store, session=Ref(id=b.id)) == ["b"]
        assert await texts(store, not_=MemoryFilter(session=Ref(id=b.id))) == ["a", "c"]

    async def test_tags_must_all_be_there(self, store: Store) -> None:
        await keep(store, memory(text="a", tags=["x", "y"]), memory(text="b", tags=["y"]), memory(text="c"))
        assert await texts(store, tags=["y"]) == ["a", "b"]
        assert await texts(store, tags=["y", "x"]) == ["a"]
        assert await texts(store, tags=["z"]) == []
        assert await texts(store, tags=[]) == ["a", "b", "c"]

    async def test_importance_has_both_its_ends(self, store: Store) -> None:
        await keep(store, *(memory(text=str(n), importance=n / 10) for n in range(5)))
        assert await texts(store, importance=FloatRange(min=0.1, max=0.3)) == ["1", "2", "3"]
        assert await texts(store, importance=FloatRange(min=0.4)) == ["4"]
        assert await texts(store, importance=FloatRange(max=0)) == ["0"]
        assert await texts(store, importance=FloatRange()) == ["0", "1", "2", "3", "4"]

    async def test_times_are_half_open(self, store: Store) -> None:
        await keep(store, *(memory(text=str(n), created_at=hour(n)) for n in range(5)))
        assert await texts(store, created_at=ONE_TO_THREE) == ["1", "2"]

    async def test_when_the_fact_held(self, store: Store) -> None:
        await keep(
            store,
            memory(text="always"),
            memory(text="from 1", valid_from=hour(1)),
            memory(text="until 3", valid_until=hour(3)),
            memory(text="1 to 3", valid_from=hour(1), valid_until=hour(3)),
        )
        assert await texts(store, valid_at=hour(0)) == ["always", "until 3"]
        assert await texts(store, valid_at=hour(1)) == ["1 to 3", "always", "from 1", "until 3"]
        assert await texts(store, valid_at=hour(3)) == ["always", "from 1"]
        assert len(await texts(store)) == 4
        assert await texts(store, not_=MemoryFilter(valid_at=hour(1))) == []

    async def test_text_is_taken_literally(self, store: Store) -> None:
        odd = ["100% sure", "100 sure", "a_b", "acb", "back\\slash", 'it\'s "quoted"', "caf\u00e9", "semi;colon"]
        await keep(store, *(memory(text=text) for text in odd))
        assert await texts(store, text="0% ") == ["100% sure"]
        assert await texts(store, text="a_b") == ["a_b"]
        assert await texts(store, text="\\") == ["back\\slash"]
        assert await texts(store, text="'s \"Q") == ['it\'s "quoted"']
        assert await texts(store, text="\u00e9") == ["caf\u00e9"]
        assert await texts(store, text="") == sorted(odd)

    async def test_long_texts_and_odd_characters_are_looked_for_too(self, store: Store) -> None:
        long = "x" * 60_000
        await keep(store, memory(text=long + "y"), memory(text="a\x00b"), memory(text="ab"))
        assert await texts(store, text=long) == [long + "y"]
        assert await texts(store, text="a\x00B") == ["a\x00b"]
        assert await texts(store, text="\x00") == ["a\x00b"]

    async def test_and_or_not(self, store: Store) -> None:
        await keep(store, *(memory(text=text, tags=list(text)) for text in ("ab", "bc", "cd")))

        def has(tag: str) -> MemoryFilter:
            return MemoryFilter(tags=[tag])

        assert await texts(store, and_=[has("b"), has("c")]) == ["bc"]
        assert await texts(store, or_=[has("a"), has("d")]) == ["ab", "cd"]
        assert await texts(store, tags=["c"], not_=MemoryFilter(or_=[has("b"), has("a")])) == ["cd"]

    async def test_a_negation_lets_through_what_is_not_known(self, store: Store) -> None:
        await keep(store, memory(text="a", metadata={"k": 1}), memory(text="b"))
        assert await texts(store, not_=MemoryFilter(metadata=encode_json({"k": 1}))) == ["b"]


CASES = [
    ("École normale", "éCOLE", True),
    ("STRASSE", "straße", False),
    ("ΟΔΥΣΣΕΥΣ στο σπίτι", "οδυσσευς", True),
    ("ΟΔΥΣΣΕΥΣ", "ΟΔΥΣ", True),
    ("Привет МИР", "мир", True),
    ("İstanbul", "i̇STANBUL", True),
    ("cafe", "é", False),
    ("smile 😀", "😀", True),
]
"""A text, what is looked for in it, and whether it is there."""


class TestCase:
    """Letters match in either case, of all alphabets, wherever filters look into texts."""

    @pytest.mark.parametrize(("text", "wanted", "there"), CASES)
    async def test_of_titles_memories_and_names(self, store: Store, text: str, wanted: str, there: bool) -> None:
        await keep(store, session(title=text), user(name=text), agent(name="x", external_id=text))
        await keep(store, memory(text=text))
        found = [text] if there else []
        assert await titles(store, text=wanted) == found
        assert await texts(store, text=wanted) == found
        filter = ActorFilter(text=wanted)
        assert await names(store, Collection.USERS, filter=filter) == found
        assert await names(store, Collection.AGENTS, filter=filter, by="external_id") == found

    @pytest.mark.parametrize(("text", "wanted", "there"), CASES)
    async def test_of_messages(self, store: Store, things: World, text: str, wanted: str, there: bool) -> None:
        await say(store, things.session, message(things.participant, text=text))
        filter = MessageFilter(text=wanted)
        found = await names(store, Collection.SESSION_MESSAGES, things.session, filter, by="text")
        assert found == ([text] if there else [])


class TestHowMuchAFilterMayHold:
    async def test_up_to_its_limits_it_is_answered(self, store: Store) -> None:
        await keep(store, memory(text="a", tags=["t1"]), memory(text="b"))
        deep = MemoryFilter(text="a")
        for _ in range(96):
            deep = MemoryFilter(not_=deep)
        assert await texts(store, not_=MemoryFilter(not_=deep)) == ["a"]
        for levels in range(5, 19, 13):
            either = both = denied = MemoryFilter(text="a")
            for _ in range(levels):
                either = MemoryFilter(or_=[MemoryFilter(text="z"), either], tags=["t1"])
                both = MemoryFilter(or_=[MemoryFilter(text="z"), MemoryFilter(and_=[MemoryFilter(tags=["t1"]), both])])
                denied = MemoryFilter(not_=MemoryFilter(not_=denied, tags=["t1"]), types=[MemoryType.SEMANTIC])
            for deep in (either, both, denied):
                assert await texts(store, and_=[deep]) == ["a"] or deep is denied
            assert await texts(store, not_=either) == await texts(store, not_=both) == ["b"]
        wide = [MemoryFilter(text="a", tags=["t1"]) for _ in range(45)]
        assert await texts(store, or_=wide) == ["a"]
        assert await texts(store, and_=wide) == ["a"]
        assert await titles(store, kinds=[SessionKind.CHAT] * 1_000) == []
        many = encode_json({f"m{n}": n for n in range(1_500)})
        await keep(store, memory(text="c", metadata={f"m{n}": n for n in range(1_500)}))
        assert await texts(store, metadata=many) == ["c"]

    async def test_beyond_them_it_is_refused(self, store: Store) -> None:
        deep = MemoryFilter(text="a")
        for _ in range(200):
            deep = MemoryFilter(not_=deep)
        for filter in (
            deep,
            MemoryFilter(or_=[MemoryFilter(text="a") for _ in range(150)]),
            MemoryFilter(tags=[str(n) for n in range(201)]),
            MemoryFilter(types=[MemoryType.WORKING] * 1_001),
        ):
            with pytest.raises(Rejected) as refused:
                await page(store, Collection.MEMORIES, filter=filter)
            assert [(error.code, error.path) for error in refused.value.errors] == [(ErrorCode.INVALID, ["filter"])]


class TestMetadata:
    @pytest.mark.parametrize(
        "value",
        [
            True,
            False,
            None,
            0,
            1,
            -7,
            1.5,
            1e21,
            1e-7,
            0.1 + 0.2,
            2**53 + 1,
            2**63,
            "",
            "true",
            "1",
            "null",
            'quoted "text" \\ / \n \u00e9 \U0001f600 \x01',
            [],
            [1, "two", None],
            {},
            {"deep": {"er": [True, {"x": 1.5}]}},
        ],
        ids=repr,
    )
    async def test_a_member_equals_itself_and_nothing_else(self, store: Store, value: Any) -> None:
        others: list[Any] = [
            True,
            False,
            None,
            0,
            1,
            "",
            "true",
            "false",
            "null",
            "0",
            "1",
            [],
            {},
            [None],
            {"a": None},
        ]
        others = [other for other in others if not (other == value and type(other) is type(value))]
        await keep(
            store,
            memory(text="it", metadata={"k": value, "more": 1}),
            memory(text="without", metadata={}),
            *(memory(text="other", metadata={"k": other}) for other in others),
        )
        assert await texts(store, metadata=encode_json({"k": value})) == ["it"]

    async def test_all_members_must_be_there(self, store: Store) -> None:
        await keep(store, memory(text="a", metadata={"x": 1, "y": 2}), memory(text="b", metadata={"x": 1}))
        assert await texts(store, metadata=encode_json({"x": 1})) == ["a", "b"]
        assert await texts(store, metadata=encode_json({"x": 1, "y": 2})) == ["a"]
        assert await texts(store, metadata=encode_json({"x": 2})) == []
        assert await texts(store, metadata=encode_json({})) == ["a", "b"]

    async def test_names_are_not_paths(self, store: Store) -> None:
        await keep(
            store,
            memory(text="flat", metadata={"a.b": 1, '"': 1, "$[0]": 1}),
            memory(text="deep", metadata={"a": {"b": 1}}),
        )
        for name in ("a.b", '"', "$[0]"):
            assert await texts(store, metadata=encode_json({name: 1})) == ["flat"]

    async def test_the_order_of_members_does_not_matter(self, store: Store) -> None:
        await keep(store, memory(text="it", metadata={"k": {"a": 1, "b": [{"c": 2, "d": 3}]}}))
        assert await texts(store, metadata=encode_json({"k": {"b": [{"d": 3, "c": 2}], "a": 1}})) == ["it"]
        assert await texts(store, metadata=encode_json({"k": {"a": 1}})) == []

    async def test_numbers_are_equal_by_value(self, store: Store) -> None:
        await keep(store, memory(text="it", metadata={"whole": 1.0, "in": [1.0]}))
        assert await texts(store, metadata=encode_json({"whole": 1})) == ["it"]
        assert await texts(store, metadata=encode_json({"in": [1]})) == ["it"]
        assert await texts(store, metadata=encode_json({"whole": True})) == []
        assert await texts(store, metadata=encode_json({"in": [True]})) == []

    async def test_of_sessions_messages_users_and_agents(self, store: Store, things: World) -> None:
        one = encode_json({"k": True})
        await keep(store, session(title="it", metadata={"k": True}), user(name="it", profile={"k": True}))
        await keep(store, agent(name="it", config={"k": True}))
        await say(store, things.session, message(things.participant, text="it", metadata={"k": True}))
        assert await titles(store, metadata=one) == ["it"]
        assert await names(store, Collection.USERS, filter=ActorFilter(metadata=one)) == ["it"]
        assert await names(store, Collection.AGENTS, filter=ActorFilter(metadata=one)) == ["it"]
        filter = MessageFilter(metadata=one)
        assert await names(store, Collection.SESSION_MESSAGES, things.session, filter, by="text") == ["it"]

    @EXAMPLES
    @given(
        st.dictionaries(
            st.text(max_size=3),
            st.recursive(
                SCALARS,
                lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
                max_leaves=6,
            ),
            max_size=3,
        )
    )  # fmt: skip
    async def test_whatever_was_written_is_found_by_it(self, store: Store, metadata: dict[str, Any]) -> None:
        [made] = await keep(store, memory(metadata=metadata))
        found = await names(store, Collection.MEMORIES, filter=MemoryFilter(metadata=encode_json(metadata)), by="id")
        assert made.id in found


class TestMessages:
    async def texts(self, store: Store, things: World, **filter: Any) -> list[str]:
        return await names(store, Collection.SESSION_MESSAGES, things.session, MessageFilter(**filter), by="text")

    async def test_senders(self, store: Store, things: World) -> None:
        [bot, tool] = await keep(
            store,
            participant(things.session, type=SenderType.AGENT, actor_id=things.agent.id),
            participant(things.session, type=SenderType.TOOL, external_id="tool-1"),
        )
        await say(store, things.session, message(bot, text="b"), message(tool, text="t"))
        assert await self.texts(store, things, sender_types=[SenderType.AGENT, SenderType.TOOL]) == ["b", "t"]
        assert await self.texts(store, things, sender=Ref(id=bot.id)) == ["b"]
        assert await self.texts(store, things, sender=Ref(id=things.agent.id)) == ["b"]
        assert await self.texts(store, things, sender=Ref(external_id="helper")) == ["b"]
        assert await self.texts(store, things, sender=Ref(external_id="ada")) == ["hello"]
        assert await self.texts(store, things, sender=Ref(external_id="tool-1")) == ["t"]

    async def test_thread_text_tool_and_time(self, store: Store, things: World) -> None:
        [other] = await keep(store, thread(things.session, name="other"))
        call = ToolCall("c", "clock", encode_json({"text": "secret", "tool": "hammer"}))
        await say(
            store,
            things.session,
            message(things.participant, text="in Other", thread_id=other.id, created_at=hour(1)),
            message(things.participant, content=[TextContent("x"), call, TextContent("50%_")], created_at=hour(2)),
            message(things.participant, text="late", created_at=hour(3)),
        )
        assert await self.texts(store, things, thread="other") == ["in Other"]
        assert await self.texts(store, things, thread="aside") == ["hello"]
        assert await self.texts(store, things, thread="none") == []
        assert await self.texts(store, things, text="OTHER") == ["in Other"]
        assert await self.texts(store, things, text="0%_") == ["x\n50%_"]
        assert await self.texts(store, things, text="secret") == []
        assert await self.texts(store, things, tool="clock") == ["x\n50%_"]
        assert await self.texts(store, things, tool="hammer") == []
        assert await self.texts(store, things, created_at=ONE_TO_THREE) == ["in Other", "x\n50%_"]

    async def test_a_filter_keeps_to_the_list(self, store: Store, things: World) -> None:
        await say(store, things.session, message(things.participant, text="hello too"))
        filter = MessageFilter(text="hello")
        assert await names(store, Collection.THREAD_MESSAGES, things.thread, filter, by="text") == ["hello"]
        found = await names(store, Collection.PARTICIPANT_MESSAGES, things.participant, filter, by="text")
        assert found == ["hello", "hello too"]


class TestActors:
    async def test_text_looks_in_names_and_external_ids(self, store: Store) -> None:
        await keep(store, user(name="Ann"), user(name="Bob", external_id="ann_1"), user(name="Cy", external_id="annx1"))

        async def find(text: str) -> list[str]:
            return await names(store, Collection.USERS, filter=ActorFilter(text=text))

        assert sorted(await find("ANN")) == ["Ann", "Bob", "Cy"]
        assert await find("ann_") == ["Bob"]
        assert await find("nobody") == []

    async def test_capabilities_are_of_agents(self, store: Store) -> None:
        await keep(store, user(name="u"))
        await keep(store, agent(name="a", capabilities=["web"]), agent(name="b"))
        assert await names(store, Collection.AGENTS, filter=ActorFilter(capability="web")) == ["a"]
        assert await names(store, Collection.USERS, filter=ActorFilter(capability="web")) == []


class TestSpans:
    async def names(self, store: Store, **filter: Any) -> list[str]:
        return sorted(await names(store, Collection.SPANS, filter=SpanFilter(**filter)))

    async def test_every_member(self, store: Store) -> None:
        [where, helper] = await keep(store, session(external_id="s"), agent(external_id="h"))
        await keep(
            store,
            span(span_id="1", name="a", kind=SpanKind.TOOL, session_id=where.id, started_at=hour(0), ended_at=hour(1)),
            span(span_id="2", name="b", status_code=SpanStatusCode.ERROR, agent_id=helper.id, started_at=hour(1)),
            span(span_id="3", name="c", trace_id="abc", started_at=hour(2), ended_at=after(hours=2, milliseconds=1.5)),
            span(span_id="4", name="d", started_at=hour(3), ended_at=hour(3)),
        )
        assert await self.names(store, kinds=[SpanKind.TOOL]) == ["a"]
        assert await self.names(store, status_codes=[SpanStatusCode.ERROR, SpanStatusCode.OK]) == ["b"]
        assert await self.names(store, names=["a", "d", "x"]) == ["a", "d"]
        assert await self.names(store, trace_id="ABC") == ["c"]
        assert await self.names(store, session=Ref(external_id="s")) == ["a"]
        assert await self.names(store, session=Ref(id=where.id)) == ["a"]
        assert await self.names(store, agent=Ref(external_id="h")) == ["b"]
        assert await self.names(store, agent=Ref(id=helper.id)) == ["b"]
        assert await self.names(store, started_at=ONE_TO_THREE) == ["b", "c"]
        assert await self.names(store, min_duration_ms=1.5) == ["a", "c"]
        assert await self.names(store, min_duration_ms=1.6) == ["a"]
        assert await self.names(store, min_duration_ms=1e300) == []
        assert await self.names(store, min_duration_ms=0) == ["a", "c", "d"]
        assert await self.names(store, running=True) == ["b"]
        assert await self.names(store, running=False) == ["a", "c", "d"]

    @pytest.mark.parametrize("order", ["parents first", "children first", "at once", "inside out"])
    async def test_what_spans_inherit_is_found(self, store: Store, order: str) -> None:
        """The agent and the user of the nearest ancestor that names one, also of one that comes late, changes or goes."""
        made = [agent(external_id="asked"), agent(external_id="helper"), user(), user()]
        asked, helper, first, second = await keep(store, *made)
        drafts = [
            span(span_id="root", name="root", agent_id=asked.id, user_id=first.id),
            span(span_id="step", name="step", parent_span_id="root"),
            span(span_id="call", name="call", parent_span_id="step"),
            span(span_id="help", name="help", parent_span_id="step", agent_id=helper.id),
            span(span_id="deep", name="deep", parent_span_id="help"),
            span(span_id="round", name="round", trace_id="t2", parent_span_id="round"),
            span(span_id="lost", name="lost", trace_id="t3", parent_span_id="root"),
        ]
        requests = {
            "parents first": [[one] for one in drafts],
            "children first": [[one] for one in reversed(drafts)],
            "at once": [drafts],
            "inside out": [[drafts[1]], [drafts[2], drafts[4], drafts[0]], [drafts[3], *drafts[5:]]],
        }
        for some in requests[order]:
            await keep(store, *some)
        assert await self.names(store, agent=Ref(id=asked.id)) == ["call", "root", "step"]
        assert await self.names(store, agent=Ref(external_id="helper")) == ["deep", "help"]
        assert await self.names(store, user=Ref(id=first.id)) == ["call", "deep", "help", "root", "step"]
        spans = {one.name: one for one in (await page(store, Collection.SPANS, limit=50)).nodes}
        assert {name: one.agent_id for name, one in spans.items()} == {
            **dict.fromkeys(("root", "step", "call"), asked.id),
            **dict.fromkeys(("help", "deep"), helper.id),
            **dict.fromkeys(("round", "lost")),
        }
        [groups] = await store.grouped(Collection.SPANS, [Id("")], Grouping(by=(By("agent"),)))
        assert {group.key[0]: group.count for group in groups} == {asked.id: 3, helper.id: 2, None: 2}

        await replace(store, spans["root"], agent_id=helper.id, user_id=second.id)
        assert await self.names(store, agent=Ref(id=asked.id)) == []
        there = {"agent": Ref(id=helper.id), "user": Ref(id=second.id)}
        assert await self.names(store, **there) == ["call", "deep", "help", "root", "step"]
        await delete(store, spans["root"])
        assert await self.names(store, **there) == ["call", "deep", "help", "step"]


class TestTrace:
    async def test_every_member(self, store: Store, things: World) -> None:
        [other] = await say(store, things.session, message(things.participant))
        await keep(
            store,
            event(things.session, type="a", component="x", time=hour(1), duration_ms=5.0),
            event(things.session, type="b", component="y", time=hour(2), agent_id=things.agent.id, duration_ms=1.0),
            event(things.session, type="c", component="x", time=hour(3), message_id=other.id),
        )

        async def types(**filter: Any) -> list[str]:
            return await names(store, Collection.SESSION_TRACE, things.session, TraceFilter(**filter), by="type")

        assert await types(types=["a", "c"]) == ["a", "c"]
        assert await types(components=["x"]) == ["a", "c"]
        assert await types(time=ONE_TO_THREE) == ["a", "b"]
        assert await types(agent=Ref(external_id="helper")) == ["b"]
        assert await types(agent=Ref(id=things.agent.id)) == ["b"]
        assert await types(message=other.id) == ["c"]
        assert await types(message=Id("none")) == []
        assert await types(min_duration_ms=1.0) == ["a", "b"]


class TestStates:
    async def test_every_member(self, store: Store) -> None:
        await keep(
            store,
            state("a%1", tags=["x", "y"], updated_at=hour(1)),
            state("a_2", tags=["x"], updated_at=hour(2)),
            state("\u00e9a%", updated_at=hour(3)),
            state("a%1", namespace="other"),
        )

        async def keys(**filter: Any) -> list[str]:
            return await names(store, Collection.STATES, "app", StateFilter(**filter), by="key")

        assert await keys() == ["a%1", "a_2", "\u00e9a%"]
        assert await keys(prefix="a") == ["a%1", "a_2"]
        assert await keys(prefix="a%") == ["a%1"]
        assert await keys(prefix="\u00e9") == ["\u00e9a%"]
        assert await keys(prefix="A") == []
        assert await keys(tags=["x"]) == ["a%1", "a_2"]
        assert await keys(tags=["y", "x"]) == ["a%1"]
        assert await keys(updated_at=ONE_TO_THREE) == ["a%1", "a_2"]


class TestLinks:
    async def test_direction_and_kinds(self, store: Store) -> None:
        [a, b, c] = await remember(store, memory(), memory(), memory())
        [out, back, both] = await keep(
            store,
            link(a, b),
            link(c, a, kind=MemoryLinkKind.CAUSES),
            link(b, a, kind=MemoryLinkKind.SUPPORTS),
        )
        await keep(store, link(b, c))

        async def ids(**filter: Any) -> set[Id]:
            return set(await names(store, Collection.MEMORY_LINKS, a, LinkFilter(**filter), by="id"))

        assert await ids() == {out.id, back.id, both.id}
        assert await ids(direction=LinkDirection.OUT) == {out.id}
        assert await ids(direction=LinkDirection.IN) == {back.id, both.id}
        assert await ids(kinds=[MemoryLinkKind.CAUSES, MemoryLinkKind.RELATED]) == {out.id, back.id}
        assert await ids(kinds=[]) == set()
        found = await page(store, Collection.MEMORY_LINKS, a, LinkFilter(LinkDirection.IN))
        assert await store.counts([found.count_key]) == [2]

    async def test_those_of_sessions(self, store: Store, clock: Clock) -> None:
        [a, b] = await keep(store, session(), session())
        [c] = await keep(store, session(expires_at=clock.now + timedelta(hours=1)))
        parts = SessionLinkKind.PART_OF
        [out, back, far] = await keep(
            store, session_link(a, b), session_link(b, a, kind=parts), session_link(c, a, kind=parts)
        )
        await keep(store, session_link(b, c))

        async def ids(**filter: Any) -> set[Id]:
            return set(await names(store, Collection.SESSION_LINKS, a, LinkFilter(**filter), by="id"))

        assert await ids() == {out.id, back.id, far.id}
        assert await ids(direction=LinkDirection.OUT) == {out.id}
        assert await ids(direction=LinkDirection.IN, kinds=[parts]) == {back.id, far.id}
        found = await page(store, Collection.SESSION_LINKS, a, LinkFilter(LinkDirection.IN))
        assert await store.counts([found.count_key]) == [2]
        assert await store.find(SessionLink, [(a.id, "RELATED", b.id), (b.id, "RELATED", a.id)]) == [out, None]
        clock.now += timedelta(hours=2)
        assert await ids() == {out.id, back.id}
        await delete(store, b)
        assert await ids() == set()
        assert await store.get(SessionLink, [out.id, back.id]) == [None, None]

    async def test_a_link_to_itself_is_listed_once(self, store: Store) -> None:
        [a] = await remember(store, memory())
        [loop] = await keep(store, link(a, a))
        assert await names(store, Collection.MEMORY_LINKS, a, by="id") == [loop.id]


@pytest.mark.parametrize("ref", NOWHERE, ids=["id", "externalId"])
async def test_references_to_nothing_give_an_empty_page(store: Store, things: World, ref: Ref) -> None:
    for of, filter in (
        (Collection.SESSIONS, SessionFilter(participant=ref)),
        (Collection.MEMORIES, MemoryFilter(owner=ref)),
        (Collection.MEMORIES, MemoryFilter(session=ref)),
        (Collection.SPANS, SpanFilter(session=ref)),
        (Collection.SPANS, SpanFilter(agent=ref)),
    ):
        found = await page(store, of, filter=filter)
        assert (found.nodes, found.has_next_page, found.has_previous_page) == ([], False, False)
        assert await store.counts([found.count_key]) == [0]
    assert await names(store, Collection.SESSION_MESSAGES, things.session, MessageFilter(sender=ref)) == []
    assert await names(store, Collection.SESSION_TRACE, things.session, TraceFilter(agent=ref)) == []


async def test_filtered_pages_walk_and_count_like_whole_ones(store: Store) -> None:
    made = await keep(store, *(memory(tags=["odd"] if n % 2 else [], created_at=hour(n // 4)) for n in range(20)))
    odd = [one.id for one in sorted(made[1::2], key=lambda one: (one.created_at, one.id), reverse=True)]
    filter = MemoryFilter(tags=["odd"])
    seen: list[Id] = []
    start: str | None = None
    while True:
        found = await page(store, Collection.MEMORIES, filter=filter, limit=3, after=start)
        seen += [node.id for node in found.nodes]
        assert found.has_previous_page is (start is not None)
        if not found.has_next_page:
            break
        start = found.page_info.end_cursor
    assert seen == odd
    assert await store.counts([found.count_key]) == [10]
    last = await page(store, Collection.MEMORIES, filter=filter, limit=4, backward=True)
    assert [node.id for node in last.nodes] == odd[-4:]
    assert isinstance(last.nodes[0], Memory)
