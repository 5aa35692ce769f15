"""ChatGPT's data export: conversations.json, a list of conversations, each a tree of nodes.

Every node with a message becomes a message, whose parent is the nearest node above with one. A node whose parent is
not in the file stands at the top; parents that run in a circle are an error. Messages are in the order of their times,
but never before their parents; one without a time has its parent's.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import msgspec

from domain.message import ContentInput, MessageInput
from domain.session import CreateSessionInput
from domain.values import MAX_NAME, Ref
from formats.conversation import (
    Conversation,
    Conversations,
    FormatError,
    expect,
    first_time,
    kept,
    member,
    metadata,
    moment,
    own_id,
    title,
)
from formats.file import File

NAME = "chatgpt"
SUMMARY = "conversations.json of a ChatGPT data export"

_ROLES = {"user": "user", "assistant": "assistant", "system": "system", "developer": "system", "tool": "tool"}
_SPOKEN = ("text", "multimodal_text")
"""The content types that are nothing without their parts."""

_CUT_OFF = ("interrupted", "max_tokens")
"""How an answer ended that is not finished, whatever its status says."""


class _Node(msgspec.Struct, frozen=True):
    """A node as it lies in the file, checked as far as the tree goes."""

    id: str
    parent: str | None
    message: dict[str, Any] | None
    time: datetime | None
    where: str


class _Placed(msgspec.Struct, frozen=True):
    """A node at its place: the nearest node above with a message, and its time or that of a node above."""

    node: _Node
    above: str | None
    time: datetime | None


def recognizes(value: Any) -> bool:
    """Whether a JSON value is such an export, by the look of its first conversation."""
    first = value[0] if isinstance(value, list) and value else value
    return isinstance(first, dict) and "mapping" in first


def read(file: File) -> Conversations:
    """The conversations of a file. Raises FormatError before it returns any."""
    return conversations(file.items, file.name)


def conversations(items: Sequence[Any], source: str) -> Conversations:
    """The conversations of an export. Raises FormatError before it returns any.

    source: the name of the file, which is kept in the metadata.
    """
    return Conversations(
        range(len(items)), lambda place: _conversation(items[place], f"conversation {place + 1}", source)
    )


def _conversation(value: Any, where: str, source: str) -> Conversation:
    expect(value, "it", dict, where)
    name = member(value, "title", str, where, optional=True) or ""
    if name:
        where = f'{where} ("{title(name)[:80]}")'
    key = "conversation_id" if value.get("conversation_id") is not None else "id"
    conversation = own_id(member(value, key, str, where), key, where)
    created = moment(value.get("create_time"), "create_time", where)
    others = {key: item for key, item in value.items() if key not in ("id", "conversation_id", "title", "mapping")}
    external = f"chatgpt:{conversation}"
    mapping = member(value, "mapping", dict, where)
    nodes = _tree(mapping, where)
    messages = [_message(placed, external) for placed in _in_order(nodes, created, where)]
    current = _current(member(value, "current_node", str, where, optional=True), nodes)
    return Conversation(
        CreateSessionInput(
            external_id=external,
            title=title(name),
            created_at=created or first_time(messages),
            metadata=metadata({"imported_from": {"format": NAME, "file": source}, **kept(others)}),
        ),
        messages,
        None if current is None else f"{external}:{current}",
        frozenset(f"{external}:{node.id}" for node in nodes.values() if node.message and _passes(node.message)),
    )


def _current(name: str | None, nodes: dict[str, _Node]) -> str | None:
    """The node at which the branch ends that is shown, or the nearest one above it with a message."""
    while name in nodes and nodes[name].message is None:
        name = nodes[name].parent
    return name if name in nodes else None


def _passes(message: dict[str, Any]) -> bool:
    """Whether a message is nothing to remember: it is not finished, it is not shown, or it is for or of a tool."""
    about = message.get("metadata") or {}
    end = about.get("finish_details")
    return (
        message.get("status") not in (None, "finished_successfully")
        or (isinstance(end, dict) and end.get("type") in _CUT_OFF)
        or message.get("recipient") not in (None, "all")
        or message.get("weight") == 0
        or about.get("is_visually_hidden_from_conversation") is True
        or message["content"].get("content_type") not in _SPOKEN
    )


def _tree(mapping: dict[str, Any], where: str) -> dict[str, _Node]:
    """The nodes by id, their parents being nodes of the mapping; `children` tell where `parent` does not."""
    claimed: dict[str, str] = {}
    for name, node in mapping.items():
        at = f"{where}, node {name}"
        expect(node, "it", dict, at)
        for child in member(node, "children", list, at, optional=True) or ():
            claimed[expect(child, "a child", str, at)] = name
    return {
        name: _node(name, node, claimed.get(name), mapping, f"{where}, node {name}") for name, node in mapping.items()
    }


def _node(name: str, node: dict[str, Any], claimed: str | None, mapping: dict[str, Any], where: str) -> _Node:
    parent = member(node, "parent", str, where, optional=True)
    message = member(node, "message", dict, where, optional=True)
    time = None if message is None else moment(message.get("create_time"), "create_time", where)
    return _Node(own_id(name, "the node's id", where), parent if parent in mapping else claimed, message, time, where)


def _in_order(nodes: dict[str, _Node], created: datetime | None, where: str) -> Iterator[_Placed]:
    """The nodes with a message: of those whose parent is out, always the earliest."""
    places = {name: place for place, name in enumerate(nodes)}
    children: dict[str | None, list[_Node]] = {}
    for node in nodes.values():
        children.setdefault(node.parent, []).append(node)
    waiting: list[tuple[float, int, _Placed]] = []

    def put(parent: str | None, above: str | None, time: datetime | None) -> None:
        for node in children.pop(parent, ()):
            at = node.time or time
            stamp = at.timestamp() if at is not None else float("-inf")
            heapq.heappush(waiting, (stamp, places[node.id], _Placed(node, above, at)))

    put(None, None, created)
    while waiting:
        placed = heapq.heappop(waiting)[2]
        node = placed.node
        if node.message is not None:
            yield placed
        put(node.id, placed.above if node.message is None else node.id, placed.time)
    if children:
        circle = next(node for nodes in children.values() for node in nodes)
        raise FormatError("its parents form a circle", f"{where}, node {circle.id}")


def _message(placed: _Placed, conversation: str) -> MessageInput:
    where, message = placed.node.where, placed.node.message
    assert message is not None
    author = member(message, "author", dict, where)
    role = member(author, "author.role", str, where)
    if role not in _ROLES:
        raise FormatError(f"author.role is {role[:40]!r}; expected one of {', '.join(_ROLES)}", where)
    name = member(author, "author.name", str, where, optional=True) or ""
    content = member(message, "content", dict, where)
    return MessageInput(
        external_id=f"{conversation}:{placed.node.id}",
        role=_ROLES[role],
        sender_name=(name if name.strip() else _ROLES[role])[:MAX_NAME],
        parent=None if placed.above is None else Ref(external_id=f"{conversation}:{placed.above}"),
        content=[ContentInput(text=text) for text in _texts(content, where) or [""]],
        created_at=placed.time,
        metadata=metadata(_rest(message, role, content, where)),
    )


def _texts(content: dict[str, Any], where: str) -> list[str]:
    """What the content says in words: its text, or its parts that are text (a transcript is one)."""
    kind = member(content, "content.content_type", str, where)
    text = member(content, "content.text", str, where, optional=True)
    if text is not None:
        return [text]
    parts = member(content, "content.parts", list, where, optional=kind not in _SPOKEN) or []
    for part in parts:
        if part is not None and not isinstance(part, str | dict):
            raise FormatError("content.parts must hold texts and objects", where)
    spoken = [part.get("text") if isinstance(part, dict) else part for part in parts]
    return [text for text in spoken if isinstance(text, str)]


def _rest(message: dict[str, Any], role: str, content: dict[str, Any], where: str) -> dict[str, Any]:
    """What a message holds beside its words, and what the file has no bytes for, to be kept as metadata."""
    about = member(message, "metadata", dict, where, optional=True) or {}
    author = member(message["author"], "author.metadata", dict, where, optional=True)
    parts = [part for part in content.get("parts") or () if isinstance(part, dict)]
    shown = ("content_type", "text", "parts")
    raw = {name: value for name, value in content.items() if name not in shown and value is not None}
    found = {
        "content_type": content["content_type"],
        "role": role if role not in _ROLES.values() else None,
        "model_slug": about.get("model_slug"),
        "recipient": message.get("recipient"),
        "status": message.get("status"),
        "weight": message.get("weight"),
        "end_turn": message.get("end_turn"),
        "content": {**raw, **({"parts": parts} if parts else {})} or None,
        "author": author or None,
        "metadata": kept({name: value for name, value in about.items() if name != "model_slug"}) or None,
    }
    return {name: value for name, value in found.items() if value is not None}
