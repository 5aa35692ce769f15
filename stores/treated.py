"""Stores whose records are treated on their way in, whoever writes them: one place for every door."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol, TypeVar, cast

from domain.message import MemoryRef
from domain.node import Id, Node
from stores.ports import Script, Store, Transaction

N = TypeVar("N", bound=Node)
T = TypeVar("T")


class Treatment(Protocol):
    """What is done to records before they are stored. One of it is made for each run of a script."""

    def record(self, record: Node) -> None:
        """Changes a record in place, so that who wrote it answers with what is stored."""

    def text(self, text: str) -> str: ...

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
        run: Treatment = self._begin()

        async def treated(tx: Transaction) -> T:
            nonlocal run
            run = self._begin()  # a script may be run again
            result = await script(cast(Transaction, _TreatedTransaction(tx, run)))
            await run.end(tx)
            return result

        result = await self._store.write(treated)
        run.done()
        return result


class _TreatedTransaction:
    def __init__(self, tx: Transaction, treatment: Treatment) -> None:
        self._tx, self._treatment = tx, treatment

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tx, name)

    def put(self, records: Sequence[Node]) -> Awaitable[None]:
        for record in records:
            self._treatment.record(record)
        return self._tx.put(records)

    def append(self, lines: Sequence[N]) -> Awaitable[list[N]]:
        for line in lines:
            self._treatment.record(line)
        return self._tx.append(lines)

    def reference(self, message_id: Id, refs: Sequence[MemoryRef]) -> Awaitable[None]:
        told = [MemoryRef(ref.memory_id, ref.score, ref.note and self._treatment.text(ref.note)) for ref in refs]
        return self._tx.reference(message_id, told)
