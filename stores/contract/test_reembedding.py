"""Changing the embedder of a store that is in use."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from domain.memory import Memory
from domain.node import Id
from domain.search import SearchMode
from stores.contract.conftest import Reopen
from stores.contract.making import DIMENSION, Clock, delete, directions, keep, memory, remember, replace, user
from stores.embedder import Batching
from stores.errors import CannotOpen, NoEmbedder, Outdated
from stores.ports import Engine, Search, Store, Transaction, Vector
from stores.reembedding import reembed

OLD, NEW = f"test {DIMENSION}", "hashes 24"


class Hashes:
    """Texts have random directions; the text "blank" has none."""

    name, dimension = "hashes", 24

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.before: Callable[[], None] = lambda: None

    def embed(self, texts: Sequence[str]) -> Vector:
        self.before()
        self.seen += texts
        return np.array([self.of(text) for text in texts], np.float32).reshape(-1, self.dimension)

    def of(self, text: str) -> Vector:
        if text == "blank":
            return np.zeros(self.dimension, np.float32)
        made = np.random.default_rng(zlib.crc32(text.encode())).standard_normal(self.dimension)
        unit: Vector = (made / np.linalg.norm(made)).astype(np.float32)
        return unit


@pytest.fixture
def hashes() -> Hashes:
    return Hashes()


async def best(store: Store, vector: Vector, embedder: str | None) -> Id | None:
    """The memory that a vector is of, if any."""
    [found] = await store.search([Search(SearchMode.SEMANTIC, 0.95, 3, None, vector, embedder=embedder)])
    assert not found.degraded
    alike = sorted(found.candidates, key=lambda one: one.similarity or 0.0)
    return alike[-1].id if alike and (alike[-1].similarity or 0.0) > 0.99 else None


async def set_vector(store: Store, one: Memory, vector: Vector, embedder: str | None = None) -> None:
    async def script(tx: Transaction) -> None:
        await tx.embed({one.id: vector}, embedder)

    await store.write(script)


async def switched(engine: Engine, hashes: Hashes) -> None:
    batching = Batching(hashes)
    await reembed(engine, batching)
    engine.use(await engine.latest())
    await batching.close()


async def test_every_memory_is_found_by_its_new_vector_and_none_by_the_old(
    engine: Engine, store: Store, elsewhere: Store, hashes: Hashes, reopen: Reopen
) -> None:
    [owner] = await keep(store, user())
    old = directions(90)
    drafts = [memory(owner if n % 3 else None, text=f"text {n}" if n else "blank") for n in range(80)]
    made = await remember(store, *drafts, vectors=old)
    others = await remember(elsewhere, *(memory(text=f"other {n}") for n in range(5)), vectors=old[80:])
    assert engine.embedder == await engine.latest() == OLD
    await switched(engine, hashes)
    assert engine.embedder == await engine.latest() == NEW
    for one in made[1:]:
        assert await best(store, hashes.of(one.text), NEW) == one.id
    for one in others:
        assert await best(elsewhere, hashes.of(one.text), NEW) == one.id
    assert [vector is None or not vector.any() for vector in await store.vectors([made[0].id, made[1].id])] == [
        True,
        False,
    ]
    await engine.retire()
    await engine.close()
    with pytest.raises(
        CannotOpen, match=rf"embedder {NEW}, not with {OLD}: set RECOLLECT_EMBEDDER to hashes, .*reembed"
    ):
        reopen()


async def test_what_is_written_meanwhile_is_kept_and_found(engine: Engine, store: Store, hashes: Hashes) -> None:
    old = directions(60)
    made = await remember(store, *(memory(text=f"text {n}") for n in range(40)), vectors=old)
    under_way = await engine.reembedding(NEW)
    first = await under_way.missing(25)
    changed, gone, unread = made[0], made[1], made[39]
    stale = [(one, hashes.of(one.text)) for one in first]
    changed = await replace(store, changed, text="changed before its vector comes")
    await set_vector(store, changed, old[50], OLD)
    await under_way.put(stale)
    await delete(store, gone)
    again = await replace(store, made[2], text="changed after its vector came")
    await set_vector(store, again, old[51], OLD)
    await replace(store, unread, text="changed before it was read")
    [late] = await remember(store, memory(text="a new one"), vectors=old[52:])
    for one, vector in ((changed, old[50]), (again, old[51]), (late, old[52]), (made[3], old[3])):
        assert await best(store, vector, OLD) == one.id, "searches go on as before"
    assert await best(store, old[1], OLD) is None
    await switched(engine, hashes)
    texts = (
        "changed before its vector comes",
        "changed after its vector came",
        "a new one",
        "changed before it was read",
    )
    for one, text in zip((changed, again, late, unread), texts, strict=True):
        assert await best(store, hashes.of(text), NEW) == one.id
    for text in ("text 0", "text 1", "text 2", "text 39"):
        assert await best(store, hashes.of(text), NEW) is None
    assert set(hashes.seen).isdisjoint({one.text for one in first} - {"text 0", "text 2"}), "done once"
    [after] = await remember(store, memory(text="written after the end"))
    await set_vector(store, after, hashes.of("written after the end"), NEW)
    assert await best(store, hashes.of("written after the end"), NEW) == after.id
    await delete(store, after, late)
    assert await best(store, hashes.of("a new one"), NEW) is None


async def test_what_is_written_while_the_last_are_embedded_is_found(
    engine: Engine, store: Store, hashes: Hashes
) -> None:
    """Writers that never stop do not keep it from ending, and lose nothing to it."""
    old = directions(200)
    made = await remember(store, *(memory(text=f"text {n}") for n in range(20)), vectors=old)
    ended = asyncio.Event()

    async def write(number: int) -> None:
        for n in range(number, 200, 4):
            [one] = await remember(store, memory(text=f"written {n}"))
            made.append(one)
            try:
                await set_vector(store, one, old[n], OLD)
            except Outdated:
                await set_vector(store, one, hashes.of(one.text), NEW)
            if ended.is_set():
                return

    writers = [asyncio.create_task(write(n)) for n in range(20, 24)]
    await switched(engine, hashes)
    ended.set()
    await asyncio.gather(*writers)
    for one in made:
        assert await best(store, hashes.of(one.text), NEW) == one.id, one.text


async def test_vectors_of_another_embedder_are_refused(engine: Engine, store: Store, hashes: Hashes) -> None:
    old = directions(2)
    [one] = await remember(store, memory(text="black tea"), vectors=old)
    with pytest.raises(Outdated):
        await best(store, hashes.of("black tea"), NEW)
    with pytest.raises(Outdated):
        await set_vector(store, one, hashes.of("black tea"), NEW)
    await switched(engine, hashes)
    with pytest.raises(Outdated):
        await best(store, old[0], OLD)
    with pytest.raises(Outdated):
        await set_vector(store, one, old[0], OLD)
    assert await best(store, hashes.of("black tea"), NEW) == one.id
    assert await best(store, hashes.of("black tea"), None) == one.id


async def test_what_was_broken_off_goes_on(
    engine: Engine, store: Store, hashes: Hashes, reopen: Reopen, opening: Any, tmp_path: Any, clock: Clock
) -> None:
    await remember(store, *(memory(text=f"text {n}") for n in range(30)), vectors=directions(30))
    under_way = await engine.reembedding(NEW)
    await under_way.put([(one, hashes.of(one.text)) for one in await under_way.missing(20)])
    assert await under_way.progress() == (20, 30)
    await engine.close()
    reopened = reopen()
    assert await (await reopened.reembedding(NEW)).progress() == (20, 30)
    await switched(reopened, hashes)
    assert len(hashes.seen) == 10
    await reopened.close()
    with pytest.raises(CannotOpen):
        reopen()
    renamed = opening(tmp_path / "data", "hashes", 24, clock)
    assert await best(renamed.workspace("main"), hashes.of("text 7"), NEW) is not None
    await renamed.close()
    whosever = opening(tmp_path / "data", "", 0, clock)
    assert whosever.embedder == NEW
    await whosever.close()


async def test_another_embedder_begins_anew(engine: Engine, store: Store, hashes: Hashes) -> None:
    [one] = await remember(store, memory(text="black tea"), vectors=directions(1))
    under_way = await engine.reembedding("other 8")
    await under_way.put([(text, np.ones(8, np.float32)) for text in await under_way.missing(5)])
    assert await (await engine.reembedding(NEW)).progress() == (0, 1)
    await switched(engine, hashes)
    assert await best(store, hashes.of("black tea"), NEW) == one.id
    await engine.retire()
    back = Batching(Hashes())
    await reembed(engine, back)
    engine.use(await engine.latest())
    assert await best(store, hashes.of("black tea"), NEW) == one.id, "the same once more"
    await back.close()


async def test_it_ends_however_much_is_written_meanwhile(engine: Engine, store: Store, hashes: Hashes) -> None:
    old = await remember(store, *(memory(text=f"text {n}") for n in range(3)), vectors=directions(3))
    later: list[Memory] = []

    class Beside(Batching):
        """Whenever something is embedded, something else is written."""

        async def embed(self, texts: Sequence[str]) -> Vector:
            made = await super().embed(texts)
            assert len(later) < 20, "it goes round and round"
            later.extend(await remember(store, memory(text=f"later {len(later)}"), vectors=directions(1)))
            return made

    batching = Beside(hashes)
    await reembed(engine, batching)
    engine.use(await engine.latest())
    for one in (*old, *later):
        assert await best(store, hashes.of(one.text), NEW) == one.id
    await batching.close()


async def test_an_embedder_that_fails_leaves_everything_as_it_was(engine: Engine, store: Store, hashes: Hashes) -> None:
    old = directions(3)
    made = await remember(store, *(memory(text=f"text {n}") for n in range(3)), vectors=old)

    def fail() -> None:
        raise NoEmbedder("down", 0)

    hashes.before = fail
    with pytest.raises(NoEmbedder):
        await switched(engine, hashes)
    under_way = await engine.reembedding(NEW)
    with pytest.raises(NoEmbedder):
        await under_way.finish(hashes.embed)
    assert await engine.latest() == OLD
    assert await best(store, old[1], OLD) == made[1].id
    hashes.before = lambda: None
    await switched(engine, hashes)
    assert await best(store, hashes.of("text 1"), NEW) == made[1].id
