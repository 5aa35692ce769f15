"""The server as a program: how it starts, says that it is well, and stops."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import apsw
import httpx
import pytest
import uvicorn
from starlette.applications import Starlette

from domain.caller import LOCAL
from server.graphql.documents import Request
from server.presets import PRESETS
from server.service import open_service
from server.serving import _Server
from server.settings import BadSetting, Settings
from tests.support.running import WAYS, Running, recollect


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Running]:
    running = Running(tmp_path / "data")
    running.start()
    yield running
    running.end()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server for the tests that leave it running."""
    running = Running(tmp_path_factory.mktemp("shared") / "data")
    running.start()
    yield running
    running.end()


def get(server: Running, path: str) -> httpx.Response:
    return httpx.get(f"http://{server.address}{path}", trust_env=False)


def fails(*arguments: str, **settings: str) -> str:
    """The one line that a command says which cannot do its work; its status is 1."""
    status, out, err = recollect(*arguments, **settings)
    assert (status, out) == (1, "")
    [line] = err.splitlines()
    return line


def test_it_says_where_it_is_and_that_it_is_well(shared: Running) -> None:
    out, err = shared.said()
    assert f"http://127.0.0.1:{shared.port}/graphql" in out
    assert str(shared.data.resolve()) in out
    assert err == ""
    assert shared.port > 0, "the port 0 takes a free one"
    alive = get(shared, "/healthz")
    assert (alive.status_code, alive.text) == (200, "ok\n")
    ready = get(shared, "/readyz")
    assert ready.status_code == 200
    assert ready.json()["status"] == "healthy"
    assert [store["status"] for store in ready.json()["stores"]] == ["healthy"]
    assert get(shared, "/nowhere").status_code == 404
    assert (shared.data / "recollect.db").exists()


SOCKETS = ["graphql-transport-ws", "graphql-ws"]


@pytest.mark.timed
@pytest.mark.parametrize(
    ("how", "followers"),
    [
        (signal.SIGINT, SOCKETS),
        (signal.SIGTERM, SOCKETS),
        (signal.SIGINT, ["SSE"]),
    ],
)
async def test_it_stops_when_it_is_told_to(server: Running, how: signal.Signals, followers: list[str]) -> None:
    """At once, with followers that would stay for ever, and with what was acknowledged kept."""
    made = await server.ask('mutation { createSession(input: {externalId: "s", title: "kept"}) { session { id } } }')
    query = 'subscription { sessionTrace(session: {externalId: "s"}) { cursor } }'
    streams = [WAYS[way](server.address, query, {}) for way in followers]
    waiting = [asyncio.ensure_future(anext(events)) for events in streams]  # type: ignore[arg-type]
    await asyncio.sleep(0.2)
    begun = time.monotonic()
    status, err = await asyncio.to_thread(server.stop, how)
    lasted = time.monotonic() - begun
    ended = await asyncio.gather(*waiting, return_exceptions=True)
    for events in streams:
        await events.aclose()  # type: ignore[attr-defined]
    assert (status, err) == (0, "")
    assert lasted < 2
    assert all(isinstance(end, Exception) for end in ended)
    file = apsw.Connection(str(server.data / "recollect.db"))
    kept = file.execute("SELECT id, title FROM session").fetchall()
    file.close()
    assert kept == [(made["createSession"]["session"]["id"], "kept")]


async def test_a_second_ctrl_c_closes_the_store_too() -> None:
    ended: list[str] = []

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        ended.append("closed")

    app = Starlette(lifespan=lifespan)
    app.state.stop_streams = lambda: ended.append("streams")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = _Server(uvicorn.Config(app, log_config=None), app, "up")
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        while not server.started:  # noqa: ASYNC110 - another's flag
            await asyncio.sleep(0.01)
        server.should_exit = server.force_exit = True
        await serving
    assert ended == ["streams", "closed"]


def test_a_second_server_on_the_folder_names_the_first(shared: Running) -> None:
    line = fails("serve", "--port", "0", "--data", str(shared.data))
    assert f"process {shared.process.pid}" in line
    assert str(shared.data) in line
    assert get(shared, "/readyz").status_code == 200, "the first goes on"


def test_a_second_server_on_the_folder_and_the_port_hears_of_the_folder(shared: Running) -> None:
    line = fails("serve", "--port", str(shared.port), "--data", str(shared.data))
    assert f"in use by process {shared.process.pid}" in line
    assert "--url" not in line, "serve has no such option"


@pytest.mark.parametrize(
    "origin", ["app.example.com", "https://app.example.com/app", "https:app.example.com", "//app", "https://a b"]
)
def test_an_origin_that_is_none(origin: str, tmp_path: Path) -> None:
    line = fails(
        "serve", "--port", "0", "--data", str(tmp_path), RECOLLECT_CORS_ORIGINS=f"https://good.example,{origin}"
    )
    assert "RECOLLECT_CORS_ORIGINS" in line
    assert "https://app.example.com" in line


