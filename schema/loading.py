"""The level loader: batches what the fields of one level ask of the store."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from graphql import FieldNode

from domain.node import Node
from resolvers.context import Context
from stores.ports import Fields


class Relation:
    """A resolver that takes all parents of a level, and how its arguments are read.

    reads: the fields of a parent that it looks at; None where that is not said. of: the class of records of which it
    reads but the fields that are shown, told as the argument `fields`. along: its records come with its parents.
    """

    __slots__ = ("along", "convert", "of", "reads", "resolver")

    def __init__(
        self,
        resolver: Callable[..., Awaitable[Sequence[Any]]],
        convert: Callable[[Mapping[str, Any]], dict[str, Any]],
        reads: Fields | None = None,
        of: type[Node] | None = None,
        along: bool = False,
    ) -> None:
        self.resolver, self.convert, self.reads, self.of, self.along = resolver, convert, reads, of, along


class _Level:
    """The parents that have asked for one relation with the same arguments, and who waits for which results."""

    __slots__ = ("fields", "given", "parents", "relation", "waiting")

    def __init__(self, relation: Relation, given: Mapping[str, Any], fields: Fields | None) -> None:
        self.relation, self.given, self.fields = relation, given, fields
        self.parents: list[Any] = []
        self.waiting: list[tuple[asyncio.Future[Any], int, int]] = []


_UNWATCHED = nullcontext()

_Key = tuple[Relation, tuple[int, ...], Fields | None]


class Loading:
    """What the fields of one operation share: the caller's context, and the levels that are being gathered.

    graphql-core completes the items of a list one after the other, in one turn of the event loop; a level is sent off
    in the next turn, when its task begins, so one list of any length costs one call of the resolver. The same AST nodes
    mean the same arguments, since variables do not change within an operation.
    """

    def __init__(
        self, context: Context, span: Callable[[str], AbstractContextManager[None]] = lambda _name: _UNWATCHED
    ) -> None:
        """span: is entered with the name of a relation while a level of it is asked."""
        self.context, self._span = context, span
        self._levels: dict[_Key, _Level] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def load(
        self,
        relation: Relation,
        nodes: Sequence[FieldNode],
        parents: Sequence[Any],
        given: Mapping[str, Any],
        fields: Fields | None = None,
    ) -> asyncio.Future[list[Any]]:
        """The relation's results for some parents, in their order. fields: of their records that are shown, or all."""
        loop = asyncio.get_running_loop()
        key = (relation, tuple(map(id, nodes)), fields)
        if (level := self._levels.get(key)) is None:
            level = self._levels[key] = _Level(relation, given, fields)
            task = loop.create_task(self._run(key))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        future: asyncio.Future[list[Any]] = loop.create_future()
        level.waiting.append((future, len(level.parents), len(parents)))
        level.parents.extend(parents)
        return future

    async def _run(self, key: _Key) -> None:
        level = self._levels.pop(key)
        try:
            arguments = level.relation.convert(level.given)
            if level.fields is not None:
                arguments["fields"] = level.fields
            with self._span(level.relation.resolver.__name__):
                results = await level.relation.resolver(self.context, level.parents, **arguments)
            shares = [list(results[start : start + count]) for _, start, count in level.waiting]
        except Exception as error:  # each field tells it, or leaves it to the field above
            for future, _, _ in level.waiting:
                if not future.done():
                    future.set_exception(error)
                    future.exception()  # seen: a field that was given up leaves its future unread
            return
        for (future, _, _), share in zip(level.waiting, shares, strict=True):
            if not future.done():
                future.set_result(share)
