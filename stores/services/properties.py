"""Properties that nodes have beside their shape's columns: what filters, summaries and searches look into.

members: a text for each member of a JSON object. texts: of a message's parts, folded. tools: that it calls.
tag_list, capability_list, target_list: the lists that columns hold as JSON. size: the UTF-8 bytes of a memory's text.
words: its words for the full-text index. title_key, name_key: what titles and names are sorted by.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec

from domain.actor import Agent, User
from domain.audit import AuditEntry
from domain.memory import Memory
from domain.message import Message, TextContent, Thread, ToolCall
from domain.node import Node
from domain.participant import Participant
from domain.session import Session
from domain.state import StateEntry
from domain.values import Json, fold
from stores.catalogue.kinds import kind
from stores.services.words import stem

_encode = msgspec.json.Encoder(order="sorted").encode


def _number(literal: str) -> int | float:
    number = float(literal)
    return int(number) if number.is_integer() else number


_FIRST_LATE = 0xB700
_LATE = re.compile("[\ub700-\U0010ffff]")

_decode = msgspec.json.Decoder(dict[str, Any], float_hook=_number).decode


def members(value: Json) -> list[str]:
    """A text for each member of a JSON object: two are the same where name and value are (domain.values.same)."""
    return [_encode({name: member}).decode() for name, member in _decode(value).items()]


def listed(column: str) -> str:
    """The property that has the texts of a column, which holds them as JSON."""
    return f"{column[:-3]}y_list" if column.endswith("ies") else f"{column[:-1]}_list"


def looked_into(memory: Memory) -> dict[str, Any]:
    """What filters look into of a memory, beside its columns."""
    return {"members": members(memory.metadata), "tag_list": memory.tags}


def sortable(text: str) -> str:
    """A text whose order is that of the code points, and whose beginning is the beginning's.

    Neo4j compares texts by code points where it reads them off an index, and by the units of UTF-16 where it does not;
    from U+D800 on these differ. So such characters are moved below: two stand for each from U+B700 on, and take no more
    than the four bytes that are left for one in the key of an index (1,000 of them in a namespace, and in a name).
    """
    return _LATE.sub(_moved, text)


def _moved(found: re.Match[str]) -> str:
    head, tail = divmod(ord(found[0]) - _FIRST_LATE, 127)
    return chr(_FIRST_LATE + head) + chr(1 + tail)


def _memory(memory: Memory) -> dict[str, Any]:
    return {**looked_into(memory), "size": len(memory.text.encode()), "words": stem(memory.text)}


def _message(message: Message) -> dict[str, Any]:
    return {
        "members": members(message.metadata),
        "texts": [fold(part.text) for part in message.content if type(part) is TextContent],
        "tools": [part.tool for part in message.content if type(part) is ToolCall],
    }


def _session(session: Session) -> dict[str, Any]:
    return {
        "members": members(session.metadata),
        "capability_list": session.capabilities,
        "title_key": sortable(session.title),
    }


def _user(user: User) -> dict[str, Any]:
    return {"members": members(user.profile), "name_key": sortable(user.name)}


def _agent(agent: Agent) -> dict[str, Any]:
    return {
        "members": members(agent.config),
        "capability_list": agent.capabilities,
        "name_key": sortable(agent.name),
    }


def _named(record: Participant | Thread) -> dict[str, Any]:
    return {"name_key": sortable(record.name)}


def _state(entry: StateEntry) -> dict[str, Any]:
    return {"tag_list": entry.tags, "name_key": sortable(entry.key)}


def _audit(entry: AuditEntry) -> dict[str, Any]:
    return {"target_list": entry.targets}


_EXTRAS: dict[type[Node], Callable[[Any], dict[str, Any]]] = {
    User: _user,
    Agent: _agent,
    Session: _session,
    Participant: _named,
    Thread: _named,
    Message: _message,
    Memory: _memory,
    StateEntry: _state,
    AuditEntry: _audit,
}


def extras(record: Node) -> dict[str, Any]:
    """The properties of a record's node beside its columns; None takes one away."""
    make = _EXTRAS.get(kind(type(record)).record)
    return {} if make is None else make(record)
