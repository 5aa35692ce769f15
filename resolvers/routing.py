"""Which agents should answer something."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import msgspec
import numpy as np
from cachetools import LRUCache

from domain.actor import Agent
from domain.errors import invalid
from domain.node import Id
from domain.page import MAX_FIRST_LONG, Slice
from domain.routing import Asked, Fit, Reason, RouteAgentInput, fit, words_of
from domain.session import Session
from resolvers.context import Context, present, require
from resolvers.lists import ROOT
from resolvers.patterns import is_found
from resolvers.sessions import taking_part
from stores.ports import Collection, Vector


class AgentMatch(msgspec.Struct, frozen=True):
    """An agent that should answer. score: from 0 to 1; reasons: the best first."""

    agent: Agent
    score: float
    priority: int
    reasons: list[Reason]


async def route(context: Context, input: RouteAgentInput) -> list[AgentMatch]:
    """The agents that should answer, the best first. Raises Rejected: INVALID where nothing is asked; NOT_FOUND."""
    if input.text is None and not input.capabilities:
        raise invalid("Give a text, capabilities, or both.", ["input", "text"])
    agents = await _agents(context, input)
    text = input.text or ""
    asked = Asked(
        text=text,
        words=words_of(text),
        capabilities=list(dict.fromkeys(input.capabilities or ())),
        alike=await _alike(context, text, agents),
        matches=partial(is_found, text=text),
    )
    found = await asyncio.to_thread(_fitting, agents, asked)
    best = dict(found[: input.first])
    chosen = await present(context.store, Agent, list(best))
    return [AgentMatch(one, best[one.id].score, best[one.id].priority, best[one.id].reasons) for one in chosen]


def _fitting(agents: Sequence[Agent], asked: Asked) -> list[tuple[Id, Fit]]:
    """In order: what is no fallback, then by priority, by score, and by name."""
    found = [(one, fitting) for one in agents if (fitting := fit(one.capabilities, one.routes, asked)) is not None]
    found.sort(key=lambda each: (each[1].is_fallback, -each[1].priority, -each[1].score, each[0].name, each[0].id))
    return [(one.id, fitting) for one, fitting in found]


_FIELDS = frozenset({"name", "capabilities", "routes"})


async def _agents(context: Context, input: RouteAgentInput) -> list[Agent]:
    if input.session is not None:
        session = await require(context.store, Session, input.session, ["input", "session"])
        ids = [one.actor_id for one in await taking_part(context, session) if one.actor_id is not None]
        return await present(context.store, Agent, [id for id in dict.fromkeys(ids) if id.startswith(Agent.prefix)])
    return [one async for one in _all(context)]


async def _all(context: Context) -> AsyncIterator[Agent]:
    more, after = True, None
    while more:
        slice = Slice(MAX_FIRST_LONG, after=after)
        [page] = await context.store.pages(Collection.AGENTS, [ROOT], slice, fields=_FIELDS)
        for one in page.nodes:
            yield one
        more, after = page.has_next_page, page.page_info.end_cursor


_MOST = 4_096
"""How many vectors of examples are kept for each embedder: 4 MB of 256 dimensions."""

_vectors: WeakKeyDictionary[Any, LRUCache[str, Vector]] = WeakKeyDictionary()


async def _alike(context: Context, text: str, agents: Sequence[Agent]) -> dict[str, float]:
    """The cosines of those examples that mean about the same as a text."""
    examples = {one: None for agent in agents for route in agent.routes for one in route.examples}
    if not text or not examples:
        return {}
    kept = _vectors.setdefault(context.embedder, LRUCache(_MOST))
    known = {one: kept[one] for one in examples if one in kept}
    new = [one for one in examples if one not in known]
    made = await context.embedder.embed([text, *new])
    known |= zip(new, made[1:], strict=True)
    for one in new:
        kept[one] = known[one]
    cosines = np.stack(list(known.values())) @ made[0]
    least = context.embedder.kindred
    return {one: float(cosine) for one, cosine in zip(known, cosines, strict=True) if cosine >= max(least, 1e-6)}
