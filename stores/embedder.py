"""Embedders: turn texts into vectors.

The default embedder needs no download: the wordllama package carries its weights and its tokenizer. Only these two
files of it are used, by the same arithmetic as its own (a text's vector is the mean of its tokens' vectors). Importing
the package itself would set up the host's root logger, import an HTTP client, and take 0.2 s and 45 MB more.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from domain.ranking import KINDRED
from stores.errors import CannotOpen
from stores.plugins import Plugins
from stores.ports import Embedder, Remote, Vector
from stores.sentences import SENTENCES

if TYPE_CHECKING:
    from tokenizers import Tokenizer

CHARACTERS = 16_384  # of a text that count for its vector, so that none takes more than 25 ms
TOKENS = 8_192  # of these; ordinary text has one in four characters, emoji have four in one
TOGETHER = 256  # texts a batch
_SOME = 2  # words or tokens that are few
QUICK = 1_000  # characters that take some 0.3 ms, where to have them done in a thread takes 0.1


_EMBEDDERS = Plugins(
    "recollect.embedders", "embedder", lambda told: CannotOpen(f"RECOLLECT_EMBEDDER: {told}."), CannotOpen
)


def open_embedder(setting: str = "wordllama", remote: Remote | None = None) -> Embedder:
    """The embedder of a setting, NAME or NAME:MODEL. Ours loads on first use, in the thread that uses it.

    remote: for one that a server has.

    CannotOpen: there is no such embedder, or what it needs is not installed.
    """
    name, _, model = setting.partition(":")
    make = _EMBEDDERS.load(name)
    return _EMBEDDERS.ask(name, "cannot be opened", lambda: _made(make, model, remote or Remote()))


def _made(make: Callable[..., Embedder], model: str, remote: Remote) -> Embedder:
    return make(model, remote=remote) if "remote" in signature(make).parameters else make(model)


class WordLlama:
    """Wordllama's static token vectors: 32,000 x 256, kept as the float16 they come in: 16 MB, 47 with the code.

    Loads in 0.1 s. 50 us for one text of 30 tokens, 25 us each in batches. Only the first CHARACTERS of a text count.
    """

    name = "wordllama:l2_supercat_256"
    dimension = 256
    kindred = 0.25
    """Texts about different things have cosines up to 0.22; "automobile" and "I bought a new car" have 0.38."""

    def __init__(self, model: str = "") -> None:
        if model not in ("", self.name.partition(":")[2]):
            raise CannotOpen(f"RECOLLECT_EMBEDDER: wordllama has no model {model!r} here, only {self.name!r}.")
        spec = find_spec("wordllama")  # finds the package without running it
        if spec is None or spec.origin is None:
            raise CannotOpen("The default embedder needs the package wordllama, which is not installed.")
        self._folder = Path(spec.origin).parent
        self._lock = threading.Lock()
        self._loaded: tuple[Tokenizer, NDArray[np.float16]] | None = None

    @property
    def quick(self) -> int:
        return 0 if self._loaded is None else QUICK

    def embed(self, texts: Sequence[str]) -> Vector:
        """Vectors (n, 256) of length 1, or zeros. CannotOpen: wordllama's files are not where they were."""
        tokenizer, weights = self._load()
        vectors = np.zeros((len(texts), self.dimension), np.float32)
        for start in range(0, len(texts), TOGETHER):
            tokens = _tokens(tokenizer, [text[:CHARACTERS] for text in texts[start : start + TOGETHER]])
            _sum(tokens, weights, vectors[start : start + TOGETHER])
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        vectors /= np.where(lengths > 0, lengths, 1)
        return vectors

    def knows(self, text: str) -> bool:
        """Whether it knows a word of a text, or there are more than two."""
        words = text.split()
        tokenizer, _ = self._load()
        return len(words) > _SOME or any(_is_word(word, _tokens_of(tokenizer, word)) for word in words)

    def _load(self) -> tuple[Tokenizer, NDArray[np.float16]]:
        with self._lock:
            if self._loaded is None:
                from safetensors import safe_open
                from tokenizers import Tokenizer

                weights = self._folder / "weights" / "l2_supercat_256.safetensors"
                tokenizer = self._folder / "tokenizers" / "l2_supercat_tokenizer_config.json"
                for file in (weights, tokenizer):
                    if not file.is_file():
                        raise CannotOpen(
                            f"The default embedder cannot find its file {file}, which wordllama 0.4 provides."
                        )
                with safe_open(str(weights), framework="np") as tensors:
                    vectors: NDArray[np.float16] = tensors.get_tensor("embedding.weight")
                self._loaded = (_by_words(Tokenizer.from_file(str(tokenizer))), vectors)
            return self._loaded


def _by_words(tokenizer: Tokenizer) -> Tokenizer:
    """The same tokens, found word by word: no token of this vocabulary goes on past a space (written as U+2581).

    As it comes the tokenizer takes a whole text for a word, and remembers the tokens of 10,000 of them: 57 MB, where
    words take 4.
    """
    from tokenizers import Regex
    from tokenizers.pre_tokenizers import Split

    tokenizer.pre_tokenizer = Split(Regex("\u2581+[^\u2581]*"), "isolated")
    return tokenizer


def _tokens_of(tokenizer: Tokenizer, word: str) -> list[str]:
    """The tokens of a word that have letters; bytes, as `<0x81>`, are what it has no token for."""
    found = tokenizer.encode(word.encode("utf-8", "replace").decode("utf-8"), add_special_tokens=False).tokens
    return [token for token in found if not token.startswith("<0x") and any(map(str.isalpha, token))]


