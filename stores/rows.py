"""Records as rows of plain values and back, for every engine that keeps columns.

Times are microseconds since 1970 in UTC, JSON values are their text, enums their names, other records their ids.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import Raw

from domain.actor import Agent, User
from domain.audit import AuditEntry
from domain.caller import Role
from domain.key import ApiKey
from domain.link import MemoryLink, MemoryLinkKind
from domain.memory import Memory, MemoryScope, MemoryStatus, MemoryType, MemoryVersion
from domain.message import Content, Message, Thread
from domain.node import Id, Node
from domain.participant import Participant, SenderType, identity
from domain.search import Recall, ScoreParts
from domain.session import SESSION_TYPES, Session, SessionKind, SessionStatus
from domain.span import Span, SpanKind, SpanStatusCode, TokenUsage, Trace
from domain.state import StateEntry
from domain.tally import Census, Counts, Sums, Tally
from domain.trace import TraceEvent

N = TypeVar("N", bound=Node)
Row = tuple[Any, ...]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

_contents = msgspec.json.Decoder(list[Content])
_strings = msgspec.json.Decoder(list[str])
_ids = msgspec.json.Decoder(list[Id])
_parts = msgspec.json.Decoder(ScoreParts)
_counts = msgspec.json.Decoder(Counts)
_sums = msgspec.json.Decoder(Sums)
_census = msgspec.json.Decoder(Census)
_encode = msgspec.json.Encoder().encode

# Looked up in a mapping, a name costs a third of what the enum's own [] takes.
_SessionKind = SessionKind.__members__
_SessionStatus = SessionStatus.__members__
_SenderType = SenderType.__members__
_MemoryType = MemoryType.__members__
_MemoryScope = MemoryScope.__members__
_MemoryStatus = MemoryStatus.__members__
_MemoryLinkKind = MemoryLinkKind.__members__
_SpanKind = SpanKind.__members__
_SpanStatusCode = SpanStatusCode.__members__
_Role = Role.__members__


def micros(time: datetime | None) -> int | None:
    """Microseconds since 1970."""
    return None if time is None else (time - EPOCH) // _MICROSECOND


def moment(us: int | None) -> Any:
    """The UTC time of microseconds since 1970; 0.3 us a call, without the rounding of a float."""
    return None if us is None else EPOCH + timedelta(0, 0, us)


def text(value: object) -> str:
    """A value as JSON text."""
    return _encode(value).decode()


def raw(value: Raw | None) -> str | None:
    """A JSON value as text."""
    return None if value is None else bytes(value).decode()


def as_raw(value: str) -> Raw:
    """A column's JSON text as a value."""
    return Raw(value)


class Shape(Generic[N]):
    """The columns of one kind of record, in the order of the values that `encode` gives and `decode` takes.

    natural: the columns of its natural key (stores.ports.NaturalKey), after those it is read with.
    expires: whether it has an expires_at, after which it is not there any more.
    """

    def __init__(
        self,
        kind: type[N],
        name: str,
        columns: str,
        decode: Callable[[Row], N],
        encode: Callable[[N], Row],
        natural: str = "",
        expires: bool = False,
    ) -> None:
        self.kind, self.name, self.decode, self.encode, self.expires = kind, name, decode, encode, expires
        self.columns = tuple(columns.split())
        self.natural = tuple(natural.split())


def _user(r: Row) -> User:
    return User(r[0], r[1], r[2], as_raw(r[3]), moment(r[4]))


USER = Shape(
    User,
    "user",
    "id external_id name profile created_at",
    _user,
    lambda u: (u.id, u.external_id, u.name, raw(u.profile), micros(u.created_at)),
    "external_id",
)  # fmt: skip


def _agent(r: Row) -> Agent:
    return Agent(r[0], r[1], r[2], r[3], as_raw(r[4]), _strings.decode(r[5]), moment(r[6]))


AGENT = Shape(
    Agent,
    "agent",
    "id external_id name description config capabilities created_at",
    _agent,
    lambda a: (a.id, a.external_id, a.name, a.description, raw(a.config), text(a.capabilities), micros(a.created_at)),
    "external_id",
)  # fmt: skip


def _session(r: Row) -> Session:
    kind = _SessionKind[r[2]]
    return SESSION_TYPES[kind](
        r[0], r[1], kind, r[3], _SessionStatus[r[4]], as_raw(r[5]), _strings.decode(r[6]), as_raw(r[7]),
        moment(r[8]), moment(r[9]), moment(r[10]), r[11], r[12],
    )  # fmt: skip


SESSION: Shape[Session] = Shape(
    Session,
    "session",
    "id external_id kind title status context capabilities metadata created_at updated_at last_active_at "
    "message_count version",
    _session,
    lambda s: (
        s.id, s.external_id, s.kind.value, s.title, s.status.value, raw(s.context), text(s.capabilities),
        raw(s.metadata), micros(s.created_at), micros(s.updated_at), micros(s.last_active_at), s.message_count,
        s.version,
    ),
    "external_id",
)  # fmt: skip


