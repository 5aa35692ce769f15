"""A program that writes as much as it can, says what was acknowledged, and is killed: see test_crash.py."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from domain.change import ChangeKind, MemoryChange
from domain.errors import ErrorCode, Rejected, reject
from domain.history import MemoryVersion
from domain.memory import Memory
from domain.message import Message
from domain.participant import Participant
from domain.session import Session
from domain.state import StateEntry
from domain.values import decode_json, encode_json
from stores.contract.making import DIMENSION, keep, link, memory, message, page, participant, session, state, version
from stores.embedded.engine import open_embedded
from stores.ports import Collection, Store, Transaction, Vector

SESSIONS = 3
COUNTERS = 2


def word_of(name: str) -> str:
    """A word that only the memory of this name has."""
    return "w" + name.encode().hex()


def vector_of(name: str) -> Vector:
    """A direction that only the memory of this name has."""
    seed = int.from_bytes(name.encode(), "big") % 2**63
    row = np.random.default_rng(seed).standard_normal(DIMENSION)
    made: Vector = (row / np.linalg.norm(row)).astype(np.float32)
    return made


def tell(*words: object) -> None:
    """One line on the pipe, in one system call."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


async def say(store: Store, where: Session, who: Participant, name: str) -> None:
    async def script(tx: Transaction) -> Message:
        [now] = await tx.get(Session, [where.id])
        assert now is not None
        said = msgspec.structs.replace(message(who, text=name, external_id=name)(tx), place=now.message_count + 1)
        await tx.put([said])
        await tx.put([msgspec.structs.replace(now, message_count=said.place)])
        return said

    said = await store.write(script)
    tell("message", name, said.place)


async def remember(store: Store, name: str) -> Memory:
    async def script(tx: Transaction) -> Memory:
        made: Memory = memory(external_id=name, text=f"fact {word_of(name)}")(tx)
        await tx.put([made])
        await tx.embed({made.id: vector_of(name)})
        await tx.log([MemoryChange(ChangeKind.CREATED, made.id, tx.now, made)])
        return made

    made = await store.write(script)
    tell("memory", name)
    return made


async def rewrite(store: Store, old: Memory, name: str) -> Memory:
    """Gives a memory another name, word and vector."""

    async def script(tx: Transaction) -> Memory:
        made = msgspec.structs.replace(old, external_id=name, text=f"fact {word_of(name)}", version=old.version + 1)
        put: MemoryVersion = version(old, version=old.version)(tx)
        await tx.put([put])
        await tx.put([made])
        await tx.embed({made.id: vector_of(name)})
        return made

    tell("renaming", old.external_id, name)
    made = await store.write(script)
    tell("renamed", old.external_id, name)
    return made


async def forget(store: Store, old: Memory) -> None:
    tell("forgetting", old.external_id)
    await store.write(lambda tx: tx.delete(Memory, [old.id]))
    tell("forgotten", old.external_id)


async def count(store: Store, key: str) -> None:
    [entry] = await store.find(StateEntry, [("count", key)])
    assert entry is not None

    async def script(tx: Transaction) -> int:
        [now] = await tx.find(StateEntry, [("count", key)])
        assert now is not None
        if now.version != entry.version:
            raise reject(ErrorCode.CONFLICT, "Too late.")
        value = decode_json(now.value) + 1
        await tx.put([msgspec.structs.replace(now, value=encode_json(value), version=now.version + 1)])
        return int(value)

    try:
        tell("count", key, await store.write(script))
    except Rejected:
        await asyncio.sleep(0)


async def main(folder: Path, round: str) -> None:
    engine = open_embedded(folder, "test", DIMENSION)
    store = engine.workspace("main")
    if round == "0":
        for index in range(SESSIONS):
            [where] = await keep(store, session(external_id=f"s{index}"))
            await keep(store, participant(where))
        await keep(store, *(state(str(n), namespace="count", value=encode_json(0)) for n in range(COUNTERS)))
    sessions = await store.find(Session, [(f"s{index}",) for index in range(SESSIONS)])
    numbers = itertools.count()
    random_ = random.Random(round)

    async def talking(where: Session) -> None:
        [who] = (await page(store, Collection.SESSION_PARTICIPANTS, where)).nodes
        while True:
            await say(store, where, who, f"{round}.{next(numbers)}")

    async def remembering() -> None:
        mine: list[Memory] = []
        while True:
            mine.append(await remember(store, f"{round}.{next(numbers)}"))
            if len(mine) > 1 and random_.random() < 0.3:
                await keep(store, link(mine[-1], mine[-2]))
            if random_.random() < 0.2:
                mine.append(await rewrite(store, mine.pop(random_.randrange(len(mine))), f"{round}.{next(numbers)}"))
            if random_.random() < 0.2:
                await forget(store, mine.pop(random_.randrange(len(mine))))

    async def counting(key: int) -> None:
        while True:
            await count(store, str(key))

    workers: list[Any] = [talking(where) for where in sessions * 3 if where]
    workers += [remembering() for _ in range(8)]
    workers += [counting(n % COUNTERS) for n in range(COUNTERS * 2)]
    tell("ready")
    await asyncio.gather(*workers)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