def test_the_folder_is_free_once_the_server_is_gone(server: Running) -> None:
    server.kill()
    server.start()
    assert get(server, "/readyz").status_code == 200


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        line = fails("serve", "--port", str(port), "--data", str(tmp_path / "data"))
    assert f"127.0.0.1:{port}" in line
    assert not (tmp_path / "data").exists(), "nothing is made for a server that cannot be"


def test_a_setting_that_cannot_be(tmp_path: Path) -> None:
    data = str(tmp_path / "data")
    assert "RECOLLECT_EMBEDDER" in fails("serve", "--port", "0", "--data", data, RECOLLECT_EMBEDDER="nonsense")


@pytest.mark.parametrize("value", ["many", "0", "-1", "1.5"])
def test_a_capacity_that_cannot_be(value: str) -> None:
    with pytest.raises(BadSetting, match=r"^RECOLLECT_MEMORY_CAPACITY .*\.$"):
        Settings.read({"RECOLLECT_MEMORY_CAPACITY": value})


def test_a_preset_says_what_is_not_given() -> None:
    for name, values in PRESETS.items():
        settings = Settings.read({"RECOLLECT_PRESET": name})
        wanted = {
            one: getattr(Settings.read({f"RECOLLECT_{one.upper()}": value}), one) for one, value in values.items()
        }
        assert {one: getattr(settings, one) for one in values} == wanted
        assert all(wanted[one] != getattr(Settings(), one) for one in values), "what is usual stands in no preset"
    both = Settings.read({"RECOLLECT_PRESET": "test", "RECOLLECT_MEMORY_CAPACITY": "7"})
    assert (both.memory_capacity, both.rate_limit) == (7, "off")
    with pytest.raises(BadSetting) as caught:
        Settings.read({"RECOLLECT_PRESET": "staging"})
    assert str(caught.value) == ("RECOLLECT_PRESET must be none or development or production or test, not 'staging'.")


def test_settings_are_listed_with_where_they_are_from() -> None:
    given = {"RECOLLECT_PRESET": "test", "RECOLLECT_MEMORY_CAPACITY": "7", "RECOLLECT_EMBEDDER_KEY": "hidden-key"}
    status, out, _ = recollect("settings", "--json", **given)
    found = {one["name"]: (one["value"], one["source"]) for one in json.loads(out)}
    assert status == 0
    assert set(found) == {f"RECOLLECT_{name.upper()}" for name in Settings.__struct_fields__}
    assert found["RECOLLECT_MEMORY_CAPACITY"] == ("7", "environment")
    assert found["RECOLLECT_RATE_LIMIT"] == ("off", "preset test")
    assert found["RECOLLECT_MAX_DEPTH"] == ("20", "default")
    assert found["RECOLLECT_EMBEDDER_KEY"] == ("(set)", "environment")
    assert "hidden-key" not in recollect("settings", **given)[1]


@pytest.mark.parametrize("value", ["long", "0", "-1"])
def test_a_time_to_read_that_cannot_be(value: str) -> None:
    with pytest.raises(BadSetting, match=r"^RECOLLECT_MAX_READ_SECONDS must be a number above 0, not .*\.$"):
        Settings.read({"RECOLLECT_MAX_READ_SECONDS": value})


@pytest.mark.parametrize("value", ["0.5", "neighbors", "neighbors=", "people=-1", "time=nan", "question=2", "folk=1"])
def test_weights_that_cannot_be(value: str) -> None:
    with pytest.raises(BadSetting, match=r"^RECOLLECT_WEIGHTS must be NAME=NUMBER, of text, .*\.$"):
        Settings.read({"RECOLLECT_WEIGHTS": value})


async def test_weights_are_a_setting(tmp_path: Path) -> None:
    """What is found by its words alone has what words count."""
    create = 'mutation { createMemory(input: {text: "1.2.3", scope: GLOBAL}) { memory { id } } }'
    search = '{ searchMemories(query: {text: "1.2.3"}) { hits { parts { fusion } } } }'
    service = open_service(tmp_path, Settings.read({"RECOLLECT_WEIGHTS": "people=0, text=0.25"}))
    await service.executor.execute(Request(create, {}), service.operation(LOCAL))
    found = json.loads(await service.executor.execute(Request(search, {}), service.operation(LOCAL)))
    await service.close()
    assert found["data"]["searchMemories"]["hits"][0]["parts"]["fusion"] == 0.25


async def test_the_capacity_is_a_setting(tmp_path: Path) -> None:
    service = open_service(tmp_path, Settings.read({"RECOLLECT_MEMORY_CAPACITY": "10"}))
    query = "mutation ($m: [MemoryInput!]!) { createMemories(input: {memories: $m}) { archived { text } errors { message } } }"
    found = []
    for texts in ([str(i) for i in range(10)], ["one more"]):
        memories = [{"text": text, "scope": "GLOBAL"} for text in texts]
        found.append(
            json.loads(await service.executor.execute(Request(query, {"m": memories}), service.operation(LOCAL)))
        )
    await service.close()
    assert [answer["data"]["createMemories"]["errors"] for answer in found] == [[], []]
    archived = [[memory["text"] for memory in answer["data"]["createMemories"]["archived"]] for answer in found]
    assert archived == [[], ["0", "1"]], "down to nine tenths of it"
