"""The clients that frontends use, against a real server; and the audits of GraphQL over HTTP."""

from __future__ import annotations

import asyncio
import json
import subprocess
import threading
import uuid
from pathlib import Path
from typing import Any

import pytest

from schema.build import sdl
from tests.support.examples import HOME, blocks
from tests.support.proxy import Proxy
from tests.support.running import Running

PAGE = HOME / "docs" / "clients.md"
CREATE = "mutation ($input: CreateSessionInput!) { createSession(input: $input) { errors { code } } }"
ADD = "mutation ($input: AddMessageInput!) { addMessage(input: $input) { errors { code } } }"
LIVE = "subscription ($session: Ref!, $after: String) { sessionMessages(session: $session, after: $after) { cursor node { text } } }"


def node(folder: Path, script: str, *arguments: str) -> Any:
    """What a script prints, as JSON."""
    done = subprocess.run(
        ["node", script, *arguments], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_audits_of_graphql_over_http(clients: Path, server: Running) -> None:
    """The whole suite of the package graphql-http, without an error or a warning."""
    results = node(clients, "audits.mjs", f"http://{server.address}/graphql")
    assert len(results) > 50
    assert [result for result in results if result["status"] != "ok"] == []


@pytest.mark.parametrize("name", ["apollo", "urql", "graphql-ws", "graphql-sse"])
async def test_a_frontend(clients: Path, server: Running, name: str) -> None:
    """It writes, reads, pages and follows; the way to the server is cut twice."""
    async with Proxy(server.address).running() as proxy:
        url = f"http://{proxy.address}/graphql"
        process = await asyncio.create_subprocess_exec(
            *("node", "flow.mjs", name, url, f"{name}-{uuid.uuid4().hex}"),
            cwd=clients,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        last = b""
        async with asyncio.timeout(60):
            while line := await process.stdout.readline():
                last = line
                if line == b"CUT\n":
                    assert proxy.cut() > 0
                    process.stdin.write(b"\n")
            complaints = await process.stderr.read()
            assert await process.wait() == 0, complaints.decode()
    result = json.loads(last)
    assert result["paged"] == [[f"m{n}" for n in numbers] for numbers in (range(10), range(10, 20), range(20, 25))]
    assert result["followed"] == [f"m{n}" for n in range(25, 30)]
    assert result["starts"] >= 3


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (4403, {"tries": 1, "ended": 4403}),
        (1006, {"tries": 3, "ended": "aborted"}),
        (4408, {"tries": 3, "ended": "aborted"}),
    ],
)
def test_who_is_refused_is_not_asked_for_again(clients: Path, code: int, told: dict[str, Any]) -> None:
    """A credential that is not good closes a socket with 4403; a broken connection, or one that timed out, is tried again."""
    assert node(clients, "refused.mjs", str(code)) == told


def test_the_older_client(clients: Path, server: Running) -> None:
    assert node(clients, "legacy.mjs", f"http://{server.address}/graphql", uuid.uuid4().hex) == {"followed": ["a", "b"]}


def test_the_compiler_of_relay(clients: Path) -> None:
    """It takes the schema, with fragments, refetching and paging."""
    project = clients / "relay-project"
    (project / "src").mkdir(parents=True)
    config = next(block.text for block in blocks(PAGE) if "schemaConfig" in block.text)
    (project / "relay.config.json").write_text(config)
    (project / "schema.graphql").write_text(sdl())
    (project / "src" / "Conversation.js").write_text((clients / "relay" / "Conversation.js").read_text())
    compiler = clients.parent / "node_modules" / ".bin" / "relay-compiler"
    done = subprocess.run(
        [compiler, "relay.config.json"], cwd=project, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    made = {file.name.removesuffix(".graphql.js") for file in (project / "src" / "__generated__").iterdir()}
    assert {"ConversationQuery", "ConversationMessagesQuery", "ConversationMessageQuery"} <= made
    assert {"ConversationSayMutation", "ConversationSubscription"} <= made


def test_generated_types(clients: Path) -> None:
    """GraphQL Code Generator's output passes tsc --strict, and so does its use."""
    folder = clients / "typescript"
    (clients / "schema.graphql").write_text(sdl())
    (clients / "codegen.json").write_text(next(block.text for block in blocks(PAGE) if "strictScalars" in block.text))
    arguments = ["schema.graphql", "codegen.json", "typescript"]
    done = subprocess.run(
        ["node", "generate.mjs", *arguments], cwd=clients, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    tsc = clients.parent / "node_modules" / ".bin" / "tsc"
    assert json.loads((folder / "tsconfig.json").read_text())["compilerOptions"]["strict"] is True
    done = subprocess.run([tsc, "--project", str(folder)], cwd=clients, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


async def test_python(server: Running) -> None:
    """The program of the documentation, over a way that is cut."""
    program: dict[str, Any] = {}
    exec(next(block.text for block in blocks(PAGE) if block.language == "python"), program)
    by = {"externalId": uuid.uuid4().hex}
    texts: list[str] = []

    async with Proxy(server.address).running() as proxy:
        url = f"http://{proxy.address}/graphql"

        def ask(query: str, variables: Any) -> Any:
            return asyncio.to_thread(program["ask"], url, query, variables)

        await ask(CREATE, {"input": by})
        cursor = (await ask("query ($by: Ref!) { session(by: $by) { messageCursor } }", {"by": by}))["session"][
            "messageCursor"
        ]
        finished = threading.Event()

        def listen() -> None:
            for event in program["follow"](url, LIVE, {"session": by, "after": cursor}):
                texts.append(event["node"]["text"])
                if len(texts) == 4:
                    break
            finished.set()

        threading.Thread(target=listen, daemon=True).start()
        for number in range(4):
            await ask(ADD, {"input": {"session": by, "role": "user", "text": str(number)}})
            async with asyncio.timeout(20):
                while len(texts) <= number:  # noqa: ASYNC110 - it happens in another thread
                    await asyncio.sleep(0.01)
            if number < 3:
                assert proxy.cut() > 0
        await asyncio.to_thread(finished.wait, 20)
    assert texts == ["0", "1", "2", "3"]


def test_nothing_names_the_machine_it_was_locked_on() -> None:
    lock = json.loads((Path(__file__).parent / "package-lock.json").read_text())
    assert [name for name, package in lock["packages"].items() if "resolved" in package] == []
