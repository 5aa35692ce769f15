"""The console in a browser, on a server of its own process: what a person does, and what comes of it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from server.http.console import FOLDER
from tests.support.graphql_client import in_memory
from tests.support.running import STARTS_IN, Running
from tests.support.servers import SETTINGS
from tests.support.services import hold

expect.set_options(timeout=20_000)  # ms; a busy machine asks Neo4j for the first time
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    assert program, "these tests need Chromium: apt-get install chromium"
    assert (FOLDER / "index.html.gz").is_file(), "the console is not built: pip install -e . says why with -v"
    with sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-lcd-text"])
        yield opened
        opened.close()


class Site:
    """A server and what is written to it."""

    def __init__(self, running: Running, key: str = "") -> None:
        self.running = running
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}

    @property
    def url(self) -> str:
        return f"http://{self.running.address}"

    def ask(self, query: str, **variables: Any) -> Any:
        """The data of a query; of a mutation with one payload that."""
        answer = self._post("/graphql", {"query": query, "variables": variables}).json()
        assert "errors" not in answer, answer["errors"]
        data = answer["data"]
        for value in data.values():
            assert not isinstance(value, dict) or not value.get("errors"), value
        return data

    def _post(self, path: str, body: Any) -> httpx.Response:
        """Again where a store is away, as a server under load may find it."""
        until = time.monotonic() + STARTS_IN
        while True:
            answer = httpx.post(self.url + path, json=body, headers=self._headers, trust_env=False, timeout=60)
            if time.monotonic() > until or not (answer.status_code == 503 or '"UNAVAILABLE"' in answer.text):
                return answer
            time.sleep(0.5)

    def session(self, name: str, title: str = "", **more: Any) -> str:
        made = self.ask(
            "mutation ($i: CreateSessionInput!) { createSession(input: $i) { session { id } errors { message } } }",
            i={"externalId": name, "title": title or name, **more},
        )
        return str(made["createSession"]["session"]["id"])

    def say(self, session: str, text: str = "", role: str = "user", **more: Any) -> str:
        """Adds a message; content: in place of a text."""
        said = {"session": {"id": session}, "role": role, **({"text": text} if text else {}), **more}
        made = self.ask(
            "mutation ($i: AddMessageInput!) { addMessage(input: $i) { message { id } errors { message path } } }",
            i=said,
        )
        return str(made["addMessage"]["message"]["id"])

    def remember(self, text: str, **more: Any) -> str:
        given = {"type": "SEMANTIC", "text": text, **({"scope": "GLOBAL"} if "owner" not in more else {}), **more}
        made = self.ask(
            "mutation ($i: CreateMemoryInput!) { createMemory(input: $i) { memory { id } errors { message path } } }",
            i=given,
        )
        return str(made["createMemory"]["memory"]["id"])

    def begin(self, name: str, **more: Any) -> str:
        made = self.ask(
            "mutation ($i: StartSpanInput!) { startSpan(input: $i) { span { id } errors { message path } } }",
            i={"name": name, **more},
        )
        return str(made["startSpan"]["span"]["id"])

    def end(self, span: str, **more: Any) -> None:
        self.ask(
            "mutation ($i: EndSpanInput!) { endSpan(input: $i) { span { id } errors { message } } }",
            i={"span": span, **more},
        )

    def trace(self, name: str, count: int, session: str) -> str:
        """A trace of many spans, three deep, of which each hundredth failed."""
        id = hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()
        spans = [_span(id, number, session) for number in range(count)]
        for at in range(0, count, 1000):
            body = {"resourceSpans": [{"scopeSpans": [{"spans": spans[at : at + 1000]}]}]}
            answer = self._post("/v1/traces", body)
            assert answer.status_code == 200, answer.text
        return id

    def answer(self, session: str, trace: str, thought: str, text: str) -> None:
        """A span of a model call in the session of that external id, of which a message is made."""
        parts = [{"type": "reasoning", "content": thought}, {"type": "text", "content": text}]
        span = _span(trace, 0, session)
        said = json.dumps([{"role": "assistant", "parts": parts}])
        span["attributes"] = [one for one in span["attributes"] if one["key"] != "gen_ai.input.messages"]
        span["attributes"].append({"key": "gen_ai.output.messages", "value": {"stringValue": said}})
        answer = self._post("/v1/traces", {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]})
        assert answer.status_code == 200, answer.text


def _span(trace: str, number: int, session: str) -> dict[str, Any]:
    start = 1_790_000_000_000_000_000 + number * 1_000_000
    attributes = {"openinference.span.kind": ["LLM", "TOOL", "CHAIN"][number % 3], "session.id": session}
    if number % 3 == 0:
        said = [{"role": "user", "parts": [{"type": "text", "content": f"Where is parcel **{number}**?"}]}]
        attributes |= {"gen_ai.request.model": "small-1", "gen_ai.input.messages": json.dumps(said)}
    span: dict[str, Any] = {
        "traceId": trace,
        "spanId": f"{number + 1:016x}",
        "name": f"step {number}",
        "kind": 1,
        "startTimeUnixNano": str(start),
        "endTimeUnixNano": str(start + 50_000_000 if number else start + 60_000_000_000),
        "attributes": [{"key": key, "value": {"stringValue": value}} for key, value in attributes.items()],
        "status": {"code": 2 if number % 100 == 7 else 1},
    }
    if number:
        span["parentSpanId"] = f"{(0 if number % 10 == 1 else number - number % 10 + 1) + 1:016x}"
    if number % 10 == 0 and number:
        span["parentSpanId"] = f"{1:016x}"
    return span


@pytest.fixture(scope="session")
def site(family: str) -> Iterator[Site]:
    """On a folder; for tests of both families also on Neo4j, Weaviate and Redis."""
    with in_memory() as folder:
        settings = {}
        if family == "services":
            hold(folder)
            settings = {name: os.environ[name] for name in SETTINGS}
            settings["RECOLLECT_BLOBS_URL"] = (folder / "blobs").as_uri()
        running = Running(folder / "data", **settings)
        try:
            running.start()
            yield Site(running)
        finally:
            running.end()


@pytest.fixture
def page(browser: Browser, site: Site) -> Iterator[Page]:
    """A tab at the site. It must meet no error, break no policy, and ask no other host."""
    yield from tab(browser, site.url)


def tab(browser: Browser, url: str, **options: Any) -> Iterator[Page]:
    context = browser.new_context(
        base_url=url, viewport={"width": 1280, "height": 800}, reduced_motion="reduce", **options
    )
    context.set_default_timeout(20_000)
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    opened = context.new_page()
    wrong: list[str] = []
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on("dialog", lambda dialog: (wrong.append(f"dialog: {dialog.message}"), dialog.dismiss()))
    opened.on("console", lambda said: wrong.append(said.text) if said.type in ("error", "warning") else None)
    hosts: set[str] = set()
    context.on(
        "request",
        lambda request: hosts.add(httpx.URL(request.url).netloc.decode()) if request.url.startswith("http") else None,
    )
    yield opened
    context.close()
    away = (
        "ERR_CONNECTION_REFUSED",
        "WebSocket connection to",
        "ERR_CONNECTION_RESET",
        "401 (Unauthorized)",
        "400 (Bad Request)",
    )
    assert not [text for text in wrong if not any(known in text for known in away)]
    assert hosts <= {httpx.URL(url).netloc.decode()}
