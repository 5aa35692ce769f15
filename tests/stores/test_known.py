"""What the writer knows of sessions and participants is what the file holds, whatever came before."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random
from typing import Any

import apsw
import pytest
from msgspec.structs import replace

from domain.memory import Memory, MemoryStatus
from domain.message import Message
from domain.node import Id
from domain.page import Slice
from domain.participant import Participant
from domain.session import Session
from domain.values import encode_json
from stores.contract.making import Clock, after, axis, keep, memory, message, participant, session, user
from stores.embedded import known
from stores.embedded.engine import EmbeddedEngine, open_embedded
from stores.errors import StoreError
from stores.ports import Collection, Store, Transaction

NAMES = ["a", "b", "c", None]


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[EmbeddedEngine]:
    opened = open_embedded(tmp_path, "test", 16, Clock())
    yield opened
    await opened.close()


def traced(engine: EmbeddedEngine) -> list[str]:
    """The statements of the writer from now on."""
    statements: list[str] = []

    def note(_cursor: object, sql: str, _bindings: object) -> bool:
        statements.append(sql)
        return True

    engine.writer.db.exec_trace = note
    return statements


class Refused(Exception):
    pass


class Chance:
    """Scripts that do anything to sessions; some fail at their end, or break the file's rules on the way."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.ids: list[Id] = []

    def script(self) -> Any:
        steps = [self.random.choice(self._steps()) for _ in range(self.random.randint(1, 4))]
        fails = self.random.random() < 0.25

        async def run(tx: Transaction) -> None:
            for step in steps:
                await step(tx)
            if fails:
                raise Refused

        return run

    def _steps(self) -> list[Any]:
        return [self.create, self.go_on, self.go_on, self.change, self.join, self.delete, self.write_to, self.write_to]

    async def _some(self, tx: Transaction) -> Session | None:
        if self.random.random() < 0.5:
            return (await tx.find(Session, [(self.random.choice(["a", "b", "c"]),)]))[0]
        return (await tx.get(Session, [self.random.choice(self.ids)]))[0] if self.ids else None

    async def create(self, tx: Transaction) -> None:
        made = session(external_id=self.random.choice(NAMES))(tx)
        self.ids.append(made.id)
        await tx.put([made])

    async def go_on(self, tx: Transaction) -> None:
        if (found := await self._some(tx)) is not None:
            await tx.put([replace(found, message_count=found.message_count + 1, last_active_at=after(seconds=1))])

    async def change(self, tx: Transaction) -> None:
        if (found := await self._some(tx)) is not None:
            told = encode_json({"filler": "x" * self.random.randint(1, 200)})
            name = self.random.choice([found.external_id, *NAMES])
            await tx.put([replace(found, external_id=name, title="Other", context=told, version=found.version + 1)])

    async def join(self, tx: Transaction) -> None:
        if (found := await self._some(tx)) is not None:
            await tx.participants(found.id)
            await tx.put([participant(found, name=self.random.choice("xyz"))(tx)])

    async def delete(self, tx: Transaction) -> None:
        if (found := await self._some(tx)) is not None:
            if self.random.random() < 0.5:
                await tx.delete(Session, [found.id])
            else:
                await tx.delete(Participant, [one.id for one in await tx.participants(found.id)])

    async def write_to(self, tx: Transaction) -> None:
        found = await self._some(tx)
        voices = [] if found is None else await tx.participants(found.id)
        if found is not None and voices:
            said = message(self.random.choice(voices), place=found.message_count + 1)(tx)
            await tx.put([said])
            await tx.put([replace(found, message_count=said.place, current_id=said.id)])


@pytest.mark.parametrize("most", [known.MOST_BYTES, 3_000])
@pytest.mark.parametrize("seed", range(6))
async def test_what_is_known_is_what_is_in_the_file(
    engine: EmbeddedEngine, seed: int, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known, "MOST_BYTES", most)
    stores = [engine.workspace("main"), engine.workspace("elsewhere")]
    chance = Chance(Random(seed))
    for _ in range(60):
        scripts = [chance.random.choice(stores).write(chance.script()) for _ in range(chance.random.randint(1, 5))]
        for result in await asyncio.gather(*scripts, return_exceptions=True):
            assert result is None or isinstance(result, Refused | StoreError), result
        for store in stores:
            await _compare(store, chance.ids)


async def _compare(store: Store, ids: list[Id]) -> None:
    keys = [(name,) for name in ("a", "b", "c")]

    async def seen(tx: Transaction) -> tuple[Any, ...]:
        by_id, by_name = await tx.get(Session, ids), await tx.find(Session, keys)
        return by_id, by_name, [await tx.participants(id) for id in ids]

    by_id, by_name, voices = await store.write(seen)
    assert by_id == await store.get(Session, ids)
    assert by_name == await store.find(Session, keys)
    for found, mine in zip(by_id, voices, strict=True):
        pages = await store.pages(Collection.SESSION_PARTICIPANTS, [] if found is None else [found.id], Slice(100))
        assert sorted(one.id for one in mine) == sorted(one.id for page in pages for one in page.nodes)


