"""The work that all peers are given, and the meter of their processor time.

A script is called with a count and a folder, and prints a line of JSON for each row: its name, how many operations that
were, the seconds, and the processor's seconds.
"""

from __future__ import annotations

import contextlib
import http.client
import importlib.util
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

_WORDS = (  # noqa: SIM905 - a list of them would be a page
    "order parcel delay refund invoice customer flight hotel budget meeting deadline report server cluster "
    "index query cache token model prompt answer tool search result error retry plan task note garden recipe "
    "coffee tea bicycle train window river mountain winter summer doctor school teacher music guitar piano "
    "museum ticket market bread prefers avoids likes dislikes remembers forgets books cancels repairs paints "
    "reads writes learns teaches buys "
).split()
_TICK = os.sysconf("SC_CLK_TCK")
_SPANS_A_TRACE = 10
_UP_WITHIN_S = 180


def given() -> tuple[int, Path]:
    """The count and the folder of the command line."""
    return int(sys.argv[1]), Path(sys.argv[2])


def sentences(count: int, seed: int = 1, length: int = 14) -> list[str]:
    """Sentences, no two alike, the same for the same seed."""
    chance = random.Random(seed)
    return [f"{' '.join(chance.choices(_WORDS, k=length)).capitalize()} {number}." for number in range(count)]


def questions(count: int) -> list[str]:
    chance = random.Random(2)
    return [" ".join(chance.choices(_WORDS, k=5)) for _ in range(count)]


REFERENCES = 50
"""How many memories the messages of the nested page draw on."""


def referred(place: int) -> list[int]:
    """The memories that the message at a place draws on: none to three."""
    return [(place * 7 + number) % REFERENCES for number in range(place % 4)]


class Embedder:
    """The vectors of Recollect's default embedder: 256 dimensions, of length 1, from wordllama's own files."""

    dimension = 256

    def __init__(self) -> None:
        import numpy as np
        from safetensors import safe_open
        from tokenizers import Tokenizer

        found = importlib.util.find_spec("wordllama")
        assert found is not None
        assert found.origin is not None
        folder = Path(found.origin).parent
        with safe_open(str(folder / "weights" / "l2_supercat_256.safetensors"), framework="np") as tensors:
            self._weights = tensors.get_tensor("embedding.weight").astype(np.float32)
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizers" / "l2_supercat_tokenizer_config.json"))

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        vectors = []
        for encoded in self._tokenizer.encode_batch(list(texts), add_special_tokens=False):
            vector = self._weights.take(encoded.ids, axis=0).sum(axis=0)
            length = float((vector * vector).sum()) ** 0.5
            vectors.append((vector / length if length else vector).tolist())
        return vectors


