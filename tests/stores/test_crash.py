"""kill -9 at any moment: what was acknowledged is there, once, and all parts of the store agree."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import apsw
import pytest

from domain.memory import Memory
from domain.message import Message
from domain.ranking import Asked, rank
from domain.search import SearchMode
from domain.session import Session
from domain.state import StateEntry
from domain.values import decode_json
from stores.contract.making import DIMENSION
from stores.embedded.engine import FILE, EmbeddedEngine, open_embedded
from stores.ports import Search, Store
from tests.support.crashing import COUNTERS, SESSIONS, vector_of, word_of
from tests.support.killing import told_until_killed

ROUNDS = 20


class Acknowledged:
    """What the program said was done, over all rounds."""

    def __init__(self) -> None:
        self.messages: dict[str, int] = {}
        self.memories: set[str] = set()
        self.renaming: dict[str, str] = {}
        self.gone: set[str] = set()
        self.counts: dict[str, int] = {}

    def take(self, lines: Sequence[Sequence[str]]) -> None:
        """Reads what was told."""
        for what, *words in lines:
            if what == "message":
                assert words[0] not in self.messages
                self.messages[words[0]] = int(words[1])
            elif what == "memory":
                self.memories.add(words[0])
            elif what == "renaming":
                self.memories.discard(words[0])
                self.renaming[words[0]] = words[1]
            elif what == "renamed":
                self.gone.add(words[0])
                self.memories.add(self.renaming.pop(words[0]))
            elif what == "forgetting":
                self.memories.discard(words[0])
            elif what == "forgotten":
                self.gone.add(words[0])
            elif what == "count":
                assert int(words[1]) > self.counts.get(words[0], 0)
                self.counts[words[0]] = int(words[1])


async def check_records(store: Store, done: Acknowledged) -> None:
    found = await store.find(Message, [(name,) for name in done.messages])
    assert [one and one.place for one in found] == list(done.messages.values())
    everything = await store.scan(Message, None, 1_000_000)
    for where in await store.find(Session, [(f"s{n}",) for n in range(SESSIONS)]):
        assert where is not None
        places = sorted(one.place for one in everything if one.session_id == where.id)
        assert places == list(range(1, where.message_count + 1))
    for entry in await store.find(StateEntry, [("count", str(n)) for n in range(COUNTERS)]):
        assert entry is not None
        value = decode_json(entry.value)
        assert value >= done.counts.get(entry.key, 0)
        assert entry.version == 1 + value


async def check_memories(store: Store, done: Acknowledged) -> int:
    """Every memory is found by its own word and its own vector; how many there are."""
    there = {one.external_id or "": one for one in await store.scan(Memory, None, 1_000_000)}
    assert done.memories <= there.keys()
    assert not done.gone & there.keys()
    for old, new in done.renaming.items():
        assert (old in there) is not (new in there)
        done.memories.add(new if new in there else old)
    done.renaming.clear()
    picked = random.sample(sorted(there), min(40, len(there)))
    for name in picked:
        by_word = (await store.search([Search(SearchMode.TEXT, 0.5, 5, word_of(name))]))[0]
        found = [one.id for one in by_word.candidates]  # and others, whose words begin or go on alike
        assert found.count(there[name].id) == 1
        by_meaning = (await store.search([Search(SearchMode.SEMANTIC, 0.99, 5, None, vector_of(name))]))[0]
        ranked = rank(by_meaning.candidates, Asked(SearchMode.SEMANTIC, 0.99, 1))
        assert ranked[0][0].id == there[name].id
    for name in random.sample(sorted(done.gone), min(10, len(done.gone))):
        by_word = (await store.search([Search(SearchMode.TEXT, 0.5, 5, word_of(name))]))[0]
        assert {one.id for one in by_word.candidates} <= {one.id for one in there.values()}
    return len(there)


def check_file(engine: EmbeddedEngine, memories: int) -> None:
    db = engine.writer.db
    assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert db.execute("PRAGMA foreign_key_check").fetchall() == []
    db.execute("INSERT INTO memory_text (memory_text) VALUES ('integrity-check')")
    rows = db.execute("SELECT key FROM memory").fetchall()
    assert len(rows) == memories
    words = db.execute("SELECT rowid FROM memory_text WHERE memory_text MATCH 'scope : w1'").fetchall()
    assert sorted(words) == sorted(rows)
    assert engine.vectors.stats() is not None
    singles = db.execute("SELECT memory FROM vector").fetchall()
    places = db.execute("SELECT memory FROM vector_place").fetchall()
    assert sorted([*singles, *places]) == sorted(rows)


@pytest.mark.slow
async def test_twenty_kills_lose_and_double_nothing(tmp_path: Path) -> None:
    done, random_ = Acknowledged(), random.Random(8)
    for round in range(ROUNDS):
        done.take(told_until_killed("tests.support.crashing", tmp_path, round, lines=random_.randrange(5, 120)))
        engine = open_embedded(tmp_path, "test", DIMENSION)
        try:
            store = engine.workspace("main")
            await check_records(store, done)
            check_file(engine, await check_memories(store, done))
        finally:
            await engine.close()
    db = apsw.Connection(str(tmp_path / FILE))
    assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    db.close()
