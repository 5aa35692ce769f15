"""Panels: their decisions and insights."""

from __future__ import annotations

from collections.abc import Sequence

from domain.errors import ErrorCode, not_found, reject
from domain.message import Message
from domain.node import Id, id_of
from domain.panel import DECISION, INSIGHT, AddDecisionInput, AddInsightInput, Decision, Insight, Vote, consensus
from domain.participant import Participant
from domain.session import Session, SessionKind
from domain.values import EMPTY_OBJECT
from resolvers.context import Context, lookup_all, named_by
from resolvers.event import log
from resolvers.idempotency import write
from resolvers.parts import check_name, check_room, is_full, parts, session_of
from resolvers.sessions import participant
from stores.ports import Transaction

COMPONENT = "panel"


async def add_decision(context: Context, input: AddDecisionInput) -> Decision:
    """Adds a decision to a panel, with the votes of its participants. Raises Rejected: NOT_FOUND; INVALID where the
    session is no panel; DUPLICATE for a taken externalId or a second vote of a participant; LIMIT."""
    full = await is_full(context, Decision, input.session)

    async def script(tx: Transaction) -> Decision:
        session = await session_of(tx, SessionKind.PANEL, input.session)
        check_room(context, Decision, full, ["session"])
        await check_name(tx, Decision, input.external_id)
        votes = await _votes(tx, session, input)
        choices = [vote.choice for vote in votes]
        made = Decision(
            id=tx.new_id(Decision),
            external_id=input.external_id,
            session_id=session.id,
            topic=input.topic,
            text=input.text,
            votes=votes,
            consensus=consensus(choices) if input.consensus is None else input.consensus,
            metadata=input.metadata or EMPTY_OBJECT,
            created_at=input.created_at or tx.now,
        )
        await tx.put([made])
        told = {"decision": made.id, "votes": len(votes), "consensus": made.consensus}
        await log(tx, session.id, DECISION, COMPONENT, told, time=made.created_at)
        return made

    return await write(context, input, script)


async def _votes(tx: Transaction, session: Session, input: AddDecisionInput) -> list[Vote]:
    votes: dict[Id, Vote] = {}
    for index, vote in enumerate(input.votes or ()):
        path: list[str | int] = ["votes", index, "participant"]
        voter = await participant(tx, session, vote.participant, path)
        if voter.id in votes:
            raise reject(ErrorCode.DUPLICATE, f"{voter.name} votes twice.", path)
        votes[voter.id] = Vote(voter.id, vote.choice, vote.comment)
    return list(votes.values())


async def add_insight(context: Context, input: AddInsightInput) -> Insight:
    """Adds an insight to a panel, with the messages that support it. Raises Rejected: NOT_FOUND; INVALID where the
    session is no panel; DUPLICATE for a taken externalId; LIMIT."""
    full = await is_full(context, Insight, input.session)

    async def script(tx: Transaction) -> Insight:
        session = await session_of(tx, SessionKind.PANEL, input.session)
        check_room(context, Insight, full, ["session"])
        await check_name(tx, Insight, input.external_id)
        by = None if input.by is None else await participant(tx, session, input.by, ["by"])
        made = Insight(
            id=tx.new_id(Insight),
            external_id=input.external_id,
            session_id=session.id,
            category=input.category,
            text=input.text,
            message_ids=await _support(tx, session, input),
            participant_id=id_of(by),
            consensus=input.consensus,
            metadata=input.metadata or EMPTY_OBJECT,
            created_at=input.created_at or tx.now,
        )
        await tx.put([made])
        told = {"insight": made.id, "category": made.category.value, "supportingMessages": made.message_ids}
        await log(tx, session.id, INSIGHT, COMPONENT, told, time=made.created_at)
        return made

    return await write(context, input, script)


async def _support(tx: Transaction, session: Session, input: AddInsightInput) -> list[Id]:
    refs = input.supporting_messages or []
    found = await lookup_all(tx, Message, refs) if refs else {}
    ids: dict[Id, None] = {}
    for index, ref in enumerate(refs):
        message = found.get(ref)
        if message is None or message.session_id != session.id:
            raise not_found("message of this session", ["supportingMessages", index])
        ids[message.id] = None
    return list(ids)


async def decisions(context: Context, sessions: Sequence[Session]) -> list[list[Decision]]:
    return await parts(context, Decision, "session", [session.id for session in sessions])


async def insights(context: Context, sessions: Sequence[Session]) -> list[list[Insight]]:
    return await parts(context, Insight, "session", [session.id for session in sessions])


async def supporting(context: Context, insights: Sequence[Insight]) -> list[list[Message]]:
    """The messages that support each insight and are still there."""
    ids = list(dict.fromkeys(id for insight in insights for id in insight.message_ids))
    found = dict(zip(ids, await context.store.get(Message, ids), strict=True)) if ids else {}
    return [[message for id in one.message_ids if (message := found[id]) is not None] for one in insights]


async def participants(context: Context, of: Sequence[Vote | Insight]) -> list[Participant | None]:
    return await named_by(context, Participant, [one.participant_id for one in of])
