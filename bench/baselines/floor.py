"""The least that a server of ours can do: bare uvicorn, msgspec, SQLite's statements in a thread with group commit.

It answers `{ __typename }` with a constant, and addMessage by the five statements that one takes.
"""

from __future__ import annotations

import asyncio
import queue
import sys
import threading
import time
from typing import Any

import apsw
import msgspec

from bench.baselines.serving import serve
from bench.data import LONG, Data

_SCHEMA = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
CREATE TABLE session (key INTEGER PRIMARY KEY, id TEXT UNIQUE, external_id TEXT UNIQUE, title TEXT, metadata TEXT,
  message_count INTEGER, last_active_at INTEGER);
CREATE INDEX session_active ON session (last_active_at, id);
CREATE TABLE participant (key INTEGER PRIMARY KEY, id TEXT UNIQUE, session INTEGER, type TEXT, name TEXT);
CREATE INDEX participant_session ON participant (session);
CREATE TABLE message (key INTEGER PRIMARY KEY, id TEXT UNIQUE, session INTEGER, place INTEGER, sender INTEGER,
  content TEXT, metadata TEXT, created_at INTEGER, UNIQUE (session, place));
CREATE TABLE audit (id TEXT, time INTEGER, action TEXT, targets TEXT, PRIMARY KEY (time, id)) WITHOUT ROWID;
"""

_TYPENAME = b'{"data":{"__typename":"Query"}}'
_GROUP = 128


class _Request(msgspec.Struct):
    query: str
    variables: dict[str, Any] | None = None


_decode = msgspec.json.Decoder(_Request).decode


class _Writer:
    """A thread with the only connection."""

    def __init__(self, file: str, keys: list[str]) -> None:
        self._db = apsw.Connection(file)
        self._db.execute(_SCHEMA).fetchall()
        for key, name in enumerate(keys, 1):
            self._db.execute("INSERT INTO session VALUES (?, ?, ?, '', '{}', 0, 0)", (key, f"ses_{key:032x}", name))
            self._db.execute("INSERT INTO participant VALUES (?, ?, ?, 'USER', 'user')", (key, f"par_{key:032x}", key))
        self._jobs: queue.SimpleQueue[tuple[str, str, asyncio.Future[str]]] = queue.SimpleQueue()
        self._last = time.time_ns()
        threading.Thread(target=self._run, daemon=True).start()

    async def add(self, session: str, text: str) -> str:
        """Adds a message; its id, once it is on the disk."""
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._jobs.put((session, text, answer))
        return await answer

    def _run(self) -> None:
        while True:
            group = [self._jobs.get()]
            while len(group) < _GROUP and not self._jobs.empty():
                group.append(self._jobs.get())
            self._db.execute("BEGIN IMMEDIATE")
            ids = [self._write(session, text) for session, text, _ in group]
            self._db.execute("COMMIT")
            group[0][2].get_loop().call_soon_threadsafe(_settle, [one[2] for one in group], ids)

    def _write(self, session: str, text: str) -> str:
        db, now = self._db, time.time_ns() // 1000
        self._last += 1
        id = f"msg_{self._last:032x}"
        found: Any = db.execute("SELECT * FROM session WHERE external_id = ?", (session,)).fetchone()
        sender: Any = db.execute("SELECT * FROM participant WHERE session = ?", (found[0],)).fetchone()
        content = msgspec.json.encode([{"type": "text", "text": text}]).decode()
        place = found[5] + 1
        message = id, found[0], place, sender[0], content, "{}", now
        db.execute("INSERT INTO message VALUES (NULL, ?, ?, ?, ?, ?, ?, ?)", message)
        db.execute("UPDATE session SET message_count = ?, last_active_at = ? WHERE key = ?", (place, now, found[0]))
        db.execute("INSERT INTO audit VALUES (?, ?, 'addMessage', ?)", (f"aud_{self._last:032x}", now, id))
        return id


def _settle(answers: list[asyncio.Future[str]], ids: list[str]) -> None:
    for answer, id in zip(answers, ids, strict=True):
        answer.set_result(id)


def create_app(writer: _Writer) -> Any:
    """The application."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body = (await receive())["body"]
        answer = b"" if scope["method"] == "GET" else await _answer(writer, _decode(body))
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    return app


async def _answer(writer: _Writer, request: _Request) -> bytes:
    if not request.variables:
        return _TYPENAME
    given = request.variables["input"]
    id = await writer.add(given["session"]["externalId"], given["text"])
    return msgspec.json.encode({"data": {"addMessage": {"message": {"id": id}, "errors": []}}})


def main(file: str, size: str, seed: str) -> None:
    """Serves until SIGTERM."""
    app = create_app(_Writer(file, [LONG, *Data(int(size), int(seed)).others]))
    serve(app, lifespan="off", date_header=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
