"""Caches hold no more bytes than they may, whatever callers put in, and the bytes are those of the memory."""

from __future__ import annotations

import gc
import hashlib
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import apsw
import pytest

from domain import words as scripts
from domain.caller import Role
from domain.key import ApiKey
from domain.node import Id
from server.access.keys import _KEY_BYTES
from server.graphql.persisted import Persisted
from stores import words as stemming
from stores.bounded import Bounded
from stores.embedded.frequency import Frequency


def test_what_was_not_used_for_longest_goes_first() -> None:
    cache: Bounded[str, int] = Bounded(10)
    for place, key in enumerate("abc"):
        cache.put(key, place, 3)
    assert cache.get("a") == 0
    cache.put("d", 3, 4)
    assert [cache.get(key) for key in "abcd"] == [0, None, 2, 3]
    assert cache.bytes == 10
    cache.put("a", 7, 1)
    assert (cache.get("a"), cache.bytes, len(cache)) == (7, 8, 3)
    cache.put("e", 4, 11)
    assert (cache.get("e"), cache.bytes, len(cache)) == (None, 8, 3)
    assert [cache.pop_oldest() for _ in range(4)] == [2, 3, 7, None]
    assert (cache.bytes, len(cache)) == (0, 0)


def grown(work: Callable[[], Any]) -> int:
    """By how many bytes the memory has grown; what `work` returns is held meanwhile."""
    gc.collect()
    tracemalloc.start()
    held = work()
    gc.collect()
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del held
    return size


@pytest.mark.parametrize(
    "owners", [1, pytest.param(50, marks=pytest.mark.slow), pytest.param(5_000, marks=pytest.mark.slow)]
)
def test_counts_of_words(monkeypatch: pytest.MonkeyPatch, owners: int) -> None:
    limit = 1 << 20
    monkeypatch.setattr("stores.embedded.frequency._REMEMBERED_BYTES", limit)
    db = apsw.Connection(":memory:")
    db.execute(
        "CREATE TABLE memory (key INTEGER PRIMARY KEY); CREATE VIRTUAL TABLE memory_text USING fts5(content, scope)"
    )
    words, asked = Frequency(), 'content : "word"'

    def work() -> None:
        for search in range(4_000 // (1 + owners // 50)):
            scope = f"({' OR '.join(f's{search}n{owner}' for owner in range(owners))})"
            assert words.rarest(db, scope, [asked]) == [asked]
            assert words.bytes <= limit

    assert grown(work) <= 1.1 * limit + 100_000
    assert words.bytes > limit // 3


@pytest.mark.parametrize("length", [10, 2_000, 100_000])
def test_registered_documents(monkeypatch: pytest.MonkeyPatch, length: int) -> None:
    limit = 1 << 20
    monkeypatch.setattr("server.graphql.persisted.MAX_REGISTERED_BYTES", limit)
    persisted = Persisted()

    def work() -> None:
        for number in range(max(200, 4 * limit // (length + 400))):
            text = f"\u00e9\u4e00{number}".ljust(length)
            id = hashlib.sha256(text.encode()).hexdigest()
            persisted.keep({"persistedQuery": {"sha256Hash": id}}, text)
            assert persisted._registered.bytes <= limit

    assert limit // 2 <= grown(work) <= 1.1 * limit + 50_000


@pytest.mark.slow
@pytest.mark.parametrize("name", ["n", "n" * 1_000, "\U0001f600" * 1_000])
def test_a_key_takes_what_it_is_counted_as(name: str) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)

    def work() -> dict[str, tuple[ApiKey, float]]:
        keys = [
            ApiKey(
                id=Id(f"key_{number:032x}"),
                digest=f"{number:064x}",
                workspace=f"workspace {number}",
                role=Role.READ,
                name=f"{number}{name}",
                created_at=now.replace(microsecond=number),
                expires_at=now.replace(microsecond=number),
                revoked_at=None,
            )
            for number in range(1_000)
        ]
        return {key.digest: (key, float(number)) for number, key in enumerate(keys)}

    assert grown(work) <= 1_000 * (_KEY_BYTES + 4 * len(name))


@pytest.mark.slow
def test_characters_and_words_of_any_text() -> None:
    """All characters of three planes, and words without end."""
    scripts._scripts.clear()
    stemming.stem.cache_clear()

    def work() -> None:
        every = [chr(code) for code in range(0x30000) if not 0xD800 <= code < 0xE000]
        for start in range(0, len(every), 10_000):
            stemming.stored("".join(every[start : start + 10_000]))
        del every
        for number in range(100):
            long = f"{number}".ljust(100_000, "e")
            assert stemming.stored(long).exact

    assert grown(work) <= 15_000_000
    assert len(scripts._scripts) < 20_000


@pytest.mark.slow
def test_stems_at_their_most() -> None:
    stemming.stem.cache_clear()

    def work() -> None:
        for number in range(5_000):
            stemming.stem(f"{number:064d}", "LATIN")

    assert grown(work) * stemming.stem.cache_info().maxsize / 5_000 <= 15_000_000
