"""Who may use a server: credentials over each transport, roles, and what an open server refuses."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Origin, Subprotocol

from tests.support.running import Running, recollect

ADMIN, WRITER, READER, ELSEWHERE = "swordfish-admin", "swordfish-writer==", "swordfish-reader", "swordfish-elsewhere"
KEYS = f"{ADMIN}, {WRITER}=default:write,{READER}=default:READ,{ELSEWHERE}=other-1:admin"
VIEWER = "{ viewer { workspace rights } }"
WRITE = 'mutation { setState(input: {namespace: "n", key: "k", value: 1}) { errors { code } } }'
CHANGES = "subscription { memoryChanges { cursor } }"
SPANS = {"resourceSpans": []}


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server with keys in its environment."""
    running = Running(tmp_path_factory.mktemp("closed") / "data", RECOLLECT_API_KEYS=KEYS)
    running.start()
    yield running
    running.end()


@pytest.fixture(scope="module")
def open_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server without any, which lets pages of one other site in."""
    running = Running(tmp_path_factory.mktemp("open") / "data", RECOLLECT_CORS_ORIGINS="https://app.example.com/")
    running.start()
    yield running
    running.end()


async def send(
    server: Running, key: str | None, query: str = VIEWER, path: str = "/graphql", **headers: str
) -> httpx.Response:
    """A request with a key."""
    body = SPANS if path == "/v1/traces" else {"query": query}
    given = {"Authorization": f"Bearer {key}".encode()} if key is not None else {}
    async with httpx.AsyncClient(trust_env=False, timeout=10) as client:
        return await client.post(
            f"http://{server.address}{path}", json=body, headers=httpx.Headers({**given, **headers}, "utf-8")
        )


def codes(answer: httpx.Response) -> list[str]:
    return [error["extensions"]["code"] for error in answer.json()["errors"]]


async def socket(server: Running, protocol: str, payload: Any, **options: Any) -> ClientConnection:
    """A WebSocket that has said who it is."""
    opened = await connect(
        f"ws://{server.address}/graphql", subprotocols=[Subprotocol(protocol)], proxy=None, **options
    )
    with contextlib.suppress(ConnectionClosed):
        await opened.send(json.dumps({"type": "connection_init", **({} if payload is None else {"payload": payload})}))
    return opened


async def ended(opened: ClientConnection, within: float = 30) -> tuple[int | None, list[Any]]:
    """With which code a socket is closed, and what it has told before."""
    told = []
    async with asyncio.timeout(within):
        try:
            while True:
                told.append(json.loads(await opened.recv()))
        except ConnectionClosed as end:
            return (end.rcvd.code if end.rcvd else None), told


PROTOCOLS = {"graphql-transport-ws": "subscribe", "graphql-ws": "start"}
both = pytest.mark.parametrize("protocol", PROTOCOLS)


class TestHTTP:
    @pytest.mark.parametrize("path", ["/graphql", "/v1/traces"])
    @pytest.mark.parametrize(
        ("key", "challenge"),
        [
            (None, 'Bearer realm="recollect"'),
            ("wrong", 'Bearer realm="recollect", error="invalid_token"'),
            ("a.b.c", 'Bearer realm="recollect", error="invalid_token"'),
            ("\u00e9", 'Bearer realm="recollect", error="invalid_token"'),
        ],
    )
    async def test_without_a_good_key(self, closed: Running, path: str, key: str | None, challenge: str) -> None:
        answer = await send(closed, key, path=path)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == challenge
        if path == "/graphql":
            assert codes(answer) == ["UNAUTHENTICATED"]
        else:
            assert answer.json()["code"] == 16

    @pytest.mark.parametrize("given", [f"Basic {ADMIN}", ADMIN, "Bearer", f"Bearer {ADMIN}x", f"Bearer {ADMIN[:-1]}"])
    async def test_another_header(self, closed: Running, given: str) -> None:
        assert (await send(closed, None, Authorization=given)).status_code == 401

    @pytest.mark.parametrize(
        ("key", "workspace", "rights"),
        [
            (ADMIN, "default", ["READ", "WRITE", "ADMIN"]),
            (WRITER, "default", ["READ", "WRITE"]),
            (READER, "default", ["READ"]),
            (ELSEWHERE, "other-1", ["READ", "WRITE", "ADMIN"]),
        ],
    )
    async def test_each_key_is_somebody(self, closed: Running, key: str, workspace: str, rights: list[str]) -> None:
        answer = await send(closed, key)
        assert answer.json()["data"]["viewer"] == {"workspace": workspace, "rights": rights}
        assert (await send(closed, None, authorization=f"bearer  {key}")).status_code == 200

    async def test_event_streams_too(self, closed: Running) -> None:
        assert (await send(closed, None, CHANGES, Accept="text/event-stream")).status_code == 401
        stream = await send(closed, READER, VIEWER, Accept="text/event-stream")
        assert "other-1" not in stream.text
        assert '"rights":["READ"]' in stream.text

    async def test_what_stays_open(self, closed: Running) -> None:
        async with httpx.AsyncClient(trust_env=False, base_url=f"http://{closed.address}") as client:
            assert (await client.get("/healthz")).text == "ok\n"
            assert (await client.get("/readyz")).status_code == 200
            assert (await client.get("/")).status_code == 200  # it asks for the key
            assert (await client.get("/graphql", headers={"Accept": "text/html"})).status_code == 303
            assert (await client.get("/graphql?query={__typename}")).status_code == 401

    async def test_a_foreign_page_may_ask_with_a_key(self, closed: Running) -> None:
        """No browser adds a key by itself, and without CORS it does not show the answer."""
        answer = await send(closed, READER, Origin="https://evil.example", Host="evil.example")
        assert answer.status_code == 200
        assert "access-control-allow-origin" not in answer.headers


class TestSockets:
    @both
    @pytest.mark.parametrize("name", ["authorization", "Authorization"])
    async def test_the_key_is_in_the_payload(self, closed: Running, protocol: str, name: str) -> None:
        opened = await socket(closed, protocol, {name: f"Bearer {READER}"})
        assert json.loads(await opened.recv())["type"] == "connection_ack"
        await opened.close()

    async def test_or_in_the_header(self, closed: Running) -> None:
        opened = await socket(
            closed, "graphql-transport-ws", None, additional_headers={"Authorization": f"Bearer {READER}"}
        )
        assert json.loads(await opened.recv())["type"] == "connection_ack"
        await opened.close()

    @both
    @pytest.mark.parametrize("payload", [None, {}, {"authorization": "Bearer wrong"}, {"authorization": 1}])
    async def test_without_a_good_key_it_is_closed(self, closed: Running, protocol: str, payload: Any) -> None:
        code, told = await ended(await socket(closed, protocol, payload))
        assert code == 4403
        assert [one["type"] for one in told] == (["connection_error"] if protocol == "graphql-ws" else [])

    @both
    async def test_a_role_that_does_not_suffice(self, closed: Running, protocol: str) -> None:
        opened = await socket(closed, protocol, {"authorization": f"Bearer {READER}"})
        await opened.send(json.dumps({"id": "1", "type": PROTOCOLS[protocol], "payload": {"query": WRITE}}))
        told: list[Any] = []
        while not told or told[-1]["type"] != "error":
            told.append(json.loads(await asyncio.wait_for(opened.recv(), 30)))
        payload = told[-1]["payload"]
        error = payload[0] if isinstance(payload, list) else payload
        assert error["extensions"]["code"] == "FORBIDDEN"
        await opened.close()


class TestRoles:
    async def test_a_reader_writes_nothing(self, closed: Running) -> None:
        answer = await send(closed, READER, WRITE.replace('"k"', '"never"'))
        assert (answer.status_code, codes(answer)) == (403, ["FORBIDDEN"])
        found = await send(closed, READER, '{ state(namespace: "n", key: "never") { id } }')
        assert found.json()["data"] == {"state": None}
        assert (await send(closed, READER, path="/v1/traces")).status_code == 403

    async def test_a_writer_writes_and_is_no_admin(self, closed: Running) -> None:
        assert (await send(closed, WRITER, WRITE)).json()["data"]["setState"]["errors"] == []
        assert (await send(closed, WRITER, path="/v1/traces")).status_code == 200
        for query in (
            "{ apiKeys { id } }",
            "{ auditLog { nodes { id } } }",
            "{ viewer { name } ...F } fragment F on Query { ... on Query { other: auditLog { nodes { id } } } }",
            "query ($no: Boolean = false) { apiKeys @include(if: $no) { id } }",
            'mutation { setState(input: {namespace: "n", key: "no", value: 1}) { errors { code } } createApiKey(input: {name: "x"}) { secret } }',
        ):
            answer = await send(closed, WRITER, query)
            assert (answer.status_code, codes(answer)) == (403, ["FORBIDDEN"]), query
        found = await send(
            closed, WRITER, '{ state(namespace: "n", key: "no") { id } __schema { queryType { name } } }'
        )
        assert found.json()["data"]["state"] is None, "refused as a whole"

    async def test_the_same_document_is_for_each_role_what_it_may(self, closed: Running) -> None:
        for _ in range(2):
            assert (await send(closed, ADMIN, "{ apiKeys { id } }")).status_code == 200
            assert (await send(closed, READER, "{ apiKeys { id } }")).status_code == 403

    async def test_audit_entries_are_for_admins_by_their_id_too(self, closed: Running) -> None:
        await send(closed, WRITER, WRITE)
        log = await send(closed, ADMIN, "{ auditLog(first: 1) { nodes { id callerName action outcome } } }")
        [entry] = log.json()["data"]["auditLog"]["nodes"]
        assert (entry["action"], entry["outcome"], entry["callerName"]) == ("setState", "OK", "RECOLLECT_API_KEYS 2")
        query = f'{{ node(id: "{entry["id"]}") {{ id }} }}'
        assert (await send(closed, ADMIN, query)).json()["data"]["node"] == {"id": entry["id"]}
        for key in (WRITER, READER, ELSEWHERE):
            assert (await send(closed, key, query)).json()["data"]["node"] is None


async def test_no_key_is_ever_logged(closed: Running) -> None:
    for key in (ADMIN, "swordfish-wrong", "swordfish.a.b"):
        await send(closed, key, "{ nonsense }")
    assert "swordfish" not in "".join(closed.said())


HOSTS = [
    "evil.example",
    "evil.example:80",
    "127.0.0.1.evil.example",
    "localhost.evil.example",
    "192.168.1.1",
    "[::2]",
    "[",
    "",
]


class TestOpenServer:
    async def test_it_is_of_one_user(self, open_server: Running) -> None:
        viewer = (await send(open_server, None)).json()["data"]["viewer"]
        assert viewer == {"workspace": "default", "rights": ["READ", "WRITE", "ADMIN"]}
        assert (await send(open_server, "whatever")).status_code == 200

    @pytest.mark.parametrize("path", ["/graphql", "/v1/traces"])
    @pytest.mark.parametrize("host", HOSTS)
    async def test_a_foreign_host_is_refused(self, open_server: Running, path: str, host: str) -> None:
        assert (await send(open_server, None, path=path, Host=host)).status_code == 403

    @pytest.mark.parametrize("path", ["/graphql", "/v1/traces"])
    @pytest.mark.parametrize(
        "origin", ["https://evil.example", "null", "http://localhost:3000", "http://127.0.0.1", ""]
    )
    async def test_a_foreign_origin_is_refused(self, open_server: Running, path: str, origin: str) -> None:
        assert (await send(open_server, None, path=path, Origin=origin)).status_code == 403

    @pytest.mark.parametrize("site", ["cross-site", "same-site"])
    async def test_what_a_foreign_page_embeds_is_refused(self, open_server: Running, site: str) -> None:
        """It has no Origin."""
        for dest, status in (("image", 403), ("iframe", 403), ("empty", 403), ("document", 200)):
            told = {"Sec-Fetch-Site": site, "Sec-Fetch-Dest": dest}
            assert (await send(open_server, None, **told)).status_code == status, dest
        ours = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Dest": "empty"}
        assert (await send(open_server, None, **ours)).status_code == 200
        allowed = {"Sec-Fetch-Site": site, "Sec-Fetch-Dest": "empty", "Origin": "https://app.example.com"}
        assert (await send(open_server, None, **allowed)).status_code == 200

    async def test_its_own_names_and_pages_are_let_in(self, open_server: Running) -> None:
        port = open_server.port
        for host in (f"127.0.0.1:{port}", f"localhost:{port}", f"LOCALHOST:{port}", f"[::1]:{port}", "a.localhost"):
            assert (await send(open_server, None, Host=host)).status_code == 200, host
            assert (await send(open_server, None, Host=host, Origin=f"http://{host}")).status_code == 200, host
        allowed = await send(open_server, None, Origin="https://app.example.com")
        assert allowed.status_code == 200
        assert allowed.headers["access-control-allow-origin"] == "https://app.example.com"

    @both
    @pytest.mark.parametrize("origin", ["https://evil.example", "null"])
    async def test_sockets_too(self, open_server: Running, protocol: str, origin: str) -> None:
        assert await ended(await socket(open_server, protocol, {}, origin=Origin(origin))) == (4403, [])
        opened = await socket(open_server, protocol, {}, origin=Origin("https://app.example.com"))
        assert json.loads(await opened.recv())["type"] == "connection_ack"
        await opened.close()

    async def test_a_foreign_host_of_a_socket(self, open_server: Running) -> None:
        opened = await connect(
            "ws://evil.example/graphql", host="127.0.0.1", port=open_server.port, proxy=None,
            subprotocols=[Subprotocol("graphql-transport-ws")],
        )  # fmt: skip
        assert (await ended(opened))[0] == 4403

    async def test_browsers_are_told_who_may_ask(self, open_server: Running) -> None:
        asks = {
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization, content-type",
        }
        async with httpx.AsyncClient(trust_env=False, base_url=f"http://{open_server.address}") as client:
            good = await client.options("/graphql", headers={"Origin": "https://app.example.com", **asks})
            assert good.status_code == 200
            assert good.headers["access-control-allow-origin"] == "https://app.example.com"
            bad = await client.options("/graphql", headers={"Origin": "https://evil.example", **asks})
            assert bad.status_code == 400
            assert "access-control-allow-origin" not in bad.headers


class TestStarting:
    def fails(self, *arguments: str, **settings: str) -> str:
        status, out, err = recollect(*arguments, **settings)
        assert (status, out) == (1, "")
        [line] = err.splitlines()
        return line

    def test_not_without_credentials_where_others_reach_it(self, tmp_path: Path) -> None:
        line = self.fails("serve", "--host", "0.0.0.0", "--port", "0", "--data", str(tmp_path / "data"))
        assert "recollect keys create" in line
        assert "RECOLLECT_API_KEYS" in line

    async def test_with_credentials(self, tmp_path: Path) -> None:
        running = Running(tmp_path / "data", RECOLLECT_HOST="0.0.0.0", RECOLLECT_API_KEYS=ADMIN)
        try:
            running.start()
            assert (await send(running, None)).status_code == 401
            assert (await send(running, ADMIN, Host="recollect.example")).status_code == 200
        finally:
            running.end()

    async def test_the_first_start_makes_a_key_and_says_where(self, tmp_path: Path) -> None:
        file = tmp_path / "first-key"
        running = Running(tmp_path / "data", RECOLLECT_HOST="0.0.0.0", RECOLLECT_FIRST_KEY_FILE=str(file))
        try:
            running.start()
            key = file.read_text().strip()
            assert str(file) in running.said()[0]
            assert key not in "".join(running.said())
            assert file.stat().st_mode & 0o777 == 0o600
            assert (await send(running, key, "{ apiKeys { role } }")).json()["data"] == {"apiKeys": [{"role": "ADMIN"}]}
            running.stop()
            running.start()
            assert file.read_text().strip() == key, "the next start makes none"
            assert len((await send(running, key, "{ apiKeys { id } }")).json()["data"]["apiKeys"]) == 1
        finally:
            running.end()
        line = self.fails("serve", "--port", "0", "--data", str(tmp_path / "new"), RECOLLECT_FIRST_KEY_FILE=str(file))
        assert "RECOLLECT_FIRST_KEY_FILE" in line

    @pytest.mark.parametrize(
        "setting",
        [
            "swordfish=x",
            "swordfish=default:owner",
            "=default:read",
            "swordfish=/keys:read",
            "a,swordfish,swordfish",
            "swordfish-1",
        ],
    )
    def test_keys_that_cannot_be_are_not_shown(self, tmp_path: Path, setting: str) -> None:
        line = self.fails("serve", "--port", "0", "--data", str(tmp_path / "data"), RECOLLECT_API_KEYS=setting)
        assert "RECOLLECT_API_KEYS" in line
        assert "swordfish" not in line


class TestRate:
    @pytest.fixture
    async def slow(self, tmp_path: Path) -> AsyncIterator[Running]:
        running = Running(tmp_path / "data", RECOLLECT_API_KEYS=KEYS, RECOLLECT_RATE_LIMIT="3")
        running.start()
        yield running
        running.end()

    async def test_each_credential_has_its_own(self, slow: Running) -> None:
        assert [(await send(slow, READER)).status_code for _ in range(4)] == [200, 200, 200, 429]
        late = await send(slow, READER)
        assert codes(late) == ["RATE_LIMITED"]
        wait = late.json()["errors"][0]["extensions"]["retryAfterMs"]
        assert 15_000 < wait <= 20_000, "three a minute are one in 20 s"
        assert int(late.headers["retry-after"]) == -(-wait // 1000)
        assert (await send(slow, WRITER, path="/v1/traces")).status_code == 200

        opened = await socket(slow, "graphql-transport-ws", {"authorization": f"Bearer {ELSEWHERE}"})
        answers = []
        assert json.loads(await opened.recv())["type"] == "connection_ack"
        for id in "1234":
            await opened.send(json.dumps({"id": id, "type": "subscribe", "payload": {"query": VIEWER}}))
            while (told := json.loads(await opened.recv()))["type"] == "complete":
                pass
            answers.append(told["type"])
        await opened.close()
        assert answers == ["next", "next", "next", "error"]
