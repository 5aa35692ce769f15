"""What the writer knows, having read or put it, and need not ask for again: sessions, who takes part in them, counts.

Nobody else writes to the file, so that stays true until the writer rolls back or deletes; then it forgets all.
"""

from __future__ import annotations

from collections.abc import Sequence

import apsw
import msgspec

from domain.node import Id
from domain.participant import Participant
from domain.session import Session
from stores.embedded import rows
from stores.rows import Row, micros, text

MOST_BYTES = 32 << 20
"""About how much is kept, of all workspaces together; beyond that it begins anew."""

_RECORD_BYTES = 700
"""What a record takes beside its JSON, with its keys."""

_PARTICIPANTS = (
    f"SELECT {rows.PARTICIPANT.columns}, t.key, t.session FROM participant t "
    "WHERE t.session = (SELECT key FROM session WHERE id = ? AND workspace = ?) ORDER BY t.joined_at, t.id"
)

_MOVE = "UPDATE session SET message_count = ?, last_active_at = ?, current = ? WHERE key = ?"

_CHARGE = "UPDATE session SET used = ?, total_tokens = ?, cost_usd = ? WHERE key = ?"

_FREE = (
    "UPDATE session SET external_id = NULL WHERE workspace = ? AND external_id = ? AND id <> ? "
    "AND expires_at <= now_us() RETURNING id"
)

_WITH_KEYS = {
    statement: statement.replace("(SELECT key FROM session WHERE id = ?)", "?").replace(
        "(SELECT key FROM participant WHERE id = ?)", "?"
    )
    for statement in (rows.MESSAGE.add, rows.MESSAGE.insert)
}
"""Statements that write messages, by those that take ids where these take the keys of the session and the sender."""

_SESSION, _SENDER = (1 + rows.MESSAGE.written.index(name) for name in ("session", "sender"))
"""Where these are in a message's row, after the workspace."""


class Known:
    """What is known of one workspace. key: its own. active: how many active memories there are, by scope key, those
    whose time is over among them."""

    def __init__(self, db: apsw.Connection, key: int, memory: Memory) -> None:
        self._db, self.key, self._memory = db, key, memory
        self.active: dict[int, int] = {}
        self._by_id: dict[Id, Session] = {}
        self._by_name: dict[str, Session] = {}
        self._participants: dict[Id, list[Participant]] = {}
        self._keys: dict[Id, int] = {}  # of sessions and participants

    def clear(self) -> None:
        """Forgets all but the workspace itself."""
        for known in (self.active, self._by_id, self._by_name, self._participants, self._keys):
            known.clear()

    def session(self, id: Id) -> Session | None:
        return self._by_id.get(id) or self._read(rows.SESSION.by_id, id)

    def session_named(self, external_id: str) -> Session | None:
        return self._by_name.get(external_id) or self._read(rows.SESSION.by_natural, external_id)

    def _read(self, sql: str, name: str) -> Session | None:
        row = self._db.execute(sql, (name, self.key)).fetchone()
        if row is None:
            return None
        found = rows.SESSION.decode(row)
        self._note(found)
        return found

    def participants(self, session_id: Id) -> list[Participant]:
        """All participants of a session, in the order in which they joined."""
        found = self._participants.get(session_id)
        if found is None:
            found = []
            for row in self._db.execute(_PARTICIPANTS, (session_id, self.key)):
                found.append(rows.PARTICIPANT.decode(row))
                self._keys[found[-1].id], self._keys[session_id] = row[-2:]
            if found:
                self._memory.grown(_RECORD_BYTES * (1 + len(found)))
                self._participants[session_id] = found
        return list(found)

    def joins(self, participants: Sequence[Participant]) -> None:
        """Participants are stored: those of their sessions are to be read anew."""
        for one in participants:
            self._participants.pop(one.session_id, None)

    def store(self, sessions: Sequence[Session]) -> None:
        """Stores sessions; of one that has only moved on, or whose traces used more, nothing else is written."""
        for session in sessions:
            before, key = self._by_id.get(session.id), self._keys.get(session.id)
            if key is not None and before is not None and _is_ahead(session, before):
                moved = session.message_count, micros(session.last_active_at), session.current_id
                self._db.execute(_MOVE, (*moved, key))
            elif key is not None and before is not None and _is_charged(session, before):
                self._db.execute(_CHARGE, (text(session.used), session.total_tokens, session.cost_usd, key))
            else:
                if session.external_id is not None:
                    self._free(session.id, session.external_id)
                self._db.execute(rows.SESSION.insert, (self.key, *rows.SESSION.encode(session)))
            self._note(session)

    def _free(self, id: Id, external_id: str) -> None:
        """Takes an externalId from another session that has expired and was not swept yet."""
        found = self._db.execute(_FREE, (self.key, external_id, id)).fetchall()
        for (other,) in found:
            self._by_id.pop(Id(str(other)), None)
            self._by_name.pop(external_id, None)

    def messages(self, statement: str, encoded: list[Row]) -> tuple[str, list[Row]]:
        """A statement that writes rows of messages, and these rows: with the keys of their sessions and senders where
        they are known, which need not be looked up then."""
        keys = self._keys
        try:
            return _WITH_KEYS[statement], [_with_keys(row, keys) for row in encoded]
        except KeyError:
            return statement, encoded

    def _note(self, session: Session) -> None:
        before = self._by_id.get(session.id)
        if before is None:
            self._memory.grown(_size(session))
        else:
            if before.context is not session.context or before.metadata is not session.metadata:
                self._memory.grown(_size(session) - _size(before))
            if before.external_id is not None and before.external_id != session.external_id:
                self._by_name.pop(before.external_id, None)
        self._by_id[session.id] = session
        if session.external_id is not None:
            self._by_name[session.external_id] = session


class Memory:
    """What is known of all workspaces, by their names. waiting: how many messages may wait for the index. logged: the
    records that the transaction has a line of in the logs of changes."""

    def __init__(self) -> None:
        self.waiting = 0
        self.logged: set[Id] = set()
        self._known: dict[str, Known] = {}
        self._bytes = 0

    def __getitem__(self, workspace: str) -> Known | None:
        return self._known.get(workspace)

    def begin(self, workspace: str, db: apsw.Connection, key: int) -> Known:
        """Keeps the key of a workspace, and what will be known of it."""
        self.grown(_RECORD_BYTES)
        known = self._known[workspace] = Known(db, key, self)
        return known

    def grown(self, size: int) -> None:
        self._bytes += size
        if self._bytes > MOST_BYTES:
            self.forget()
            self._bytes = size

    def forget(self) -> None:
        self._known.clear()
        self.logged.clear()
        self._bytes = 0


def _with_keys(row: Row, keys: dict[Id, int]) -> Row:
    return (
        *row[:_SESSION],
        keys[row[_SESSION]],
        *row[_SESSION + 1 : _SENDER],
        keys[row[_SENDER]],
        *row[_SENDER + 1 :],
    )


def _is_ahead(session: Session, before: Session) -> bool:
    """Whether a session has gone on by messages and is the same otherwise."""
    same = msgspec.structs.replace(
        session,
        message_count=before.message_count,
        last_active_at=before.last_active_at,
        current_id=before.current_id,
    )
    return same == before


def _is_charged(session: Session, before: Session) -> bool:
    """Whether other sums are all that is new."""
    return session.used != before.used and session.with_used(before.used) == before


def _size(session: Session) -> int:
    return _RECORD_BYTES + len(bytes(session.context)) + len(bytes(session.metadata))
