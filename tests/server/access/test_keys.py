"""API keys of the store: made, used, revoked and expired, by mutations and by the command line."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from server.access import keys
from server.settings import BadSetting, Settings
from stores.embedded.engine import FILE
from tests.server.access.test_access import CHANGES, VIEWER, codes, ended, send, socket
from tests.support.running import Running, recollect

ADMIN = "swordfish-admin"
ADMINS = "api-key-of-the-environment"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    running = Running(tmp_path_factory.mktemp("keys") / "data", RECOLLECT_API_KEYS=f"{ADMIN},{ADMINS}=elsewhere:admin")
    running.start()
    yield running
    running.end()


CREATE = """mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) {
  secret apiKey { id name role createdAt expiresAt revokedAt } errors { code path } } }"""
REVOKE = "mutation ($input: RevokeApiKeyInput!) { revokeApiKey(input: $input) { apiKey { id revokedAt } errors { code path } } }"


async def write(server: Running, query: str, key: str = ADMIN, **input: Any) -> Any:
    """The payload of a mutation."""
    async with httpx.AsyncClient(trust_env=False, headers={"Authorization": f"Bearer {key}"}) as client:
        body = {"query": query, "variables": {"input": input}}
        answer = (await client.post(f"http://{server.address}/graphql", json=body)).json()
    [payload] = answer["data"].values()
    return payload


async def status(server: Running, key: str) -> int:
    return (await send(server, key)).status_code


class TestByMutations:
    async def test_a_key_opens_its_workspace_until_it_is_revoked(self, server: Running) -> None:
        made = await write(server, CREATE, name="for a test", role="WRITE")
        secret, id = made["secret"], made["apiKey"]["id"]
        assert secret.startswith("rck_")
        assert len(secret) >= 47, "32 random bytes"
        viewer = (await send(server, secret, "{ viewer { name workspace rights } }")).json()["data"]["viewer"]
        assert viewer == {"name": "for a test", "workspace": "default", "rights": ["READ", "WRITE"]}
        assert (await write(server, REVOKE, id=id))["apiKey"]["revokedAt"] is not None
        await asyncio.sleep(keys.LOOKED_AT_EVERY_S)
        assert await status(server, secret) == 401
        again = await write(server, REVOKE, id=id)
        assert again["errors"] == []

    async def test_the_secret_is_kept_nowhere(self, server: Running) -> None:
        made = await write(server, CREATE, name="x", idempotencyKey="once")
        secret = made["secret"].encode()
        assert await status(server, secret.decode()) == 200
        for file in server.data.glob(f"{FILE}*"):
            assert secret not in file.read_bytes(), file
        listed = (await send(server, ADMIN, "{ apiKeys { id name role createdAt expiresAt revokedAt } }")).text
        assert secret.decode() not in listed
        assert secret.decode() not in "".join(server.said())

    async def test_the_same_idempotency_key_makes_no_second_key_and_shows_no_secret(self, server: Running) -> None:
        first = await write(server, CREATE, name="y", idempotencyKey="y")
        second = await write(server, CREATE, name="y", idempotencyKey="y")
        assert second == {"secret": None, "apiKey": first["apiKey"], "errors": []}
        other = await write(server, CREATE, name="z", idempotencyKey="y")
        assert [error["code"] for error in other["errors"]] == ["CONFLICT"]
        elsewhere = await write(server, CREATE, ADMINS, name="y", idempotencyKey="y")
        assert elsewhere["apiKey"]["id"] != first["apiKey"]["id"], "a key of another workspace is another's"

    async def test_an_expired_key_opens_nothing(self, server: Running) -> None:
        past = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
        refused = await write(server, CREATE, name="x", expiresAt=past)
        assert refused["errors"] == [{"code": "INVALID", "path": ["expiresAt"]}]
        soon = (datetime.now(UTC) + timedelta(seconds=1)).isoformat()
        made = await write(server, CREATE, name="x", expiresAt=soon)
        assert await status(server, made["secret"]) == 200
        await asyncio.sleep(1)
        assert await status(server, made["secret"]) == 401

    async def test_keys_of_another_workspace_are_not_there(self, server: Running) -> None:
        made = await write(server, CREATE, name="mine")
        id = made["apiKey"]["id"]
        listed = (await send(server, ADMINS, "{ apiKeys { id } }")).json()["data"]["apiKeys"]
        assert id not in [key["id"] for key in listed]
        assert (await send(server, ADMINS, f'{{ node(id: "{id}") {{ id }} }}')).json()["data"]["node"] is None
        assert (await send(server, ADMIN, f'{{ node(id: "{id}") {{ id }} }}')).json()["data"]["node"] == {"id": id}
        assert (await write(server, REVOKE, ADMINS, id=id))["errors"] == [{"code": "NOT_FOUND", "path": ["id"]}]
        assert (await write(server, REVOKE, id="key_nonsense"))["errors"] == [{"code": "NOT_FOUND", "path": ["id"]}]
        assert await status(server, made["secret"]) == 200

    async def test_making_and_revoking_is_in_the_audit_log(self, server: Running) -> None:
        id = (await write(server, CREATE, name="x"))["apiKey"]["id"]
        await write(server, REVOKE, id=id)
        query = f'{{ auditLog(filter: {{target: "{id}"}}) {{ nodes {{ action outcome targets }} }} }}'
        nodes = (await send(server, ADMIN, query)).json()["data"]["auditLog"]["nodes"]
        assert nodes == [
            {"action": action, "outcome": "OK", "targets": [id]} for action in ("revokeApiKey", "createApiKey")
        ]


class TestStreamsEndWithTheirCredential:
    @pytest.mark.parametrize("protocol", ["graphql-transport-ws", "graphql-ws"])
    @pytest.mark.parametrize("how", ["revoked", "expired"])
    async def test_sockets(self, server: Running, protocol: str, how: str) -> None:
        key, end = await self.begin(server, how)
        opened = await socket(server, protocol, {"authorization": f"Bearer {key}"})
        start = {"graphql-transport-ws": "subscribe", "graphql-ws": "start"}[protocol]
        await opened.send(json.dumps({"id": "1", "type": start, "payload": {"query": CHANGES}}))
        await asyncio.sleep(0.3)
        await end()
        code, told = await ended(opened)
        assert code == 4403
        assert "connection_ack" in [one["type"] for one in told]
        assert await status(server, key) == 401

    @pytest.mark.parametrize("how", ["revoked", "expired"])
    async def test_event_streams(self, server: Running, how: str) -> None:
        key, end = await self.begin(server, how)
        headers = {"Authorization": f"Bearer {key}", "Accept": "text/event-stream"}
        lines: list[str] = []
        async with (
            httpx.AsyncClient(trust_env=False, timeout=10, headers=headers) as client,
            client.stream("POST", f"http://{server.address}/graphql", json={"query": CHANGES}) as answer,
        ):
            assert answer.status_code == 200
            await end()
            async with asyncio.timeout(6):
                lines += [line async for line in answer.aiter_lines()]
        events = [line for line in lines if line.startswith(("event:", "data:"))]
        assert events[0] == "event: next"
        assert json.loads(events[1].removeprefix("data: "))["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
        assert events[2:] == ["event: complete", "data:"]

    async def test_those_of_another_key_go_on(self, server: Running) -> None:
        key, end = await self.begin(server, "revoked")
        other, _ = await self.begin(server, "revoked")
        ending, staying = [
            await socket(server, "graphql-transport-ws", {"authorization": f"Bearer {one}"}) for one in (key, other)
        ]
        await end()
        assert (await ended(ending, 6))[0] == 4403
        assert json.loads(await staying.recv())["type"] == "connection_ack"
        await staying.send('{"type":"ping"}')
        assert json.loads(await asyncio.wait_for(staying.recv(), 30))["type"] == "pong"
        await staying.close()

    async def begin(self, server: Running, how: str) -> tuple[str, Any]:
        """A key, and what ends it."""
        expires = (datetime.now(UTC) + timedelta(seconds=1.5)).isoformat() if how == "expired" else None
        made = await write(server, CREATE, name="x", expiresAt=expires)

        async def end() -> None:
            if how == "revoked":
                await write(server, REVOKE, id=made["apiKey"]["id"])

        return made["secret"], end


@pytest.mark.slow
class TestByCommands:
    def run(self, *arguments: str, **settings: str) -> str:
        status, out, err = recollect("keys", *arguments, **settings)
        assert status == 0, err
        return out

    def fails(self, *arguments: str, **settings: str) -> str:
        status, out, err = recollect("keys", *arguments, **settings)
        assert (status, out) == (1, "")
        [line] = err.splitlines()
        return line

    async def test_on_a_folder(self, tmp_path: Path) -> None:
        data = ("--data", str(tmp_path / "data"))
        secret = self.run("create", "--role", "admin", "--name", "me", "--days", "2", *data).strip()
        elsewhere = self.run("create", "--workspace", "else-where", *data).strip()
        [listed] = json.loads(self.run("list", "--json", *data))
        assert (listed["name"], listed["role"], listed["revokedAt"]) == ("me", "ADMIN", None)
        running = Running(tmp_path / "data")
        try:
            running.start()
            assert await status(running, "none") == 401, "a server with keys is closed, on loopback too"
            assert await status(running, secret) == 200
            assert (await send(running, elsewhere)).json()["data"]["viewer"] == {
                "workspace": "else-where",
                "rights": ["READ"],
            }
            in_use = self.fails("list", *data)
            assert f"process {running.process.pid}" in in_use
            assert "--url" in in_use
        finally:
            running.end()
        self.run("revoke", listed["id"], *data)
        assert "revoked" in self.run("list", *data)
        assert self.fails("revoke", "key_x", *data) == "recollect: No such API key."
        assert "reached" not in self.fails("list", "--workspace", "/keys", *data)

    async def test_the_last_key_that_is_revoked_leaves_the_server_closed(self, tmp_path: Path) -> None:
        data = ("--data", str(tmp_path / "data"))
        self.run("create", *data)
        [key] = json.loads(self.run("list", "--json", *data))
        self.run("revoke", key["id"], *data)
        running = Running(tmp_path / "data")
        try:
            running.start()
            assert (await send(running, None)).status_code == 401
        finally:
            running.end()
        status, _, err = recollect("serve", "--host", "0.0.0.0", "--port", "0", *data)
        assert (status, "no credentials" in err) == (1, True)

    async def test_through_a_running_server(self, server: Running) -> None:
        at = ("--url", f"http://{server.address}")
        secret = self.run("create", "--role", "write", *at, RECOLLECT_KEY=ADMIN).strip()
        assert (await send(server, secret)).json()["data"]["viewer"]["rights"] == ["READ", "WRITE"]
        key = json.loads(self.run("list", "--json", *at, RECOLLECT_KEY=ADMIN))[0]
        self.run("revoke", key["id"], *at, RECOLLECT_KEY=ADMIN)
        assert "UNAUTHENTICATED" not in (line := self.fails("list", *at))
        assert "RECOLLECT_KEY" in line
        assert "READ" in self.fails("list", *at, RECOLLECT_KEY=self.run("create", *at, RECOLLECT_KEY=ADMIN).strip())
        assert "--workspace" in self.fails("list", "--workspace", "x", *at, RECOLLECT_KEY=ADMIN)

    async def test_other_commands_send_a_key_too(self, server: Running, tmp_path: Path) -> None:
        file = tmp_path / "chat.json"
        file.write_text(json.dumps([{"role": "user", "content": "hello there"}]))
        at = ("--url", f"http://{server.address}")
        status, _, err = recollect("import", str(file), *at)
        assert status == 1
        assert "Credentials are missing" in err
        status, out, err = recollect("import", str(file), *at, RECOLLECT_KEY=ADMIN)
        assert (status, "messages 1 new" in out) == (0, True), err
        status, out, err = recollect("search", "hello", *at, RECOLLECT_KEY=ADMIN)
        assert status == 0, err


def test_settings_show_no_secret() -> None:
    settings = Settings.read(
        {"RECOLLECT_API_KEYS": ADMIN, "RECOLLECT_KEY": ADMIN, "RECOLLECT_GRAPH_URL": "neo4j://a:b@c"}
    )
    assert settings.api_keys == ADMIN
    assert repr(settings) == "Settings(...)"


@pytest.mark.parametrize("value", ["-1", "0", "many", "1.5"])
def test_a_rate_that_cannot_be(value: str) -> None:
    with pytest.raises(BadSetting, match=r"^RECOLLECT_RATE_LIMIT "):
        Settings.read({"RECOLLECT_RATE_LIMIT": value})


def test_a_rate_that_can_be() -> None:
    assert Settings.read({"RECOLLECT_RATE_LIMIT": "off"}).rate_limit == "off"
    assert Settings.read({"RECOLLECT_RATE_LIMIT": "10"}).rate_limit == 10


def test_keys_with_padding() -> None:
    found = keys.given("abcdefghijkl==, abcdefghijkm===default:read")
    assert [(one.workspace, one.role.name) for one in found.values()] == [("default", "ADMIN"), ("default", "READ")]


async def test_a_wrong_code_is_told(server: Running) -> None:
    assert codes(await send(server, "x", VIEWER)) == ["UNAUTHENTICATED"]


async def test_the_first_key_closes_an_open_server_at_once(tmp_path: Path) -> None:
    running = Running(tmp_path / "data")
    try:
        running.start()
        assert (await send(running, None)).status_code == 200
        follower = await socket(running, "graphql-transport-ws", {})
        await follower.send(json.dumps({"id": "1", "type": "subscribe", "payload": {"query": CHANGES}}))
        async with httpx.AsyncClient(trust_env=False) as client:
            body = {"query": CREATE, "variables": {"input": {"name": "first", "role": "ADMIN"}}}
            made = (await client.post(f"http://{running.address}/graphql", json=body)).json()
        secret = made["data"]["createApiKey"]["secret"]
        assert (await ended(follower, within=5))[0] == 4403
        for path in ("/graphql", "/v1/traces"):
            assert (await send(running, None, path=path)).status_code == 401
            assert (await send(running, secret, path=path)).status_code == 200
        elsewhere = await send(running, secret, Origin="https://app.example.com")
        assert elsewhere.status_code == 200, "a key is proof enough where it comes from"
    finally:
        running.end()
