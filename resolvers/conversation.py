"""The messages of sessions that telemetry alone knows, made of the model calls it tells of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from msgspec.structs import replace

from domain.actor import Agent, User
from domain.conversation import (
    ASKED,
    MAX_KNOWN,
    Conversation,
    Known,
    Teller,
    Utterance,
    keys_of,
    news,
    places_of,
    utterances,
)
from domain.message import Message
from domain.node import Id
from domain.participant import Participant, ParticipantInput, SenderType
from domain.session import Session
from domain.shortening import one_line
from domain.span import Span, SpanKind
from domain.values import EMPTY_OBJECT, Ref
from resolvers import tool_execution
from resolvers.context import Told
from resolvers.sessions import join
from stores.ports import Transaction

MAX_TITLE = 100

_ROLES = {SenderType.USER: "user", SenderType.AGENT: "assistant", SenderType.TOOL: "tool"}
TELLING = (SpanKind.LLM, SpanKind.AGENT)
"""The kinds of spans that tell what was said."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_DEPTH = 200


async def tell(tx: Transaction, spans: Iterable[Span], mode: Told) -> None:
    """Adds to sessions what spans that were put tell of their conversations."""
    of = _by_session(spans)
    if mode == "off" or not of:
        return
    keys = [(id,) for id in of]
    for session, before in zip(await tx.get(Session, list(of)), await tx.find(Conversation, keys), strict=True):
        if session is None or (before is None and not any(map(_tells, of[session.id]))):
            continue
        known = before or await _begun(tx, session)
        if mode == "always" or session.message_count == known.told:
            await _Telling(tx, session, known).tell(of[session.id])


async def _begun(tx: Transaction, session: Session) -> Conversation:
    """What is known of a conversation whose record is not there. A session that was imported has its messages all the
    same: what spans told of those that come last is known by them."""
    made = Conversation(id=tx.new_id(Conversation), session_id=session.id)
    if not session.message_count:
        return made
    messages = (await tx.latest(session.id, MAX_KNOWN))[::-1]
    ids = list(dict.fromkeys(message.span_record_id for message in messages if message.span_record_id is not None))
    spans = dict(zip(ids, await tx.get(Span, ids), strict=True))
    places = {id: place for place, id in enumerate(ids)}
    tellers = [Teller("", "", 0, 0) if span is None else _teller(span, "") for span in spans.values()]
    known = [
        Known(key, places[message.span_record_id], message.id)
        for message in messages
        if message.span_record_id is not None
        for key in keys_of(message.sender_type, message.content)
    ]
    known, tellers = _bounded(known, tellers)
    is_ours = bool(messages) and all(message.span_record_id is not None for message in messages)
    return replace(made, told=session.message_count if is_ours else 0, known=known, tellers=tellers)


def _by_session(spans: Iterable[Span]) -> dict[Id, list[Span]]:
    found: dict[Id, list[Span]] = {}
    for span in spans:
        if span.session_id is not None:
            found.setdefault(span.session_id, []).append(span)
    return found


def _tells(span: Span) -> bool:
    """Whether a span says something of a conversation, or of what is below it."""
    return span.call is not None or span.kind in (SpanKind.AGENT, SpanKind.TOOL)