def _participant(r: Row) -> Participant:
    return Participant(r[0], r[1], r[2], _SenderType[r[3]], r[4], r[5], r[6], moment(r[7]), moment(r[8]))


PARTICIPANT = Shape(
    Participant,
    "participant",
    "id session actor type role name external_id joined_at left_at identity",
    _participant,
    lambda p: (
        p.id, p.session_id, p.actor_id, p.type.value, p.role, p.name, p.external_id, micros(p.joined_at),
        micros(p.left_at), identity(p.type, p.name, p.actor_id, p.external_id),
    ),
    "session identity",
)  # fmt: skip


def _thread(r: Row) -> Thread:
    return Thread(r[0], r[1], r[2], moment(r[3]))


THREAD = Shape(
    Thread,
    "thread",
    "id session name created_at",
    _thread,
    lambda t: (t.id, t.session_id, t.name, micros(t.created_at)),
    "session name",
)  # fmt: skip


def _message(r: Row) -> Message:
    return Message(
        r[0], r[1], r[2], r[3], r[4], _SenderType[r[5]], _contents.decode(r[6]), r[7], r[8], as_raw(r[9]), moment(r[10])
    )


MESSAGE = Shape(
    Message,
    "message",
    "id external_id session place sender sender_type content thread parent metadata created_at",
    _message,
    lambda m: (
        m.id, m.external_id, m.session_id, m.place, m.sender_id, m.sender_type.value, text(m.content), m.thread_id,
        m.parent_id, raw(m.metadata), micros(m.created_at),
    ),
    "external_id",
)  # fmt: skip


def _memory(r: Row) -> Memory:
    return Memory(
        r[0], r[1], _MemoryType[r[2]], _MemoryScope[r[3]], r[4], _MemoryStatus[r[5]], r[6],
        _strings.decode(r[7]) if r[7] != "[]" else [],
        as_raw(r[8]), r[9], r[10], r[11], moment(r[12]), moment(r[13]), moment(r[14]), moment(r[15]), r[16],
        moment(r[17]), moment(r[18]), r[19], r[20], r[21],
    )  # fmt: skip


MEMORY = Shape(
    Memory,
    "memory",
    "id external_id type scope owner status text tags metadata importance decay_factor access_count "
    "last_accessed_at created_at updated_at expires_at version valid_from valid_until source_message "
    "external_source session",
    _memory,
    lambda m: (
        m.id, m.external_id, m.type.value, m.scope.value, m.owner_id, m.status.value, m.text, text(m.tags),
        raw(m.metadata), m.importance, m.decay_factor, m.access_count, micros(m.last_accessed_at),
        micros(m.created_at), micros(m.updated_at), micros(m.expires_at), m.version, micros(m.valid_from),
        micros(m.valid_until), m.source_message_id, m.external_source, m.session_id,
    ),
    "external_id",
    expires=True,
)  # fmt: skip


def _version(r: Row) -> MemoryVersion:
    return MemoryVersion(
        r[0], r[1], r[2], r[3], _MemoryStatus[r[4]], r[5], _strings.decode(r[6]), as_raw(r[7]),
        moment(r[8]), moment(r[9]), moment(r[10]),
    )  # fmt: skip


VERSION = Shape(
    MemoryVersion,
    "memory_version",
    "id memory version text status importance tags metadata valid_from valid_until replaced_at",
    _version,
    lambda v: (
        v.id, v.memory_id, v.version, v.text, v.status.value, v.importance, text(v.tags), raw(v.metadata),
        micros(v.valid_from), micros(v.valid_until), micros(v.replaced_at),
    ),
)  # fmt: skip


def _link(r: Row) -> MemoryLink:
    return MemoryLink(r[0], _MemoryLinkKind[r[1]], r[2], r[3], r[4], moment(r[5]), as_raw(r[6]))


LINK = Shape(
    MemoryLink,
    "link",
    "id kind weight src dst created_at metadata",
    _link,
    lambda x: (x.id, x.kind.value, x.weight, x.source_id, x.target_id, micros(x.created_at), raw(x.metadata)),
    "src kind dst",
)  # fmt: skip


def _event(r: Row) -> TraceEvent:
    memories = _ids.decode(r[12]) if r[12] is not None else []
    return TraceEvent(
        r[0], r[1], r[2], r[3], moment(r[4]), r[5], as_raw(r[6]), r[7], r[8], r[9], r[10], r[11],
        memories, r[13], r[14],
    )  # fmt: skip


EVENT = Shape(
    TraceEvent,
    "event",
    "id session type component time duration_ms data user agent message parent span memories external_id place",
    _event,
    lambda e: (
        e.id, e.session_id, e.type, e.component, micros(e.time), e.duration_ms, raw(e.data), e.user_id, e.agent_id,
        e.message_id, e.parent_id, e.span_record_id, text(e.memory_ids) if e.memory_ids else None, e.external_id,
        e.place,
    ),
    "session external_id",
)  # fmt: skip


