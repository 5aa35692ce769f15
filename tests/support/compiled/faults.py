"""What can be wrong with data: records and results spoiled by chance, the same way for every run of an operation."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from datetime import datetime
from random import Random
from typing import Any

import msgspec

from domain.errors import CursorExpired, invalid
from domain.page import Page
from stores.errors import Unavailable


class Stranger:
    """A record of a class that no type shows."""

    id = "str_1"
    text = "a stranger"

    def __repr__(self) -> str:
        return "<stranger>"


class Color(enum.Enum):
    """An enum that is not in the contract."""

    RED = "CHAT"


class Text(str):
    """Text that is not of the very type."""


class Telling(Exception):
    """A failure with the attributes of a record: it must stay a failure."""

    id = "exc_1"
    name = text = title = cursor = uri = "a failure"
    nodes: list[Any] = []
    edges: list[Any] = []
    score = 1.0
    active = archived = capacity = size_bytes = 1
    fullness = 0.5


WRONG: list[Any] = [
    None,
    5,
    2**40,
    True,
    1.5,
    float("nan"),
    float("inf"),
    "text",
    "CHAT",
    "12",
    Text("text"),
    b"bytes",
    datetime(2026, 1, 2, 3, 4, 5),  # naive, on purpose
    [],
    [None],
    ["a", None, 5],
    ("a", "b"),
    {"a": 1},
    Color.RED,
    Stranger(),
    ValueError("a value"),
    Telling("a value"),
    msgspec.Raw(b'{"raw":1}'),
]

FAILURES = [
    lambda: invalid("Rejected on purpose.", ["first"]),
    lambda: Unavailable("The disk is gone."),
    lambda: CursorExpired(),
    lambda: RuntimeError("a bug"),
    lambda: KeyError("a bug"),
]


class Faults:
    """Spoils a share of all results; the same seed spoils the same ones. It can be `World.spoil`."""

    def __init__(self, seed: int, share: float) -> None:
        self._seed, self._share = seed, share

    def __call__(self, name: str, parents: Any, arguments: dict[str, Any], results: Any) -> Any:
        if name.startswith("Query."):
            return self._spoilt(Random(f"{self._seed} {name} {sorted(arguments)}"), results)
        random = Random(f"{self._seed} {name} {sorted(arguments)} all")
        if random.random() < self._share / 4:
            return self._all(random, results)
        return [
            self._spoilt(Random(f"{self._seed} {name} {_called(parent)}"), result)
            for parent, result in zip(parents, results, strict=True)
        ]

    def _all(self, random: Random, results: Sequence[Any]) -> Any:
        """Something that concerns all parents of a call."""
        what = random.randrange(7)
        if what < 3:
            raise random.choice(FAILURES)()
        return [list(results[:-1]), [*results, None], tuple(results), None][what - 3]

    def _spoilt(self, random: Random, value: Any) -> Any:
        if random.random() > self._share:
            return value
        return self._wrong(random, value)

    def _wrong(self, random: Random, value: Any) -> Any:
        if random.random() < 0.25:
            return random.choice(WRONG)
        if isinstance(value, Page):
            return self._page(random, value)
        if isinstance(value, list) and value:
            return self._list(random, value)
        if isinstance(value, msgspec.Struct):
            return self._record(random, value)
        return random.choice(WRONG)

    def _page(self, random: Random, page: Page[Any]) -> Any:
        if page.nodes and random.random() < 0.7:
            return msgspec.structs.replace(page, nodes=self._list(random, page.nodes))
        return self._record(random, page)

    def _list(self, random: Random, values: list[Any]) -> Any:
        if random.random() < 0.15:
            return random.choice((tuple(values), None, values[:-1], [*values, None], "list", dict.fromkeys("ab")))
        at = random.randrange(len(values))
        item = self._wrong(random, values[at])
        return [*values[:at], item, *values[at + 1 :]]

    def _record(self, random: Random, record: msgspec.Struct) -> Any:
        if not record.__struct_fields__:
            return random.choice(WRONG)
        name = random.choice(record.__struct_fields__)
        before = getattr(record, name)
        inner = isinstance(before, msgspec.Struct) or (isinstance(before, list) and before)
        after = self._wrong(random, before) if inner and random.random() < 0.6 else random.choice(WRONG)
        return msgspec.structs.replace(record, **{name: after})


def _called(parent: Any) -> str:
    """What tells a parent from others, in every run."""
    for name in ("id", "call_id", "memory_id", "listing", "source", "count_key"):
        if hasattr(parent, name):
            return f"{type(parent).__name__} {getattr(parent, name)}"
    return type(parent).__name__
