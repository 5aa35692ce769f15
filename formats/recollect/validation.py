"""The check of a file of our own format before anything of it is written: within itself, and against what is there."""

from __future__ import annotations

import hashlib
from base64 import b64decode
from collections.abc import Sequence

from domain.blob import BY_TYPE, Blob, is_key
from domain.memory import Memory
from domain.message import Message, Thread
from domain.node import Id, Node, kind_of
from domain.participant import Participant
from domain.session import Session
from domain.trace import TraceEvent
from formats.conversation import FormatError
from formats.recollect.lines import KINDS, BlobBytes, Entry, MemoryRefs
from stores.catalogue import kinds
from stores.catalogue.kinds import natural_key
from stores.catalogue.references import checked
from stores.ports import NaturalKey, Store

_BATCH = 500
_TOGETHER = ("session", "participant", "thread", "message")
_PLACES = list(KINDS)
_ORDER = {name: _PLACES.index("session" if name in _TOGETHER else name) for name in KINDS}

_REFERENCES = {kind.record: checked(kind) for kind in kinds.KINDS}
"""What records hold on to, and must stand before them. The parent of an event may also stand behind it; who is only
mentioned (a participant's actor, an event's user) may be gone."""


class Check:
    """Takes the entries of a file in order and raises FormatError at the first that cannot be written."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._ids: set[str] = set()
        self._keys: set[tuple[type[Node], NaturalKey]] = set()
        self._parents: dict[str, str] = {}
        self._bytes: dict[str, hashlib._Hash] = {}
        self._named: list[tuple[Entry, Node, NaturalKey]] = []
        self._session: Session | None = None
        self._stored_messages = self._place = 0
        self._type, self._count = "user", 0

    async def add(self, entry: Entry) -> None:
        record = entry.record
        if _ORDER[entry.type] < _ORDER[self._type]:
            raise FormatError(f"a line of type {entry.type} cannot follow one of type {self._type}", entry.where)
        self._type = entry.type
        self._count += 1
        self._check_references(entry)
        if isinstance(record, BlobBytes):
            self._take_bytes(entry, record)
        elif isinstance(record, Blob):
            self._check_bytes(entry, record)
        if isinstance(record, Node):
            if record.id in self._ids:
                raise FormatError(f"the id {record.id} appears twice", entry.where)
            self._ids.add(record.id)
            await self._check_name(entry, record)
        if isinstance(record, Session):
            await self._begin(record)
        elif isinstance(record, Message):
            await self._check_place(entry, record)
        elif isinstance(record, TraceEvent) and record.parent_id is not None:
            self._parents[record.parent_id] = entry.where

    async def finish(self) -> int:
        """Checks what can only be known at the end; how many records there were."""
        for parent, where in self._parents.items():
            if parent not in self._ids:
                raise FormatError(f"parent_id names {parent}, which is not in the file", where)
        await self._compare()
        return self._count

    def _check_references(self, entry: Entry) -> None:
        record = entry.record
        if isinstance(record, BlobBytes):
            return
        if isinstance(record, Message):
            for blob in record.blobs:
                self._check_reference(entry, "blob_id", blob, [Blob])
        if isinstance(record, MemoryRefs):
            self._check_reference(entry, "message_id", record.message_id, [Message])
            for ref in record.refs:
                self._check_reference(entry, "refs", ref.memory_id, [Memory])
        else:
            for name, named in _REFERENCES[type(record)].items():
                self._check_reference(entry, name, getattr(record, name), [kind.record for kind in named])
        if isinstance(record, Participant | Thread | Message) and (
            self._session is None or record.session_id != self._session.id
        ):
            raise FormatError("it is listed under the wrong session", entry.where)

    def _check_reference(self, entry: Entry, name: str, target: Id | None, kinds: Sequence[type[Node]]) -> None:
        if target is None:
            return
        if target not in self._ids or kind_of(target) not in kinds:
            raise FormatError(f"{name} names {target[:80]}, which does not appear before it", entry.where)

    def _take_bytes(self, entry: Entry, record: BlobBytes) -> None:
        try:
            data = b64decode(record.data, validate=True)
        except ValueError:
            raise FormatError("the bytes of a blob are not base64", entry.where) from None
        self._bytes.setdefault(record.stored_as, hashlib.sha256()).update(data)

    def _check_bytes(self, entry: Entry, blob: Blob) -> None:
        found = self._bytes.get(blob.stored_as)
        if found is None or found.hexdigest() != blob.sha256 or not is_key(blob.stored_as, blob.sha256):
            raise FormatError(f"the bytes of {blob.id} are missing, or are others", entry.where)
        if blob.media_type not in BY_TYPE:
            raise FormatError(f"{blob.media_type[:80]!r} is no media type that is known", entry.where)

    async def _begin(self, session: Session) -> None:
        before = (await self._store.get(Session, [session.id]))[0]
        self._session, self._place = session, 0
        self._stored_messages = 0 if before is None else before.message_count

    async def _check_place(self, entry: Entry, message: Message) -> None:
        """Places go up; in a session that is there, a new message may only follow the stored ones."""
        assert self._session is not None
        if not self._place < message.place <= self._session.message_count:
            raise FormatError(f"place {message.place} does not fit in its session", entry.where)
        self._place = message.place
        if message.place <= self._stored_messages and (await self._store.get(Message, [message.id]))[0] is None:
            raise FormatError("its session already exists and has a different message at this place", entry.where)

    async def _check_name(self, entry: Entry, record: Node) -> None:
        key = natural_key(record)
        if key is None:
            return
        if (type(record), key) in self._keys:
            raise FormatError(f"{_shown(key)} appears twice", entry.where)
        self._keys.add((type(record), key))
        if not kinds.kind(type(record)).merges:
            self._named.append((entry, record, key))
            if len(self._named) == _BATCH:
                await self._compare()

    async def _compare(self) -> None:
        """Nothing may be in the store under the same name and another id."""
        for kind in {type(record) for _, record, _ in self._named}:
            named = [one for one in self._named if type(one[1]) is kind]
            for (entry, record, key), stored in zip(
                named, await self._store.find(kind, [key for _, _, key in named]), strict=True
            ):
                if stored is not None and stored.id != record.id:
                    raise FormatError(f"{kind.noun} {_shown(key)} already exists under another id", entry.where)
        self._named.clear()


def _shown(key: NaturalKey) -> str:
    return " ".join(key)[:120]
