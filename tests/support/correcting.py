"""A program that says, edits, redacts and deletes messages, tells what was acknowledged, and is killed: see
tests/resolvers/test_corrections_kept.py."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from domain.caller import LOCAL
from domain.correction import DeleteMessagesInput, EditMessageInput, RedactMessageInput
from domain.message import AddMessageInput
from domain.session import CreateSessionInput
from domain.trace import AppendTraceEventsInput, TraceEventInput
from domain.values import Ref, encode_json
from resolvers import correction, messages, sessions, traces
from resolvers.context import Context
from stores.embedded.engine import open_embedded
from tests.support.graphql_client import Words


def secret(name: str) -> str:
    """A text that only the message of this name has."""
    return f"what nobody may know of {name} {name.encode().hex()}"


def tell(*words: object) -> None:
    """One line on the pipe, in one system call."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


async def live(context: Context, name: str) -> None:
    """One message, from its beginning to its end."""
    session, ref = Ref(external_id="s"), Ref(external_id=name)
    said = AddMessageInput(session=session, role="user", text=secret(name), external_id=name)
    await messages.add(context, said)
    note = TraceEventInput(type="note", data=encode_json({"heard": secret(name)}), external_id=name)
    await traces.append(context, AppendTraceEventsInput(session=session, events=[note]))
    tell("said", name)
    await correction.edit(context, EditMessageInput(message=ref, text=f"{secret(name)} edited"))
    tell("edited", name)
    await correction.redact(context, RedactMessageInput(message=ref))
    tell("redacted", name)
    if int(name.rpartition("-")[2]) % 3 == 0:
        await correction.delete(context, DeleteMessagesInput(messages=[ref]))
        tell("deleted", name)


async def main(folder: Path, round: str) -> None:
    engine = open_embedded(folder, Words.name, Words.dimension)
    context = Context(engine, Words(), LOCAL)  # type: ignore[arg-type]
    if await sessions.session(context, Ref(external_id="s")) is None:
        await sessions.create(context, CreateSessionInput(external_id="s"))
    tell("ready")

    async def go_on(worker: int) -> None:
        for number in range(1_000_000):
            await live(context, f"{round}-{worker}-{number}")

    await asyncio.gather(*map(go_on, range(4)))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
