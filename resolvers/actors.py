"""Users and agents."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar, cast

from msgspec import UNSET

from domain.actor import (
    Actor,
    Agent,
    AgentSnapshot,
    AgentVersion,
    UpsertAgentInput,
    UpsertUserInput,
    User,
    is_another,
    snapshot,
)
from domain.errors import ErrorCode, invalid, not_found, reject
from domain.memory import MemoryFilter, MemoryScope, MemoryUsage
from domain.message import MessageFilter
from domain.node import Id, kind_of
from domain.page import Slice
from domain.participant import SenderType
from domain.session import SessionFilter
from domain.values import EMPTY_OBJECT, MAX_NAME, Ref, changed, given
from resolvers.context import Context, Reader, Unchanged, lookup, present
from resolvers.idempotency import write
from resolvers.patterns import check_routes
from stores.catalogue.kinds import KINDS
from stores.filters import FILTERS, RefersTo
from stores.orders import listing_of, order_of
from stores.ports import Records, Transaction
from stores.rows import micros
from stores.treated import settled

A = TypeVar("A", User, Agent)


async def user(context: Context, by: Ref) -> User | None:
    return await lookup(context.store, User, by)


async def agent(context: Context, by: Ref) -> Agent | None:
    return await lookup(context.store, Agent, by)


async def actors(context: Context, ids: Sequence[Id | None]) -> list[Actor | None]:
    wanted = {id for id in ids if id is not None}
    people = [id for id in wanted if id.startswith("usr_")]
    agents = [id for id in wanted if id.startswith("agt_")]
    # Together, for a store that then asks its server once.
    users, others = await asyncio.gather(context.store.get(User, people), context.store.get(Agent, agents))
    found: dict[Id | None, Actor | None] = dict(zip(people, users, strict=True))
    found.update(zip(agents, others, strict=True))
    return [found.get(id) for id in ids]


async def of_snapshots(context: Context, snapshots: Sequence[AgentSnapshot]) -> list[Agent | None]:
    return await context.store.get(Agent, [one.agent_id for one in snapshots])


async def usages(context: Context, owners: Sequence[Actor]) -> list[MemoryUsage]:
    """How much of its capacity each owner uses."""
    found = await context.store.usage([owner.id for owner in owners])
    return [MemoryUsage(usage.active, usage.archived, context.capacity, usage.size_bytes) for usage in found]


async def upsert_user(context: Context, input: UpsertUserInput) -> User:
    """Creates or updates a user."""

    async def script(tx: Transaction) -> User:
        before = (await tx.find(User, [(input.external_id,)]))[0]
        after = changed(before or _new_user(tx, input.external_id), **given(input, name=None, profile=EMPTY_OBJECT))
        return await _kept(tx, before, after)

    return await write(context, input, script)


async def upsert_agent(context: Context, input: UpsertAgentInput) -> Agent:
    """Creates or updates an agent. Raises Rejected (INVALID) for a route that leads nowhere or a bad pattern."""
    told = input.routes
    if told is not UNSET:
        check_routes(told or ())

    async def script(tx: Transaction) -> Agent:
        before = (await tx.find(Agent, [(input.external_id,)]))[0]
        changes = given(input, name=None, description=None, config=EMPTY_OBJECT, capabilities=[])
        if told is not UNSET:
            changes["routes"] = [one.route for one in told or ()]
        after = changed(before or _new_agent(tx, input.external_id), **changes)
        if before is not None and is_another(before, after):
            await tx.put([_version(tx, before)])
        return await _kept(tx, before, after)

    return await write(context, input, script)


def _version(tx: Transaction, agent: Agent) -> AgentVersion:
    """What an agent was until now."""
    return AgentVersion(
        id=tx.new_id(AgentVersion),
        agent_id=agent.id,
        replaced_at=tx.now,
        name=agent.name,
        description=agent.description,
        config=agent.config,
        capabilities=agent.capabilities,
    )


async def snapshots(context: Context, at: Sequence[tuple[Id, datetime] | None]) -> list[AgentSnapshot | None]:
    """What agents were at times; None for who is no agent."""
    asked: dict[Id, list[datetime]] = {}
    for one in at:
        if one is not None and kind_of(one[0]) is Agent:
            asked.setdefault(one[0], []).append(one[1])
    if not asked:
        return [None] * len(at)
    found = {one.id: one for one in await present(context.store, Agent, list(asked))}
    read = await asyncio.gather(*(_replaced(context, id, asked[id]) for id in found))
    earlier = dict(zip(found, read, strict=True))
    return [
        None if one is None or one[0] not in found else snapshot(found[one[0]], earlier[one[0]], one[1]) for one in at
    ]


async def _replaced(context: Context, agent_id: Id, times: Sequence[datetime]) -> list[AgentVersion]:
    """What an agent was at these times and between them, in order, without what it still is."""
    listing = listing_of(_VERSIONS, agent_id, order_of(_VERSIONS, None), "")
    after, latest, more = listing.cursor((micros(min(times)), _BEHIND_ALL)), max(times), True
    found: list[AgentVersion] = []
    while more:
        [page] = await context.store.pages(_VERSIONS, [agent_id], Slice(_TOGETHER, after=after))
        found += page.nodes
        more = page.has_next_page and found[-1].replaced_at <= latest
        after = page.page_info.end_cursor or after
    return found


_VERSIONS = Records(AgentVersion, "agent")
_BEHIND_ALL = "~"
"""Sorts behind every id."""

_TOGETHER = 100


async def _kept(tx: Transaction, before: A | None, after: A) -> A:
    if before is not None:
        after = settled(tx, before, after)
    if after is before:
        raise Unchanged(before)
    await tx.put([after])
    return after


def _new_agent(tx: Transaction, external_id: str) -> Agent:
    return Agent(
        id=tx.new_id(Agent),
        external_id=external_id,
        name=external_id,
        description=None,
        config=EMPTY_OBJECT,
        capabilities=[],
        created_at=tx.now,
    )


def _new_user(tx: Transaction, external_id: str) -> User:
    return User(id=tx.new_id(User), external_id=external_id, name=external_id, profile=EMPTY_OBJECT, created_at=tx.now)


async def named(tx: Transaction, kind: type[A], ref: Ref, path: Sequence[str | int]) -> A:
    """The user or agent a write names; one named by an externalId that does not exist yet is created.

    Raises Rejected: NOT_FOUND for an unknown id, INVALID for an externalId that cannot be.
    """
    found = await lookup(tx, kind, ref)
    if found is not None:
        return found
    if ref.external_id is None:
        raise not_found(kind.noun, path)
    if not ref.external_id.strip() or len(ref.external_id) > MAX_NAME:
        raise invalid(f"Must have 1 to {MAX_NAME} characters, not only blanks.", [*path, "externalId"])
    made: Any = _new_agent(tx, ref.external_id) if kind is Agent else _new_user(tx, ref.external_id)
    await tx.put([made])
    return cast(A, made)


async def whose(context: Context, filter: Any, path: Sequence[str | int] = ("filter",)) -> Actor | None:
    """Who that is whom a filter calls by what may be a user's name and an agent's, where that was asked for. Raises
    Rejected (AMBIGUOUS) where it is both, and the filter does not say which of the two it means."""
    if type(filter) not in _FILTERS:
        return None
    member, kinds, told = _WHOSE.get(type(filter), ("", "", set()))
    ref, said = getattr(filter, member, None), getattr(filter, kinds, None)
    either, found = said is None or told.issubset(said), list[Actor]()
    if ref is not None and ref.external_id is not None and either:
        found = await _called(context.store, ref)
    if len(found) > 1:
        hint = f", or say which kind by {kinds}" if kinds else ""
        raise reject(ErrorCode.AMBIGUOUS, f"{BOTH}{hint}.", [*path, member])
    for name in ("and_", "or_"):
        for index, part in enumerate(getattr(filter, name) or ()):
            await whose(context, part, [*path, name[:-1], index])
    await whose(context, filter.not_, [*path, "not"])
    for name in filter.__struct_fields__:  # of what names these
        if type(inside := getattr(filter, name)) in _FILTERS and name != "not_":
            await whose(context, inside, [*path, name])
    return found[0] if found else None


_FILTERS = {of.filter: FILTERS[of.record] for of in KINDS if of.filter is not None}

_WHOSE: dict[type, tuple[str, str, set[Any]]] = {
    **{
        filter: (member, "", set())
        for filter, members in _FILTERS.items()
        for member, operator in members.items()
        if isinstance(operator, RefersTo) and set(operator.kinds) == {User, Agent}
    },
    MemoryFilter: ("owner", "scopes", {MemoryScope.USER, MemoryScope.AGENT}),
    MessageFilter: ("sender", "sender_types", {SenderType.USER, SenderType.AGENT}),
    SessionFilter: ("participant", "", set()),
}
"""Of filters, the member that says whose, the one that says of which kind, and what that has where it does not."""

BOTH = "A user and an agent have this externalId; use the id instead"


async def user_or_agent(tx: Transaction, ref: Ref, path: Sequence[str | int]) -> Actor:
    """The user or agent that a reference names, who must be there. Raises Rejected: NOT_FOUND, AMBIGUOUS."""
    user, agent = await lookup(tx, User, ref), await lookup(tx, Agent, ref)
    if user is not None and agent is not None:
        raise reject(ErrorCode.AMBIGUOUS, f"{BOTH}.", path)
    if (found := user or agent) is None:
        raise not_found("user or agent", path)
    return found


async def _called(reader: Reader, ref: Ref) -> list[Actor]:
    both: Sequence[Actor | None] = await asyncio.gather(lookup(reader, User, ref), lookup(reader, Agent, ref))
    return [one for one in both if one is not None]


async def all_named(tx: Transaction, kind: type[A], names: Mapping[str, str | None]) -> dict[str, A]:
    """The users or agents of externalIds, each with what it is called; those that do not exist yet are created.

    One that is still called by its externalId gets the name.
    """
    wanted = list(names)
    stored = dict(zip(wanted, await tx.find(kind, [(name,) for name in wanted]), strict=True)) if wanted else {}
    found: dict[str, A] = {}
    for external_id, before in stored.items():
        made: Any = before or (_new_agent if kind is Agent else _new_user)(tx, external_id)
        called = names[external_id]
        found[external_id] = changed(made, name=called) if called and made.name == external_id else made
    await tx.put([after for external_id, after in found.items() if after != stored[external_id]])
    return found


def called(names: Iterable[tuple[str | None, str | None]]) -> dict[str, str | None]:
    """What those of these externalIds are called, as far as it is told."""
    found: dict[str, str | None] = {}
    for external_id, name in names:
        if external_id is not None:
            found[external_id] = name or found.get(external_id)
    return found
