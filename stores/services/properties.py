"""Properties that nodes have beside their kind's columns: what filters, orders, summaries and searches look into.

members: a text for each member of a JSON object. texts: of a message's parts or a span's call, folded. tools: that it
calls. tag_list, capability_list, target_list: the lists that columns hold as JSON. title_key, name_key: what titles and
names are sorted by. size: the UTF-8 bytes of a memory's text. words, loose: those of memories, messages and chunks
of documents for the full-text indexes (stores.words).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import datetime
from hashlib import blake2b
from operator import attrgetter
from typing import Any

import msgspec

from domain.document import DocumentChunk
from domain.members import marks
from domain.memory import Memory
from domain.message import Message
from domain.node import Node
from domain.span import Span
from domain.values import Json, fold
from stores.catalogue.kind import Kind
from stores.catalogue.kinds import KINDS, kind
from stores.filters import FILTERS, Either, HasAll, HasMembers, HasPart, MembersPass, Operator, Part, PartContains
from stores.rows import micros
from stores.services.labels import sorted_texts
from stores.words import stored

_encode = msgspec.json.Encoder(order="sorted").encode


def _number(literal: str) -> int | float:
    number = float(literal)
    return int(number) if number.is_integer() else number


_FIRST_LATE = 0xB700
_LATE = re.compile("[\ub700-\U0010ffff]")

_decode = msgspec.json.Decoder(dict[str, Any], float_hook=_number).decode


def members(value: Json) -> list[str]:
    """A text for each member of a JSON object: two are the same where name and value are (domain.values.same). Of one
    that is long it is a digest: spans have whole prompts among their attributes."""
    return [
        text.decode() if len(text) <= _LONG else blake2b(text, digest_size=24).hexdigest()
        for text in (_encode({name: member}) for name, member in _decode(value).items())
    ]


_LONG = 200


def listed(column: str) -> str:
    """The property that has the texts of a column, which holds them as JSON."""
    return f"{column[:-3]}y_list" if column.endswith("ies") else f"{column[:-1]}_list"


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


_OWN: dict[type[Node], dict[str, Callable[[Any], Any]]] = {
    Memory: {
        "size": lambda memory: len(memory.text.encode()),
        "words": lambda memory: " ".join(stored(memory.text).exact),
        "loose": lambda memory: " ".join(stored(memory.text).loose),
        "weight": lambda memory: memory.importance * memory.decay_factor,
        "last_accessed_at_key": lambda memory: micros(memory.last_accessed_at) or 0,
    },
    Message: {
        "words": lambda message: " ".join(stored(message.searched).exact),
        "loose": lambda message: " ".join(stored(message.searched).loose),
    },
    DocumentChunk: {
        "words": lambda chunk: " ".join(stored(chunk.text).exact),
        "loose": lambda chunk: " ".join(stored(chunk.text).loose),
    },
    Span: {"ended_at_key": lambda span: _lasting(span.started_at, span.ended_at)},
}
"""Of the engine's own: what summaries add up, what its full text looks into, and what lists are in the order of."""


def _lasting(start: datetime, end: datetime | None) -> int:
    """The microseconds between two times, -1 where the second is not known."""
    return -1 if end is None else (micros(end) or 0) - (micros(start) or 0)


def makers(of: Kind[Any]) -> dict[str, Callable[[Any], Any]]:
    """The properties that filters and orders of a kind need beside its columns, and what makes them of a record."""
    found: dict[str, Callable[[Any], Any]] = {}
    for operator in _operators(of):
        match operator:
            case HasMembers(column):
                found["members"] = _of(of, column, members)
            case MembersPass(column):
                found["marks"] = _of(of, column, marks)
            case HasAll(column):
                found[listed(column)] = _of(of, column, list)
            case PartContains(part):
                found[f"{part.member}s"] = _folded(of, part)
            case HasPart(part):
                found[f"{part.member}s"] = _of(of, part.column, part.of)
    for column in sorted_texts(of):
        found[f"{column}_key"] = _of(of, column, sortable)
    return found


def _operators(of: Kind[Any]) -> Iterator[Operator]:
    for operator in FILTERS.get(of.record, {}).values():
        yield from operator.operators if isinstance(operator, Either) else (operator,)


def _of(of: Kind[Any], column: str, make: Callable[[Any], Any]) -> Callable[[Any], Any]:
    value = attrgetter(str(of.columns[column].field))
    return lambda record: None if (given := value(record)) is None else make(given)


def _folded(of: Kind[Any], part: Part) -> Callable[[Any], list[str]]:
    value = attrgetter(str(of.columns[part.column].field))
    return lambda record: list(map(fold, part.of(value(record))))


_MAKERS = {of: makers(of) for of in KINDS}


def added(of: Kind[Any]) -> dict[str, Callable[[Any], Any]]:
    """All properties of a kind's nodes beside its columns, and what makes them of a record."""
    return makers(of) | _OWN.get(of.record, {})


def looked_into(record: Node) -> dict[str, Any]:
    """What filters and orders look into of a record, beside its columns."""
    return {name: make(record) for name, make in _MAKERS[kind(type(record))].items()}


def extras(record: Node) -> dict[str, Any]:
    """The properties of a record's node beside its columns."""
    own = _OWN.get(type(record), {})
    return looked_into(record) | {name: make(record) for name, make in own.items()}
