"""Filters as data: what each member of a filter asks of which column. An engine implements the operators, no filter.

Most of it follows from the names and types of the members and stands in no table, and neither do `and`, `or` and `not`,
which are of every filter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from operator import attrgetter
from typing import Any, NamedTuple, TypeAlias, get_origin, get_type_hints

import msgspec

from domain import entity
from domain.actor import Agent, User
from domain.audit import AuditEntry
from domain.blob import Attachment, Blob
from domain.context_version import ContextVersion
from domain.history import LinkVersion, MemoryVersion
from domain.link import MemoryLink
from domain.memory import Memory
from domain.message import ContentType, Message, TextContent, Thread, ToolCall
from domain.model_call import ModelCall
from domain.node import Id, Node
from domain.participant import Participant
from domain.reasoning import ReasoningChain
from domain.session import Session
from domain.session_link import SessionLink
from domain.span import Span, Trace
from domain.state import StateEntry
from domain.tool_execution import ToolExecution
from domain.trace import TraceEvent
from domain.trash import TrashedSession
from domain.values import FloatRange, Ref, TimeRange
from stores.catalogue import kind as catalogue
from stores.catalogue.column import plain
from stores.catalogue.kinds import KINDS, targets

Kind: TypeAlias = type[Node]


class Operator(msgspec.Struct, frozen=True):
    """Base of the operators. A condition on a column that is null does not hold, so `not` of it does."""


class Equal(Operator, frozen=True):
    column: str
    normal: Callable[[Any], Any] = lambda value: value


class Among(Operator, frozen=True):
    column: str


class Within(Operator, frozen=True):
    """The column lies in a TimeRange (half-open) or in a FloatRange (both ends in it)."""

    column: str


class AtLeast(Operator, frozen=True):
    column: str


class Lasts(Operator, frozen=True):
    """From one column's time to another's it is at least so many milliseconds, or as many as a range has."""

    start: str
    end: str


class HoldsAt(Operator, frozen=True):
    """The time lies between the columns', each of which may be open."""

    start: str
    end: str


class IsNull(Operator, frozen=True):
    """Given true, the column is null; given false, it is not."""

    column: str


class Prefix(Operator, frozen=True):
    """The text begins so, case counting."""

    column: str


class Contains(Operator, frozen=True):
    """One of the texts contains that one, in either case."""

    columns: tuple[str, ...]


class HasAll(Operator, frozen=True):
    """The list of texts has all of those given, or the one."""

    column: str


class HasMembers(Operator, frozen=True):
    """The JSON object has all members of that one, with equal values."""

    column: str


class MembersPass(Operator, frozen=True):
    """The JSON value passes each of those MemberTests."""

    column: str


class Part(NamedTuple):
    """The texts that one member of the objects in a JSON list holds; of: the same, of the record's value. type: of a
    value that is no such list, in which only `of` finds them."""

    column: str
    member: str
    of: Callable[[Any], list[str]]
    type: type[Any] | None = None


class PartContains(Operator, frozen=True):
    """One of the part's texts contains that one, in either case."""

    part: Part


class HasPart(Operator, frozen=True):
    """One of the part's texts is that one, or one of those."""

    part: Part

    @staticmethod
    def wanted(value: str | Sequence[ContentType]) -> list[str]:
        return [value] if isinstance(value, str) else [one.tag for one in value]


class RefersTo(Operator, frozen=True):
    """The reference names what a Ref calls by id or externalId, or what has an id."""

    column: str
    kinds: tuple[Kind, ...]


class Called(Operator, frozen=True):
    """The record is what a Ref calls by id or externalId, or its reference names that."""

    column: str
    kinds: tuple[Kind, ...]


class Through(Operator, frozen=True):
    """The record of a kind that the reference names passes another operator."""

    column: str
    kind: Kind
    operator: Operator


class Some(Operator, frozen=True):
    """Some record of a kind whose column names this one passes another operator."""

    kind: Kind
    column: str
    operator: Operator


class Shares(Operator, frozen=True):
    """Some record of a kind that has the same in a column, the first of its natural key, passes another operator."""

    kind: Kind
    column: str
    operator: Operator


