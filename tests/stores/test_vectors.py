from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import apsw
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from stores.embedded import blocks, cache, codes, copies
from stores.embedded.vectors import SCHEMA, Changes, Found, VectorIndex, VectorRow

WEIGHTS = "SELECT key, weight FROM memory WHERE scope_key = ? AND searchable"
MEMORY = """
CREATE TABLE memory (key INTEGER PRIMARY KEY, scope_key INTEGER, weight REAL, searchable INTEGER);
CREATE INDEX memory_scope ON memory (scope_key);
"""


class Store:
    """A file with vectors and the memory column they are weighed by, and a plain dictionary of what must be found."""

    def __init__(self, path: Path, dimension: int = 32, **options: Any) -> None:
        self.path, self.dimension, self.options = path, dimension, options
        self.truth: dict[int, tuple[int, float | None, NDArray[np.float32]]] = {}
        self.writer, self.reader = self._connect(), self._connect()
        self.writer.execute(SCHEMA + MEMORY)
        self.restart()

    def _connect(self) -> apsw.Connection:
        db = apsw.Connection(str(self.path))
        db.execute("PRAGMA journal_mode = wal; PRAGMA synchronous = off")
        db.set_busy_timeout(5000)
        return db

    def restart(self) -> None:
        self.close()
        self.writer, self.reader = self._connect(), self._connect()
        self.index = VectorIndex(self.dimension, WEIGHTS, **self.options)

    def close(self) -> None:
        self.writer.close()
        self.reader.close()

    def put(self, rows: Sequence[tuple[int, int, float | None, NDArray[Any]]], changes: Changes) -> None:
        self.index.put(self.writer, [VectorRow(*row) for row in rows], changes)
        for key, scope, weight, _ in rows:
            self.writer.execute(
                "INSERT OR REPLACE INTO memory VALUES (?, ?, ?, ?)", (key, scope, weight, weight is not None)
            )

    def remove(self, keys: Sequence[int], changes: Changes) -> None:
        self.index.remove(self.writer, keys, changes)
        self.writer.executemany("DELETE FROM memory WHERE key = ?", [(key,) for key in keys])

    def weigh(self, rows: Sequence[tuple[int, int, float | None]], changes: Changes) -> None:
        self.index.weigh(self.writer, rows, changes)
        self.writer.executemany(
            "UPDATE memory SET weight = ?, searchable = ? WHERE key = ?",
            [(weight, weight is not None, key) for key, _, weight in rows],
        )

    def commit(self, *steps: tuple[str, Any]) -> None:
        """One transaction of ("put" | "remove" | "weigh", rows), and the same to the truth."""
        changes = Changes()
        with self.writer:
            for name, rows in steps:
                getattr(self, name)(rows, changes)
        self.index.committed(changes)
        for name, rows in steps:
            self._record(name, rows)

    def _record(self, name: str, rows: Any) -> None:
        for row in rows:
            if name == "put":
                key, scope, weight, vector = row
                self.truth[key] = (scope, weight, unit(vector))
            elif name == "remove":
                self.truth.pop(row, None)
            elif row[0] in self.truth:
                self.truth[row[0]] = (row[1], row[2], self.truth[row[0]][2])

    def search(self, scopes: Sequence[int], query: NDArray[Any], limit: int = 10, **more: Any) -> Found:
        return self.index.search(self.reader, scopes, query, limit, **more)

    def scores(self, scopes: Sequence[int], query: NDArray[Any], floor: float = -1.0) -> dict[int, float]:
        found = {}
        for key, (scope, weight, vector) in self.truth.items():
            cosine = float(vector @ direction(query))
            if scope in scopes and weight is not None and vector.any() and cosine >= floor:
                found[key] = (1 + cosine) * float(np.float32(weight))
        return found

    def check(self, scopes: Sequence[int], query: NDArray[Any], limit: int = 10, floor: float = -1.0) -> None:
        found = self.search(scopes, query, limit, floor=floor)
        scores = self.scores(scopes, query, floor)
        expected = sorted(scores.values(), reverse=True)[:limit]
        assert len(found.keys) == len(expected)
        assert np.allclose([scores[int(key)] for key in found.keys], expected, atol=2e-5)
        cosines = [min(1.0, float(self.truth[int(key)][2] @ direction(query))) for key in found.keys]
        assert np.allclose(found.cosines, cosines, atol=1e-5)


