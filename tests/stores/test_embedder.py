from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from stores import embedder as module
from stores.embedder import CHARACTERS, Batching, WordLlama, open_embedder
from stores.errors import CannotOpen
from stores.ports import Embedder


@pytest.fixture(scope="module")
def wordllama() -> Embedder:
    return open_embedder()


def test_a_text_has_one_vector_of_length_1_alone_and_in_company(wordllama: Embedder) -> None:
    texts = [f"memory number {n} about {'tea ' * (n % 7)}" for n in range(600)]
    vectors = wordllama.embed(texts)
    assert vectors.shape == (600, wordllama.dimension) == (600, 256)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    for n in (0, 255, 256, 599):
        assert np.allclose(wordllama.embed([texts[n]])[0], vectors[n], atol=1e-6)


def test_alike_meanings_are_near(wordllama: Embedder) -> None:
    asked, near, far = wordllama.embed(
        ["Which pet does she have?", "She owns a cat and a dog.", "The invoice was paid in March."]
    )
    assert asked @ near > asked @ far


def test_texts_without_a_token_have_no_direction(wordllama: Embedder) -> None:
    vectors = wordllama.embed(["", "word", ""])
    assert not vectors[0].any()
    assert not vectors[2].any()
    assert vectors[1].any()
    assert not wordllama.embed([""]).any()
    assert wordllama.embed([]).shape == (0, 256)


@pytest.mark.parametrize("text", ["\ud800 alone", "\0", "<s></s>", "🤯", "日本語", "e\u0301", " \n\t"])
def test_odd_texts_have_vectors(wordllama: Embedder, text: str) -> None:
    assert np.isclose(np.linalg.norm(wordllama.embed(["other", text])[1]), 1.0, atol=1e-5)


@pytest.mark.timed
def test_very_long_texts_take_bounded_time(wordllama: Embedder) -> None:
    long = ["🤯" * 100_000, "x" * 1_000_000, "a few words " * 100_000]
    wordllama.embed(["loaded"])
    start = time.perf_counter()
    vectors = wordllama.embed(long)
    assert time.perf_counter() - start < 5
    assert np.array_equal(vectors, wordllama.embed([text[:CHARACTERS] for text in long]))


def test_the_vectors_are_those_of_wordllama_itself(wordllama: Embedder, tmp_path: Path) -> None:
    """In a process of its own, for importing wordllama changes the root logger."""
    texts = ["The quick brown fox", "jumps", "over 13 lazy dogs, twice. " * 20]
    code = (
        "import sys, numpy, pathlib, wordllama\n"
        "model = wordllama.WordLlama.load(cache_dir=pathlib.Path(wordllama.__file__).parent, disable_download=True)\n"
        f"numpy.save(sys.argv[1], model.embed({texts!r}, norm=True))"
    )
    file = tmp_path / "vectors.npy"
    subprocess.run([sys.executable, "-c", code, str(file)], check=True, capture_output=True, timeout=60)
    assert np.allclose(np.load(file), wordllama.embed(texts), atol=1e-5)


@pytest.mark.parametrize(
    "text",
    ["zzqqxxyy", "asdfghjkl", "qwertyuiop", "xyzzy", "vbnmzx", "hkjhkjhkj", "пррщщзз", "嚻嚾囎", "뷁쀍쒧",
     "🦖🦖", "99887766"],
)  # fmt: skip
def test_what_is_no_word_is_not_known(wordllama: Embedder, text: str) -> None:
    assert not wordllama.knows(text)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "text",
    ["gym", "vet", "garden", "refund policy", "luggage", "паспорт", "红茶", "東京", "서울", "กาแฟ", "القهوة", "Kaffee",
     "where is it that zzqqxxyy", "zzqqxxyy garden"],
)  # fmt: skip
def test_words_are_known(wordllama: Embedder, text: str) -> None:
    assert wordllama.knows(text)  # type: ignore[attr-defined]


def test_loading_leaves_the_host_as_it_was() -> None:
    code = (
        "import logging, sys\n"
        "from stores.embedder import open_embedder\n"
        "embedder = open_embedder()\n"
        "assert 'tokenizers' not in sys.modules\n"
        "embedder.embed(['hello'])\n"
        "assert not logging.getLogger().handlers and logging.getLogger().level == logging.WARNING\n"
        "assert not {'requests', 'wordllama', 'pydantic'} & set(sys.modules)\n"
    )
    root = Path(module.__file__).resolve().parent.parent
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root, timeout=60)


def test_an_unknown_embedder_is_one_clear_sentence() -> None:
    with pytest.raises(CannotOpen, match="unknown embedder 'word2vec'; expected one of fastembed, model2vec, openai"):
        open_embedder("word2vec")
    assert open_embedder("wordllama:l2_supercat_256").name == "wordllama:l2_supercat_256"