def _is_word(word: str, tokens: Sequence[str]) -> bool:
    """Whether a word is more than tokens of two letters, in scripts that write words of letters in two cases."""
    letters = sum(map(str.isalpha, word))
    count = len(tokens)
    return count > 0 and (word.lower() == word.upper() or count <= _SOME or letters >= 2 * count + (count > 3))


def _tokens(tokenizer: Tokenizer, texts: list[str]) -> list[list[int]]:
    try:
        encoded = tokenizer.encode_batch_fast(texts, add_special_tokens=False)
    except TypeError:  # half of a surrogate pair, which is no character
        whole = [text.encode("utf-8", "replace").decode("utf-8") for text in texts]
        encoded = tokenizer.encode_batch_fast(whole, add_special_tokens=False)
    return [one.ids[:TOKENS] for one in encoded]


def _sum(tokens: list[list[int]], weights: NDArray[np.float16], out: Vector) -> None:
    """Write the sum of each text's token vectors; their mean has the same direction.

    Every token of a batch is made float32 once: 6 us a text of 30 tokens, where adding up float16 takes 15.
    """
    if len(tokens) == 1:
        weights.take(np.array(tokens[0], np.int64), axis=0).astype(np.float32).sum(axis=0, out=out[0])
        return
    flat = np.fromiter((token for text in tokens for token in text), np.int64)
    unique, at = np.unique(flat, return_inverse=True)
    rows = weights.take(unique, axis=0).astype(np.float32)
    start = 0
    for text, target in zip(tokens, out, strict=True):
        rows.take(at[start : start + len(text)], axis=0).sum(axis=0, out=target)
        start += len(text)


class Batching:
    """An embedder for callers on an event loop: one thread of its own, one call for all who wait.

    While a batch runs the next one gathers, so nobody is held up for others to come. A call with more than TOGETHER
    texts goes in parts, and those who come later go in between. What the embedder says is quick is done at once.
    """

    def __init__(self, embedder: Embedder) -> None:
        self.name = embedder.name
        self.dimension = embedder.dimension
        self._embedder = embedder
        self._thread = ThreadPoolExecutor(1, "embedder")
        self._waiting: list[tuple[list[str], asyncio.Future[Vector]]] = []
        self._running: asyncio.Task[None] | None = None
        self._closed = False
        self._languages: Vector | None = None

    @property
    def kindred(self) -> float:
        """The cosine from which on two texts are about the same."""
        return getattr(self._embedder, "kindred", None) or KINDRED

    @property
    def is_at_hand(self) -> bool:
        """Whether many texts may be embedded for one search: in this process, by lookup."""
        return getattr(self._embedder, "quick", None) is not None

    def knows(self, text: str) -> bool:
        """Whether it knows a word of a text that it has made a vector of."""
        knows = getattr(self._embedder, "knows", None)
        return knows is None or bool(knows(text))

    async def usual(self, vector: Vector) -> float:
        """The cosine that a vector has with any text of its language: the highest mean of those with a language's
        sentences. The first call embeds these."""
        if self._languages is None:
            vectors = await self.embed([text for texts in SENTENCES.values() for text in texts])
            ends = np.cumsum([len(texts) for texts in SENTENCES.values()])
            self._languages = np.stack([some.mean(axis=0) for some in np.split(vectors, ends[:-1])])
        return float(np.max(self._languages @ vector))

    async def embed(self, texts: Sequence[str]) -> Vector:
        """Vectors (n, dimension) of the texts.

        Raises what the embedder raised on the batch, or RuntimeError once closed.
        """
        if not self._closed and sum(map(len, texts)) <= getattr(self._embedder, "quick", 0):
            return self._embedder.embed(texts)
        parts = [await self._part(list(texts[start : start + TOGETHER])) for start in range(0, len(texts), TOGETHER)]
        if len(parts) == 1:
            return parts[0]
        return np.concatenate(parts) if parts else np.empty((0, self.dimension), np.float32)

    def at_once(self, texts: list[str]) -> Vector:
        """Vectors of the texts, for a thread that may wait."""
        return self._embedder.embed(texts)

    async def close(self) -> None:
        """Finish what was asked for, refuse what comes, end the thread. May be called twice."""
        self._closed = True
        if self._running is not None:
            await asyncio.wait([self._running])
        self._thread.shutdown()
        if (close := getattr(self._embedder, "close", None)) is not None:
            close()

    async def _part(self, texts: list[str]) -> Vector:
        if self._closed:
            raise RuntimeError("The embedder is closed.")
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Vector] = loop.create_future()
        self._waiting.append((texts, answer))
        if self._running is None:
            self._running = loop.create_task(self._run())
        return await answer

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._waiting:
                batch = self._batch()
                texts = [text for part, _ in batch for text in part]
                try:
                    vectors = await loop.run_in_executor(self._thread, self._embedder.embed, texts)
                except Exception as error:
                    _settle(batch, error)
                else:
                    _settle(batch, vectors)
        finally:
            self._running = None

    def _batch(self) -> list[tuple[list[str], asyncio.Future[Vector]]]:
        """Take the next callers, in order, of whom together ask for no more than TOGETHER texts."""
        count = taken = 0
        for texts, _ in self._waiting:
            if taken and count + len(texts) > TOGETHER:
                break
            count, taken = count + len(texts), taken + 1
        batch, self._waiting = self._waiting[:taken], self._waiting[taken:]
        return batch


def _settle(batch: list[tuple[list[str], asyncio.Future[Vector]]], result: Vector | Exception) -> None:
    start = 0
    for texts, answer in batch:
        if answer.done():  # the caller has gone
            pass
        elif isinstance(result, Exception):
            answer.set_exception(result)
        else:
            answer.set_result(result[start : start + len(texts)])
        start += len(texts)
