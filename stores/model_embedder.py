"""Embedders around models of others: texts of any length, vectors of length 1, and the cosine of those that are kin."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stores.errors import CannotOpen, NoEmbedder
from stores.ports import Vector

Numbers = NDArray[np.floating[Any]]

CHARACTERS = 16_384
"""Of a text that count for its vector."""

_STRANGERS = (
    "The cat slept on the warm windowsill all afternoon.",
    "Set the connection pool to twenty in production.json.",
    "Her flight to Lisbon leaves on Tuesday at nine.",
    "The invoice for March has not been paid yet.",
    "Photosynthesis turns light into sugar.",
    "He plays the cello in an amateur orchestra.",
    "TypeError: unsupported operand for int and str",
    "We planted tomatoes and basil behind the shed.",
    "The court ruled in favour of the tenants.",
    "She is allergic to penicillin.",
    "Our team lost the final by two goals.",
    "Mix the flour with water and let it rest.",
    "The mayor opened a new bridge.",
    "A black hole bends the light of stars behind it.",
    "I forgot the password of my bank account.",
    "Grandfather was born in a village in the mountains.",
)
"""Sentences about different things."""

_APART = 0.03
_GREATEST = 1e30


class ModelEmbedder:
    """See stores.ports.Embedder. What a model can read at once is bounded: of a longer text each piece is embedded, and
    the text's vector is the mean of theirs by their lengths.

    vectors: gives texts that are not blank vectors (n, dimension) of any length, in one thread at a time. piece: how
    many bytes of UTF-8 it reads to the end.
    """

    def __init__(self, name: str, dimension: int, vectors: Callable[[list[str]], Numbers], piece: int) -> None:
        self.name, self.dimension = name, dimension
        self._vectors, self._piece = vectors, piece
        self._lock = threading.Lock()
        self._kindred: float | None = None

    @property
    def kindred(self) -> float | None:
        """A little above the greatest cosine that texts about different things have, which for some models is 0.2 and
        for others 0.7. Measured with the first texts; None before."""
        return self._kindred

    def embed(self, texts: Sequence[str]) -> Vector:
        """See stores.ports.Embedder. Raises NoEmbedder."""
        with self._lock:
            if self._kindred is None:
                all_of_them = self._embed([*texts, *_STRANGERS])
                self._kindred = _kindred(all_of_them[len(texts) :])
                return all_of_them[: len(texts)]
            return self._embed(texts)

    def _embed(self, texts: Sequence[str]) -> Vector:
        parts = [(at, part) for at, text in enumerate(texts) for part in pieces(text[:CHARACTERS], self._piece)]
        sums = np.zeros((len(texts), self.dimension), np.float64)
        if parts:
            made = np.asarray(self._vectors([part for _, part in parts]), np.float64)
            if made.shape != (len(parts), self.dimension):
                raise NoEmbedder(
                    f"{self.name} gave {' x '.join(map(str, made.shape))} numbers, not {len(parts)} x {self.dimension}"
                )
            if not (np.abs(made) < _GREATEST).all():
                raise NoEmbedder(f"{self.name} gave a vector with numbers that are not finite, or huge")
            weights = np.array([len(part) for _, part in parts], np.float64)[:, None]
            np.add.at(sums, [at for at, _ in parts], _unit(made) * weights)
        return _unit(sums).astype(np.float32)


def pieces(text: str, most: int) -> Iterator[str]:
    """A text without what is blank around it, cut into pieces of so many bytes at the most and about the same length,
    between words where there are any."""
    text = text.encode("utf-8", "replace").decode("utf-8").strip()
    while text:
        size = len(text.encode())
        if size <= most:
            yield text
            return
        wanted = len(text) // math.ceil(size / most)
        while len(text[:wanted].encode()) > most:
            wanted = wanted * 9 // 10
        end = max(text.rfind(mark, wanted // 2, wanted) for mark in (" ", "\n")) + 1 or max(wanted, 1)
        yield text[:end].strip()
        text = text[end:].strip()


def _unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: NDArray[np.float64] = vectors / np.where(lengths > 0, lengths, 1)
    return scaled


def _kindred(strangers: Vector) -> float:
    cosines = (strangers @ strangers.T)[np.triu_indices(len(strangers), 1)]
    return min(max(float(cosines.max()) + _APART, 0.05), 0.95)


def fastembed(model: str) -> ModelEmbedder:
    """A model that the library fastembed runs with ONNX; it is fetched at the first use."""
    try:
        from fastembed import TextEmbedding
    except ImportError:
        raise _missing("fastembed") from None
    made = _opened("fastembed", model, lambda: TextEmbedding(model))
    return _tried(f"fastembed:{model}", lambda texts: np.stack(list(made.embed(texts))), piece=900)


def model2vec(model: str) -> ModelEmbedder:
    """Static token vectors in the format of the library model2vec, of a folder or a hub."""
    try:
        from model2vec import StaticModel
    except ImportError:
        raise _missing("model2vec") from None
    made = _opened("model2vec", model, lambda: StaticModel.from_pretrained(model))
    return _tried(f"model2vec:{model}", lambda texts: made.encode(texts, max_length=None), piece=1 << 20)


def sentence_transformers(model: str) -> ModelEmbedder:
    """A model of the library sentence-transformers, of a folder or a hub."""
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError:
        raise _missing("sentence-transformers") from None
    made = _opened("sentence-transformers", model, lambda: SentenceTransformer(model))
    return _tried(
        f"sentence-transformers:{model}", lambda texts: made.encode(texts, show_progress_bar=False), piece=900
    )


def _missing(extra: str) -> CannotOpen:
    return CannotOpen(f"RECOLLECT_EMBEDDER: {extra} is not installed: pip install 'recollect[{extra}]'.")


def _opened(name: str, model: str, load: Callable[[], Any]) -> Any:
    if not model:
        raise CannotOpen(f"RECOLLECT_EMBEDDER: {name} needs a model, such as {name}:MODEL.")
    try:
        return load()
    except Exception as error:
        told = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise CannotOpen(f"RECOLLECT_EMBEDDER: {name} cannot load the model {model!r}: {told.rstrip('.')}.") from None


def _tried(name: str, vectors: Callable[[list[str]], Numbers], piece: int) -> ModelEmbedder:
    """The embedder of a model that says by a text how many dimensions it has."""
    return ModelEmbedder(name, int(np.shape(vectors(["dimension"]))[1]), vectors, piece)
