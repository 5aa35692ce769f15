"""Write the audit log.

What a mutation has done is noted in its own transaction: one is never there without the other. What was refused has
changed nothing, and gets an entry in a transaction of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import msgspec

from domain.audit import MAX_TARGETS, AuditEntry
from domain.caller import Caller
from domain.node import Id, Node
from stores.ports import Store, Transaction


def entry(tx: Transaction, caller: Caller, action: str, outcome: str, on: Sequence[Id] = ()) -> AuditEntry:
    return AuditEntry(
        id=tx.new_id(AuditEntry),
        time=tx.now,
        caller=caller.id,
        caller_name=caller.name,
        action=action,
        outcome=outcome,
        targets=list(on),
    )


async def note(store: Store, caller: Caller, action: str, outcome: str, on: Sequence[Id] = ()) -> None:
    await store.write(lambda tx: tx.put([entry(tx, caller, action, outcome, on)]))


def targets(result: Any) -> list[Id]:
    """The ids of the first records in what a mutation returns."""
    return [result.id] if isinstance(result, Node) else list(islice(_ids(result), MAX_TARGETS))


def _ids(result: Any) -> Iterator[Id]:
    if isinstance(result, Node):
        yield result.id
    elif isinstance(result, list):
        for one in result:
            yield from _ids(one)
    elif isinstance(result, msgspec.Struct):
        for name in result.__struct_fields__:
            yield from _ids(getattr(result, name))
