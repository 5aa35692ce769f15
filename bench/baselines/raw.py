"""The nested page without a framework: two SQL statements over Recollect's own file, structs, and one encoding."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import apsw
import msgspec

from domain.message import Content, TextContent, ToolCall

_MESSAGES = """
SELECT m.key, m.place, m.id, m.sender_type, m.created_at, m.content, p.id, p.name
FROM message m JOIN participant p ON p.key = m.sender
WHERE m.session = ? ORDER BY m.place LIMIT ?"""

_REFS = """
SELECT r.message, r.score, e.id, e.text, e.importance
FROM message m JOIN memory_ref r ON r.message = m.key JOIN memory e ON e.key = r.memory
WHERE m.session = ? AND m.place <= ? ORDER BY m.place, r.position"""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_decode = msgspec.json.Decoder(list[Content]).decode


class _Out(msgspec.Struct, gc=False, rename="camel"):
    pass


class _Text(_Out):
    text: str
    typename: str = msgspec.field(default="TextContent", name="__typename")


class _Call(_Out):
    call_id: str
    tool: str
    typename: str = msgspec.field(default="ToolCall", name="__typename")


class _Sender(_Out):
    id: str
    name: str


class _Memory(_Out):
    id: str
    text: str
    importance: float


class _Ref(_Out):
    score: float | None
    memory: _Memory


class _Node(_Out):
    id: str
    sender_type: str
    created_at: datetime
    text: str
    content: list[_Text | _Call]
    sender: _Sender
    memory_refs: list[_Ref]


class _Edge(_Out):
    cursor: str
    node: _Node


def raw_page(db: apsw.Connection, external_id: str, first: int) -> bytes:
    """The answer of the nested query, but for its cursors, which are places."""
    found: list[Any] = db.execute(
        "SELECT key, id, title, kind, created_at FROM session WHERE external_id = ?", (external_id,)
    ).fetchall()
    key, *fields, created = found[0]
    session = dict(zip(("id", "title", "kind"), fields, strict=True))
    rows: list[Any] = db.execute(_MESSAGES, (key, first + 1)).fetchall()
    page = rows[:first]
    refs: dict[int, list[_Ref]] = {row[0]: [] for row in page}
    drawn_on: list[Any] = db.execute(_REFS, (key, page[-1][1])).fetchall()
    for message, score, *memory in drawn_on:
        refs[message].append(_Ref(score, _Memory(*memory)))
    edges = [_Edge(str(row[1]), _node(row, refs[row[0]])) for row in page]
    info = {"hasNextPage": len(rows) > first, "endCursor": edges[-1].cursor}
    messages = {"edges": edges, "pageInfo": info}
    return msgspec.json.encode({"data": {"session": {**session, "createdAt": _time(created), "messages": messages}}})


def _node(row: Sequence[Any], refs: list[_Ref]) -> _Node:
    parts = _decode(row[5])
    text = "\n".join([part.text for part in parts if type(part) is TextContent])
    return _Node(row[2], row[3], _time(row[4]), text, [_shown(part) for part in parts], _Sender(row[6], row[7]), refs)


def _shown(part: Content) -> _Text | _Call:
    if type(part) is TextContent:
        return _Text(part.text)
    assert isinstance(part, ToolCall)
    return _Call(part.call_id, part.tool)


def _time(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)
