"""A program that makes sessions by transactions, compresses them twice, deletes them into the trash and brings them
back, tells what was acknowledged, and is killed: see tests/resolvers/test_remade_kept.py."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from domain.caller import LOCAL
from domain.compression import CompressSessionInput
from domain.session import DeleteSessionInput
from domain.transaction import TransactionInput
from domain.trash import RestoreSessionInput
from domain.values import Ref, encode_json
from resolvers import compression, sessions, transaction, trash
from resolvers.context import Context
from tests.support import services
from tests.support.families import FAMILIES
from tests.support.graphql_client import Words

MESSAGES, FEW, FEWER, WORKERS = 12, 5, 3, 3
STAGES = ("nothing", "made", "compressed", "otherwise", "deleted", "restored")
"""What is acknowledged of a session, one after the other."""


def making(name: str) -> TransactionInput:
    """A session, what was said in it, a memory and a state, as one write."""
    said = [{"role": "user", "text": f"{name} said {i}.", "externalId": f"{name} {i}"} for i in range(MESSAGES)]
    operations: list[dict[str, Any]] = [
        {"createSession": {"externalId": name}},
        {"addMessages": {"session": {"id": "result:0"}, "messages": said}},
        {"createMemory": {"text": f"{name} was here", "scope": "GLOBAL", "sourceMessage": {"id": "result:1.0"}}},
        {"setState": {"namespace": "made", "key": name, "value": encode_json(1)}},
        {"emit": {"session": {"id": "result:0"}, "type": "made"}},
    ]
    return msgspec.convert({"operations": operations}, TransactionInput)


async def live(context: Context, name: str) -> AsyncIterator[str]:
    """One session, from its beginning to its end: what it has come to, each time that is acknowledged."""
    session = Ref(external_id=name)

    async def compress(most: int) -> None:
        asked: Any = {"session": {"externalId": name}, "maxMessages": most, "scope": "GLOBAL"}
        await compression.compress(context, msgspec.convert(asked, CompressSessionInput))

    await transaction.transact(context, making(name))
    yield "made"
    await compress(FEW)
    yield "compressed"
    await compress(FEWER)
    yield "otherwise"
    await sessions.delete(context, DeleteSessionInput(session=session))
    yield "deleted"
    await trash.restore(context, RestoreSessionInput(session=session))
    yield "restored"


def opened(folder: Path, family: str) -> tuple[Any, Context]:
    """What an engine has for a folder, with a trash."""
    engine: Any = FAMILIES[family](folder, Words.name, Words.dimension, lambda: datetime.now(UTC))
    context = Context(engine, Words(), LOCAL)  # type: ignore[arg-type]
    context.trash_days = 2.0
    return engine, context


async def main(folder: Path, family: str, round: str) -> None:
    services.take_over(folder)
    _, context = opened(folder, family)
    os.write(1, b"ready\n")

    async def go_on(worker: int) -> None:
        for number in range(1_000_000):
            name = f"{round}-{worker}-{number}"
            async for stage in live(context, name):
                os.write(1, f"{name} {stage}\n".encode())

    await asyncio.gather(*map(go_on, range(WORKERS)))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), *sys.argv[2:]))
