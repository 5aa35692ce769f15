"""Users and agents."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, cast

from domain.actor import Actor, Agent, UpsertAgentInput, UpsertUserInput, User
from domain.errors import invalid, not_found
from domain.memory import MemoryUsage
from domain.node import Id
from domain.values import EMPTY_OBJECT, MAX_NAME, Ref, changed, given
from resolvers.context import Context, Unchanged, lookup
from resolvers.writes import write
from stores.ports import Transaction

A = TypeVar("A", User, Agent)


async def user(context: Context, by: Ref) -> User | None:
    """One user."""
    return await lookup(context.store, User, by)


async def agent(context: Context, by: Ref) -> Agent | None:
    """One agent."""
    return await lookup(context.store, Agent, by)


async def actors(context: Context, ids: Sequence[Id | None]) -> list[Actor | None]:
    """The user or agent of each id."""
    wanted = {id for id in ids if id is not None}
    people = [id for id in wanted if id.startswith("usr_")]
    agents = [id for id in wanted if id.startswith("agt_")]
    # Together, for a store that then asks its server once.
    users, others = await asyncio.gather(context.store.get(User, people), context.store.get(Agent, agents))
    found: dict[Id | None, Actor | None] = dict(zip(people, users, strict=True))
    found.update(zip(agents, others, strict=True))
    return [found.get(id) for id in ids]


async def usages(context: Context, owners: Sequence[Actor]) -> list[MemoryUsage]:
    """How much of its capacity each owner uses."""
    found = await context.store.usage([owner.id for owner in owners])
    return [MemoryUsage(usage.active, usage.archived, context.capacity, usage.size_bytes) for usage in found]


async def upsert_user(context: Context, input: UpsertUserInput) -> User:
    """Creates or changes a user."""

    async def script(tx: Transaction) -> User:
        before = (await tx.find(User, [(input.external_id,)]))[0]
        after = changed(before or _new_user(tx, input.external_id), **given(input, name=None, profile=EMPTY_OBJECT))
        return await _kept(tx, before, after)

    return await write(context, input, script)


async def upsert_agent(context: Context, input: UpsertAgentInput) -> Agent:
    """Creates or changes an agent."""

    async def script(tx: Transaction) -> Agent:
        before = (await tx.find(Agent, [(input.external_id,)]))[0]
        changes = given(input, name=None, description=None, config=EMPTY_OBJECT, capabilities=[])
        return await _kept(tx, before, changed(before or _new_agent(tx, input.external_id), **changes))

    return await write(context, input, script)


async def _kept(tx: Transaction, before: A | None, after: A) -> A:
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
    if not 0 < len(ref.external_id) <= MAX_NAME:
        raise invalid(f"Must have 1 to {MAX_NAME} characters.", [*path, "externalId"])
    made: Any = _new_agent(tx, ref.external_id) if kind is Agent else _new_user(tx, ref.external_id)
    await tx.put([made])
    return cast(A, made)


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
