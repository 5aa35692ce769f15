"""A graph of its own for a test, reached through GraphQL in this process."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import tempfile
import zlib
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import apsw
import numpy as np

from domain.blob import MediaRules
from domain.caller import LOCAL, Role
from resolvers.context import MEMORY_CAPACITY, Context
from resolvers.expiry import settled
from schema.build import build
from schema.loading import Loading
from server.access.admission import Access
from server.graphql.documents import Request
from server.graphql.events import Event
from server.graphql.executor import Executor
from server.limits import Limits
from stores.blobs.folder import FolderBlobs
from stores.ports import Engine, Intake, Transaction, Vector
from tests.support.families import FAMILIES
from tests.support.services import everything, run

START = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


class Clock:
    """The time: a tick of 1 ms at each look, and as much more as a test asks for."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        self.now += timedelta(milliseconds=1)
        return self.now

    def forward(self, **by: float) -> None:
        """Moves on."""
        self.now += timedelta(**by)


class Words:
    """An embedder without a model: each word has a direction of its own, a text the sum of its words' directions."""

    name = "words"
    dimension = 16
    kindred = -1.0
    is_at_hand = True

    async def embed(self, texts: Sequence[str]) -> Vector:
        """A unit vector for each text; zeros for one without words."""
        sums = np.array([sum(map(direction, words), np.zeros(self.dimension)) for words in map(_words, texts)])
        lengths = np.linalg.norm(sums, axis=1, keepdims=True)
        result: Vector = (sums / np.where(lengths == 0, 1, lengths)).astype(np.float32)
        return result

    def knows(self, text: str) -> bool:
        """All words have a direction."""
        return True

    async def usual(self, vector: Vector) -> float:
        """Words have nothing to do with each other."""
        return 0.0


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


@cache
def direction(word: str) -> Any:
    """The unit vector of a word."""
    vector = np.random.default_rng(zlib.crc32(word.encode())).normal(size=Words.dimension)
    return vector / np.linalg.norm(vector)


def vector_of(*words: str) -> list[float]:
    """The vector of some words, as a caller would send it."""
    return [float(number) for number in sum(map(direction, words), np.zeros(Words.dimension))]


ANYONE = Access(None, None)
"""Admits whoever asks, as the one local user."""


def anybody(_: object) -> Role:
    """The role of everybody, where a test is not about rights."""
    return Role.ADMIN


@cache
def executor() -> Executor:
    """The executor of the schema: one for all tests, as it keeps no state but parsed documents."""
    limits = Limits(max_cost=10**9, max_seconds=600)  # some ask for everything at once, or on a busy machine
    return Executor(build(), role=anybody, limits=limits, before=lambda operation: settled(operation.context))


class Graph:
    """One folder behind the schema, or the servers in its place."""

    def __init__(
        self, folder: Path, clock: Clock, capacity: int = MEMORY_CAPACITY, *, family: str = "embedded"
    ) -> None:
        self.clock, self.family = clock, family
        embedded = family == "embedded"
        self.engine: Engine = FAMILIES[family](folder, Words.name, Words.dimension, clock)
        self.intake = Intake(FolderBlobs(folder / "blobs"), MediaRules())
        self.context = Context(self.engine, Words(), LOCAL, capacity=capacity, clock=clock, intake=self.intake)
        self._file = apsw.Connection(str(folder / "recollect.db")) if embedded else None

    async def begin(self) -> None:
        """Makes the workspace, as the first write does."""

        async def nothing(_: Transaction) -> None:
            return None

        await self.context.store.write(nothing)

    async def close(self) -> None:
        """Lets go of the folder."""
        if self._file is not None:
            self._file.close()
        await self.engine.close()

    async def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        """The whole answer."""
        answer: dict[str, Any] = json.loads(await executor().execute(Request(query, variables), Loading(self.context)))
        return answer

    async def data(self, query: str, **variables: Any) -> Any:
        """The data of an answer without errors."""
        answer = await self.ask(query, **variables)
        assert "errors" not in answer, answer["errors"]
        return answer["data"]

    async def refusal(self, query: str, **variables: Any) -> tuple[str, list[str] | None]:
        """Code and path of the one error of a query."""
        answer = await self.ask(query, **variables)
        [error] = answer["errors"]
        return error["extensions"]["code"], error["extensions"].get("path")

    async def answered(self, mutation: str, input: Any, returning: str = "__typename") -> Any:
        """The payload of a mutation, errors and all."""
        kind = mutation[0].upper() + mutation[1:]
        query = (
            f"mutation($input: {_INPUTS.get(mutation, kind)}Input!) "
            f"{{ {mutation}(input: $input) {{ {returning} errors {{ code path message }} }} }}"
        )
        return (await self.data(query, input=input))[mutation]

    async def do(self, mutation: str, input: Any, returning: str = "__typename") -> Any:
        """The payload of a mutation that succeeds."""
        payload = await self.answered(mutation, input, returning)
        assert payload["errors"] == [], payload["errors"]
        return payload

    async def fails(self, mutation: str, input: Any) -> tuple[str, list[str]]:
        """Code and path of the one error of a mutation, which must have written nothing."""
        with self.untouched():
            payload = await self.answered(mutation, input)
        [error] = payload["errors"]
        assert error["message"].endswith("."), "the message is a sentence"
        return error["code"], error["path"]

    @contextlib.contextmanager
    def untouched(self) -> Iterator[None]:
        """Nothing is written meanwhile."""
        before = self.rows()
        yield
        after = self.rows()
        changed = [name for name, rows in after.items() if rows != before.get(name, [])]
        assert changed == [], "something was written"

    def rows(self) -> dict[str, list[Any]]:
        """Everything in the store but the audit log, which also tells what was refused."""
        if self._file is None:
            return {name: rows for name, rows in everything().items() if name != "AuditEntry"}
        read = self._file.execute
        tables = [row[0] for row in read("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()]
        return {str(table): read(f'SELECT * FROM "{table}"').fetchall() for table in tables if table != "audit"}

    @contextlib.asynccontextmanager
    async def follow(self, query: str, **variables: Any) -> AsyncIterator[Followed]:
        """A subscription that runs."""
        events = await executor().subscribe(Request(query, variables), Loading(self.context))
        try:
            yield Followed(events)
        finally:
            await events.aclose()


class Followed:
    """The events of a subscription."""

    def __init__(self, events: AsyncIterator[Event]) -> None:
        self._events = events

    async def next(self, count: int = 1, within: float = 300) -> list[Any]:
        """The data of the next events."""
        found = []
        async with asyncio.timeout(within):
            while len(found) < count:
                answer = json.loads((await anext(self._events)).body)
                assert "errors" not in answer, answer["errors"]
                found.append(answer["data"])
        return found


def new_epoch(folder: Path, family: str) -> None:
    """As if the store had been put back from a copy."""
    if family == "services":
        run("MATCH (n:Recollect) SET n.epoch = 'another'")
        return
    file = apsw.Connection(str(folder / "recollect.db"))
    file.execute("UPDATE meta SET value = 'another' WHERE name = 'epoch'")
    file.close()


_INPUTS: dict[str, str] = {}
"""Mutations whose input is not called after them."""


@contextlib.contextmanager
def in_memory() -> Iterator[Path]:
    """A folder that is gone afterwards, on a file system without a disk where there is one."""
    shm = Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="recollect-", dir=shm if os.access(shm, os.W_OK) else None) as folder:
        yield Path(folder)


def ids(nodes: Sequence[dict[str, Any]]) -> list[str]:
    """Their ids."""
    return [node["id"] for node in nodes]
