"""Embedders behind a server that speaks OpenAI's embeddings API, theirs or another
(https://platform.openai.com/docs/api-reference/embeddings/create)."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Mapping

import httpx
import msgspec
import numpy as np

from stores.breaker import Breaker
from stores.errors import CannotOpen, NoEmbedder, Unavailable
from stores.model_embedder import ModelEmbedder, Numbers
from stores.ports import Remote

_DIMENSIONS = {"text-embedding-3-small": 1536, "text-embedding-3-large": 3072, "text-embedding-ada-002": 1536}

_PIECE = 8_000
"""Bytes of a text in one input. A token has a byte at least, and 8,191 tokens are taken."""

_INPUTS, _BYTES = 256, 250_000
"""Of a request. 300,000 tokens are taken."""

_TIMEOUT = httpx.Timeout(20.0, connect=3.0)
_PATIENCE = 10.0
"""How many seconds after the first try of a request another one may begin."""

_TRIES = 4
_FIRST_WAIT, _LONGEST_WAIT = 0.25, 4.0
_AGAIN = {408, 409, 425, 429}
_SAID = 200
"""Characters of a server's own words that are told."""


class _One(msgspec.Struct):
    index: int
    embedding: list[float]


class _Answer(msgspec.Struct):
    data: list[_One]


class _Told(msgspec.Struct):
    message: str = ""


class _Refusal(msgspec.Struct):
    error: _Told | str = ""


class OpenAIEmbedder(ModelEmbedder):
    """A model of a server. Where its dimension is neither known nor set it is asked for at the start.

    Each call raises NoEmbedder where the server is down, or refuses. Nothing that is raised or logged shows the key.
    """

    def __init__(self, model: str, remote: Remote) -> None:
        if not model:
            raise CannotOpen("RECOLLECT_EMBEDDER: openai needs a model, such as openai:text-embedding-3-small.")
        self._model, self._remote = model, remote
        headers = {"authorization": f"Bearer {remote.key}"} if remote.key else {}
        try:
            self._url = httpx.URL(f"{remote.url.rstrip('/')}/embeddings")
            if self._url.scheme not in ("http", "https") or not self._url.host:
                raise ValueError
            self._client = httpx.Client(timeout=_TIMEOUT, headers=headers)
        except (ValueError, httpx.InvalidURL):
            raise CannotOpen(
                "RECOLLECT_EMBEDDER_URL must be a URL such as https://api.openai.com/v1, and "
                "RECOLLECT_EMBEDDER_KEY a key of plain characters."
            ) from None
        self._breaker = Breaker("embedder", NoEmbedder)
        dimension = remote.dimension or _DIMENSIONS.get(model) or self._asked_for()
        super().__init__(f"openai:{model}", dimension, self._vectors_of, _PIECE)

    def close(self) -> None:
        self._client.close()

    def _asked_for(self) -> int:
        try:
            return int(self._request(["dimension"]).shape[1])
        except Unavailable as error:
            self.close()
            raise CannotOpen(
                f"RECOLLECT_EMBEDDER: {error}. With RECOLLECT_EMBEDDER_DIMENSION it would not be asked at the start."
            ) from None

    def _vectors_of(self, texts: list[str]) -> Numbers:
        return np.concatenate([self._request(batch) for batch in _batches(texts)])

    def _request(self, texts: list[str]) -> Numbers:
        """The vectors of a request's texts; asked again while the server is down or busy."""
        self._breaker.enter()
        try:
            found = self._patiently({"model": self._model, "input": texts, "encoding_format": "float", **self._size()})
        except NoEmbedder as error:
            self._breaker.failed(str(error))
            raise
        except BaseException:
            self._breaker.left()
            raise
        self._breaker.succeeded()
        return found

    def _size(self) -> dict[str, int]:
        return {} if self._remote.dimension is None else {"dimensions": self._remote.dimension}

    def _patiently(self, body: Mapping[str, object]) -> Numbers:
        begun, wait = time.monotonic(), _FIRST_WAIT
        for tries in range(1, _TRIES + 1):
            after = wait * random.uniform(0.8, 1.2)
            try:
                answer = self._client.post(self._url, content=msgspec.json.encode(body), headers=_JSON)
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                failure = self._failure(f"does not answer ({type(error).__name__})")
            else:
                if answer.status_code == 200:
                    return self._read(answer, body)
                failure = self._refused(answer)
                if answer.status_code not in _AGAIN and answer.status_code < 500:
                    raise failure
                after = max(after, _asked_to_wait(answer))
            if tries == _TRIES or time.monotonic() - begun + after > _PATIENCE:
                failure.retry_after_ms = max(failure.retry_after_ms, int(after * 1000))
                raise failure
            time.sleep(after)
            wait = min(2 * wait, _LONGEST_WAIT)
        raise AssertionError

    def _read(self, answer: httpx.Response, body: Mapping[str, object]) -> Numbers:
        """The vectors of an answer, in the order of the texts, which a server need not keep to."""
        asked = body["input"]
        assert isinstance(asked, list)
        try:
            data = msgspec.json.decode(answer.content, type=_Answer).data
            if sorted(one.index for one in data) != list(range(len(asked))):
                raise ValueError
            return np.array([one.embedding for one in sorted(data, key=lambda one: one.index)], np.float64)
        except (ValueError, OverflowError):  # msgspec's errors are ValueErrors
            raise self._failure("gave an answer that is not a vector for each text") from None

    def _refused(self, answer: httpx.Response) -> NoEmbedder:
        try:
            told = msgspec.json.decode(answer.content, type=_Refusal).error
        except msgspec.MsgspecError:
            told = ""
        said = " ".join((told if isinstance(told, str) else told.message).split())[:_SAID]
        if self._remote.key:
            said = said.replace(self._remote.key, "...")
        if answer.status_code in (401, 403):  # some servers show the key in their own words, masked or not
            said = "it does not take the key of RECOLLECT_EMBEDDER_KEY"
        return self._failure(f"answers {answer.status_code}{': ' if said else ''}{said.rstrip('.')}")

    def _failure(self, what: str) -> NoEmbedder:
        port = "" if self._url.port is None else f":{self._url.port}"
        return NoEmbedder(f"the embedder's server {self._url.host}{port} {what}")


_JSON = {"content-type": "application/json"}


def _asked_to_wait(answer: httpx.Response) -> float:
    """Seconds (RFC 9110, 10.2.3); a date is not read."""
    try:
        return max(0.0, float(answer.headers.get("retry-after", 0)))
    except ValueError:
        return 0.0


def _batches(texts: list[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    size = 0
    for text in texts:
        more = len(text.encode())
        if batch and (len(batch) == _INPUTS or size + more > _BYTES):
            yield batch
            batch, size = [], 0
        batch.append(text)
        size += more
    if batch:
        yield batch