def direction(query: NDArray[Any]) -> NDArray[np.float32]:
    turned: NDArray[np.float32] = (query / np.linalg.norm(query)).astype(np.float32)
    return turned


def unit(vector: NDArray[Any]) -> NDArray[np.float32]:
    """As stored: of length 1, rounded to float16."""
    length = np.linalg.norm(vector)
    return (vector / length if length else vector).astype(np.float16).astype(np.float32)


def vectors(count: int, seed: int, dimension: int = 32) -> NDArray[np.float32]:
    """Rows in clusters around a common direction, as embedders give them."""
    random = np.random.default_rng(seed)
    centres = random.standard_normal((max(1, count // 40), dimension)) + 0.5
    return (centres[random.integers(0, len(centres), count)] + 0.7 * random.standard_normal((count, dimension))).astype(
        np.float32
    )


def rows(count: int, seed: int, *, scope: int = 1, first: int = 1, dimension: int = 32) -> list[Any]:
    weights = np.random.default_rng(seed + 1).uniform(0.1, 1.0, count).tolist()
    return [(first + i, scope, weights[i], row) for i, row in enumerate(vectors(count, seed, dimension))]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path / "store.db")
    yield made
    made.close()


@pytest.fixture
def coded(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path / "store.db", dimension=128, exact_limit=100)
    yield made
    made.close()


QUERY = vectors(3, 99)


def test_the_best_by_similarity_times_weight_are_found(store: Store) -> None:
    store.commit(("put", rows(700, 1)))
    for query in QUERY:
        store.check([1], query)
        store.check([1], query, limit=1000)
    store.restart()
    for query in QUERY:
        store.check([1], query)


def test_the_weight_takes_part_in_choosing(store: Store) -> None:
    query = QUERY[0]
    near = [(key, 1, 0.1, query + 0.01 * row) for key, row in enumerate(vectors(50, 3), 1)]
    store.commit(("put", near), ("put", [(100, 1, 1.0, query + 0.5 * vectors(1, 4)[0])]))
    assert store.search([1], query, 1).keys.tolist() == [100]


def test_a_tie_goes_to_the_lower_key(store: Store) -> None:
    store.commit(("put", [(key, 1, 0.5, QUERY[0]) for key in (9, 3, 7, 5)]))
    assert store.search([1], QUERY[0], 3).keys.tolist() == [3, 5, 7]


def test_a_floor_and_allowed_keys_restrict(store: Store) -> None:
    store.commit(("put", rows(300, 1)))
    store.check([1], QUERY[0], limit=300, floor=0.2)
    allowed = np.array([5, 6, 77, 5000], np.int64)
    assert set(store.search([1], QUERY[0], allowed=allowed).keys.tolist()) == {5, 6, 77}
    assert not len(store.search([1], QUERY[0], allowed=allowed[:0]).keys)
    assert not len(store.search([1], QUERY[0], allowed=allowed[3:]).keys)


def test_scopes_are_apart_and_can_be_searched_together(store: Store) -> None:
    store.commit(*[("put", rows(90, scope, scope=scope, first=1000 * scope)) for scope in range(1, 8)])
    store.check([2], QUERY[0])
    store.check([7, 2, 2, 5, 12], QUERY[0], limit=25)
    assert not len(store.search([], QUERY[0]).keys)
    assert not len(store.search([12], QUERY[0]).keys)


def test_what_finds_nothing(store: Store) -> None:
    store.commit(("put", [(1, 1, 0.5, np.zeros(32)), (2, 1, None, QUERY[0]), (3, 1, 0.0, QUERY[0])]))
    assert store.search([1], QUERY[0]).keys.tolist() == [3]
    assert not len(store.search([1], np.zeros(32)).keys)
    assert not len(store.search([1], QUERY[0], 0).keys)
    assert store.index.vector(store.reader, 1) is None


def test_a_hidden_memory_comes_back_with_its_weight(store: Store) -> None:
    store.commit(("put", [(1, 1, None, QUERY[0])]))
    assert not len(store.search([1], QUERY[0]).keys)
    store.commit(("weigh", [(1, 1, 0.7)]))
    assert store.search([1], QUERY[0]).keys.tolist() == [1]
    store.commit(("weigh", [(1, 1, None)]))
    assert not len(store.search([1], QUERY[0]).keys)


def test_a_vector_can_be_replaced_emptied_and_moved_to_another_scope(store: Store) -> None:
    store.commit(("put", rows(130, 1)))
    store.check([1], QUERY[0])
    store.commit(("put", [(5, 1, 1.0, QUERY[0]), (5, 1, 1.0, QUERY[1])]))
    assert store.search([1], QUERY[1], 1).keys.tolist() == [5]
    store.commit(("put", [(5, 2, 1.0, QUERY[1])]))
    assert store.search([2], QUERY[1]).keys.tolist() == [5]
    assert 5 not in store.search([1], QUERY[1], 200).keys
    store.commit(("put", [(5, 2, 1.0, np.zeros(32))]))
    assert not len(store.search([2], QUERY[1]).keys)


@pytest.mark.parametrize(
    "row",
    [
        (0, 1, 0.5, np.ones(32)),
        (1, 1, -0.5, np.ones(32)),
        (1, 1, float("nan"), np.ones(32)),
        (1, 1, 0.5, np.ones(31)),
        (1, 1, 0.5, np.full(32, np.inf)),
    ],
)
def test_nonsense_is_refused_and_nothing_written(store: Store, row: Any) -> None:
    with pytest.raises(ValueError):
        store.commit(("put", [row]))
    assert store.reader.execute("SELECT count(*) FROM vector").get == 0
    with pytest.raises(ValueError):
        store.index.search(store.reader, [1], np.ones(31), 5)
    with pytest.raises(ValueError):
        store.index.weigh(store.writer, [(1, 1, -1.0)], Changes())


def test_a_full_group_of_single_rows_becomes_a_block(store: Store) -> None:
    count = "SELECT (SELECT count(*) FROM vector), (SELECT count(*) FROM vector_block)"
    for row in rows(blocks.BLOCK - 1, 1):
        store.commit(("put", [row]))
    assert store.reader.execute(count).get == (blocks.BLOCK - 1, 0)
    store.commit(("put", rows(1, 2, first=500)))
    assert store.reader.execute(count).get == (0, 1)
    store.commit(("put", rows(blocks.BLOCK * 3 + 5, 3, first=1000)))
    assert store.reader.execute(count).get == (5, 4)
    store.check([1], QUERY[0])


def test_removed_vectors_leave_no_byte_and_sparse_blocks_dissolve(store: Store) -> None:
    made = rows(blocks.BLOCK * 2, 1)
    store.commit(("put", made))
    for start in range(0, len(made), 10):
        gone = made[start : start + 10]
        store.commit(("remove", [row[0] for row in gone] + [12_345]))
        stored = b"".join(half for (half,) in store.reader.execute("SELECT halves FROM vector_block"))
        stored += b"".join(half for (half,) in store.reader.execute("SELECT half FROM vector"))
        assert not any(unit(row[3]).astype(np.float16).tobytes() in stored for row in gone)
        store.check([1], QUERY[0], 200)
    for table in ("vector", "vector_block", "vector_place", "vector_centre"):
        assert store.reader.execute(f"SELECT count(*) FROM {table}").get == 0
    store.commit(("put", made))
    store.check([1], QUERY[0], 200)


def test_dissolved_blocks_are_packed_again(store: Store) -> None:
    made = rows(blocks.BLOCK * 6, 1)
    store.commit(("put", made))
    store.commit(("remove", [row[0] for row in made if row[0] % 5]))
    assert store.reader.execute("SELECT count(*) FROM vector").get < blocks.BLOCK
    store.restart()
    store.check([1], QUERY[0], 200)


def test_nothing_of_a_rolled_back_transaction_or_savepoint_is_seen(store: Store) -> None:
    store.commit(("put", rows(100, 1)))
    store.check([1], QUERY[0])
    changes = Changes()
    with pytest.raises(RuntimeError), store.writer:
        store.put(rows(100, 2, first=300), changes)
        store.remove([1, 2, 3], changes)
        raise RuntimeError
    store.check([1], QUERY[0], 300)
    with store.writer:
        store.put([(900, 1, 0.9, QUERY[0])], changes := Changes())
        store.weigh([(900, 1, 0.4)], changes)
    store.index.committed(changes)
    store.truth[900] = (1, 0.4, unit(QUERY[0]))
    store.check([1], QUERY[0], 300)
    store.restart()
    store.check([1], QUERY[0], 300)


def test_what_is_not_committed_is_not_seen(store: Store) -> None:
    store.commit(("put", rows(10, 1)))
    with store.writer:
        store.put([(99, 1, 1.0, QUERY[0])], changes := Changes())
        store.check([1], QUERY[0])
    store.index.committed(changes)
    store.truth[99] = (1, 1.0, unit(QUERY[0]))
    store.check([1], QUERY[0])


def test_a_copy_loaded_between_commit_and_its_announcement_counts_nothing_twice(store: Store) -> None:
    store.commit(("put", rows(10, 1)))
    with store.writer:
        store.put([(99, 1, 1.0, QUERY[0])], changes := Changes())
    store.truth[99] = (1, 1.0, unit(QUERY[0]))
    store.check([1], QUERY[0], 50)
    store.index.committed(changes)
    store.check([1], QUERY[0], 50)
    assert store.index.stats().vectors == 11


def test_several_changes_of_one_transaction_are_all_seen(store: Store) -> None:
    store.commit(("put", rows(10, 1)))
    store.check([1], QUERY[0])
    first, second = Changes(), Changes()
    with store.writer:
        store.put([(98, 1, 1.0, QUERY[0])], first)
        store.put([(99, 1, 1.0, QUERY[0])], second)
        store.weigh([(98, 1, 0.5)], first)
    store.truth |= {98: (1, 0.5, unit(QUERY[0])), 99: (1, 1.0, unit(QUERY[0]))}
    store.index.committed(first)
    assert 98 in store.search([1], QUERY[0]).keys
    store.index.committed(second)
    store.check([1], QUERY[0], 50)


def test_a_copy_of_an_old_snapshot_is_not_kept(store: Store) -> None:
    store.commit(("put", rows(10, 1)))
    store.reader.execute("BEGIN")
    assert store.reader.execute("SELECT count(*) FROM vector").get == 10
    store.commit(("put", [(99, 1, 1.0, QUERY[0])]))
    assert 99 not in store.search([1], QUERY[0]).keys
    assert store.index.stats().scopes == 0
    store.reader.execute("COMMIT")
    store.check([1], QUERY[0])
    assert store.index.stats().scopes == 1


def test_changes_committed_while_a_copy_is_read_reach_it(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.commit(("put", rows(10, 1)))
    real = copies.load

    def slow(*given: Any) -> Any:
        copy = real(*given)
        store.commit(("put", [(99, 1, 1.0, QUERY[0])]), ("remove", [3]))
        return copy

    monkeypatch.setattr(cache, "load", slow)
    assert 99 not in store.search([1], QUERY[0]).keys
    store.check([1], QUERY[0])


def test_many_waiting_changes_are_applied_by_the_writer(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "PENDING", 5)
    monkeypatch.setattr(cache, "REMEMBERED", 2)
    for scope in (1, 2, 3):
        store.commit(("put", rows(10, scope, scope=scope, first=100 * scope)))
        store.check([scope], QUERY[0])
    for n in range(4):
        store.commit(("put", rows(7, 50 + n, first=1000 + 10 * n)), ("weigh", [(101 + n, 1, 0.9)]))
    assert store.index.stats().vectors == 58
    store.check([1, 2, 3], QUERY[0], 100)


def test_similarity_and_vector_of_given_memories(store: Store) -> None:
    store.commit(("put", rows(100, 1)))
    cosines = store.index.similarity(store.reader, [90, 7, 555, 7], QUERY[0])
    expected = [float(store.truth[key][2] @ direction(QUERY[0])) for key in (90, 7, 7)]
    assert np.isnan(cosines[2])
    assert np.allclose(cosines[[0, 1, 3]], expected, atol=1e-5)
    for key in (7, 99):
        vector = store.index.vector(store.reader, key)
        assert vector is not None
        assert np.array_equal(vector, store.truth[key][2])


def test_the_cache_stays_within_its_bytes(tmp_path: Path) -> None:
    store = Store(tmp_path / "store.db", cache_bytes=60_000)
    store.commit(*[("put", rows(100, scope, scope=scope, first=1000 * scope)) for scope in range(1, 11)])
    store.commit(("put", rows(2000, 20, scope=20, first=20_000)))
    for scope in range(1, 11):
        store.check([scope], QUERY[0])
        assert store.index.stats().cache_bytes <= 60_000
    store.check(range(1, 11), QUERY[0], 30)
    assert len(store.search([20], QUERY[0]).keys) == 10
    assert store.index.stats().code_bytes > 0
    assert store.index.stats().cache_bytes <= 60_000


def test_a_scope_that_outgrows_floats_becomes_codes(coded: Store) -> None:
    coded.commit(("put", rows(90, 1, dimension=128)))
    coded.check([1], vectors(1, 9, 128)[0])
    assert coded.index.stats().code_bytes == 0
    for n in range(20):
        coded.commit(("put", rows(10, 10 + n, first=1000 + 10 * n, dimension=128)))
        coded.check([1], vectors(1, 9, 128)[0])
    assert coded.index.stats().code_bytes > 0


def test_codes_find_what_an_exact_scan_finds(coded: Store) -> None:
    made = rows(6000, 1, dimension=128)
    coded.commit(("put", made))
    wanted = hit = 0
    for n, query in enumerate(vectors(20, 1, 128)):
        floor = (-1.0, 0.3, 0.6)[n % 3]
        scores = coded.scores([1], query, floor)
        best = sorted(scores, key=lambda key: -scores[key])[:10]
        found = coded.search([1], query, 10, floor=floor)
        wanted, hit = wanted + len(best), hit + len(set(best) & set(found.keys.tolist()))
        assert (found.cosines >= floor).all()
    assert hit >= 0.98 * wanted


def test_codes_with_allowed_keys(coded: Store) -> None:
    coded.commit(("put", rows(3000, 1, dimension=128)))
    query = vectors(1, 5, 128)[0]
    for step in (2, 100):
        allowed = np.arange(1, 4000, step, dtype=np.int64)
        scores = {key: score for key, score in coded.scores([1], query).items() if key in set(allowed.tolist())}
        best = sorted(scores, key=lambda key: -scores[key])[:10]
        found = coded.search([1], query, 10, allowed=allowed).keys.tolist()
        assert len(set(found) & set(best)) >= 9
        assert set(found) <= set(allowed.tolist())


def test_codes_follow_changes(coded: Store) -> None:
    made = rows(350, 1, dimension=128)
    coded.commit(("put", made))
    query = vectors(1, 5, 128)[0]
    coded.check([1], query, 20)
    coded.commit(("put", [(7, 1, 1.0, query), (2000, 1, 0.9, query)]), ("weigh", [(9, 1, 0.0), (10, 1, None)]))
    coded.commit(("remove", [row[0] for row in made[20:60]]))
    coded.check([1], query, 20)
    coded.commit(("put", [(8, 1, 0.8, query)]), ("weigh", [(7, 1, 0.2)]))
    coded.check([1], query, 20)
    coded.restart()
    coded.check([1], query, 20)


def test_a_widened_float16_is_exact() -> None:
    every = np.arange(65536, dtype=np.uint16).view(np.float16)
    finite = every[np.isfinite(every)][None, :]
    assert np.array_equal(codes.widened(finite), finite.astype(np.float32))


def test_best_gives_the_highest() -> None:
    random = np.random.default_rng(5)
    for size in (1, 30, 999, 5000, 60_000):
        for estimate in (random.random(size), np.zeros(size), np.repeat(1.0, size), random.random(size) - 0.9):
            values = estimate.astype(np.float32)
            picked = codes.best(values, 500)
            expected = np.sort(values[values >= 0])[-500:]
            assert np.array_equal(np.sort(values[picked]), expected)


KEY = st.integers(1, 90)
SCOPE = st.integers(1, 2)
WEIGHT = st.none() | st.floats(0, 1, width=32)
STEP = st.one_of(
    st.tuples(st.just("put"), st.lists(st.tuples(KEY, SCOPE, WEIGHT, st.integers(0, 30)), max_size=40)),
    st.tuples(st.just("remove"), st.lists(KEY, max_size=30)),
    st.tuples(st.just("weigh"), st.lists(st.tuples(KEY, WEIGHT), max_size=5)),
    st.tuples(st.sampled_from(["restart", "rollback", "search"]), st.none()),
)
PALETTE = np.vstack([np.zeros((1, 32), np.float32), vectors(30, 77)])


@pytest.mark.parametrize("options", [{}, {"exact_limit": 0}, {"cache_bytes": 3000}])
@given(steps=st.lists(STEP, max_size=25))
def test_any_sequence_of_changes(
    options: dict[str, int],
    steps: list[tuple[str, Any]],
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(blocks, "BLOCK", 8)
    monkeypatch.setattr(blocks, "SPARSE", 2)
    monkeypatch.setattr(cache, "PENDING", 20)
    store = Store(tmp_path_factory.mktemp("sequence") / "store.db", **options)
    for name, argument in steps:
        if name == "restart":
            store.restart()
        elif name == "rollback":
            with pytest.raises(RuntimeError), store.writer:
                store.put([(key, 1, 1.0, QUERY[0]) for key in range(1, 20)], Changes())
                store.remove(range(15, 30), Changes())
                raise RuntimeError
        elif name == "search":
            store.check([1, 2], QUERY[0], 8)
        elif name == "put":
            store.commit(("put", [(key, scope, weight, PALETTE[n]) for key, scope, weight, n in argument]))
        elif name == "remove":
            store.commit(("remove", argument))
        else:
            known = [(key, store.truth[key][0], weight) for key, weight in argument if key in store.truth]
            store.commit(("weigh", known))
    for scopes in ([1], [2], [1, 2]):
        store.check(scopes, QUERY[1], 100)
    store.restart()
    store.check([1, 2], QUERY[1], 100)
    assert store.writer.execute("PRAGMA integrity_check").get == "ok"
    store.close()


@pytest.mark.parametrize("options", [{}, {"exact_limit": 50}, {"cache_bytes": 50_000}])
def test_searches_in_threads_see_whole_commits(tmp_path: Path, options: dict[str, int]) -> None:
    """Each commit moves one memory at the query's own place to a new key: no search finds two of them."""
    store = Store(tmp_path / "store.db", **options)
    query = QUERY[0]
    store.commit(("put", rows(200, 1)), ("put", [(1000, 1, 50.0, query)]))
    done = threading.Event()
    seen: list[list[int]] = []
    failed: list[BaseException] = []

    def search() -> None:
        db = store._connect()
        try:
            while not done.is_set():
                keys = store.index.search(db, [1], query, 5).keys.tolist()
                seen.append([key for key in keys if key >= 1000])
                time.sleep(0.001)  # leaves the interpreter to the writer
        except BaseException as error:
            failed.append(error)
        finally:
            db.close()

    threads = [threading.Thread(target=search) for _ in range(3)]
    for thread in threads:
        thread.start()
    for n in range(200):
        store.commit(("remove", [1000 + n]), ("put", [(1001 + n, 1, 50.0, query)]), ("weigh", [(n + 1, 1, 0.5)]))
    done.set()
    for thread in threads:
        thread.join()
    assert not failed
    assert seen
    # Codes are rescored from the reader's own snapshot, which may be a commit apart from the copy in RAM.
    least = 0 if options else 1
    assert all(least <= len(found) <= 1 for found in seen)
    store.check([1], query, 20)
    store.close()
