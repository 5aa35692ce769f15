"""Writes docs/transcript.md: a real server on the demo data, asked, followed, killed and asked again.

Run it from an environment that Recollect is installed in: python docs/transcript.py [FILE]
"""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from websockets.sync.client import ClientConnection, connect

HOME = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(HOME))

from server.demo import Client, fill  # noqa: E402
from server.service import open_service  # noqa: E402
from server.settings import Settings  # noqa: E402

SERVE = "import sys; sys.path.insert(0, {home!r}); from cli.main import main; main({arguments!r})"

_CURSOR = re.compile(r'((?:cursor|endCursor|after)\\?": ?\\?"[\w-]{6})[\w-]+(?=[\w-]{4}\\?")')
_WIDTH = 110

HEAD = """# Transcript

What follows was written by `python docs/transcript.py`: it fills a folder with the demo data, starts
`recollect serve` on it, and notes what is asked and answered. "..." stands for the middle of a cursor. Numbers are
rounded to three places.
"""

SESSIONS = """
query ($after: String) {
  sessions(first: 3, after: $after) {
    nodes { title kind messageCount }
    pageInfo { hasNextPage endCursor }
  }
}
"""

ONE_SESSION = """
{
  session(by: {externalId: "demo-parcel-4760"}) {
    title
    messages(first: 4) {
      nodes {
        sender { name type }
        text
        toolCalls { tool arguments response { result isError } }
        memoryRefs { score memory { text source { ... on Message { session { title } } } } }
      }
    }
  }
}
"""

SEARCH = """
{
  searchMemories(query: {text: "parcel delay at the depot"}, first: 3) {
    mode
    hits { score parts { similarity textRank fusion importance decay } memory { text owner { __typename } } }
  }
}
"""

NEIGHBOURHOOD = """
{
  memory(by: {externalId: "jonas-late-second"}) {
    text
    neighborhood(depth: 2, limit: 8, kinds: [CAUSES], include: [ACTORS]) {
      nodes { __typename ... on Memory { externalId } ... on User { name } ... on Agent { name } }
      edges { kind weight link { source { externalId } target { externalId } } }
      truncated
    }
  }
}
"""

PAGE = """
{
  session(by: {externalId: "demo-present"}) {
    trace(last: 1) {
      edges { cursor node { type component } }
      pageInfo { endCursor }
    }
  }
}
"""

APPEND = """
mutation ($events: [TraceEventInput!]!) {
  appendTraceEvents(input: {session: {externalId: "demo-present"}, events: $events}) {
    accepted
    errors { code message path }
  }
}
"""

FOLLOW = """
subscription ($after: String) {
  sessionTrace(session: {externalId: "demo-present"}, after: $after) {
    cursor
    node { type component data }
  }
}
"""


class Server:
    """`recollect serve` on a folder, as a process of its own."""

    def __init__(self, data: Path, port: int) -> None:
        arguments = ["serve", "--data", str(data), "--port", str(port)]
        program = SERVE.format(home=str(HOME), arguments=arguments)
        self.address = f"127.0.0.1:{port}"
        self.process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.DEVNULL, cwd=data)
        self._wait()

    def _wait(self) -> None:
        for _ in range(400):
            try:
                if httpx.get(f"http://{self.address}/readyz", trust_env=False).status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.05)
        raise TimeoutError(f"no server at {self.address}")

    def ask(self, query: str, variables: dict[str, Any] | None = None) -> Any:
        """The answer over HTTP."""
        body = {"query": query, "variables": variables}
        return httpx.post(f"http://{self.address}/graphql", json=body, trust_env=False).json()

    def end(self, how: int) -> None:
        """Sends a signal and waits for the end."""
        self.process.send_signal(how)
        self.process.wait(timeout=20)


class Notes:
    """The page as it is written."""

    def __init__(self) -> None:
        self._parts = [HEAD.strip()]

    def say(self, text: str) -> None:
        """A heading or a sentence."""
        self._parts.append(text)

    def asked(self, server: Server, query: str, variables: dict[str, Any] | None = None) -> Any:
        """Asks, and notes the question and the answer; returns the data."""
        self._block("graphql", query.strip())
        if variables is not None:
            self._block("json", json.dumps(variables, ensure_ascii=False))
        answer = server.ask(query, variables)
        answer.pop("extensions", None)  # the cost, which is in each
        self._block("json", pretty(rounded(answer)))
        return answer["data"]

    def frames(self, lines: list[str]) -> None:
        """Messages of a socket, each with > for sent or < for received."""
        self._block("text", "\n".join(lines))

    def text(self) -> str:
        """All of it."""
        return _CURSOR.sub(r"\1...", "\n\n".join(self._parts)) + "\n"

    def _block(self, language: str, text: str) -> None:
        self._parts.append(f"```{language}\n{text}\n```")


def rounded(value: Any) -> Any:
    """The same with shorter numbers."""
    if isinstance(value, dict):
        return {name: rounded(member) for name, member in value.items()}
    if isinstance(value, list):
        return [rounded(item) for item in value]
    return round(value, 3) if isinstance(value, float) else value


