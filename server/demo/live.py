"""An agent that is always at work, so that there is something to watch."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from random import Random
from string import Template
from typing import Any

from domain.link import MemoryLinkKind, NewLinkInput
from domain.memory import CreateMemoryInput, DecayMemoriesInput, DeleteMemoriesInput, MemoryFilter, MemoryScope
from domain.message import AddMessageInput, ContentInput, MemoryRefInput, Message, ToolCallInput, ToolResponseInput
from domain.participant import ParticipantInput, SenderType
from domain.search import MemoryHit, MemoryQuery, Recall, RecallInput
from domain.session import CreateSessionInput, EndSessionInput, Session, SessionFilter, SessionStatus
from domain.span import EndSpanInput, Span, SpanFilter, SpanKind, SpanStatusCode, StartSpanInput
from domain.trace import AppendTraceEventsInput, TraceEventInput
from domain.values import Json, Ref, decode_json, encode_json
from resolvers import memories, messages, search, sessions, traces
from resolvers.context import Context
from resolvers.lists import MEMORY_RECALLS, ROOT, SESSION_MEMORIES, SESSIONS, SPANS
from server.demo.filling import DEMO
from server.demo.questions import CASES, FAILURES, WORDS, Case
from server.demo.spans import COMPONENTS, usage
from server.demo.story import AGENTS, USERS
from stores.errors import Unavailable
from stores.ports import Transaction

MESSAGES_A_SESSION = 200
SESSIONS_KEPT = 3

_LIVE = encode_json({"demo": True, "live": True})
_AGENT = "iris"
_MODEL = str(AGENTS[_AGENT][3]["model"])
_FORMED = 0.35
"""How many of the questions that are worth it leave a memory."""
_FAILED = 0.12
_FADE_EVERY, _FADING = 6, 0.05
"""After how many questions the memories formed here fade, and by how much. The story's are left as they are: they
would all be faint within a quarter of an hour."""
_LONGEST_WAIT_S = 30.0

_log = logging.getLogger("recollect")


async def live_agent(context: Context, pause: float = 1.5, random: Random | None = None) -> None:
    """Answers made-up customers, with `pause` seconds as the measure of its pace, until it is cancelled."""
    await _Agent(context, pause, random or Random()).work()


@dataclass
class _Step:
    """A span that is open, and how it will end."""

    span: Span
    attributes: dict[str, Any] = field(default_factory=dict)
    status: SpanStatusCode = SpanStatusCode.OK
    reason: str | None = None


class _Agent:
    """The agent, the customers and the tools in one."""

    def __init__(self, context: Context, pause: float, random: Random) -> None:
        self._context, self._pause, self._random = context, pause, random
        self._session: Session | None = None
        self._deck: list[Case] = []
        self._turns = 0

    async def work(self) -> None:
        """One question after the other. What fails is begun anew, after a wait that grows."""
        failures = 0
        while True:
            try:
                await self._turn(await self._open())
                failures = 0
            except Exception as error:
                failures += 1
                self._session = None
                expected = isinstance(error, Unavailable)
                _log.warning("the simulated agent goes on later: %s", error, exc_info=not expected)
                await asyncio.sleep(min(self._pause * 2**failures, _LONGEST_WAIT_S))

    async def _open(self) -> Session:
        """The session to go on in; a new one where that has ended or is long enough."""
        if self._session is None:
            page = (await SESSIONS.pages(self._context, [ROOT], first=1, filter=SessionFilter(metadata=_LIVE)))[0]
            self._session = page.nodes[0] if page.nodes else None
            if self._session is not None:
                await self._tidy(self._session)
        else:
            self._session = await sessions.session(self._context, Ref(id=self._session.id))
        before = self._session
        if before is None or before.status is not SessionStatus.ACTIVE or before.message_count >= MESSAGES_A_SESSION:
            if before is not None and before.status is SessionStatus.ACTIVE:
                await sessions.end(self._context, EndSessionInput(session=Ref(id=before.id)))
            self._session = await self._begin(before)
            await self._forget()
        assert self._session is not None
        return self._session

    async def _tidy(self, session: Session) -> None:
        """Closes what was left open when the agent was stopped."""
        running = SpanFilter(session=Ref(id=session.id), running=True)
        for span in (await SPANS.pages(self._context, [ROOT], filter=running))[0].nodes:
            end = EndSpanInput(
                span=span.id, status_code=SpanStatusCode.ERROR, status_message="The agent was interrupted."
            )
            await traces.end_span(self._context, end)

    async def _begin(self, before: Session | None) -> Session:
        number = 1 if before is None else int(decode_json(before.context).get("number", 1)) + 1
        input = CreateSessionInput(
            title="Live: Iris at the counter" if number == 1 else f"Live: Iris at the counter, shift {number}",
            external_id="demo-live" if number == 1 else f"demo-live-{number}",
            context=encode_json({"number": number}),
            capabilities=["support"],
            metadata=_LIVE,
            participants=_participants(),
        )
        return await sessions.create(self._context, input)

    async def _forget(self) -> None:
        """Deletes the oldest live sessions with what was formed and recalled in them."""
        context = self._context
        page = (await SESSIONS.pages(context, [ROOT], first=50, filter=SessionFilter(metadata=_LIVE)))[0]
        for session in page.nodes[SESSIONS_KEPT:]:
            used = (await SESSION_MEMORIES.pages(context, [session.id], first=SESSION_MEMORIES.cap))[0].nodes
            formed = [memory for memory in used if memory.session_id == session.id]
            recalls = await MEMORY_RECALLS.pages(context, [memory.id for memory in used], last=MEMORY_RECALLS.cap)
            past = [recall.id for of in recalls for recall in of.nodes if recall.session_id == session.id]

            async def script(tx: Transaction, session: Session = session, past: Any = past) -> None:
                await tx.delete(Recall, past)
                await tx.delete(Session, [session.id])

            if formed:
                gone = [Ref(id=memory.id) for memory in formed]
                await memories.delete(context, DeleteMemoriesInput(memories=gone))
            await context.store.write(script)

    async def _turn(self, session: Session) -> None:
        """One question, from asking to answering."""
        case = self._dealt()
        question = await self._say(session, case.customer, text=case.question)
        await self._rest(0.2, 0.5)
        async with self._step(session, SpanKind.AGENT, f"{_AGENT}.answer", None, question, {}) as whole:
            hits = await self._recall(session, case, question, whole.span)
            await self._call(session, case, question, whole.span)
            answer = await self._answer(session, case, hits, whole.span)
            await self._note(session, "answered", whole.span, answer, {"text": case.answer[:120], "used": len(hits)})
        if case.memory and self._random.random() < _FORMED:
            await self._keep(session, case, question, hits)
        self._turns += 1
        if self._turns % _FADE_EVERY == 0:
            filter = MemoryFilter(metadata=_LIVE)
            await memories.decay(self._context, DecayMemoriesInput(filter=filter, rate=_FADING))
        await self._rest(1.5, 4.0)

    def _dealt(self) -> Case:
        """The next question; all come up before one comes again."""
        if not self._deck:
            self._deck = self._random.sample(CASES, len(CASES))
        random = self._random
        words = {name: random.choice(among) for name, among in WORDS.items()}
        words |= {"order": str(random.randint(4800, 9799)), "small": str(random.randint(2, 4))}
        words["many"] = str(random.randint(3, 99) * 50)
        return Case(*(Template(text).substitute(words) for text in self._deck.pop()))

    async def _recall(self, session: Session, case: Case, question: Message, parent: Span) -> list[MemoryHit]:
        owners = [MemoryFilter(owner=Ref(external_id=name)) for name in (_AGENT, case.customer)]
        filter = MemoryFilter(metadata=DEMO, or_=[*owners, MemoryFilter(scopes=[MemoryScope.GLOBAL])])
        about = {"query": case.question}
        async with self._step(session, SpanKind.RETRIEVER, "memory.recall", parent, question, about) as step:
            input = RecallInput(
                query=MemoryQuery(text=case.question),
                filter=filter,
                first=5,
                session=Ref(id=session.id),
                message=Ref(id=question.id),
            )
            found = await search.recall(self._context, input)
            step.attributes["hits"] = len(found.search.hits)
        return found.search.hits

    async def _call(self, session: Session, case: Case, question: Message, parent: Span) -> None:
        """The tool that the answer needs; where it fails it is asked once more."""
        failed = self._random.random() < _FAILED
        for attempt in range(2 if failed else 1):
            call_id = f"call-{question.place}-{attempt}"
            call = ToolCallInput(call_id=call_id, tool=case.tool, arguments=Json(case.arguments.encode()))
            text = "I try that once more." if attempt else "I look that up."
            asked = await self._say(session, _AGENT, text=text, content=[ContentInput(tool_call=call)])
            await self._note(session, "tool_call", parent, asked, {"tool": case.tool, "callId": call_id})
            about = {"gen_ai.tool.name": case.tool, "gen_ai.tool.call.id": call_id}
            async with self._step(session, SpanKind.TOOL, case.tool, parent, asked, about) as step:
                await self._rest(0.15, 0.5)
                is_error, result = failed and attempt == 0, Json(case.result.encode())
                if is_error:
                    error, message = self._random.choice(FAILURES)
                    result = encode_json({"error": error, "message": message})
                    step.status, step.reason = SpanStatusCode.ERROR, message
                step.attributes["gen_ai.tool.call.result"] = decode_json(result)
                response = ToolResponseInput(call_id=call_id, result=result, is_error=is_error)
                await self._say(session, case.tool, content=[ContentInput(tool_response=response)])

    async def _answer(self, session: Session, case: Case, hits: list[MemoryHit], parent: Span) -> Message:
        about = {"gen_ai.request.model": _MODEL}
        async with self._step(session, SpanKind.LLM, f"chat {_MODEL}", parent, None, about) as step:
            await self._rest(0.3, 0.8)
            step.attributes |= usage(self._random, len(hits) + 3, case.answer)
        refs = [MemoryRefInput(memory=Ref(id=hit.memory.id), score=round(hit.score, 4)) for hit in hits[:3]]
        return await self._say(session, _AGENT, text=case.answer, memory_refs=refs)

    async def _keep(self, session: Session, case: Case, question: Message, hits: list[MemoryHit]) -> None:
        """Forms a memory of the question, linked to the best of those that were found for it and are here to stay."""
        lasting = [hit for hit in hits if "live" not in hit.memory.tags]
        kinds = (MemoryLinkKind.RELATED, MemoryLinkKind.DERIVED_FROM, MemoryLinkKind.SUPPORTS)
        links = [
            NewLinkInput(target=Ref(id=hit.memory.id), kind=kind, weight=round(min(1.0, hit.score), 3))
            for hit, kind in zip(lasting, self._random.sample(kinds, 2), strict=False)
        ]
        stored = await memories.create(
            self._context,
            CreateMemoryInput(
                owner=Ref(external_id=case.customer),
                text=case.memory,
                importance=round(self._random.uniform(0.3, 0.6), 2),
                tags=["live"],
                metadata=_LIVE,
                source_message=Ref(id=question.id),
                links=links,
            ),
        )
        event = TraceEventInput(
            type="memory_formed",
            component="memory",
            data=encode_json({"text": case.memory}),
            agent=Ref(external_id=_AGENT),
            message=Ref(id=question.id),
            memories=[Ref(id=stored.memory.id)],
        )
        await traces.append(self._context, AppendTraceEventsInput(session=Ref(id=session.id), events=[event]))

    async def _say(self, session: Session, who: str, **said: Any) -> Message:
        if who in USERS or who in AGENTS:
            said |= {"sender": Ref(external_id=who)}
        else:
            said |= {"role": "tool", "sender_name": who}
        return await messages.add(self._context, AddMessageInput(session=Ref(id=session.id), **said))

    async def _note(self, session: Session, type: str, span: Span, message: Message, data: dict[str, Any]) -> None:
        event = TraceEventInput(
            type=type,
            data=encode_json(data),
            agent=Ref(external_id=_AGENT),
            message=Ref(id=message.id),
            trace_id=span.trace_id,
            span_id=span.span_id,
        )
        await traces.append(self._context, AppendTraceEventsInput(session=Ref(id=session.id), events=[event]))

    @contextlib.asynccontextmanager
    async def _step(
        self,
        session: Session,
        kind: SpanKind,
        name: str,
        parent: Span | None,
        message: Message | None,
        about: dict[str, Any],
    ) -> AsyncIterator[_Step]:
        """A span around a piece of work. One that is broken off stays open until the agent starts again."""
        span = await traces.start_span(
            self._context,
            StartSpanInput(
                session=Ref(id=session.id),
                trace_id=parent.trace_id if parent else None,
                parent_span_id=parent.span_id if parent else None,
                name=name,
                kind=kind,
                component=COMPONENTS[kind],
                attributes=encode_json(about),
                agent=Ref(external_id=_AGENT),
                message=Ref(id=message.id) if message else None,
            ),
        )
        step = _Step(span)
        yield step
        end = EndSpanInput(
            span=span.id,
            status_code=step.status,
            status_message=step.reason,
            attributes=encode_json(step.attributes),
        )
        await traces.end_span(self._context, end)

    async def _rest(self, least: float, most: float) -> None:
        await asyncio.sleep(self._pause * self._random.uniform(least, most))


def _participants() -> list[ParticipantInput]:
    customers = [
        ParticipantInput(type=SenderType.USER, actor=Ref(external_id=who), name=USERS[who][0])
        for who in sorted({case.customer for case in CASES})
    ]
    return [ParticipantInput(type=SenderType.AGENT, actor=Ref(external_id=_AGENT), name=AGENTS[_AGENT][0]), *customers]
