"""Embedders behind a server that speaks OpenAI's embeddings API, over real HTTP."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator

import numpy as np
import pytest

from stores import openai_embedder as module
from stores.embedder import open_embedder
from stores.errors import CannotOpen, NoEmbedder
from stores.openai_embedder import OpenAIEmbedder
from stores.ports import Remote
from tests.support.embeddings_server import EmbeddingsServer, embeddings_server


@pytest.fixture(scope="module")
def shared() -> Iterator[EmbeddingsServer]:
    with embeddings_server() as server:
        yield server


@pytest.fixture
def server(shared: EmbeddingsServer, monkeypatch: pytest.MonkeyPatch) -> EmbeddingsServer:
    shared.asked.clear()
    shared.failures.clear()
    shared.down = None
    monkeypatch.setattr(module, "_FIRST_WAIT", 0.001)
    return shared


@pytest.fixture
def embedder(server: EmbeddingsServer) -> Iterator[OpenAIEmbedder]:
    made = OpenAIEmbedder("words", Remote(server.url, server.key))
    made.embed(["warm"])
    server.asked.clear()
    yield made
    made.close()


def test_the_setting_names_the_model_and_the_server_tells_the_dimension(server: EmbeddingsServer) -> None:
    made = open_embedder("openai:words", Remote(server.url, server.key))
    assert (made.name, made.dimension) == ("openai:words", 64)
    assert server.asked == [{"model": "words", "input": ["dimension"], "encoding_format": "float"}]
    made.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize(("model", "dimension", "known"), [("text-embedding-3-small", None, 1536), ("words", 32, 32)])
def test_a_known_or_set_dimension_is_not_asked_for(
    server: EmbeddingsServer, model: str, dimension: int | None, known: int
) -> None:
    made = OpenAIEmbedder(model, Remote(server.url, server.key, dimension))
    assert made.dimension == known
    assert not server.asked
    if dimension is not None:
        assert made.embed(["black tea"]).shape == (1, 32)
        assert server.asked[0]["dimensions"] == 32
    made.close()


def test_each_text_gets_its_own_vector_of_length_1_and_blank_ones_zeros(embedder: OpenAIEmbedder) -> None:
    texts = ["black tea", "", "green tea", "  \n", "a \ud800 half"]
    vectors = embedder.embed(texts)
    assert np.allclose(np.linalg.norm(vectors, axis=1), [1, 0, 1, 0, 1])
    alone = np.vstack([embedder.embed([text]) for text in texts])
    assert np.allclose(vectors, alone)
    assert vectors[0] @ vectors[2] > vectors[0] @ vectors[4]


def test_many_texts_go_in_several_requests_and_a_long_one_in_pieces(
    embedder: OpenAIEmbedder, server: EmbeddingsServer
) -> None:
    vectors = embedder.embed([f"text {n}" for n in range(600)])
    assert [len(asked["input"]) for asked in server.asked] == [256, 256, 88]
    assert np.allclose(vectors[599], embedder.embed(["text 599"])[0])
    server.asked.clear()
    page = embedder.embed(["lorem ipsum " * 1300 + "where is the umbrella"])[0]
    sent = [piece for asked in server.asked for piece in asked["input"]]
    assert len(sent) == 2
    assert max(len(piece.encode()) for piece in sent) <= 8_000
    assert page @ embedder.embed(["umbrella"])[0] > 0  # its last words count too
    embedder.embed(["東京" * 8_000] * 9)
    assert max(len(piece.encode()) for asked in server.asked for piece in asked["input"]) <= 8_000
    assert max(sum(len(piece.encode()) for piece in asked["input"]) for asked in server.asked) <= 250_000


@pytest.mark.parametrize("statuses", [(429,), (500, 503), (408, 429, 502)])
def test_what_is_busy_or_down_for_a_moment_is_asked_again(
    embedder: OpenAIEmbedder, server: EmbeddingsServer, statuses: tuple[int, ...]
) -> None:
    server.fail(*statuses, retry_after="0")
    assert np.linalg.norm(embedder.embed(["tea"])) == pytest.approx(1)
    assert len(server.asked) == len(statuses) + 1


@pytest.mark.parametrize("status", [400, 401, 404, 422])
def test_a_refusal_is_not_asked_again(embedder: OpenAIEmbedder, server: EmbeddingsServer, status: int) -> None:
    server.fail(status)
    with pytest.raises(NoEmbedder, match=f"answers {status}"):
        embedder.embed(["tea"])
    assert len(server.asked) == 1


def test_a_server_that_asks_for_more_patience_than_there_is_is_told_on(
    embedder: OpenAIEmbedder, server: EmbeddingsServer
) -> None:
    server.fail(429, retry_after="3600")
    with pytest.raises(NoEmbedder) as told:
        embedder.embed(["tea"])
    assert told.value.retry_after_ms == 3_600_000
    assert len(server.asked) == 1


def test_an_outage_ends_in_an_error_is_failed_fast_and_ends(
    embedder: OpenAIEmbedder, server: EmbeddingsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stores.breaker._REST_SECONDS", 0.05)
    server.down = (503, {}, b"<html>down</html>")
    for _ in range(3):
        with pytest.raises(NoEmbedder, match="answers 503"):
            embedder.embed(["tea"])
    tried = len(server.asked)
    with pytest.raises(NoEmbedder):
        embedder.embed(["tea"])
    assert len(server.asked) == tried == 12
    server.down = None
    monkeypatch.setattr(embedder._breaker, "_until", 0.0)
    assert embedder.embed(["tea"]).any()


@pytest.mark.parametrize(
    "body",
    [
        b"not JSON",
        b"[]",
        b'{"data": []}',
        b'{"data": [{"index": 0, "embedding": [1, 2]}, {"index": 0, "embedding": [1, 2]}]}',
        b'{"data": [{"index": 1, "embedding": [1, 2]}]}',
        b'{"data": [{"index": 0, "embedding": null}]}',
        b'{"data": [{"index": 0, "embedding": [1, 2]}]}',
        b'{"data": [{"index": 0, "embedding": [NaN]}]}',
        json.dumps({"data": [{"index": 0, "embedding": [1e308 * 10] * 64}]}).encode(),
        json.dumps({"data": [{"index": 0, "embedding": [1e300] * 64}]}).encode(),
    ],
)
def test_an_answer_that_is_no_vector_for_each_text_is_an_error(
    embedder: OpenAIEmbedder, server: EmbeddingsServer, body: bytes
) -> None:
    server.failures.append((200, {}, body))
    with pytest.raises(NoEmbedder):
        embedder.embed(["tea"])


def test_nothing_that_is_raised_or_logged_shows_the_key(
    server: EmbeddingsServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    remote = Remote(server.url, "sk-wrong-key-abcdef")
    with pytest.raises(CannotOpen, match="does not take the key of RECOLLECT_EMBEDDER_KEY") as told:
        OpenAIEmbedder("words", remote)
    server.fail(400)
    server.failures[0] = (400, {}, b'{"error": "sk-wrong-key-abcdef is odd"}')
    with pytest.raises(CannotOpen, match="is odd") as odd:
        OpenAIEmbedder("words", remote)
    shown = "\n".join([str(told.value), str(odd.value), repr(remote), caplog.text])
    assert "sk-wrong" not in shown
    assert "abcdef" not in shown


@pytest.mark.parametrize(
    ("setting", "remote", "told"),
    [
        ("openai", Remote(), "needs a model"),
        ("openai:words", Remote("ftp://127.0.0.1"), "must be a URL"),
        ("openai:words", Remote("http://"), "must be a URL"),
        ("openai:words", Remote("http://127.0.0.1/v1", "schlüssel"), "plain characters"),
    ],
)
def test_a_setting_that_cannot_be_is_one_sentence(setting: str, remote: Remote, told: str) -> None:
    with pytest.raises(CannotOpen, match=told) as error:
        open_embedder(setting, remote)
    assert str(error.value).endswith(".")
    assert "schl" not in str(error.value)


def test_a_server_that_is_not_there_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FIRST_WAIT", 0.001)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
        with pytest.raises(CannotOpen, match=r"does not answer \(ConnectError\).*RECOLLECT_EMBEDDER_DIMENSION"):
            OpenAIEmbedder("words", Remote(url))


def test_texts_are_kin_a_little_above_where_strangers_are(embedder: OpenAIEmbedder) -> None:
    assert embedder.kindred is not None
    strangers = embedder.embed(list(module_strangers()))
    cosines = (strangers @ strangers.T)[np.triu_indices(len(strangers), 1)]
    assert cosines.max() < embedder.kindred < cosines.max() + 0.05


def module_strangers() -> tuple[str, ...]:
    from stores.model_embedder import _STRANGERS

    return _STRANGERS