class Either(Operator, frozen=True):
    """One of the operators holds."""

    operators: tuple[Operator, ...]


class OfKind(Operator, frozen=True):
    """The reference names a record of one of the kinds, which are members of an enum."""

    column: str


class Says(Operator, frozen=True):
    """The message has all words that are looked for (stores.words.asked)."""


class Matching(Operator, frozen=True):
    """The record passes a filter of its kind."""


class Never(Operator, frozen=True):
    """Nothing passes: records of this kind have no such thing."""


_ACTORS = (User, Agent)
_TEXTS = Part("content", "text", lambda content: [part.text for part in content if type(part) is TextContent])
_TOOLS = Part("content", "tool", lambda content: [part.tool for part in content if type(part) is ToolCall])
_KINDS = Part("content", "kind", lambda content: [str(part.__struct_config__.tag) for part in content])
_IN_AND_OUT = Part("call", "text", lambda call: [] if call is None else call.texts, ModelCall)
_MENTIONING = Some(entity.Mention, "target", RefersTo("entity", (entity.Entity,)))
_CALLED = Contains(("name", "external_id"))
_RAN = Lasts("started_at", "ended_at")

_TOLD: dict[Kind, dict[str, Operator]] = {
    Session: {
        "participant": Some(Participant, "session", Called("actor", _ACTORS)),
        "text": Contains(("title",)),
        "said": Some(Message, "session", Says()),
        "active_since": AtLeast("last_active_at"),
        "capability": HasAll("capabilities"),
    },
    Memory: {
        "valid_at": HoldsAt("valid_from", "valid_until"),
        "text": Contains(("text",)),
        "stale": Equal("stale"),
        "decay": Within("decay_factor"),
        "entity": _MENTIONING,
    },
    MemoryVersion: {
        "in_force": HoldsAt("recorded_at", "replaced_at"),
        "updated_at": Within("recorded_at"),
        "valid_at": HoldsAt("valid_from", "valid_until"),
        "text": Contains(("text",)),
        "memory": Through("memory", Memory, Matching()),
    },
    ContextVersion: {"in_force": HoldsAt("recorded_at", "replaced_at")},
    LinkVersion: {"in_force": HoldsAt("recorded_at", "replaced_at")},
    entity.Entity: {"text": Contains(("name",)), "found": Equal("found")},
    Blob: {
        "text": Contains(("filename",)),
        "says": Contains(("text",)),
        "session": Some(Attachment, "blob", RefersTo("session", (Session,))),
        "sender": Some(
            Attachment, "blob", Through("target", Message, Through("sender", Participant, Called("actor", _ACTORS)))
        ),
    },
    Message: {
        "sender": Through("sender", Participant, Called("actor", _ACTORS)),
        "thread": Through("thread", Thread, Equal("name")),
        "text": PartContains(_TEXTS),
        "tool": HasPart(_TOOLS),
        "content_types": HasPart(_KINDS),
        "entity": _MENTIONING,
    },
    User: {"text": _CALLED, "capability": Never(), "metadata": HasMembers("profile")},
    Agent: {"text": _CALLED, "capability": HasAll("capabilities"), "metadata": HasMembers("config")},
    TrashedSession: {"text": Contains(("title",))},
    ToolExecution: {"min_duration_ms": AtLeast("duration_ms")},
    ReasoningChain: {"running": IsNull("conclusion")},
    TraceEvent: {"min_duration_ms": AtLeast("duration_ms")},
    Span: {
        "trace_id": Equal("trace_id", str.lower),
        "min_duration_ms": _RAN,
        "duration_ms": _RAN,
        "running": IsNull("ended_at"),
        "text": Either((Contains(("name", "status_message")), PartContains(_IN_AND_OUT))),
    },
    Trace: {
        "span": Shares(Span, "trace_id", Matching()),
        "duration_ms": _RAN,
        "running": IsNull("ended_at"),
    },
    StateEntry: {"prefix": Prefix("name"), "members": MembersPass("value")},
    AuditEntry: {"target": HasAll("targets")},
}
"""What does not follow from a member's name and type."""


