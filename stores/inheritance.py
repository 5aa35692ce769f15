"""The agent and the user that spans inherit from the nearest ancestor that names one, kept with each span, so that what
is shown is what a filter finds. Parents often come after their children: what is below them is then put again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from msgspec.structs import replace

from domain.node import Id
from domain.span import Span
from domain.tally import Key, Tally
from stores.ports import Transaction

Actors = tuple[Id | None, Id | None]
"""An agent and a user."""


class Tree(Transaction, Protocol):
    async def tallies(self, trace_id: str) -> list[Tally]:
        """All tallies of a trace, at least of the spans that are there."""


async def settle(tx: Tree, spans: Sequence[Span], tallies: Iterable[Tally]) -> list[Span]:
    """Spans that are put with what they inherit, and those below them that inherit something else now. tallies: of
    these spans and of all above them, as they were."""
    before = {tally.key: tally for tally in tallies}
    come = {key: _of(tally) for key, tally in before.items() if tally.span_record_id is not None}
    spans = inheriting(spans, come)
    changed = [span for span in spans if (was := before.get(_key(span))) is not None and _of(was) != _of(span)]
    return await _below(tx, spans, changed) if changed else spans


async def _below(tx: Tree, spans: Sequence[Span], changed: Sequence[Span]) -> list[Span]:
    """All of the spans, and those below the changed ones that inherit from them: asked level by level."""
    found = {span.id: span for span in spans}
    for trace_id in dict.fromkeys(span.trace_id for span in changed):
        parents = {id: tally.parent_span_id for tally in await tx.tallies(trace_id) if (id := tally.span_record_id)}
        parents |= {span.id: span.parent_span_id for span in spans if span.trace_id == trace_id}
        children: dict[str | None, list[Id]] = {}
        for id, parent in parents.items():
            children.setdefault(parent, []).append(id)
        level = [span for span in changed if span.trace_id == trace_id]
        while level:
            ids = [id for span in level for id in children.pop(span.span_id, ())]  # parents may go in a circle
            stored = await tx.get(Span, [id for id in ids if id not in found])
            there = [*(found[id] for id in ids if id in found), *(span for span in stored if span is not None)]
            after = inheriting(there, {_key(span): _of(span) for span in level})
            level = [span for span, was in zip(after, there, strict=True) if span is not was]
            found |= {span.id: span for span in level}
    return list(found.values())


def inheriting(spans: Sequence[Span], come: Mapping[Key, Actors]) -> list[Span]:
    """Spans with what they inherit from each other, or from others that have come. One whose parent has not come, or is
    gone, keeps what it has."""
    by_key = {_key(span): span for span in spans}
    agents: dict[Key, Id | None] = {}
    users: dict[Key, Id | None] = {}
    for span in spans:
        _climb(span, 0, by_key, come, agents)
        _climb(span, 1, by_key, come, users)
    return [_with(span, agents[_key(span)], users[_key(span)]) for span in spans]


def _climb(
    span: Span, place: int, spans: Mapping[Key, Span], come: Mapping[Key, Actors], found: dict[Key, Id | None]
) -> None:
    """Finds the agent (place 0) or the user (1) of a span, and of those on the way to the one that names it."""
    way: dict[Key, None] = {}
    actor: Id | None = None
    while (key := _key(span)) not in found:
        way[key] = None
        actor = (span.named_agent_id, span.named_user_id)[place]
        if actor is not None or span.parent_span_id is None:
            break
        above = (span.trace_id, span.parent_span_id)
        parent = spans.get(above)
        if parent is None or above in way:  # parents may go in a circle
            actor = come.get(above, _of(span))[place]
            break
        span = parent
    else:
        actor = found[key]
    found.update(dict.fromkeys(way, actor))


def _with(span: Span, agent_id: Id | None, user_id: Id | None) -> Span:
    inherits = (
        agent_id is not None and span.named_agent_id is None,
        user_id is not None and span.named_user_id is None,
    )
    if (span.agent_id, span.user_id, span.inherits_agent, span.inherits_user) == (agent_id, user_id, *inherits):
        return span
    return replace(span, agent_id=agent_id, user_id=user_id, inherits_agent=inherits[0], inherits_user=inherits[1])


def _key(span: Span) -> Key:
    return span.trace_id, span.span_id


def _of(one: Span | Tally) -> Actors:
    return one.agent_id, one.user_id
