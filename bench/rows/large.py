"""A large workspace on the three servers beside a small one of the same database: a million messages change nothing."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any, LiteralString

from bench import queries
from bench.baselines.driver import Raw
from bench.http import Connection, post
from bench.lab import Lab
from bench.process import RECOLLECT, BenchError, start
from bench.row import Row, within_times

SESSIONS, TALKERS, MESSAGES = 30_000, 10, 34
"""300,000 participants and 1,020,000 messages."""

_LARGE, _SMALL = "large", "small"
_KEYS = {workspace: f"bench-key-of-{workspace}" for workspace in (_LARGE, _SMALL)}
_SESSION = {"externalId": "template"}
_TIMES = 120
_PAGE_OF_SESSIONS = 50

_COPIES: LiteralString = """
UNWIND range(1, $count) AS n
CALL (n) {
  WITH n, right('0000000000000000' + toString(n), 16) AS tail
  MATCH (s:Session {workspace: $workspace, external_id: 'template'})
  CREATE (t:Session) SET t = s {.*, id: left(s.id, 20) + tail, external_id: 'copy' + toString(n)}
  WITH s, t, tail
  CALL (s, t, tail) {
    MATCH (p:Participant {workspace: $workspace, session: s.id}) WHERE p.identity IS NOT NULL
    CREATE (q:Participant)-[:TAKES_PART_IN]->(t)
    SET q = p {.*, session: t.id, id: left(p.id, 4) + right(p.id, 16) + tail}
    RETURN collect([p.id, q]) AS talkers }
  MATCH (m:Message {workspace: $workspace, session: s.id}) WHERE m.place IS NOT NULL
  WITH m, t, tail, [pair IN talkers WHERE pair[0] = m.sender | pair[1]][0] AS q
  CREATE (q)<-[:FROM]-(c:Message)-[:IN]->(t)
  SET c = m {.*, session: t.id, sender: q.id, id: left(m.id, 4) + right(m.id, 16) + tail}
} IN TRANSACTIONS OF 100 ROWS"""
"""Copies of the one session that the API has made, with all that it holds."""

_PAGE = """query ($by: Ref!) { session(by: $by) { messages(last: 50) { nodes { id text sender { id name } } } } }"""
_SESSIONS = (
    "query { sessions(first: 50) { nodes { id title messageCount participants(first: 5) { nodes { name } } } } }"
)

_ASKED: dict[str, Callable[[], tuple[str, dict[str, Any]]]] = {
    "add": lambda: (queries.ADD_MESSAGE, {"input": _said(f"talker {time.perf_counter_ns() % TALKERS}")}),
    "page": lambda: (_PAGE, {"by": _SESSION}),
    "sessions": lambda: (_SESSIONS, {}),
}


def _said(name: str) -> dict[str, Any]:
    return {"session": _SESSION, "role": "user", "senderName": name, "text": "What did we decide?"}


async def _measured(lab: Lab) -> dict[str, tuple[float, float]]:
    """What each question takes in the large and in the small workspace, in ms, asked in turns; the medians."""
    keys = ",".join(f"{key}={workspace}:admin" for workspace, key in _KEYS.items())
    folder = lab.folder / "large"
    folder.mkdir()
    serve = [*RECOLLECT, "serve", "--port", "0", "--data", str(folder)]
    server = await start(serve, folder / "server.log", {**lab.servers, "RECOLLECT_API_KEYS": keys})
    connection = await server.connect()
    try:
        for workspace in _KEYS:
            await _ask(connection, workspace, queries.CREATE_SESSION, {"input": _SESSION})
            for place in range(MESSAGES):
                await _ask(connection, workspace, queries.ADD_MESSAGE, {"input": _said(f"talker {place % TALKERS}")})
        raw = Raw(lab.servers["RECOLLECT_GRAPH_URL"])
        try:
            await raw.alone(_COPIES, workspace=_LARGE, count=SESSIONS - 1)
            await raw.alone(_COPIES, workspace=_SMALL, count=_PAGE_OF_SESSIONS - 1)
        finally:
            await raw.close()
        connection.close()  # as the server did, which waited for minutes
        connection = await server.connect()
        taken: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in _ASKED}
        for turn in range(_TIMES):
            for name, asked in _ASKED.items():
                sides = list(zip(taken[name], _KEYS, strict=True))
                for times, workspace in (
                    sides if turn % 2 else reversed(sides)
                ):  # what goes before costs either the same
                    times.append(await _ask(connection, workspace, *asked()))
    finally:
        connection.close()
        await server.stop()
    late = slice(_TIMES // 4, None)
    return {name: (statistics.median(a[late]), statistics.median(b[late])) for name, (a, b) in taken.items()}


async def _ask(connection: Connection, workspace: str, query: str, variables: dict[str, Any]) -> float:
    """Asks, and gives the milliseconds it took."""
    request = post(query, variables, authorization=f"Bearer {_KEYS[workspace]}")
    begun = time.perf_counter()
    answer = await connection.ask(request)
    taken = (time.perf_counter() - begun) * 1000
    if b'"errors":[{' in answer or not answer.startswith(b"HTTP/1.1 200"):
        raise BenchError(f"The server answered {answer.decode()[-300:]}")
    return taken


def _row(name: str, title: str) -> Row:
    async def measure(lab: Lab) -> float:
        return (await lab.once("large", lambda: _measured(lab)))[name][0]

    async def small(lab: Lab) -> float:
        return (await lab.once("large", lambda: _measured(lab)))[name][1]

    return Row(
        name=f"services-large-{name}",
        title=f"{title}, where 1,000,000 messages are",
        unit="ms",
        measure=measure,
        baseline=small,
        against=f"the same where {_PAGE_OF_SESSIONS * MESSAGES:,} messages are",
        wanted=within_times(1.2),
        lower=True,
        rounds=1,
        opt_in=True,
    )


ROWS = [
    _row("add", "addMessage, 1 caller"),
    _row("page", "Page of the latest 50"),
    _row("sessions", "Page of 50 sessions"),
]