def _members(of: catalogue.Kind[Any]) -> dict[str, Operator]:
    """What each member of a kind's filter asks: what is told, or what its name and type say of the columns."""
    hints = get_type_hints(of.filter, include_extras=True)
    told = _TOLD.get(of.record, {})
    return {
        field.name: told.get(field.name) or _following(of, field.name, plain(hints[field.name]))
        for field in msgspec.structs.fields(of.filter)  # type: ignore[arg-type]
        if field.name not in ("and_", "or_", "not_")
    }


def _following(of: catalogue.Kind[Any], member: str, type_: Any) -> Operator:
    """A range is one of the column of that name, a Ref the reference's, an object the JSON column's; a list is of what
    the column of that name has, or in the plural of what it may be; another kind's filter is of what names this."""
    if type_ in (TimeRange, FloatRange):
        return Within(member)
    if type_ in (Ref, Id):
        return RefersTo(member, tuple(one.record for one in targets(of.columns[member].refers)))  # type: ignore[arg-type]
    if type_ is Any:
        return HasMembers(member)
    if get_origin(type_) is list:
        if member in of.columns:
            return HasAll(member)
        if member.removesuffix("_kinds") in of.columns:
            return OfKind(member.removesuffix("_kinds"))
        return Among(next(name for end in ("s", "es") if (name := member.removesuffix(end)) in of.columns))
    [naming] = [one for one in KINDS if one.filter is type_]
    [column] = [one.name for one in naming.references if one.refers is not None and of in targets(one.refers)]
    return Some(naming.record, column, Matching())


FILTERS: dict[Kind, dict[str, Operator]] = {
    **{of.record: _members(of) for of in KINDS if of.filter is not None},
    **{of: {"kinds": Among("kind")} for of in (MemoryLink, SessionLink)},
}
"""By the kind of the records that a filter is of."""


IN_DOCUMENT = Through("blob", Blob, Matching())
"""That the document of a chunk passes a filter."""


Add: TypeAlias = Callable[[Any, Any], None]
"""Adds what a value asks for to an engine's conditions, given as (conditions, value)."""


def compiled(kind: Kind, emit: Callable[[Operator], Add]) -> Add:
    """What adds the conditions of a filter, from what does for one operator.

    An engine's conditions have a method combine(filter, add), for the members and, or and not.
    """
    conditions = [emit(operator) for operator in FILTERS[kind].values()]
    members = attrgetter(*FILTERS[kind], "__class__")  # of two and more, it gives a tuple
    logic = attrgetter("and_", "or_", "not_")
    logical = kind not in (MemoryLink, SessionLink)  # whose filter is made of a list's arguments

    def add(where: Any, filter: Any) -> None:
        for condition, value in zip(conditions, members(filter), strict=False):
            if value is not None:
                condition(where, value)
        if logical and logic(filter) != _PLAIN:
            where.combine(filter, add)

    return add


_PLAIN = (None, None, None)


def prefixes(kinds: Iterable[Enum]) -> list[str]:
    """What the ids of these kinds begin with. A member is called as the records are."""
    return [record.prefix for kind in kinds for record in Node.kinds.values() if record.noun.upper() == kind.name]


def called(value: Ref | Id) -> Ref:
    """What a reference calls; an id alone is one too."""
    return value if isinstance(value, Ref) else Ref(id=value)


def wanted(value: Sequence[str] | str) -> Sequence[str]:
    """What a list of texts must have: those given, or the one."""
    return [value] if isinstance(value, str) else value


def milliseconds(value: FloatRange | float) -> FloatRange:
    """The range of what lasts at least so long, or that one."""
    return value if isinstance(value, FloatRange) else FloatRange(min=value)


def bounds(range: TimeRange | FloatRange) -> tuple[Any, Any, str]:
    """The least and the greatest of a range, None where it is open, and how what is in it compares with the latter."""
    return (range.min, range.max, "<=") if isinstance(range, FloatRange) else (range.from_, range.until, "<")
