"""Embedders of models that other libraries run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from stores.embedder import open_embedder
from stores.errors import CannotOpen, NoEmbedder
from stores.model_embedder import ModelEmbedder, pieces
from tests.support.running import ROOT

WORDS = ["tea", "black", "green", "coffee", "umbrella", "rain", "ticket", "train"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of model2vec with a few words, each with a direction of its own."""
    from model2vec import StaticModel
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    vocabulary = {"[UNK]": 0, "[PAD]": 1} | {word: n for n, word in enumerate(WORDS, 2)}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    vectors = np.vstack([np.zeros((2, len(WORDS))), np.eye(len(WORDS))]).astype(np.float32)
    folder = tmp_path_factory.mktemp("model")
    StaticModel(vectors, tokenizer).save_pretrained(str(folder))
    return folder


def test_a_model_of_model2vec_is_loaded_and_read_to_the_end(model: Path) -> None:
    embedder = open_embedder(f"model2vec:{model}")
    assert (embedder.name, embedder.dimension) == (f"model2vec:{model}", len(WORDS))
    texts = ["black tea", "green tea", "umbrella", "", "tea " * 3000 + "umbrella"]
    vectors = embedder.embed(texts)
    assert np.allclose(np.linalg.norm(vectors, axis=1), [1, 1, 1, 0, 1])
    assert vectors[0] @ vectors[1] == pytest.approx(0.5)
    assert vectors[4] @ vectors[2] > 0
    assert np.allclose(vectors, np.vstack([embedder.embed([text]) for text in texts]), atol=1e-6)


EXTRAS = ["fastembed", "model2vec", "sentence-transformers"]
WITHOUT = """
import os, sys
from cli.main import main
for name in sys.argv[2:]:
    sys.modules[name.replace("-", "_")] = None
    os.environ["RECOLLECT_EMBEDDER"] = f"{name}:small"
    try:
        main(["stats", "--data", sys.argv[1]])
    except SystemExit as ended:
        assert ended.code == 1
"""


def test_an_extra_that_is_not_installed_is_one_line_that_names_the_command(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, str(tmp_path), *EXTRAS],
        cwd=ROOT, env={}, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines() == [
        f"recollect: RECOLLECT_EMBEDDER: {name} is not installed: pip install 'recollect[{name}]'." for name in EXTRAS
    ]


@pytest.mark.parametrize(("setting", "told"), [("model2vec", "needs a model"), ("model2vec:./no/such", "cannot load")])
def test_a_model_that_cannot_be_loaded_is_one_sentence(setting: str, told: str) -> None:
    with pytest.raises(CannotOpen, match=told) as error:
        open_embedder(setting)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "text", ["", "  \n ", "short", "words of a page " * 500, "東京" * 3000, "x" * 5000, "🍵" * 999]
)
@pytest.mark.parametrize("most", [20, 900])
def test_pieces_have_all_of_a_text_and_no_more_bytes_than_they_may(text: str, most: int) -> None:
    made = list(pieces(text, most))
    assert all(0 < len(piece.encode()) <= most for piece in made)
    assert "".join("".join(made).split()) == "".join(text.split())
    if len(made) > 1:
        assert min(map(len, made)) * 3 > max(map(len, made))


@pytest.mark.parametrize("shape", [(1, 3), (2, 2), (18,)])
def test_vectors_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    def odd(texts: list[str]) -> NDArray[np.float32]:
        return np.ones(shape, np.float32)

    with pytest.raises(NoEmbedder, match="odd gave"):
        ModelEmbedder("odd", 3, odd, 100).embed(["a", "b"])


def test_a_model_whose_texts_are_all_alike_needs_more_to_be_kin() -> None:
    def narrow(texts: list[str]) -> NDArray[np.float32]:
        return np.array([[10.0, len(text) % 7, text.count("e")] for text in texts], np.float32)

    embedder = ModelEmbedder("narrow", 3, narrow, 1000)
    assert embedder.kindred is None
    embedder.embed(["a"])
    assert embedder.kindred == 0.95
