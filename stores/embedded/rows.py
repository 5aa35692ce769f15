"""Rows to records and back: a Table for each kind of record."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import Raw

from domain.actor import Agent, User
from domain.link import MemoryLink, MemoryLinkKind
from domain.memory import Memory, MemoryScope, MemoryStatus, MemoryType, MemoryVersion
from domain.message import Content, Message, Thread
from domain.node import Id, Node
from domain.participant import Participant, SenderType, identity
from domain.search import Recall, ScoreParts
from domain.session import SESSION_TYPES, Session, SessionKind, SessionStatus
from domain.span import Span, SpanKind, SpanStatusCode, TokenUsage, Trace
from domain.state import StateEntry
from domain.trace import TraceEvent

N = TypeVar("N", bound=Node)
Row = tuple[Any, ...]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

_contents = msgspec.json.Decoder(list[Content])
_strings = msgspec.json.Decoder(list[str])
_ids = msgspec.json.Decoder(list[Id])
_parts = msgspec.json.Decoder(ScoreParts)
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


class Table(Generic[N]):
    """How one kind of record lies in the file; its rows are read under the alias t.

    columns: the columns that are written, each with the expression that takes its value ("?" where it is plain).
    natural: the condition that finds a row by its natural key. conflict: the columns that make a row the same one.
    """

    def __init__(  # noqa: PLR0913 - what a table is
        self,
        kind: type[N],
        name: str,
        columns: dict[str, str],
        select: str,
        decode: Callable[[Row], N],
        encode: Callable[[N], Sequence[Any]],
        natural: str = "",
        conflict: str = "id",
        live: str = "",
    ) -> None:
        self.kind, self.name, self.decode, self.encode, self.live = kind, name, decode, encode, live
        self.columns, joins = select.rsplit(f" FROM {name} t", 1)
        self.source = f"{name} t{joins}"
        self.select = f"SELECT {self.columns} FROM {self.source}"
        self.by_id = f"{self.select} WHERE t.id = ? AND t.workspace = ?{live}"
        self.by_natural = f"{self.select} WHERE {natural} AND t.workspace = ?{live}" if natural else ""
        # The + keeps SQLite from the index of the workspace, which it would scan whole.
        self.by_ids = f"{self.select} WHERE t.id IN (SELECT value FROM json_each(?)) AND +t.workspace = ?{live}"
        self.scan = f"{self.select} WHERE t.workspace = ? AND t.id > ?{live} ORDER BY t.id LIMIT ?"
        self.written = columns
        names = ["workspace", *columns]
        values = ", ".join(["?", *columns.values()])
        same = conflict.split(", ")
        changes = ", ".join(f"{column} = excluded.{column}" for column in columns if column not in same)
        insert = f"INSERT INTO {name} ({', '.join(names)}) VALUES ({values})"
        self.insert = f"{insert} ON CONFLICT ({conflict}) DO UPDATE SET {changes}"


def _plain(names: str, **special: str) -> dict[str, str]:
    """Columns by name, in order, each taking its value as it is or through a special expression."""
    return {name: special.get(name, "?") for name in names.split()}


def _key_of(table: str) -> str:
    return f"(SELECT key FROM {table} WHERE id = ?)"


# Expired rows are gone before any sweep takes them. strftime's "now" would round; the clock is bound by the engine.
_LIVE = " AND (t.expires_at IS NULL OR t.expires_at > now_us())"


def _user(r: Row) -> User:
    return User(r[0], r[1], r[2], as_raw(r[3]), moment(r[4]))


USER = Table(
    User,
    "user",
    _plain("id external_id name profile created_at"),
    "t.id, t.external_id, t.name, t.profile, t.created_at FROM user t",
    _user,
    lambda u: (u.id, u.external_id, u.name, raw(u.profile), micros(u.created_at)),
    "t.external_id = ?",
)


def _agent(r: Row) -> Agent:
    return Agent(r[0], r[1], r[2], r[3], as_raw(r[4]), _strings.decode(r[5]), moment(r[6]))


AGENT = Table(
    Agent,
    "agent",
    _plain("id external_id name description config capabilities created_at"),
    "t.id, t.external_id, t.name, t.description, t.config, t.capabilities, t.created_at FROM agent t",
    _agent,
    lambda a: (a.id, a.external_id, a.name, a.description, raw(a.config), text(a.capabilities), micros(a.created_at)),
    "t.external_id = ?",
)


def _session(r: Row) -> Session:
    kind = _SessionKind[r[2]]
    return SESSION_TYPES[kind](
        r[0], r[1], kind, r[3], _SessionStatus[r[4]], as_raw(r[5]), _strings.decode(r[6]), as_raw(r[7]),
        moment(r[8]), moment(r[9]), moment(r[10]), r[11], r[12],
    )  # fmt: skip


SESSION: Table[Session] = Table(
    Session,
    "session",
    _plain(
        "id external_id kind title status context capabilities metadata created_at updated_at last_active_at "
        "message_count version"
    ),
    "t.id, t.external_id, t.kind, t.title, t.status, t.context, t.capabilities, t.metadata, t.created_at, "
    "t.updated_at, t.last_active_at, t.message_count, t.version FROM session t",
    _session,
    lambda s: (
        s.id, s.external_id, s.kind.value, s.title, s.status.value, raw(s.context), text(s.capabilities),
        raw(s.metadata), micros(s.created_at), micros(s.updated_at), micros(s.last_active_at), s.message_count,
        s.version,
    ),
    "t.external_id = ?",
)  # fmt: skip


def _participant(r: Row) -> Participant:
    return Participant(r[0], r[1], r[2], _SenderType[r[3]], r[4], r[5], r[6], moment(r[7]), moment(r[8]))


PARTICIPANT = Table(
    Participant,
    "participant",
    _plain(
        "id session actor identity type role name external_id joined_at left_at",
        session=_key_of("session"),
    ),
    "t.id, s.id, t.actor, t.type, t.role, t.name, t.external_id, t.joined_at, t.left_at "
    "FROM participant t JOIN session s ON s.key = t.session",
    _participant,
    lambda p: (
        p.id, p.session_id, p.actor_id, identity(p.type, p.name, p.actor_id, p.external_id), p.type.value, p.role,
        p.name, p.external_id, micros(p.joined_at), micros(p.left_at),
    ),
    "t.session = (SELECT key FROM session WHERE id = ?) AND t.identity = ?",
)  # fmt: skip


def _thread(r: Row) -> Thread:
    return Thread(r[0], r[1], r[2], moment(r[3]))


THREAD = Table(
    Thread,
    "thread",
    _plain("id session name created_at", session=_key_of("session")),
    "t.id, s.id, t.name, t.created_at FROM thread t JOIN session s ON s.key = t.session",
    _thread,
    lambda t: (t.id, t.session_id, t.name, micros(t.created_at)),
    "t.session = (SELECT key FROM session WHERE id = ?) AND t.name = ?",
)


def _message(r: Row) -> Message:
    return Message(
        r[0], r[1], r[2], r[3], r[4], _SenderType[r[5]], _contents.decode(r[6]), r[7], r[8], as_raw(r[9]), moment(r[10])
    )


MESSAGE = Table(
    Message,
    "message",
    _plain(
        "id external_id session place sender sender_type content thread parent metadata created_at",
        session=_key_of("session"),
        sender=_key_of("participant"),
        thread=_key_of("thread"),
        parent=_key_of("message"),
    ),
    "t.id, t.external_id, s.id, t.place, p.id, t.sender_type, t.content, "
    "(SELECT id FROM thread WHERE key = t.thread), (SELECT id FROM message WHERE key = t.parent), "
    "t.metadata, t.created_at "
    "FROM message t JOIN session s ON s.key = t.session JOIN participant p ON p.key = t.sender",
    _message,
    lambda m: (
        m.id, m.external_id, m.session_id, m.place, m.sender_id, m.sender_type.value, text(m.content), m.thread_id,
        m.parent_id, raw(m.metadata), micros(m.created_at),
    ),
    "t.external_id = ?",
)  # fmt: skip


def _memory(r: Row) -> Memory:
    return Memory(
        r[0], r[1], _MemoryType[r[2]], _MemoryScope[r[3]], r[4], _MemoryStatus[r[5]], r[6],
        _strings.decode(r[7]) if r[7] != "[]" else [],
        as_raw(r[8]), r[9], r[10], r[11], moment(r[12]), moment(r[13]), moment(r[14]), moment(r[15]), r[16],
        moment(r[17]), moment(r[18]), r[19], r[20], r[21],
    )  # fmt: skip


# scope_key is what one owner's memories share in the text and vector indexes: twice the key of a user, one more for an
# agent, minus the workspace for GLOBAL ones.
MEMORY = Table(
    Memory,
    "memory",
    _plain(
        "id external_id type scope owner scope_key status text tags metadata importance decay_factor access_count "
        "last_accessed_at created_at updated_at expires_at version valid_from valid_until source_message "
        "external_source session",
        source_message=_key_of("message"),
        session=_key_of("session"),
    ),
    "t.id, t.external_id, t.type, t.scope, t.owner, t.status, t.text, t.tags, t.metadata, t.importance, "
    "t.decay_factor, t.access_count, t.last_accessed_at, t.created_at, t.updated_at, t.expires_at, t.version, "
    "t.valid_from, t.valid_until, (SELECT id FROM message WHERE key = t.source_message), t.external_source, "
    "(SELECT id FROM session WHERE key = t.session) FROM memory t",
    _memory,
    lambda m: (
        m.id, m.external_id, m.type.value, m.scope.value, m.owner_id, None, m.status.value, m.text, text(m.tags),
        raw(m.metadata), m.importance, m.decay_factor, m.access_count, micros(m.last_accessed_at),
        micros(m.created_at), micros(m.updated_at), micros(m.expires_at), m.version, micros(m.valid_from),
        micros(m.valid_until), m.source_message_id, m.external_source, m.session_id,
    ),
    "t.external_id = ?",
    live=_LIVE,
)  # fmt: skip


def _version(r: Row) -> MemoryVersion:
    return MemoryVersion(
        r[0], r[1], r[2], r[3], _MemoryStatus[r[4]], r[5], _strings.decode(r[6]), as_raw(r[7]),
        moment(r[8]), moment(r[9]), moment(r[10]),
    )  # fmt: skip


VERSION = Table(
    MemoryVersion,
    "memory_version",
    _plain(
        "id memory version text status importance tags metadata valid_from valid_until replaced_at",
        memory=_key_of("memory"),
    ),
    "t.id, m.id, t.version, t.text, t.status, t.importance, t.tags, t.metadata, t.valid_from, t.valid_until, "
    "t.replaced_at FROM memory_version t JOIN memory m ON m.key = t.memory",
    _version,
    lambda v: (
        v.id, v.memory_id, v.version, v.text, v.status.value, v.importance, text(v.tags), raw(v.metadata),
        micros(v.valid_from), micros(v.valid_until), micros(v.replaced_at),
    ),
)  # fmt: skip


def _link(r: Row) -> MemoryLink:
    return MemoryLink(r[0], _MemoryLinkKind[r[1]], r[2], r[3], r[4], moment(r[5]), as_raw(r[6]))


LINK = Table(
    MemoryLink,
    "link",
    _plain("id kind weight src dst created_at metadata", src=_key_of("memory"), dst=_key_of("memory")),
    "t.id, t.kind, t.weight, a.id, b.id, t.created_at, t.metadata "
    "FROM link t JOIN memory a ON a.key = t.src JOIN memory b ON b.key = t.dst",
    _link,
    lambda x: (x.id, x.kind.value, x.weight, x.source_id, x.target_id, micros(x.created_at), raw(x.metadata)),
    "t.src = (SELECT key FROM memory WHERE id = ?) AND t.kind = ? AND t.dst = (SELECT key FROM memory WHERE id = ?)",
    conflict="src, kind, dst",
    live=" AND NOT EXISTS (SELECT 1 FROM memory e WHERE e.key IN (t.src, t.dst) AND e.expires_at <= now_us())",
)


def _event(r: Row) -> TraceEvent:
    memories = _ids.decode(r[12]) if r[12] is not None else []
    return TraceEvent(
        r[0], r[1], r[2], r[3], moment(r[4]), r[5], as_raw(r[6]), r[7], r[8], r[9], r[10], r[11],
        memories, r[13], r[14],
    )  # fmt: skip


EVENT = Table(
    TraceEvent,
    "event",
    _plain(
        "id session type component time duration_ms data user agent message parent span memories external_id",
        session=_key_of("session"),
        message=_key_of("message"),
        parent=_key_of("event"),
        span=_key_of("span"),
    ),
    "t.id, (SELECT id FROM session WHERE key = t.session), t.type, t.component, t.time, t.duration_ms, t.data, "
    "t.user, t.agent, (SELECT id FROM message WHERE key = t.message), (SELECT id FROM event WHERE key = t.parent), "
    "(SELECT id FROM span WHERE key = t.span), t.memories, t.external_id, t.key FROM event t",
    _event,
    lambda e: (
        e.id, e.session_id, e.type, e.component, micros(e.time), e.duration_ms, raw(e.data), e.user_id, e.agent_id,
        e.message_id, e.parent_id, e.span_record_id, text(e.memory_ids) if e.memory_ids else None, e.external_id,
    ),
    "t.session = (SELECT key FROM session WHERE id = ?) AND t.external_id = ?",
)  # fmt: skip


def _span(r: Row) -> Span:
    return Span(
        r[0], r[1], r[2], r[3], r[4], _SpanKind[r[5]], r[6], _SpanStatusCode[r[7]], r[8], moment(r[9]), moment(r[10]),
        as_raw(r[11]), r[12], r[13],
    )  # fmt: skip


SPAN = Table(
    Span,
    "span",
    _plain(
        "id trace_id span_id parent_span_id session kind name status_code status_message started_at ended_at "
        "attributes message agent",
        session=_key_of("session"),
        message=_key_of("message"),
    ),
    "t.id, t.trace_id, t.span_id, t.parent_span_id, (SELECT id FROM session WHERE key = t.session), t.kind, t.name, "
    "t.status_code, t.status_message, t.started_at, t.ended_at, t.attributes, "
    "(SELECT id FROM message WHERE key = t.message), t.agent FROM span t",
    _span,
    lambda s: (
        s.id, s.trace_id, s.span_id, s.parent_span_id, s.session_id, s.kind.value, s.name, s.status_code.value,
        s.status_message, micros(s.started_at), micros(s.ended_at), raw(s.attributes), s.message_id, s.agent_id,
    ),
    "t.trace_id = ? AND t.span_id = ?",
)  # fmt: skip


def _trace(r: Row) -> Trace:
    return Trace(r[0], r[1], r[2], moment(r[3]), None, SpanStatusCode.UNSET, TokenUsage())


TRACE = Table(
    Trace,
    "trace",
    _plain("id trace_id session started_at", session=_key_of("session")),
    "t.id, t.trace_id, (SELECT id FROM session WHERE key = t.session), t.started_at FROM trace t",
    _trace,
    lambda t: (t.id, t.trace_id, t.session_id, micros(t.started_at)),
    "t.trace_id = ?",
)


def _recall(r: Row) -> Recall:
    return Recall(r[0], r[1], r[2], r[3], r[4], r[5], _parts.decode(r[6]), moment(r[7]))


RECALL = Table(
    Recall,
    "recall",
    _plain(
        "id memory session message event score parts recalled_at",
        memory=_key_of("memory"),
        session=_key_of("session"),
        message=_key_of("message"),
        event=_key_of("event"),
    ),
    "t.id, m.id, (SELECT id FROM session WHERE key = t.session), (SELECT id FROM message WHERE key = t.message), "
    "(SELECT id FROM event WHERE key = t.event), t.score, t.parts, t.recalled_at "
    "FROM recall t JOIN memory m ON m.key = t.memory",
    _recall,
    lambda x: (
        x.id, x.memory_id, x.session_id, x.message_id, x.event_id, x.score, text(x.parts), micros(x.recalled_at)
    ),
)  # fmt: skip


def _state(r: Row) -> StateEntry:
    return StateEntry(r[0], r[1], r[2], as_raw(r[3]), _strings.decode(r[4]), r[5], moment(r[6]), moment(r[7]))


STATE = Table(
    StateEntry,
    "state",
    _plain("id namespace name value tags version updated_at expires_at"),
    "t.id, t.namespace, t.name, t.value, t.tags, t.version, t.updated_at, t.expires_at FROM state t",
    _state,
    lambda s: (
        s.id, s.namespace, s.key, raw(s.value), text(s.tags), s.version, micros(s.updated_at), micros(s.expires_at)
    ),
    "t.namespace = ? AND t.name = ?",
    conflict="workspace, namespace, name",
    live=_LIVE,
)  # fmt: skip

TABLES: dict[type[Node], Table[Any]] = {
    table.kind: table
    for table in (
        USER, AGENT, SESSION, PARTICIPANT, THREAD, MESSAGE, MEMORY, VERSION, LINK, EVENT, SPAN, TRACE, RECALL, STATE,
    )
}  # fmt: skip
TABLES.update(dict.fromkeys(SESSION_TYPES.values(), SESSION))


def table(kind: type[N]) -> Table[N]:
    """The table of a kind of record."""
    return TABLES[kind]


__all__ = ["EPOCH", "TABLES", "Row", "Table", "as_raw", "micros", "moment", "raw", "table", "text"]
