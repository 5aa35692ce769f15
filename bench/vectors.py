"""How fast and how right the vector index is: python bench/vectors.py [--scale 0.1] [--million]

Sentences are composed from word lists and embedded by the default embedder; the million are synthetic clusters.
Recall is of the top ten by (1 + cosine) / 2 x weight against a scan of everything. Times are medians.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import apsw
import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from stores.embedded.vectors import SCHEMA, Changes, VectorIndex, VectorRow
from stores.embedder import open_embedder

WEIGHTS = "SELECT key, weight FROM memory WHERE scope_key = ?"
MEMORY = """
CREATE TABLE memory (key INTEGER PRIMARY KEY, scope_key INTEGER, weight REAL);
CREATE INDEX memory_scope ON memory (scope_key);
"""
WORDS = {
    "person": "Anna Ben Carla Dmitri Elena Farid Grace Hiro Ines Jonas Kavya Liam Mei Noor Olga Pedro Quinn Rosa",
    "team": "payments search billing onboarding mobile platform data security design support sales",
    "tool": "Postgres Redis Kubernetes Terraform Grafana Kafka Python Rust TypeScript Docker",
    "food": "pasta sushi tacos ramen pizza paella curry salad dumplings pancakes falafel risotto oatmeal steak hummus",
    "city": "Berlin Lisbon Tokyo Nairobi Toronto Oslo Mumbai Lima Austin Seoul Cairo Prague Dublin Hanoi Bogota Vienna",
    "hobby": "climbing pottery chess sailing birdwatching woodworking running photography gardening dancing astronomy",
    "pet": "cat|two dogs|parrot|old horse|rabbit|goldfish|tortoise|rescue greyhound",
    "diet": "vegetarian|vegan|allergic to peanuts|lactose intolerant|avoiding gluten|fond of spicy food",
    "fault": "a timeout|a deadlock|an out of memory crash|an expired certificate|a failed migration",
    "act": "rolled back the release|added a retry|raised the limit|wrote a test|paged the engineer on call",
    "when": "on Monday|last week|yesterday evening|in March|before the holidays|this morning|two years ago|after lunch",
    "mood": "was happy about it|found it exhausting|was surprised|did not mind|felt proud|worried about the cost",
    "paper": "the quarterly report|a lease|the design review|an invoice|the tax return|a grant proposal",
    "step": "export a CSV file|check the logs|ask for the order number|confirm the address|run the tests",
}
SENTENCES = [
    "{person} from the {team} team {act} after {fault} in {tool} {when}.",
    "{person} {when} cooked {food} and {mood}.",
    "{person} is {diet} and prefers {food} when eating out in {city}.",
    "{person} moved to {city} {when} and {mood}.",
    "The {team} team decided to replace {tool}; {person} {mood}.",
    "{person} keeps a {pet} and spends weekends on {hobby}.",
    "The user asked to {step}; the agent used {tool}.",
    "{person} signed {paper} {when} in {city}.",
    "When {fault} happens in {tool}, {step}.",
    "To plan a trip to {city}, {step}; {person} likes {hobby} and {food}.",
    "{fault} hit the {team} service {when}, {person} {act}.",
]


def sentences(count: int, seed: int) -> Iterator[str]:
    """Things an agent may remember, most of them different."""
    chance = random.Random(seed)
    lists = {name: text.split("|" if "|" in text else " ") for name, text in WORDS.items()}
    for _ in range(count):
        text = chance.choice(SENTENCES).format(**{name: chance.choice(words) for name, words in lists.items()})
        yield text + (f" Ticket {chance.randrange(10_000)}." if chance.random() < 0.3 else "")


def clusters(count: int, seed: int, dimension: int = 256) -> NDArray[np.float32]:
    """Vectors in 2,000 groups around a common direction, of about the spread of embedded sentences."""
    chance = np.random.default_rng(seed)
    centres = np.random.default_rng(7).standard_normal((2000, dimension), np.float32) + np.float32(0.3)
    made = chance.standard_normal((count, dimension), np.float32)
    made += centres[chance.integers(0, len(centres), count)]
    return made


def milliseconds(run: Callable[[], Any], times: int = 15) -> float:
    took = []
    for _ in range(times):
        start = time.perf_counter()
        run()
        took.append(time.perf_counter() - start)
    return statistics.median(took) * 1e3


def rss() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096 / 2**20


class Trial:
    """A file of vectors in equal scopes, keys ascending."""

    def __init__(self, folder: Path, vectors: NDArray[np.float32], scopes: int) -> None:
        self.path = folder / f"{len(vectors)}-{scopes}.db"
        self.weights = np.random.default_rng(3).uniform(0.1, 1.0, len(vectors)).astype(np.float32)
        self.scopes = np.sort(np.arange(len(vectors)) % scopes) + 1
        self.index = VectorIndex(vectors.shape[1], WEIGHTS)
        writer = self.connect()
        writer.execute(SCHEMA + MEMORY)
        start = time.perf_counter()
        for first in range(0, len(vectors), 8192):
            self._write(writer, vectors, range(first, min(first + 8192, len(vectors))))
        self.each = (time.perf_counter() - start) / len(vectors) * 1e6
        writer.close()
        self.db = self.connect()

    def connect(self) -> apsw.Connection:
        db = apsw.Connection(str(self.path))
        db.execute("PRAGMA journal_mode = wal; PRAGMA synchronous = off; PRAGMA mmap_size = 2147483648")
        return db

    def _write(self, writer: apsw.Connection, vectors: NDArray[np.float32], span: range) -> None:
        weights, scopes = self.weights[span].tolist(), self.scopes[span].tolist()
        with writer:
            rows = [VectorRow(i + 1, scopes[n], weights[n], vectors[i]) for n, i in enumerate(span)]
            self.index.put(writer, rows, Changes())
            writer.executemany(
                "INSERT INTO memory VALUES (?, ?, ?)", [(row.key, row.scope, row.weight) for row in rows]
            )

    def fresh(self) -> None:
        self.index = VectorIndex(self.index.dimension, WEIGHTS)

    def recall(self, vectors: NDArray[np.float32], queries: NDArray[np.float32]) -> float:
        every, hit = list(range(1, int(self.scopes[-1]) + 1)), 0
        for query in queries:
            best = np.full(len(vectors), -1.0, np.float32)
            for first in range(0, len(vectors), 65_536):
                part = vectors[first : first + 65_536]
                cosine = np.vecdot(part, query) / np.sqrt(np.vecdot(part, part) * np.vecdot(query, query))
                best[first : first + 65_536] = (1 + cosine) * self.weights[first : first + 65_536]
            top = set((np.argpartition(-best, 10)[:10] + 1).tolist())
            hit += len(top & set(self.index.search(self.db, every, query, 10).keys.tolist()))
        return hit / 10 / len(queries)


def measure(name: str, folder: Path, vectors: NDArray[np.float32], queries: NDArray[np.float32], scopes: int) -> None:
    trial = Trial(folder, vectors, scopes)
    every = list(range(1, scopes + 1))
    turn = iter(range(1 << 30))

    def search() -> None:
        trial.index.search(trial.db, every, queries[next(turn) % len(queries)], 10)

    def cold() -> None:
        trial.fresh()
        search()

    before = rss()
    load = milliseconds(cold, 3)
    warm = milliseconds(search, 25)
    alike = milliseconds(
        lambda: trial.index.similarity(trial.db, range(1, len(vectors), len(vectors) // 100), queries[0])
    )
    stats = trial.index.stats()
    recall = trial.recall(vectors, queries[:50])
    print(
        f"{name:<24}{len(vectors):>9,}{scopes:>7,}{trial.each:>9.1f}{load:>10.1f}{warm:>9.2f}{alike:>9.2f}{recall:>8.3f}"
        f"{stats.cache_bytes / 2**20:>8.1f}{trial.path.stat().st_size / 2**20:>8.0f}{rss() - before:>8.0f}",
        flush=True,
    )
    trial.db.close()


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--scale", type=float, default=1.0, help="multiplies every number of vectors")
    options.add_argument("--million", action="store_true", help="also 1,000,000 synthetic vectors (some minutes, 2 GB)")
    given = options.parse_args()
    embedder = open_embedder()
    count = {size: max(1000, int(size * given.scale)) for size in (10_000, 100_000, 1_000_000)}
    embedded = np.concatenate(
        [embedder.embed(list(sentences(5000, seed))) for seed in range(-(-count[100_000] // 5000))]
    )[: count[100_000]]
    asked = embedder.embed(list(sentences(100, 1_000_003)))
    print(
        f"{'':<24}{'vectors':>9}{'scopes':>7}{'put us':>9}{'cold ms':>10}{'warm ms':>9}{'100 ms':>9}{'recall':>8}"
        f"{'RAM MB':>8}{'file MB':>8}{'+RSS MB':>8}"
    )
    with tempfile.TemporaryDirectory() as folder:
        near = clusters(100, 99)
        measure("sentences, exact", Path(folder), embedded[: count[10_000]], asked, 1)
        measure("sentences, 50 a scope", Path(folder), embedded, asked, max(1, count[100_000] // 50))
        measure("sentences, codes", Path(folder), embedded, asked, 1)
        measure("clusters, codes", Path(folder), clusters(count[100_000] + 64, 1), near, 1)
        if given.million:
            measure("clusters, codes", Path(folder), clusters(count[1_000_000], 2), near, 1)


if __name__ == "__main__":
    main()