def pretty(value: Any, depth: int = 0) -> str:
    """JSON in which what fits in a line stands in one."""
    flat = json.dumps(value, ensure_ascii=False)
    if not value or not isinstance(value, dict | list) or len(flat) + 2 * depth <= _WIDTH:
        return flat
    inner, outer = "  " * (depth + 1), "  " * depth
    if isinstance(value, list):
        items = [pretty(item, depth + 1) for item in value]
        return f"[\n{inner}" + f",\n{inner}".join(items) + f"\n{outer}]"
    members = [f"{json.dumps(name)}: {pretty(member, depth + 1)}" for name, member in value.items()]
    return f"{{\n{inner}" + f",\n{inner}".join(members) + f"\n{outer}}}"


class Follower:
    """A client of graphql-transport-ws that notes its messages."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket, self.lines = socket, list[str]()
        self._send({"type": "connection_init"})
        self._receive()

    def subscribe(self, after: str) -> None:
        """Starts the subscription."""
        payload = {"query": " ".join(FOLLOW.split()), "variables": {"after": after}}
        self._send({"id": "1", "type": "subscribe", "payload": payload})

    def next(self) -> str:
        """Waits for the next event and returns its cursor."""
        cursor: str = self._receive()["payload"]["data"]["sessionTrace"]["cursor"]
        return cursor

    def _send(self, message: dict[str, Any]) -> None:
        self._socket.send(json.dumps(message))
        self.lines.append(f"> {json.dumps(message)}")

    def _receive(self) -> Any:
        text = self._socket.recv(timeout=10)
        self.lines.append(f"< {text}")
        return json.loads(text)


@contextmanager
def following(server: Server) -> Iterator[Follower]:
    """A socket for as long as it is needed; its server may be killed meanwhile."""
    protocols: Any = ["graphql-transport-ws"]
    with connect(f"ws://{server.address}/graphql", subprotocols=protocols, proxy=None) as socket:
        yield Follower(socket)


def lists(server: Server, notes: Notes) -> None:
    """Sessions, one session, a search, a neighbourhood."""
    notes.say("## Sessions, page by page")
    first = notes.asked(server, SESSIONS)["sessions"]
    notes.say("The next page, after the end of this one:")
    notes.asked(server, SESSIONS, {"after": first["pageInfo"]["endCursor"]})
    notes.say(
        "## One session\n\nMessages with their senders, tool calls joined to their responses, and the memories they "
        "drew on, with the session each of those was formed in: one query."
    )
    notes.asked(server, ONE_SESSION)
    notes.say("## A search\n\nThe score is fusion x (0.9 + 0.1 x importance x decay).")
    notes.asked(server, SEARCH)
    notes.say("## A neighbourhood\n\nWhat leads to Jonas's second late parcel and what it leads to, two links deep.")
    notes.asked(server, NEIGHBOURHOOD)


def live(data: Path, port: int, notes: Notes) -> None:
    """A trace followed across a killed server."""
    server = Server(data, port)
    try:
        lists(server, notes)
        notes.say("## A live trace\n\nFirst a page: the last line of a session's log.")
        end = notes.asked(server, PAGE)["session"]["trace"]["pageInfo"]["endCursor"]
        notes.say("Another client appends a line before anybody follows.")
        notes.asked(server, APPEND, _event("pick", {"shelf": "B3"}))
        notes.say(
            "The subscription goes on after the page: the line from in between comes first, then what the other client "
            "appends next, as it is written."
        )
        with following(server) as follower:
            follower.subscribe(end)
            follower.next()
            server.ask(APPEND, _event("pack", {"grams": 100}))
            seen = follower.next()
            notes.frames(follower.lines)
            notes.say("Now the server is killed (`kill -9`) and started again on the same folder.")
            server.end(signal.SIGKILL)
        server = Server(data, port)
        notes.say("Before the follower is back the other client appends again.")
        notes.asked(server, APPEND, _event("label", {"carrier": "usual"}))
        notes.say("The follower goes on after the last cursor it has seen: nothing is missing, nothing comes twice.")
        with following(server) as follower:
            follower.subscribe(seen)
            follower.next()
            server.ask(APPEND, _event("hand over", {"order": "4791"}))
            follower.next()
            notes.frames(follower.lines)
    finally:
        server.end(signal.SIGTERM)


def _event(kind: str, data: dict[str, Any]) -> dict[str, Any]:
    return {"events": [{"type": kind, "component": "warehouse", "data": data}]}


async def _fill(data: Path) -> None:
    service = open_service(data, Settings())
    try:
        await fill(Client(service))
    finally:
        await service.close()


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def transcript() -> str:
    """The text of the page."""
    data, notes = Path(tempfile.mkdtemp(prefix="recollect-transcript-")), Notes()
    try:
        asyncio.run(_fill(data))
        live(data, _free_port(), notes)
    finally:
        shutil.rmtree(data)
    return notes.text()


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else HOME / "docs" / "transcript.md"
    target.write_text(transcript(), encoding="utf-8")