def span_requests(count: int, together: int = 100) -> list[bytes]:
    """OTLP requests in protobuf: traces of an agent, its model calls, tools and retrievers, as OpenInference."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

    def attribute(key: str, value: str | int) -> Any:
        told = AnyValue(string_value=value) if isinstance(value, str) else AnyValue(int_value=value)
        return KeyValue(key=key, value=told)

    chance, texts = random.Random(together), sentences(count, 3, 40)
    begun = time.time_ns() - 3_600_000_000_000
    spans = []
    trace, root = b"", b""
    for number in range(count):
        place = number % _SPANS_A_TRACE
        if place == 0:
            trace, root = chance.randbytes(16), b""
        kind = ("AGENT", "TOOL", "RETRIEVER", "LLM")[0 if place == 0 else 1 + place % 3]
        attributes = [
            attribute("openinference.span.kind", kind),
            attribute("session.id", f"session-{together}-{number // 100}"),
            attribute("input.value", texts[number]),
            attribute("output.value", texts[-number - 1]),
        ]
        if kind == "LLM":
            attributes += [
                attribute("llm.model_name", "small-1"),
                attribute("llm.token_count.prompt", 200 + number % 50),
                attribute("llm.token_count.completion", 40),
                attribute("llm.token_count.total", 240 + number % 50),
            ]
        id, start = chance.randbytes(8), begun + number * 1_000_000
        spans.append(
            Span(
                trace_id=trace, span_id=id, parent_span_id=root, name=f"{kind.lower()} {place}",
                start_time_unix_nano=start, end_time_unix_nano=start + 900_000 * (_SPANS_A_TRACE - place),
                attributes=attributes,
            )
        )  # fmt: skip
        root = root or id
    requests = []
    for begin in range(0, count, together):
        request = ExportTraceServiceRequest()
        resource = request.resource_spans.add()
        resource.resource.attributes.append(attribute("service.name", "peers"))
        resource.scope_spans.add().spans.extend(spans[begin : begin + together])
        requests.append(request.SerializeToString())
    return requests


class Meter:
    """Prints a row when it is left. servers: process ids, whose children count too.

    processor is of this process and the servers, server of the servers alone.
    """

    def __init__(self, row: str, count: int, servers: Sequence[int] = ()) -> None:
        self._row, self._count, self._servers = row, count, servers

    def __enter__(self) -> Meter:
        self._server, self._own = self._spent(), time.process_time()
        self._begun = time.perf_counter()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        seconds, own = time.perf_counter() - self._begun, time.process_time() - self._own
        server = self._spent() - self._server
        if kind is None:
            told = {
                "row": self._row,
                "count": self._count,
                "seconds": seconds,
                "processor": own + server,
                "server": server,
            }
            print(json.dumps(told), flush=True)

    def _spent(self) -> float:
        return sum(map(_processor, self._servers))


def _processor(pid: int) -> float:
    """The processor's seconds of a process and of all below it, those that have ended among them."""
    parents: dict[int, int] = {}
    spent: dict[int, float] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                parents[int(entry.name)] = int(fields[1])
                spent[int(entry.name)] = sum(map(int, fields[11:15])) / _TICK
    total, wave = 0.0, {pid}
    while wave:
        total += sum(spent.get(one, 0.0) for one in wave)
        wave = {child for child, parent in parents.items() if parent in wave}
    return total


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


@contextlib.contextmanager
def server(command: Sequence[str | Path], ready: str, folder: Path, **environment: str) -> Iterator[int]:
    """A server, by its process id, once the URL answers; it is ended with all that it started."""
    log = folder / "server.log"
    ours = {name: value for name, value in os.environ.items() if not name.startswith("RECOLLECT_")}
    with log.open("ab") as out:
        process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True,
            env={**ours, **environment},
        )  # fmt: skip
    try:
        end = time.monotonic() + _UP_WITHIN_S
        while True:
            with contextlib.suppress(OSError), urllib.request.urlopen(ready, timeout=2) as answer:
                if answer.status == 200:
                    break
            if process.poll() is not None or time.monotonic() > end:
                sys.exit(f"{command[0]} does not answer: {log.read_text(errors='replace')[-1000:]}")
            time.sleep(0.1)
        yield process.pid
    finally:
        for number, wait in ((signal.SIGINT, 10), (signal.SIGKILL, 10)):
            with contextlib.suppress(OSError):
                os.killpg(process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(wait)


class Link:
    """A connection to a server on this machine that is kept alive."""

    def __init__(self, port: int) -> None:
        self._http = http.client.HTTPConnection("127.0.0.1", port, timeout=120)

    def send(self, path: str, body: bytes, kind: str = "application/json", **headers: str) -> bytes:
        """The body of an answer. Raises AssertionError for any that is not 200."""
        self._http.request("POST", path, body, {"Content-Type": kind, **headers})
        answer = self._http.getresponse()
        data = answer.read()
        assert answer.status == 200, (answer.status, data[:300])
        return data

    def ask(self, path: str, query: str, **variables: Any) -> Any:
        """The data of a GraphQL answer."""
        answer = json.loads(self.send(path, json.dumps({"query": query, "variables": variables}).encode()))
        assert "errors" not in answer, answer["errors"][:1]
        return answer["data"]


def until(holds: Callable[[], bool], seconds: float = 120) -> None:
    """Waits, looking four times a second."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.25)


PROTOBUF = "application/x-protobuf"
