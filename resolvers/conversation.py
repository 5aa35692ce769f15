"""The messages of sessions that telemetry alone knows, made of the model calls it tells of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from msgspec.structs import replace

from domain.actor import Agent, User
from domain.conversation import ASKED, MAX_KNOWN, Conversation, Known, Teller, Utterance, news, places_of, utterances
from domain.message import Message
from domain.node import Id
from domain.participant import Participant, ParticipantInput, SenderType
from domain.session import Session
from domain.shortening import one_line
from domain.span import Span, SpanKind
from domain.values import EMPTY_OBJECT, Ref
from resolvers.context import Told
from resolvers.sessions import join
from resolvers.traces import inherited
from stores.ports import Transaction

MAX_TITLE = 100

_ROLES = {SenderType.USER: "user", SenderType.AGENT: "assistant", SenderType.TOOL: "tool"}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_DEPTH = 100


async def tell(tx: Transaction, spans: Iterable[Span], mode: Told) -> None:
    """Adds to sessions what spans that were put tell of their conversations."""
    of: dict[Id, list[Span]] = {}
    for span in spans:
        if span.session_id is not None and (span.kind in (SpanKind.AGENT, SpanKind.TOOL) or span.call is not None):
            of.setdefault(span.session_id, []).append(span)
    if mode == "off" or not of:
        return
    keys = [(id,) for id in of]
    for session, before in zip(await tx.get(Session, list(of)), await tx.find(Conversation, keys), strict=True):
        if session is None:
            continue
        known = before or Conversation(id=tx.new_id(Conversation), session_id=session.id)
        if mode == "always" or session.message_count == known.told:
            await _Telling(tx, session, known).tell(of[session.id])


async def adopt(
    tx: Transaction, session: Session, present: Sequence[Participant], type: SenderType, actor_id: Id
) -> bool:
    """Gives the voice that telemetry heard before it knew whose it is to a user or agent; whether there is one."""
    for one in present:
        if one.type is type and one.actor_id is None and one.external_id is None and one.name == _ROLES[type]:
            if (await tx.find(Conversation, [(session.id,)]))[0] is None:
                return False
            kind: Any = User if type is SenderType.USER else Agent
            [actor] = await tx.get(kind, [actor_id])
            if actor is None:
                return False
            await tx.put([replace(one, actor_id=actor_id, name=actor.name)])
            return True
    return False


class _Telling:
    """What a write adds to one conversation."""

    def __init__(self, tx: Transaction, session: Session, before: Conversation) -> None:
        self._tx, self._session, self._before = tx, session, before
        self._known, self._tellers = list(before.known), list(before.tellers)
        self._places = places_of(self._known)
        self._parents: dict[tuple[str, ...], Span | None] = {}
        self._voices: list[Participant] | None = None
        self._added: list[Message] = []

    async def tell(self, spans: Sequence[Span]) -> None:
        self._parents = {(span.trace_id, span.span_id): span for span in spans}
        await self._take_back(spans)
        for span in sorted(spans, key=_order):
            if span.kind in (SpanKind.LLM, SpanKind.AGENT) and span.call is not None:
                await self._hear(span)
        if self._added or len(self._known) != len(self._before.known):
            await self._keep()

    async def _hear(self, span: Span) -> None:
        assert span.call is not None
        place = await self._place(span)
        if place == "inside":
            return
        by = _teller(span)
        told = utterances(span.call.input, [] if self._is_repeated(span) else span.call.output)
        fresh = news(self._known, self._places, self._tellers, told, by)
        if place == "below" and not fresh.goes_on:
            return
        heard = [one for one in fresh.told if place != "below" or one.sender is not SenderType.USER]
        if heard:
            at = self._teller(by)
            for one in heard:
                await self._add(span, one, at)

    def _is_repeated(self, span: Span) -> bool:
        """Whether what an agent's span tells at its end was told by the calls in it."""
        return span.kind is SpanKind.AGENT and any(
            one.trace_id == span.trace_id and one.span_id != span.span_id for one in self._tellers
        )

    def _teller(self, by: Teller) -> int:
        for place, one in enumerate(self._tellers):
            if (one.trace_id, one.span_id) == (by.trace_id, by.span_id):
                self._tellers[place] = by
                return place
        self._tellers.append(by)
        return len(self._tellers) - 1

    async def _place(self, span: Span) -> Literal["inside", "below", "top"]:
        """Where a call stands: inside of a tool, in an agent below another one, or where the user is answered."""
        agents: list[Id] = []
        on: Span | None = span
        for _ in range(_MAX_DEPTH):
            if on is None:
                break
            if on.kind is SpanKind.TOOL:
                return "inside"
            if on.kind is SpanKind.AGENT and on.agent_id is not None and on.agent_id not in agents:
                agents.append(on.agent_id)
            on = await self._parent(on)
        return "below" if len(agents) > 1 else "top"

    async def _parent(self, span: Span) -> Span | None:
        if not span.parent_span_id:
            return None
        key = (span.trace_id, span.parent_span_id)
        if key not in self._parents:
            self._parents[key] = (await self._tx.find(Span, [key]))[0]
        return self._parents[key]

    async def _take_back(self, spans: Sequence[Span]) -> None:
        """Removes what was told before it was known to be inside of a tool or of another agent."""
        above = {span.trace_id for span in spans if span.kind in (SpanKind.TOOL, SpanKind.AGENT)}
        wrong: set[int] = set()
        for place, one in enumerate(self._tellers):
            if one.trace_id in above and any(known.span == place for known in self._known):
                span = (await self._tx.find(Span, [(one.trace_id, one.span_id)]))[0]
                where = "top" if span is None else await self._place(span)
                asked = any(known.span == place and known.key[0] in ASKED for known in self._known)
                if where == "inside" or (where == "below" and asked):
                    wrong.add(place)
        if wrong:
            gone = list(dict.fromkeys(known.message_id for known in self._known if known.span in wrong))
            self._known = [known for known in self._known if known.span not in wrong]
            self._places = places_of(self._known)
            await self._tx.delete(Message, gone)

    async def _add(self, span: Span, told: Utterance, at: int) -> None:
        sender = await self._voice(span, told.sender)
        message = Message(
            id=self._tx.new_id(Message),
            external_id=None,
            session_id=self._session.id,
            place=self._session.message_count + len(self._added) + 1,
            sender_id=sender.id,
            sender_type=told.sender,
            content=told.content,
            thread_id=None,
            parent_id=None,
            metadata=EMPTY_OBJECT,
            created_at=(span.ended_at if told.answers else None) or span.started_at,
            span_record_id=span.id,
        )
        self._added.append(message)
        for key in told.keys:
            self._places.setdefault(key, []).append(len(self._known))
            self._known.append(Known(key, at, message.id))

    async def _voice(self, span: Span, type: SenderType) -> Participant:
        """Who speaks: the user or agent of the span where they are known, else the only one of that type."""
        tx = self._tx
        if self._voices is None:
            self._voices = await tx.participants(self._session.id)
        same = [one for one in self._voices if one.type is type]
        field = {SenderType.USER: "user_id", SenderType.AGENT: "agent_id"}.get(type)
        actor = (await inherited(tx, [span], field))[0] if field else None
        for one in same:
            if one.actor_id == actor and actor is not None:
                return one
        if actor is None and len(same) == 1:
            return same[0]
        role = _ROLES[type]
        for one in same:
            if actor is None and one.actor_id is None and one.name == role:
                return one
        made = ParticipantInput(
            type=type, role=role, name=None if actor else role, actor=Ref(id=actor) if actor else None
        )
        one = await join(tx, self._session, made, [], span.started_at)
        self._voices.append(one)
        return one

    async def _keep(self) -> None:
        tx, session = self._tx, self._session
        if self._added:
            await tx.put(self._added)
            last = min(max(message.created_at for message in self._added), tx.now)
            last = max(session.last_active_at, last) if session.message_count else last
            changes = {"message_count": session.message_count + len(self._added), "last_active_at": last}
            await tx.put([replace(session, title=session.title or self._title(), **changes)])
        known, tellers = _bounded(self._known, self._tellers)
        told = self._before.told + len(self._added)
        await tx.put([replace(self._before, told=told, known=known, tellers=tellers)])

    def _title(self) -> str:
        said = (one.text for one in self._added if one.sender_type is SenderType.USER)
        return next((one_line(text, MAX_TITLE) for text in said if text.strip()), "")


def _order(span: Span) -> tuple[datetime, float, bool]:
    """What ends first comes first, and what is inside of another before that: the inner call tells its input."""
    return span.ended_at or span.started_at, -span.started_at.timestamp(), span.kind is SpanKind.AGENT


def _teller(span: Span) -> Teller:
    start, end = span.started_at, span.ended_at or span.started_at
    return Teller(span.trace_id, span.span_id, _micros(start), _micros(end))


def _micros(time: datetime) -> int:
    return (time - _EPOCH) // timedelta(microseconds=1)


def _bounded(known: list[Known], tellers: list[Teller]) -> tuple[list[Known], list[Teller]]:
    """The end of what is known, and the spans that told it."""
    known = known[-MAX_KNOWN:]
    used = sorted({one.span for one in known})
    if len(used) == len(tellers):
        return known, tellers
    places = {old: new for new, old in enumerate(used)}
    return [replace(one, span=places[one.span]) for one in known], [tellers[old] for old in used]