async def tell_less(tx: Transaction, gone: Iterable[Span], staying: Sequence[Id], mode: Told) -> None:
    """Takes back what spans have told in the sessions that they are no longer in. What others say there too they tell
    in their place. gone: as they were in those sessions; staying: the ids of spans of the same traces."""
    of = _by_session(span for span in gone if _tells(span))
    if not of:
        return
    keys = [(id,) for id in of]
    left = [span for span in await tx.get(Span, staying) if span is not None]
    for session, before in zip(await tx.get(Session, list(of)), await tx.find(Conversation, keys), strict=True):
        if session is not None:
            known = before or await _begun(tx, session)
            traces = {span.trace_id for span in of[session.id]}
            there = [span for span in left if span.session_id == session.id and span.trace_id in traces]
            ours = mode == "always" or (mode == "auto" and session.message_count == known.told)
            await _Telling(tx, session, known).tell_less(of[session.id], there if ours else [])


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
        self._changed = False

    async def tell(self, spans: Sequence[Span]) -> None:
        self._parents = {(span.trace_id, span.span_id): span for span in spans}
        await self._take_back(spans)
        for span in sorted(spans, key=_order):
            if span.kind in TELLING and span.call is not None:
                await self._hear(span)
        if self._changed:
            await self._keep()

    async def tell_less(self, gone: Sequence[Span], staying: Sequence[Span]) -> None:
        """Takes back what spans told, and lets others of their traces tell what of it they tell too."""
        if not self._of(gone) and not any(span.kind in (SpanKind.AGENT, SpanKind.TOOL) for span in gone):
            return
        await self._remove(self._of([*gone, *staying]))
        await self.tell(staying)

    def _of(self, spans: Sequence[Span]) -> set[int]:
        """The places of spans among those that have told something."""
        keys = {(span.trace_id, span.span_id) for span in spans}
        return {place for place, one in enumerate(self._tellers) if (one.trace_id, one.span_id) in keys}

    async def _hear(self, span: Span) -> None:
        assert span.call is not None
        place, missing = await self._place(span)
        if place == "inside":
            return
        by = _teller(span, missing)
        told = utterances(span.call.input, [] if self._is_repeated(span) else span.call.output)
        fresh = news(self._known, self._places, self._tellers, told, by)
        if fresh.doubts:
            await self._tx.put([replace(span, warnings=list(dict.fromkeys([*span.warnings, *fresh.doubts])))])
        if place == "below" and not fresh.goes_on:
            return
        heard = [one for one in fresh.told if place != "below" or one.sender is not SenderType.USER]
        if heard:
            self._changed, at = True, self._teller(by)
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

    async def _place(self, span: Span) -> tuple[Literal["inside", "below", "top"], str]:
        """Where a call stands: inside of a tool, in an agent below another one, or where the user is answered; and the
        nearest of those above it that is not known. What is above it in another session is nothing to this one."""
        agents: list[Id] = []
        on, missing = span, ""
        for _ in range(_MAX_DEPTH):
            if on.kind is SpanKind.TOOL:
                return "inside", ""
            if on.kind is SpanKind.AGENT and (agent := on.named_agent_id) is not None and agent not in agents:
                agents.append(agent)
            above = await self._parent(on)
            if above is None or above.session_id != self._session.id:
                missing = on.parent_span_id or ""
                break
            on = above
        return "below" if len(agents) > 1 else "top", missing

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
        here = {(span.trace_id, span.span_id) for span in spans}
        wrong: set[int] = set()
        for place, one in enumerate(self._tellers):
            if one.trace_id in above or (one.trace_id, one.missing) in here:
                span = (await self._tx.find(Span, [(one.trace_id, one.span_id)]))[0]
                where, missing = ("top", "") if span is None else await self._place(span)
                if missing != one.missing:
                    self._tellers[place], self._changed = replace(one, missing=missing), True
                asked = any(known.span == place and known.key[0] in ASKED for known in self._known)
                if where == "inside" or (where == "below" and asked):
                    wrong.add(place)
        await self._remove(wrong)

    async def _remove(self, tellers: set[int]) -> None:
        """Removes what spans have told."""
        gone = list(dict.fromkeys(known.message_id for known in self._known if known.span in tellers))
        if not gone:
            return
        self._changed = True
        self._known, self._tellers = _used([one for one in self._known if one.span not in tellers], self._tellers)
        self._places = places_of(self._known)
        removed = [message for message in await self._tx.get(Message, gone) if message is not None]
        await self._tx.delete(Message, gone)
        await self._look_again(removed)

    async def _look_again(self, removed: Sequence[Message]) -> None:
        """Lets the session look as it would without messages that are gone: its title, and when it was last active."""
        session, ids = self._session, list(dict.fromkeys(known.message_id for known in self._known))
        left = [message for message in await self._tx.get(Message, ids) if message is not None]
        if any(message.created_at == self._before.titled_at for message in removed):
            session = self._titled(session, left, anew=True)
        if any(message.created_at >= session.last_active_at for message in removed):
            times = [min(message.created_at, self._tx.now) for message in left]
            session = replace(session, last_active_at=max(times, default=session.created_at))
        if session != self._session:
            self._session = session
            await self._tx.put([session])

    def _titled(self, session: Session, messages: Sequence[Message], anew: bool = False) -> Session:
        """A session that is called by the first text of its user, unless somebody has called it otherwise."""
        said = [message for message in messages if message.sender_type is SenderType.USER and message.text.strip()]
        first, before = min(said, key=lambda message: message.created_at, default=None), self._before
        if session.title != before.title or not (first or anew):
            return session
        if not anew and first and before.titled_at is not None and before.titled_at <= first.created_at:
            return session
        title = one_line(first.text, MAX_TITLE) if first else ""
        self._before = replace(before, title=title, titled_at=first.created_at if first else None)
        return replace(session, title=title)

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
        actor = await self._actor(span, field) if field else None
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

    async def _actor(self, span: Span, field: str) -> Id | None:
        """Whom a span names, or else the nearest ancestor that names one."""
        on: Span | None = span
        for _ in range(_MAX_DEPTH):
            if on is None or getattr(on, field) is not None:
                break
            on = await self._parent(on)
        return None if on is None else getattr(on, field)

    async def _keep(self) -> None:
        tx, session = self._tx, self._session
        if self._added:
            await tx.put(self._added)
            await tool_execution.join(tx, self._added)
            last = min(max(message.created_at for message in self._added), tx.now)
            last = max(session.last_active_at, last) if session.message_count else last
            changes = {"message_count": session.message_count + len(self._added), "last_active_at": last}
            await tx.put([replace(self._titled(session, self._added), **changes)])
        known, tellers = _bounded(self._known, self._tellers)
        told = self._before.told + len(self._added)
        await tx.put([replace(self._before, told=told, known=known, tellers=tellers)])


def _order(span: Span) -> tuple[datetime, float, bool]:
    """What ends first comes first, and what is inside of another before that: the inner call tells its input."""
    return span.ended_at or span.started_at, -span.started_at.timestamp(), span.kind is SpanKind.AGENT


def _teller(span: Span, missing: str) -> Teller:
    start, end = span.started_at, span.ended_at or span.started_at
    return Teller(span.trace_id, span.span_id, _micros(start), _micros(end), missing)


def _micros(time: datetime) -> int:
    return (time - _EPOCH) // timedelta(microseconds=1)


def _bounded(known: list[Known], tellers: list[Teller]) -> tuple[list[Known], list[Teller]]:
    """The end of what is known, and the spans that told it."""
    return _used(known[-MAX_KNOWN:], tellers)


def _used(known: list[Known], tellers: list[Teller]) -> tuple[list[Known], list[Teller]]:
    """What is known, and the spans that told it without others."""
    used = sorted({one.span for one in known})
    if len(used) == len(tellers):
        return known, tellers
    places = {old: new for new, old in enumerate(used)}
    return [replace(one, span=places[one.span]) for one in known], [tellers[old] for old in used]
