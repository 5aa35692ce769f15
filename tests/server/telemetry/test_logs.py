"""The log: what it tells of operations, and what it must never tell."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from server.instrumentation import RequestRecord
from server.telemetry import logs
from tests.support.running import Refused, Running, over_websocket, recollect

MARK = "s3cr3t"
KEY = f"{MARK}-key-of-an-admin"


def running(folder: Path, **settings: str) -> Iterator[Running]:
    server = Running(folder / "data", **settings)
    server.start()
    yield server
    server.end()


@pytest.fixture
def wordy(tmp_path: Path) -> Iterator[Running]:
    """Writes a line for every operation, and takes credentials."""
    yield from running(tmp_path, RECOLLECT_LOG_SLOW_MS="0", RECOLLECT_LOG_LEVEL="DEBUG", RECOLLECT_API_KEYS=KEY)


@pytest.fixture
def usual(tmp_path: Path) -> Iterator[Running]:
    yield from running(tmp_path)


def post(server: Running, body: Any, **headers: str) -> httpx.Response:
    asked = {"Authorization": f"Bearer {KEY}", **headers}
    return httpx.post(f"http://{server.address}/graphql", json=body, headers=asked, trust_env=False)


def lines(server: Running, least: int = 0) -> list[dict[str, Any]]:
    """What it wrote, once so many operations are told of: each has its line after its answer."""
    until = time.monotonic() + 30
    while True:
        written = server.said()[1].rpartition("\n")[0].splitlines()
        found = [json.loads(line) for line in written]
        if sum(line["message"] == "operation" for line in found) >= least:
            return found
        assert time.monotonic() < until, found
        time.sleep(0.02)


def operations(server: Running, count: int) -> list[dict[str, Any]]:
    return [line for line in lines(server, count) if line["message"] == "operation"]


def test_a_line_tells_what_an_operation_was(wordy: Running) -> None:
    query = "query Look($n: Int) { sessions(first: $n) { nodes { messages { nodes { id } } } } }"
    answer = post(wordy, {"query": query, "variables": {"n": 3}}, **{"X-Request-Id": "from-a-proxy:1"})
    assert answer.headers["X-Request-Id"] == "from-a-proxy:1"
    [line] = operations(wordy, 1)
    assert line["requestId"] == "from-a-proxy:1"
    assert (line["kind"], line["name"], line["outcome"]) == ("query", "Look", "OK")
    assert line["cost"] == answer.json()["extensions"]["cost"]
    assert line["hash"] and line["storeCalls"] >= 1 and line["ms"] > 0
    post(wordy, {"query": query, "variables": {"n": 4}})
    first, second = operations(wordy, 2)
    assert first["hash"] == second["hash"]
    assert first["requestId"] != second["requestId"]


@pytest.mark.parametrize("id", ["", "a b", "x" * 129, "näh", 'x"y'])
def test_an_id_that_could_break_a_line_is_not_taken(usual: Running, id: str) -> None:
    answer = httpx.get(
        f"http://{usual.address}/healthz", headers={"X-Request-Id": id.encode("latin-1")}, trust_env=False
    )
    assert answer.headers["X-Request-Id"] not in ("", id)


def test_what_is_quick_and_well_has_no_line(usual: Running) -> None:
    assert post(usual, {"query": "{ viewer { name } }"}).status_code == 200
    post(usual, {"query": "query Broken { nope }"})
    [line] = lines(usual, 1)
    assert (line["outcome"], line["level"]) == ("GRAPHQL_VALIDATION_FAILED", "INFO")


async def first(server: Running, query: str, way: str) -> Any:
    async with contextlib.aclosing(over_websocket(server.address, query, {}, way)) as results:  # type: ignore[type-var]
        return await anext(results)


@pytest.mark.parametrize("way", ["graphql-transport-ws", "graphql-ws"])
async def test_operations_of_a_socket_have_lines_too(tmp_path: Path, way: str) -> None:
    for server in running(tmp_path, RECOLLECT_LOG_SLOW_MS="0"):
        with pytest.raises(Refused):
            await first(server, "query Wrong { nope }", way)
        await first(server, "query Right { viewer { name } }", way)
        wrong, right = lines(server, 2)
        assert ("kind" in wrong, wrong["outcome"]) == (False, "GRAPHQL_VALIDATION_FAILED")
        assert (right["kind"], right["name"], right["outcome"]) == ("query", "Right", "OK")
        assert wrong["requestId"] != right["requestId"]


def test_it_never_tells_what_callers_send(wordy: Running) -> None:
    """A run full of marked values: in variables, literals, ids, keys, headers, documents that are wrong."""
    memories = (
        "mutation Keep($i: CreateMemoriesInput!) { createMemories(input: $i) { memories { id } errors { message } } }"
    )
    owner = {"externalId": f"{MARK}-owner"}
    user = f'mutation {{ upsertUser(input: {{externalId: "{MARK}-owner", name: "{MARK}"}}) {{ user {{ id }} }} }}'
    bodies: list[Any] = [
        {"query": user},
        {"query": memories, "variables": {"i": {"memories": [{"text": f"{MARK} text", "owner": owner}]}}},
        {"query": memories, "variables": {"i": {"memories": [{"text": 7, "owner": f"{MARK}"}]}}},
        {"query": memories, "variables": {"i": f"{MARK}"}},
        {"query": f'{{ memory(by: {{id: "{MARK}"}}) {{ text }} }}'},
        {"query": f'{{ memories(after: "{MARK}") {{ nodes {{ id }} }} }}'},
        {"query": f'{{ viewer(name: "{MARK}") {{ name }} }}'},
        {"query": f'{{ unclosed(text: "{MARK}'},
        {"query": f"# {MARK}\n{{ viewer {{ name }} }}", "operationName": "None"},
        {"query": f'{{ searchMemories(query: {{text: "{MARK}"}}) {{ hits {{ score }} }} }}'},
        {"documentId": MARK},
        [MARK],
        {"query": "{ viewer { name } }", "variables": MARK},
    ]
    for body in bodies:
        post(wordy, body)
        post(wordy, body, Authorization=f"Bearer {MARK}-of-nobody")
    httpx.get(f"http://{wordy.address}/graphql?query={{{MARK}}}&token={MARK}", trust_env=False)
    httpx.get(f"http://{wordy.address}/{MARK}", headers={"X-Request-Id": f"{MARK} {MARK}"}, trust_env=False)
    httpx.post(f"http://{wordy.address}/v1/traces", json={"resourceSpans": MARK}, trust_env=False)
    wordy.stop()
    out, err = wordy.said()
    assert len([line for line in lines(wordy) if line["message"] == "operation"]) >= 2 * len(bodies) - 4
    assert MARK not in out
    assert [line for line in err.splitlines() if MARK in line] == []


class TestExceptions:
    @pytest.fixture(autouse=True)
    def kept(self) -> Iterator[None]:
        """What pytest has set up for logging."""
        root, ours = logging.getLogger(), logging.getLogger("recollect")
        before = root.handlers[:], root.level, ours.level
        yield
        root.handlers[:], root.level = before[0], before[1]
        ours.setLevel(before[2])

    @staticmethod
    def fails() -> None:
        try:
            try:
                raise KeyError(MARK)
            except KeyError as error:
                raise ValueError(f"cannot do {MARK}") from error
        except ValueError:
            logging.getLogger("recollect").exception("a commit failed")

    def test_they_tell_where_and_what_but_not_of_which_value(self) -> None:
        logs.set_up("INFO", stream := io.StringIO())
        self.fails()
        line = json.loads(stream.getvalue())
        assert line["level"] == "ERROR"
        assert "test_logs.py" in line["exception"] and "in fails" in line["exception"]
        assert "builtins.ValueError" in line["exception"] and "builtins.KeyError" in line["exception"]
        assert MARK not in stream.getvalue()

    def test_they_tell_all_at_level_debug(self) -> None:
        logs.set_up("DEBUG", stream := io.StringIO())
        self.fails()
        assert f"cannot do {MARK}" in json.loads(stream.getvalue())["exception"]

    def test_libraries_stay_quiet_at_level_debug(self) -> None:
        logs.set_up("DEBUG", stream := io.StringIO())
        for name in ("uvicorn.error", "websockets", "httpx", "neo4j"):
            logging.getLogger(name).info(MARK)
        assert stream.getvalue() == ""
        logging.getLogger("uvicorn.error").warning("heard")
        assert json.loads(stream.getvalue())["logger"] == "uvicorn.error"

    def test_a_terminal_has_lines_for_people(self) -> None:
        stream = io.StringIO()
        stream.isatty = lambda: True  # type: ignore[method-assign]
        logs.set_up("INFO", stream)
        request = RequestRecord("r-1", "/graphql")
        request.asks("query", "Slow", "abcd", 12)
        request.seconds = 2.0
        logs.OperationLog(1000).observe(request)
        line = stream.getvalue()
        assert "INFO" in line and "operation" in line and "requestId=r-1" in line and "ms=2000.0" in line
        assert line.count("\n") == 1

    @pytest.mark.parametrize(("outcome", "level"), [("INTERNAL", "WARNING"), ("LIMIT", "INFO")])
    def test_what_the_server_did_wrong_stands_out(self, outcome: str, level: str) -> None:
        logs.set_up("INFO", stream := io.StringIO())
        request = RequestRecord("r-1", "/graphql")
        request.outcome = outcome
        logs.OperationLog(1000).observe(request)
        assert json.loads(stream.getvalue())["level"] == level

    def test_a_level_above_hides_them(self) -> None:
        logs.set_up("WARNING", stream := io.StringIO())
        request = RequestRecord("r-1", "/graphql")
        request.outcome = "LIMIT"
        logs.OperationLog(1000).observe(request)
        assert stream.getvalue() == ""


def test_a_level_that_is_none_is_refused_with_one_sentence(tmp_path: Path) -> None:
    status, _, err = recollect("serve", "--port", "0", "--data", str(tmp_path), RECOLLECT_LOG_LEVEL="loud")
    assert status == 1
    assert err == "recollect: RECOLLECT_LOG_LEVEL must be DEBUG or INFO or WARNING or ERROR, not 'loud'.\n"


def test_an_outage_has_few_lines_and_tells_how_many_were_kept_back() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.addFilter(sparing := logs.Sparing())
    handler.setFormatter(logs._JSON(wordy=False))
    log = logging.Logger("recollect.operations")
    log.addHandler(handler)
    for _ in range(500):
        log.warning("operation", extra={"fields": {"outcome": "UNAVAILABLE"}})
    log.warning("operation", extra={"fields": {"outcome": "INTERNAL"}})
    log.warning("something else")
    sparing.seconds = -1.0
    log.warning("A store is unavailable", extra={"fields": {"outcome": "UNAVAILABLE"}})
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line.get("outcome") for line in lines] == ["UNAVAILABLE"] * 10 + ["INTERNAL", None, "UNAVAILABLE"]
    assert lines[-1]["keptBack"] == 490
