"""Recollect, over HTTP: `ours.py COUNT FOLDER PYTHON`, where PYTHON is the interpreter that has it."""

from __future__ import annotations

import sys
from typing import Any

from work import PROTOBUF, Link, Meter, free_port, given, questions, sentences, server, span_requests

PATH = "/graphql"
MARA = {"externalId": "mara"}
LONG = {"externalId": "long"}
SESSION = 'mutation { done: createSession(input: {title: "long", externalId: "long"}) { errors { message } } }'
USER = 'mutation { done: upsertUser(input: {externalId: "mara", name: "Mara"}) { errors { message } } }'
SAY = "mutation($in: AddMessageInput!) { done: addMessage(input: $in) { message { id } errors { message } } }"
SAY_ALL = "mutation($in: AddMessagesInput!) { done: addMessages(input: $in) { messages { id } errors { message } } }"
KEEP = "mutation($in: CreateMemoryInput!) { done: createMemory(input: $in) { memory { id } errors { message } } }"
FIND = """query($text: String!) { searchMemories(query: {text: $text}, mode: SEMANTIC, threshold: 0, first: 10) {
  hits { score memory { id text } } } }"""
LATEST = "query($by: Ref!) { session(by: $by) { messages(last: 50) { nodes { id text senderType createdAt } } } }"
SPANS = """query($n: Int!) { spans(first: $n) { edges { cursor node { id name kind statusCode startedAt durationMs
  attributes usage { totalTokens } spanId parentSpanId } } pageInfo { hasNextPage endCursor } } }"""


def main() -> None:
    count, folder = given()
    port = free_port()
    command = [
        sys.argv[3],
        "-c",
        "from cli.main import main; main()",
        "serve",
        "--port",
        str(port),
        "--data",
        str(folder / "data"),
    ]
    settings = {
        "RECOLLECT_RATE_LIMIT": "off",
        "RECOLLECT_LOG_LEVEL": "ERROR",
        "RECOLLECT_MEMORY_CAPACITY": "1000000000",
    }
    with server(command, f"http://127.0.0.1:{port}/readyz", folder, **settings) as pid:
        link = Link(port)

        def write(query: str, **variables: Any) -> None:
            done = link.ask(PATH, query, **variables)["done"]
            assert not done["errors"], done["errors"]

        texts = sentences(count)
        said = [{"role": "assistant" if place % 2 else "user", "text": text} for place, text in enumerate(texts)]
        write(SESSION)
        with Meter("say-1", count, [pid]):
            for one in said:
                write(SAY, **{"in": {**one, "session": LONG}})
        with Meter("say-100", count, [pid]):
            for start in range(0, count, 100):
                write(SAY_ALL, **{"in": {"session": LONG, "messages": said[start : start + 100]}})
        with Meter("turn", count // 2, [pid]):
            for start in range(0, count - 1, 2):
                write(SAY_ALL, **{"in": {"session": LONG, "messages": said[start : start + 2]}})
        with Meter("latest-50", 200, [pid]):
            for _ in range(200):
                found = link.ask(PATH, LATEST, by=LONG)["session"]["messages"]["nodes"]
        assert len(found) == 50
        write(USER)
        with Meter("keep", count, [pid]):
            for text in texts:
                write(KEEP, **{"in": {"text": text, "owner": MARA}})
        with Meter("find", 100, [pid]):
            for question in questions(100):
                found = link.ask(PATH, FIND, text=question)["searchMemories"]["hits"]
        assert len(found) == 10
        requests = span_requests(count)
        with Meter("spans", count, [pid]):
            for request in requests:
                link.send("/v1/traces", request, PROTOBUF)
        for size, times in ((50, 30), (1_000, 5)):
            with Meter(f"page-{size}", times, [pid]):
                for _ in range(times):
                    edges = link.ask(PATH, SPANS, n=size)["spans"]["edges"]
            assert len(edges) == min(size, count)


if __name__ == "__main__":
    main()
