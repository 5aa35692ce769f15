"""Statistics: groups of the records of a list, and their figures, reckoned where they are asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import tzinfo
from enum import Enum
from typing import Any, NamedTuple, TypeVar

import msgspec
from msgspec.structs import fields

from domain.actor import Agent, User
from domain.annotation import Annotation
from domain.blob import Blob
from domain.calendar import IN_UTC, TimeBucket, offsets, stretch, zone_of
from domain.entity import Entity
from domain.memory import MemoryFilter
from domain.message import MessageFilter
from domain.node import Id, Node
from domain.participant import Participant
from domain.session import SessionFilter
from domain.span import SpanFilter, TokenUsage, Trace
from domain.statistics import (
    TIMES,
    Durations,
    Figures,
    GroupKey,
    MemoryFigures,
    MemoryGroup,
    MessageFigures,
    MessageGroup,
    SessionFigures,
    SessionGroup,
    Stats,
    TraceFigures,
    TraceGroup,
)
from domain.tally import Tally
from domain.tool_execution import ToolExecution
from resolvers.actors import whose
from resolvers.context import Context
from resolvers.graph import nodes
from resolvers.lists import ROOT
from stores.orders import CountKey
from stores.ports import By, Collection, Group, Grouping, Records, Summed, Value
from stores.rows import moment

UTC = "UTC"


S = TypeVar("S", bound="Asked")


class Asked(msgspec.Struct, frozen=True):
    """What statistics are of. by: the names of what is grouped by."""

    filter: Any
    by: list[str]
    zone: tzinfo


class SessionStats(Asked, frozen=True):
    pass


class MessageStats(Asked, frozen=True):
    pass


class MemoryStats(Asked, frozen=True):
    pass


class TraceStats(Asked, frozen=True):
    pass


async def session_stats(
    context: Context, filter: SessionFilter | None = None, group_by: list[SessionGroup] | None = None, zone: str = UTC
) -> SessionStats:
    return await _asked(context, SessionStats, filter, group_by, zone)


async def message_stats(
    context: Context, filter: MessageFilter | None = None, group_by: list[MessageGroup] | None = None, zone: str = UTC
) -> MessageStats:
    return await _asked(context, MessageStats, filter, group_by, zone)


async def memory_stats(
    context: Context, filter: MemoryFilter | None = None, group_by: list[MemoryGroup] | None = None, zone: str = UTC
) -> MemoryStats:
    return await _asked(context, MemoryStats, filter, group_by, zone)


async def trace_stats(
    context: Context,
    filter: SpanFilter | None = None,
    group_by: list[TraceGroup] | None = None,
    bucket: TimeBucket | None = None,
    zone: str = UTC,
) -> TraceStats:
    return await _asked(context, TraceStats, filter, [*(group_by or ()), *([bucket] if bucket else ())], zone)


async def _asked(context: Context, made: type[S], filter: Any, by: Sequence[Enum] | None, zone: str) -> S:
    await whose(context, filter)
    return made(filter, list(dict.fromkeys(one.name for one in by or ())), zone_of(zone, ["zone"]))


class _Of(NamedTuple):
    """What statistics of one kind are made of. time: the column whose stretches groups may be of. by: what else they
    may be. usage: what else is summed, and whether it is taken away from what the values of the records come to."""

    rows: Collection
    time: str
    by: dict[str, By]
    grouping: Grouping
    made: type[Figures]
    figures: Callable[[Context, Group, TokenUsage], dict[str, Any]]
    usage: tuple[tuple[type[Node], str], int] | None = None


async def stats(context: Context) -> Stats:
    keys = [CountKey(of, ROOT, None) for of in _COUNTED.values()]
    return Stats(**dict(zip(_COUNTED, await context.store.counts(keys), strict=True)))


_COUNTED: dict[str, Collection | Records] = {
    "sessions": Collection.SESSIONS,
    "messages": Collection.MESSAGES,
    "users": Collection.USERS,
    "agents": Collection.AGENTS,
    "memories": Collection.MEMORIES,
    "traces": Records(Trace),
    "spans": Collection.SPANS,
    "tool_executions": Records(ToolExecution),
    "annotations": Records(Annotation),
    "blobs": Records(Blob),
    "entities": Records(Entity),
}


async def totals(context: Context, stats: Sequence[Asked]) -> list[Figures]:
    return [(await _figures(context, one, []))[0] for one in stats]


async def groups(context: Context, stats: Sequence[Asked]) -> list[list[Figures]]:
    """The groups of each, those of stretches of time in their order, the others with the most records first."""
    return [await _figures(context, one, one.by) if one.by else [] for one in stats]


async def _figures(context: Context, stats: Asked, by: Sequence[str]) -> list[Figures]:
    of = _KINDS[type(stats)]
    keys = tuple([of.by[one] if one in of.by else await _stretches(context, stats, TIMES[one]) for one in by])
    asked = [of.grouping._replace(by=keys)]
    if of.usage is not None:
        asked.append(Grouping(keys, _TOKENS, values_of=of.usage[0]))
    found = await asyncio.gather(
        *(context.store.grouped(of.rows, [ROOT], grouping, stats.filter) for grouping in asked)
    )
    beside = {group.key: group.values for group in (found[1][0] if of.usage else ())}
    figures: list[Figures] = []
    for group in found[0][0]:
        own = group.values[-len(_TOKENS) :] if of.grouping.values[-len(_TOKENS) :] == _TOKENS else ()
        usage = _usage(own, beside.get(group.key, ()), of.usage[1] if of.usage else 1)
        first, last = _ends(group.values[0])
        told = {"count": group.count, "first_at": first, "last_at": last, **of.figures(context, group, usage)}
        figures.append(of.made(keys=_keys(stats, by, group), **told))
        if len(figures) % _AT_ONCE == 0:
            await asyncio.sleep(0)
    return sorted(figures, key=_order)


def _order(figures: Figures) -> Any:
    starts = [one.starts_at.timestamp() for one in figures.keys if one.starts_at is not None]
    return starts, -figures.count, [(one.value is None, one.value or "") for one in figures.keys]


async def _stretches(context: Context, stats: Asked, bucket: TimeBucket) -> By:
    """By the stretches that times lie in, with the offsets there are between the first and the last of them."""
    of = _KINDS[type(stats)]
    by = By(of.time, bucket=bucket, offsets=IN_UTC)
    if str(stats.zone) == UTC:
        return by
    [[group]] = await context.store.grouped(
        of.rows, [ROOT], Grouping(values=(Value(of.time, sum=False, ends=True),)), stats.filter
    )
    first, last = _ends(group.values[0])
    return by if first is None else by._replace(offsets=offsets(stats.zone, first, last))


def _keys(stats: Asked, by: Sequence[str], group: Group) -> list[GroupKey]:
    keys = []
    for name, value in zip(by, group.key, strict=True):
        if name in TIMES and isinstance(value, int):
            starts_at, label = stretch(TIMES[name], value, stats.zone)
            keys.append(GroupKey(name, label, starts_at=starts_at))
        else:
            named = Id(str(value)) if name in _NODES and value is not None else None
            keys.append(GroupKey(name, None if value is None else str(value), named))
    return keys


async def nodes_of(context: Context, keys: Sequence[GroupKey]) -> list[Node | None]:
    """The user, agent, owner or session that a key names; None where it is gone, or the key names none."""
    ids = list(dict.fromkeys(one.node_id for one in keys if one.node_id is not None))
    found = dict(zip(ids, await nodes(context, ids), strict=True))
    return [None if one.node_id is None else found[one.node_id] for one in keys]


def _usage(own: Sequence[Summed], beside: Sequence[Summed], sign: int) -> TokenUsage:
    """The sums of tokens; None where nobody tells of any."""
    told: list[Any] = []
    for index, column in enumerate(_TOKENS):
        parts = [(one[index], way) for one, way in ((own, 1), (beside, sign)) if one]
        if not any(summed.count for summed, _ in parts):
            told.append(None)
            continue
        total = round(sum(summed.sum * way for summed, way in parts), 12)
        told.append(total if column.column.endswith("_usd") else int(total))
    return TokenUsage(*told)


_AT_ONCE = 200
"""How many groups are made into figures without letting others run in between."""

_TOKENS = tuple(Value(field.name) for field in fields(TokenUsage))
_NODES = {"USER", "AGENT", "OWNER", "SESSION"}


def _ends(summed: Summed) -> tuple[Any, Any]:
    """The first and the last of times."""
    first, last = (None if one is None else moment(int(one)) for one in (summed.least, summed.most))
    return first, last


def _average(summed: Summed) -> float | None:
    return summed.sum / summed.count if summed.count else None


def _of_sessions(context: Context, group: Group, usage: TokenUsage) -> dict[str, Any]:
    _, ever, deleted = group.values
    active, ended, archived = group.having
    messages = int(ever.sum - deleted.sum)
    return {"active": active, "ended": ended, "archived": archived, "messages": messages, "usage": usage}


def _of_messages(_: Context, group: Group, usage: TokenUsage) -> dict[str, Any]:
    return {"edited": group.values[1].count, "redacted": group.having[0]}


def _of_memories(context: Context, group: Group, usage: TokenUsage) -> dict[str, Any]:
    _, size, importance, decay, accesses = group.values
    active, archived, superseded = group.having
    return {
        "active": active,
        "archived": archived,
        "superseded": superseded,
        "owners": group.apart,
        "fullness": active / (context.capacity * group.apart) if group.apart else None,
        "size_bytes": int(size.sum),
        "average_importance": _average(importance),
        "average_decay": _average(decay),
        "accesses": int(accesses.sum),
    }


def _of_spans(_: Context, group: Group, usage: TokenUsage) -> dict[str, Any]:
    took = group.values[1]
    ms = [None if one is None else one / 1000 for one in (_average(took), took.least, took.most, *group.percentiles)]
    running, ok, errors = group.having
    durations = Durations(took.count, took.sum / 1000, *ms)
    return {"running": running, "ok": ok, "errors": errors, "durations": durations, "usage": usage}


_IN_SESSION = (Participant, "session")
_TOOK = Value("ended_at", since="started_at", ends=True)
_KINDS: dict[type[Asked], _Of] = {
    SessionStats: _Of(
        Collection.SESSIONS,
        "created_at",
        {
            "KIND": By("kind"),
            "STATUS": By("status"),
            "USER": By("actor", joined=_IN_SESSION, kind=User),
            "AGENT": By("actor", joined=_IN_SESSION, kind=Agent),
            "CAPABILITY": By("capabilities", each=True),
        },
        Grouping(
            values=(Value("created_at", sum=False, ends=True), Value("message_count"), Value("deleted_count")),
            having=(("status", "ACTIVE"), ("status", "ENDED"), ("status", "ARCHIVED")),
        ),
        SessionFigures,
        _of_sessions,
        ((Trace, "session"), 1),
    ),
    MessageStats: _Of(
        Collection.MESSAGES,
        "created_at",
        {
            "SENDER_TYPE": By("sender_type"),
            "SESSION": By("session"),
            "KIND": By("kind", through="session"),
            "USER": By("actor", through="sender", kind=User),
            "AGENT": By("actor", through="sender", kind=Agent),
        },
        Grouping(
            values=(Value("created_at", sum=False, ends=True), Value("edited_at")), having=(("is_redacted", True),)
        ),
        MessageFigures,
        _of_messages,
    ),
    MemoryStats: _Of(
        Collection.MEMORIES,
        "created_at",
        {
            "OWNER": By("owner"),
            "TYPE": By("type"),
            "SCOPE": By("scope"),
            "STATUS": By("status"),
            "TAG": By("tags", each=True),
            "SESSION": By("session"),
        },
        Grouping(
            values=(
                Value("created_at", sum=False, ends=True),
                Value("text", size=True),
                Value("importance"),
                Value("decay_factor"),
                Value("access_count"),
            ),
            having=(("status", "ACTIVE"), ("status", "ARCHIVED"), ("status", "SUPERSEDED")),
            apart="owner",
        ),
        MemoryFigures,
        _of_memories,
    ),
    TraceStats: _Of(
        Collection.SPANS,
        "started_at",
        {
            "KIND": By("kind"),
            "STATUS": By("status_code"),
            "NAME": By("name"),
            "MODEL": By("model"),
            "PROVIDER": By("provider"),
            "TOOL": By("tool", joined=(ToolExecution, "span")),
            "SESSION": By("session"),
            "USER": By("user"),
            "AGENT": By("agent"),
        },
        Grouping(
            values=(Value("started_at", sum=False, ends=True), _TOOK, *_TOKENS),
            having=(("ended_at", None), ("status_code", "OK"), ("status_code", "ERROR")),
            spread=_TOOK,
        ),
        TraceFigures,
        _of_spans,
        ((Tally, "span"), -1),
    ),
}