async def test_a_commit_that_fails_leaves_nothing_known(engine: EmbeddedEngine) -> None:
    store = engine.workspace("main")
    [talk] = await keep(store, session(external_id="talk"))

    async def move(tx: Transaction) -> None:
        [found] = await tx.find(Session, [("talk",)])
        assert found is not None
        await tx.put([replace(found, message_count=7, title="Moved")])

    engine.writer.db.set_commit_hook(lambda: True)  # SQLite rolls back instead
    with pytest.raises(StoreError):
        await store.write(move)
    engine.writer.db.set_commit_hook(None)

    async def read(tx: Transaction) -> list[Session | None]:
        return await tx.get(Session, [talk.id])

    assert await store.write(read) == [talk]


async def test_a_session_that_moves_on_keeps_all_else(engine: EmbeddedEngine) -> None:
    store = engine.workspace("main")
    [talk] = await keep(store, session(external_id="talk", title="Kept", metadata={"a": 1}))
    [ada] = await keep(store, participant(talk))
    statements = traced(engine)
    for place in (1, 2):
        [said] = await keep(store, message(ada, place=place))
        talk = replace(talk, message_count=place, last_active_at=after(seconds=place))

        async def script(tx: Transaction, moved: Session = talk) -> None:
            await tx.participants(moved.id)
            await tx.put([moved])

        await store.write(script)
    engine.writer.db.exec_trace = None
    assert await store.get(Session, [talk.id]) == [talk]
    assert any(sql.startswith("UPDATE session") for sql in statements)
    assert (await store.get(Message, [said.id]))[0] == said


async def test_another_workspace_knows_nothing_of_it(engine: EmbeddedEngine) -> None:
    here, there = engine.workspace("main"), engine.workspace("elsewhere")
    [talk] = await keep(here, session(external_id="talk"))
    await keep(here, participant(talk))

    async def seen(tx: Transaction) -> list[Any]:
        return [
            *await tx.get(Session, [talk.id]),
            *await tx.find(Session, [("talk",)]),
            *await tx.participants(talk.id),
        ]

    assert len(await here.write(seen)) == 3
    assert await there.write(seen) == [None, None]
    assert len(await here.write(seen)) == 3


async def test_the_key_of_a_workspace_is_asked_for_once(engine: EmbeddedEngine) -> None:
    store = engine.workspace("main")
    statements = traced(engine)
    for _ in range(3):
        await keep(store, user())
    engine.writer.db.exec_trace = None
    assert sum("FROM workspace" in sql for sql in statements) == 1


async def test_a_workspace_that_was_rolled_back_is_made_again(engine: EmbeddedEngine) -> None:
    async def fails(tx: Transaction) -> None:
        await tx.put([session(external_id="talk")(tx)])
        raise Refused

    with pytest.raises(Refused):
        await engine.workspace("new").write(fails)
    await asyncio.gather(*(keep(engine.workspace(name), session(external_id="talk")) for name in ("other", "new")))
    assert [*await engine.workspace("new").find(Session, [("talk",)])] != [None]
    db = apsw.Connection(engine.path)
    assert {name for (name,) in db.execute("SELECT name FROM workspace")} == {"other", "new"}
    db.close()


async def test_the_count_of_active_memories_is_that_of_the_file(engine: EmbeddedEngine) -> None:
    store, random = engine.workspace("main"), Random(3)
    owners = [*await keep(store, user(), user()), None]
    ids: list[Id] = []

    async def some(tx: Transaction) -> list[Memory]:
        found = await tx.get(Memory, random.sample(ids, min(2, len(ids))))
        return [one for one in found if one is not None]

    async def script(tx: Transaction) -> None:
        match random.randrange(5):
            case 0 | 1:
                owner = random.choice(owners)
                ends = random.choice([None, None, after(minutes=random.randint(1, 90))])
                made = [memory(owner_id=owner, expires_at=ends)(tx) for _ in range(random.randint(1, 3))]
                ids.extend(one.id for one in made)
                await tx.put(made)
                await tx.embed({one.id: axis(0) for one in made})
            case 2:
                await tx.put([replace(one, status=random.choice(list(MemoryStatus))) for one in await some(tx)])
            case 3:
                await tx.delete(Memory, [one.id for one in await some(tx)])
            case 4:
                await tx.put([replace(one, text=f"{one.text} more") for one in await some(tx)])
        if random.random() < 0.2:
            raise Refused

    async def counted(tx: Transaction) -> list[int]:
        return [await tx.active(None if one is None else one.id) for one in owners]

    for _ in range(80):
        for result in await asyncio.gather(*(store.write(script) for _ in range(3)), return_exceptions=True):
            assert result is None or isinstance(result, Refused), result
        engine.clock.advance(minutes=1)  # type: ignore[attr-defined]
        usage = await store.usage([one.id for one in owners if one is not None])
        kept = [one for one in await store.scan(Memory, None, 1_000) if one.status is MemoryStatus.ACTIVE]
        assert await store.write(counted) == [
            *(one.active for one in usage),
            sum(one.owner_id is None for one in kept),
        ]
