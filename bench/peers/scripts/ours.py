"""Recollect, over HTTP: `ours.py COUNT FOLDER PYTHON`, where PYTHON is the interpreter that has it."""

from __future__ import annotations

import sys
from typing import Any

from work import (
    PROTOBUF,
    REFERENCES,
    Link,
    Meter,
    free_port,
    given,
    questions,
    referred,
    sentences,
    server,
    span_requests,
)

PATH = "/graphql"
MARA = {"externalId": "mara"}
LONG = {"externalId": "long"}
SESSION = 'mutation { done: createSession(input: {title: "s", externalId: "%s"}) { errors { message } } }'
USER = 'mutation { done: upsertUser(input: {externalId: "mara", name: "Mara"}) { errors { message } } }'
SAY = "mutation($in: AddMessageInput!) { done: addMessage(input: $in) { message { id } errors { message } } }"
SAY_ALL = "mutation($in: AddMessagesInput!) { done: addMessages(input: $in) { messages { id } errors { message } } }"
KEEP = "mutation($in: CreateMemoryInput!) { done: createMemory(input: $in) { memory { id } errors { message } } }"
FIND = """query($text: String!) { searchMemories(query: {text: $text}, mode: SEMANTIC, threshold: 0, first: 10) {
  hits { score memory { id text } } } }"""
LATEST = "query($by: Ref!) { session(by: $by) { messages(last: 50) { nodes { id text senderType createdAt } } } }"
NESTED = """query($by: Ref!, $n: Int!) { session(by: $by) { id title kind createdAt messages(first: $n) { edges { cursor
  node { id senderType createdAt content { ... on TextContent { text } } sender { id name }
    memoryRefs { score memory { id text importance } } } } pageInfo { hasNextPage endCursor } } } }"""
SPANS = """query($n: Int!) { spans(first: $n) { edges { cursor node { id name kind statusCode startedAt durationMs
  attributes usage { totalTokens } spanId parentSpanId } } pageInfo { hasNextPage endCursor } } }"""


def main() -> None:
    count, folder = given()
    port = free_port()
    command = [sys.argv[3], "-c", "from cli.main import main; main()", "serve", "--port", str(port)]
    settings = {
        "RECOLLECT_RATE_LIMIT": "off",
        "RECOLLECT_LOG_LEVEL": "ERROR",
        "RECOLLECT_MEMORY_CAPACITY": "1000000000",
    }
    ready = f"http://127.0.0.1:{port}/readyz"
    with server([*command, "--data", str(folder / "data")], ready, folder, **settings) as pid:
        ours = Ours(Link(port), pid, sentences(count))
        ours.say()
        ours.remember()
        ours.read_nested()
        ours.trace()


class Ours:
    def __init__(self, link: Link, pid: int, texts: list[str]) -> None:
        self._link, self._pids, self._texts = link, [pid], texts
        self._said: list[dict[str, Any]] = [
            {"role": "assistant" if place % 2 else "user", "text": text} for place, text in enumerate(texts)
        ]

    def _ask(self, query: str, **variables: Any) -> Any:
        return self._link.ask(PATH, query, **variables)

    def _write(self, query: str, **given: Any) -> None:
        done = self._ask(query, **({"in": given} if given else {}))["done"]
        assert not done["errors"], done["errors"]

    def _say_all(self, session: str, together: int) -> None:
        for start in range(0, len(self._said), together):
            self._write(SAY_ALL, session={"externalId": session}, messages=self._said[start : start + together])

    def say(self) -> None:
        count = len(self._said)
        self._write(SESSION % "long")
        with Meter("say-1", count, self._pids):
            for one in self._said:
                self._write(SAY, **one, session=LONG)
        with Meter("say-100", count, self._pids):
            self._say_all("long", 100)
        with Meter("turn", count // 2, self._pids):
            self._say_all("long", 2)
        with Meter("latest-50", 200, self._pids):
            for _ in range(200):
                found = self._ask(LATEST, by=LONG)["session"]["messages"]["nodes"]
        assert len(found) == 50

    def remember(self) -> None:
        self._write(USER)
        with Meter("keep", len(self._texts), self._pids):
            for text in self._texts:
                self._write(KEEP, text=text, owner=MARA)
        with Meter("find", 100, self._pids):
            for question in questions(100):
                found = self._ask(FIND, text=question)["searchMemories"]["hits"]
        assert len(found) == 10

    def read_nested(self) -> None:
        self._write(SESSION % "drawn")
        for number in range(REFERENCES):
            self._write(KEEP, text=self._texts[number], owner=MARA, externalId=f"m{number}")
        for place, one in enumerate(self._said):
            one["memoryRefs"] = [{"memory": {"externalId": f"m{number}"}, "score": 0.5} for number in referred(place)]
        self._say_all("drawn", 100)
        for size, times in ((50, 200), (1_000, 30)):
            with Meter(f"nested-{size}", times, self._pids):
                for _ in range(times):
                    edges = self._ask(NESTED, by={"externalId": "drawn"}, n=size)["session"]["messages"]["edges"]
            assert len(edges) == min(size, len(self._said))

    def trace(self) -> None:
        count = len(self._texts)
        requests = span_requests(count)
        with Meter("spans", count, self._pids):
            for request in requests:
                self._link.send("/v1/traces", request, PROTOBUF)
        for size, times in ((50, 30), (1_000, 5)):
            with Meter(f"page-{size}", times, self._pids):
                for _ in range(times):
                    edges = self._ask(SPANS, n=size)["spans"]["edges"]
            assert len(edges) == min(size, count)


if __name__ == "__main__":
    main()