def test_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made = WordLlama()
    made._folder = tmp_path
    with pytest.raises(CannotOpen, match="cannot find its file"):
        made.embed(["hello"])
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(CannotOpen, match="not installed"):
        open_embedder()


class Slow:
    """Remembers its batches, and waits to be let go in each."""

    name = "slow:1"
    dimension = 2

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.threads: set[int] = set()
        self.go = threading.Semaphore(0)
        self.begun = threading.Event()

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.batches.append(list(texts))
        self.begun.set()
        self.threads.add(threading.get_ident())
        assert self.go.acquire(timeout=10)
        if "bad" in texts:
            raise OSError("bad batch")
        return np.array([[len(text), 1] for text in texts], np.float32).reshape(-1, 2)


async def test_who_asks_while_a_batch_runs_shares_the_next_one() -> None:
    slow = Slow()
    batching = Batching(slow)
    first = asyncio.create_task(batching.embed(["a"]))
    assert await asyncio.to_thread(slow.begun.wait, 10)
    later = [asyncio.create_task(batching.embed(["b" * n, "c"])) for n in range(1, 20)]
    await asyncio.sleep(0.01)
    slow.go.release(2)
    assert (await first).tolist() == [[1, 1]]
    assert [(await task)[0, 0] for task in later] == list(range(1, 20))
    assert [len(batch) for batch in slow.batches] == [1, 38]
    assert slow.threads.isdisjoint({threading.get_ident()})
    assert len(slow.threads) == 1
    await batching.close()


async def test_callers_of_the_same_moment_share_the_first_batch() -> None:
    slow = Slow()
    slow.go.release(100)
    batching = Batching(slow)
    await asyncio.gather(*(batching.embed([str(n)]) for n in range(50)))
    assert len(slow.batches) == 1
    assert (await batching.embed([])).shape == (0, 2)
    await batching.close()


async def test_a_batch_is_bounded_and_a_large_call_lets_others_in_between(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TOGETHER", 10)
    slow = Slow()
    slow.go.release(100)
    batching = Batching(slow)
    texts = ["x" * n for n in range(35)]
    large, small = await asyncio.gather(batching.embed(texts), batching.embed(["small"]))
    assert large[:, 0].tolist() == list(range(35))
    assert small.tolist() == [[5, 1]]
    assert [len(batch) for batch in slow.batches] == [10, 1, 10, 10, 5] or slow.batches[1][0] == "small"
    assert max(len(batch) for batch in slow.batches) == 10
    await batching.close()


async def test_an_error_reaches_the_callers_of_its_batch_and_no_others() -> None:
    slow = Slow()
    batching = Batching(slow)
    good = asyncio.create_task(batching.embed(["good"]))
    assert await asyncio.to_thread(slow.begun.wait, 10)
    failing = [asyncio.create_task(batching.embed([text])) for text in ("bad", "with bad")]
    gone = asyncio.create_task(batching.embed(["gone"]))
    await asyncio.sleep(0)
    gone.cancel()
    slow.go.release(10)
    assert (await good).tolist() == [[4, 1]]
    for task in failing:
        with pytest.raises(OSError, match="bad batch"):
            await task
    assert (await batching.embed(["again"])).tolist() == [[5, 1]]
    await batching.close()


async def test_close_finishes_what_was_asked_and_refuses_the_rest() -> None:
    slow = Slow()
    batching = Batching(slow)
    asked = asyncio.create_task(batching.embed(["asked"]))
    assert await asyncio.to_thread(slow.begun.wait, 10)
    waiting = asyncio.create_task(batching.embed(["waiting"]))
    await asyncio.sleep(0)
    slow.go.release(2)
    await batching.close()
    await batching.close()
    assert (await asked).tolist() == [[5, 1]]
    assert (await waiting).tolist() == [[7, 1]]
    with pytest.raises(RuntimeError, match="closed"):
        await batching.embed(["late"])


async def test_what_is_quick_is_done_at_once_and_what_is_not_in_a_thread() -> None:
    class Quick(Slow):
        quick = 5

    quick = Quick()
    quick.go.release(100)
    batching = Batching(quick)
    assert (await batching.embed(["abc", "de"])).tolist() == [[3, 1], [2, 1]]
    assert quick.threads == {threading.get_ident()}
    await batching.embed(["abcdef"])
    assert len(quick.threads) == 2
    await batching.close()
    with pytest.raises(RuntimeError):
        await batching.embed(["a"])


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        ("The meeting was moved to Friday", 0.0, 0.2),
        ("Das Treffen ist am Freitag", 0.15, 0.5),
        ("แมวอยู่ใต้เตียง", 0.6, 1.0),
    ],
)
async def test_what_is_usual_in_a_language_that_it_hardly_knows_is_much(text: str, least: float, most: float) -> None:
    batching = Batching(WordLlama())
    try:
        assert least < await batching.usual((await batching.embed([text]))[0]) < most
    finally:
        await batching.close()
