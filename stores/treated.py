"""Stores whose records are treated on their way in, whoever writes them: one place for every door."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol, TypeVar

from msgspec import Raw

from domain.message import MemoryRef
from domain.node import Id, Node
from domain.values import changed
from stores.ports import Script, Store, Transaction

N = TypeVar("N", bound=Node)
T = TypeVar("T")


class Treatment(Protocol):
    """What is done to records before they are stored. One of it is made for each run of a script. masks: whether texts
    are not stored as they come."""

    masks: bool

    def records(self, records: Sequence[Node]) -> None:
        """Changes records of one type in place, so that who wrote them answers with what is stored."""

    def text(self, text: str) -> str: ...

    def json(self, value: Raw) -> Raw: ...

    async def end(self, tx: Transaction) -> None:
        """After the script, in its transaction."""

    def done(self) -> None:
        """After the commit."""


class TreatedStore:
    """A store that treats what is put and appended by the scripts it runs."""

    def __init__(self, store: Store, begin: Callable[[], Treatment]) -> None:
        self._store, self._begin = store, begin

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def write(self, script: Script[T]) -> T:
        run: Treatment | None = None

        async def treated(tx: Transaction) -> T:
            nonlocal run
            run = self._begin()  # a script may be run again
            _treat(tx, run)
            result = await script(tx)
            await run.end(tx)
            return result

        result = await self._store.write(treated)
        if run is not None:
            run.done()
        return result


def _treat(tx: Any, run: Treatment) -> None:
    """Has a transaction treat what it is given. It is of one run of one script; another object in front of it would
    cost each of its calls 0.3 us."""
    put, append, reference = tx.put, tx.append, tx.reference

    def treated_put(records: Sequence[Node]) -> Awaitable[None]:
        run.records(records)
        given: Awaitable[None] = put(records)
        return given

    def treated_append(lines: Sequence[N]) -> Awaitable[list[N]]:
        run.records(lines)
        given: Awaitable[list[N]] = append(lines)
        return given

    def treated_reference(message_id: Id, refs: Sequence[MemoryRef]) -> Awaitable[None]:
        told = [MemoryRef(ref.memory_id, ref.score, ref.note and run.text(ref.note)) for ref in refs]
        given: Awaitable[None] = reference(message_id, told)
        return given

    tx.put, tx.append, tx.reference, tx.treatment = treated_put, treated_append, treated_reference, run


def told(tx: Transaction, text: str) -> str:
    """A text as the transaction will store it, for looking up what is told apart by it."""
    run: Treatment | None = getattr(tx, "treatment", None)
    return text if run is None else run.text(text)


def told_json(tx: Transaction, value: Raw | None) -> Raw | None:
    """JSON as the transaction will store it, for adding it to what is there."""
    run: Treatment | None = getattr(tx, "treatment", None)
    return value if run is None or value is None else run.json(value)


def settled(tx: Transaction, before: N, after: N) -> N:
    """`after` as the transaction will store it, which it becomes; `before`, where that is what is there."""
    run: Treatment | None = getattr(tx, "treatment", None)
    if run is None or not run.masks or after is before:
        return after
    run.records([after])
    return changed(before, **{name: getattr(after, name) for name in after.__struct_fields__})
