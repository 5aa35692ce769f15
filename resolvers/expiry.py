"""Delete expired memories and state entries."""

from __future__ import annotations

from domain.change import deletion
from domain.memory import Memory
from domain.state import StateEntry
from resolvers.context import Context
from stores.ports import Transaction

_BATCH = 500


async def sweep(context: Context) -> int:
    """Delete what has expired in the workspace, which reads ignore already; how many records that were."""

    async def script(tx: Transaction) -> tuple[int, bool]:
        memories = await tx.expired(Memory, _BATCH)
        await tx.log([deletion(memory, tx.now) for memory in memories])
        await tx.delete(Memory, [memory.id for memory in memories])
        entries = await tx.expired(StateEntry, _BATCH)
        await tx.delete(StateEntry, [entry.id for entry in entries])
        return len(memories) + len(entries), max(len(memories), len(entries)) == _BATCH

    total, more = 0, True
    while more:
        count, more = await context.store.write(script)
        total += count
    return total