def _span(r: Row) -> Span:
    return Span(
        r[0], r[1], r[2], r[3], r[4], _SpanKind[r[5]], r[6], _SpanStatusCode[r[7]], r[8], moment(r[9]), moment(r[10]),
        as_raw(r[11]), r[12], r[13],
    )  # fmt: skip


SPAN = Shape(
    Span,
    "span",
    "id trace_id span_id parent_span_id session kind name status_code status_message started_at ended_at "
    "attributes message agent",
    _span,
    lambda s: (
        s.id, s.trace_id, s.span_id, s.parent_span_id, s.session_id, s.kind.value, s.name, s.status_code.value,
        s.status_message, micros(s.started_at), micros(s.ended_at), raw(s.attributes), s.message_id, s.agent_id,
    ),
    "trace_id span_id",
)  # fmt: skip


def _trace(r: Row) -> Trace:
    return Trace(
        r[0], r[1], r[2], moment(r[3]), moment(r[4]), _SpanStatusCode[r[5]], TokenUsage(r[6], r[7], r[8], r[9]), r[10],
        r[11],
    )  # fmt: skip


TRACE = Shape(
    Trace,
    "trace",
    "id trace_id session started_at ended_at status_code input_tokens output_tokens total_tokens cost_usd root "
    "span_count",
    _trace,
    lambda t: (
        t.id, t.trace_id, t.session_id, micros(t.started_at), micros(t.ended_at), t.status_code.value,
        *msgspec.structs.astuple(t.usage), t.root_id, t.span_count,
    ),
    "trace_id",
)  # fmt: skip


def _tally(r: Row) -> Tally:
    return Tally(
        id=r[0], trace_id=r[1], span_id=r[2], parent_span_id=r[3], span_record_id=r[4], started_at=moment(r[5]),
        ended_at=moment(r[6]), status_code=_SpanStatusCode[r[7]], own=_counts.decode(r[8]), below=_sums.decode(r[9]),
        loose=bool(r[10]), census=None if r[11] is None else _census.decode(r[11]),
    )  # fmt: skip


TALLY = Shape(
    Tally,
    "tally",
    "id trace_id span_id parent_span_id span started_at ended_at status_code own below loose census",
    _tally,
    lambda t: (
        t.id, t.trace_id, t.span_id, t.parent_span_id, t.span_record_id, micros(t.started_at), micros(t.ended_at),
        t.status_code.value, text(t.own), text(t.below), t.loose, None if t.census is None else text(t.census),
    ),
    "trace_id span_id",
)  # fmt: skip


def _recall(r: Row) -> Recall:
    return Recall(r[0], r[1], r[2], r[3], r[4], r[5], _parts.decode(r[6]), moment(r[7]))


RECALL = Shape(
    Recall,
    "recall",
    "id memory session message event score parts recalled_at",
    _recall,
    lambda x: (
        x.id, x.memory_id, x.session_id, x.message_id, x.event_id, x.score, text(x.parts), micros(x.recalled_at)
    ),
)  # fmt: skip


def _state(r: Row) -> StateEntry:
    return StateEntry(r[0], r[1], r[2], as_raw(r[3]), _strings.decode(r[4]), r[5], moment(r[6]), moment(r[7]))


STATE = Shape(
    StateEntry,
    "state",
    "id namespace name value tags version updated_at expires_at",
    _state,
    lambda s: (
        s.id, s.namespace, s.key, raw(s.value), text(s.tags), s.version, micros(s.updated_at), micros(s.expires_at)
    ),
    "namespace name",
    expires=True,
)  # fmt: skip


def _api_key(r: Row) -> ApiKey:
    return ApiKey(r[0], r[1], r[2], _Role[r[3]], r[4], moment(r[5]), moment(r[6]), moment(r[7]))


API_KEY = Shape(
    ApiKey,
    "api_key",
    "id digest tenant role name created_at expires_at revoked_at",
    _api_key,
    lambda k: (
        k.id, k.digest, k.workspace, k.role.value, k.name, micros(k.created_at), micros(k.expires_at),
        micros(k.revoked_at),
    ),
    "digest",
)  # fmt: skip


def _audit(r: Row) -> AuditEntry:
    return AuditEntry(r[0], moment(r[1]), r[2], r[3], r[4], r[5], _ids.decode(r[6]))


AUDIT = Shape(
    AuditEntry,
    "audit",
    "id time caller caller_name action outcome targets",
    _audit,
    lambda a: (a.id, micros(a.time), a.caller, a.caller_name, a.action, a.outcome, text(a.targets)),
)


SHAPES: dict[type[Node], Shape[Any]] = {
    shape.kind: shape
    for shape in (
        USER, AGENT, SESSION, PARTICIPANT, THREAD, MESSAGE, MEMORY, VERSION, LINK, EVENT, SPAN, TRACE, TALLY,
        RECALL, STATE, API_KEY, AUDIT,
    )
}  # fmt: skip
SHAPES.update(dict.fromkeys(SESSION_TYPES.values(), SESSION))


def shape(kind: type[N]) -> Shape[N]:
    """The columns of a kind of record."""
    return SHAPES[kind]
