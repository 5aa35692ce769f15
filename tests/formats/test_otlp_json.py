"""Files of OTLP in JSON: into a folder, and through a server."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from cli import server_sink
from cli.importer import Summary
from cli.server_sink import ServerError, UrlSink
from cli.sink import Sink
from cli.store_sink import StoreSink
from domain.session import Session
from domain.span import Span
from formats.conversation import FormatError
from formats.otlp.json import Exports, Request, count, parts
from formats.recollect.restore import Loaded
from formats.registry import open_file
from resolvers.context import Context
from server.otlp.endpoint import OTLP, TRACES
from tests.formats.test_recollect_jsonl import opened
from tests.server.otlp.test_traces import request, span
from tests.support.graphql_client import ANYONE
from tests.support.importing import import_file
from tests.support.running import recollect

NAMED = {"attributes": [{"key": "session.id", "value": {"stringValue": "s"}}]}
LINES = [request(span(id=f"{n:016x}")) for n in range(1, 4)] + [request(span(id="f" * 16, **NAMED))]


@pytest.fixture
async def context(tmp_path: Path) -> AsyncIterator[Context]:
    async with opened(tmp_path / "data") as context:
        yield context


@pytest.fixture
async def url(context: Context) -> AsyncIterator[UrlSink]:
    """The same workspace behind a server."""
    app = Starlette(routes=[Route("/v1/traces", OTLP(TRACES, lambda _: context, access=ANYONE))])
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
        yield UrlSink(client)


@pytest.fixture(params=["folder", "url"])
def sink(request: pytest.FixtureRequest, context: Context, url: UrlSink) -> Sink:
    """Both ways into the workspace."""
    return StoreSink(context) if request.param == "folder" else url


def written(folder: Path, *values: Any, indent: int | None = None) -> Path:
    """A file of these, one a line."""
    path = folder / "spans.json"
    path.write_text("\n".join(json.dumps(value, indent=indent) for value in values))
    return path


async def test_lines_as_the_collector_writes_them(sink: Sink, context: Context, tmp_path: Path) -> None:
    path = written(tmp_path, *LINES)
    assert await import_file(path, sink) == Summary("otlp", {"spans": Loaded(4, 0)})
    [session] = await context.store.scan(Session, None, 10)
    spans = await context.store.scan(Span, None, 10)
    assert [found.session_id for found in spans] == [session.id] * 4, "the session was named by the last line"
    assert await import_file(path, sink) == Summary("otlp", {"spans": Loaded(0, 4)})


@pytest.mark.parametrize("indent", [None, 2])
async def test_one_request(sink: Sink, tmp_path: Path, indent: int | None) -> None:
    path = written(tmp_path, request(span(), span(id="1" * 16)), indent=indent)
    assert await import_file(path, sink) == Summary("otlp", {"spans": Loaded(2, 0)})


async def test_a_request_too_long_for_one(url: UrlSink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_sink, "MAX_EXPORT", 2_000)
    path = written(tmp_path, request(*[span(id=f"{n:016x}") for n in range(1, 51)]))
    assert await import_file(path, url) == Summary("otlp", {"spans": Loaded(50, 0)})


async def test_what_is_shortened_is_told(context: Context, url: UrlSink, tmp_path: Path) -> None:
    long = [{"key": "x", "value": {"stringValue": "begin " + "x" * 300_000 + " end"}}]
    path = written(tmp_path, request(span(attributes=long)), request(span(id="1" * 16, attributes=long)))
    note = "1 attributes were shortened to fit RECOLLECT_MAX_ATTRIBUTES_BYTES per span or event"
    assert (await import_file(path, StoreSink(context, 4_096))).notes == [note]
    assert (await import_file(path, url)).notes == [note]
    spans = await context.store.scan(Span, None, 10)
    assert all(len(bytes(found.attributes)) <= 245_760 for found in spans)
    status, out, _ = recollect(
        "import", str(path), "--data", str(tmp_path / "other"), RECOLLECT_MAX_ATTRIBUTES_BYTES="4096"
    )
    assert (status, out.strip().split("; ")[-1]) == (0, note)


async def test_no_spans(sink: Sink, tmp_path: Path) -> None:
    assert await import_file(written(tmp_path, {"resourceSpans": []}), sink) == Summary("otlp", {"spans": Loaded()})


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "the file is empty"),
        ('{"resourceSpans": [', "This is not valid OTLP JSON"),
        (json.dumps(LINES[0]) + "\n{", "line 2: This is not valid OTLP JSON"),
        (json.dumps(LINES[0]) + "\n[]", "line 2: This is not valid OTLP JSON"),
        (json.dumps(LINES[0]) + "\n\n" + json.dumps(request(span(), span(id="0" * 16))), "line 3: span 2: spanId is all zeros"),
        ('{"resourceSpans": 5}\n{}', "line 1: This is not valid OTLP JSON"),
        ('{"resourceSpans": [{"scopeSpans": [5]}]}', "line 1: This is not valid OTLP JSON"),
    ],
)  # fmt: skip
async def test_a_broken_file_changes_nothing(
    sink: Sink, context: Context, tmp_path: Path, text: str, problem: str
) -> None:
    path = tmp_path / "spans.json"
    path.write_text(text)
    with pytest.raises(FormatError) as error:
        await import_file(path, sink, "otlp")
    assert str(error.value).startswith(problem)
    assert await context.store.scan(Span, None, 10) == []


def test_it_is_recognized(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text('\ufeff \n{ "resourceSpans" : [] }')
    assert open_file(path).content == Exports([])
    path.write_text('{"x": [], "resourceSpans": []}')
    with pytest.raises(FormatError, match="unknown format"):
        open_file(path)


async def test_what_a_server_says_is_told(tmp_path: Path) -> None:
    answers = [httpx.Response(503, json={"code": 14, "message": "later"}), httpx.Response(404, text="<html>"),
               httpx.Response(200, json={"partialSuccess": {"rejectedSpans": "1", "errorMessage": "no"}})]  # fmt: skip
    for answer, told in zip(answers, ("later", "status 404 instead of OTLP", "no"), strict=True):
        transport = httpx.MockTransport(lambda _, answer=answer: answer)  # type: ignore[misc]
        async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
            with pytest.raises(ServerError, match=told):
                await import_file(written(tmp_path, LINES[0]), UrlSink(client))


def test_parts_lose_nothing() -> None:
    whole = msgspec.convert(
        {"resourceSpans": [request(*[span()] * n)["resourceSpans"][0] for n in (3, 0, 5, 1)]}, Request
    )
    assert [count(part) for part in parts(whole, 4)] == [4, 4, 1]
    assert [count(part) for part in parts(whole)] == [9]


def test_the_command(tmp_path: Path) -> None:
    path = written(tmp_path, *LINES)
    for told in ("spans 4 new, 0 already there", "spans 0 new, 4 already there"):
        status, out, _ = recollect("import", str(path), "--format", "otlp", "--data", str(tmp_path / "data"))
        assert (status, out) == (0, f"{path} (otlp): {told}\n")
