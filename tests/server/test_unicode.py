"""One text that was cut in the middle of an emoji takes nothing else with it, whatever way it comes in."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from tests.support.running import ROOT, Running, command, environment, recollect

PROTOCOLS = {"graphql-transport-ws": ("subscribe", "next"), "graphql-ws": ("start", "data")}
SET = (
    'mutation ($v: JSON!, $k: String! = "k") { setState(input: {namespace: "n", key: $k, value: $v}) '
    "{ state { value } errors { message } } }"
)
CUT = {  # how it is written in a string of JSON, and how it is read
    "an escaped half": (rb"\ud83d", "\ufffd"),
    "the other half": (rb"\uDE00", "\ufffd"),
    "halves the wrong way round": (rb"\ude00\ud83d", "\ufffd\ufffd"),
    "a cut character": (b"\xf0\x9f\x98", "\ufffd"),
    "a half in UTF-8": (b"\xed\xa0\xbd", "\ufffd"),
    "no UTF-8 at all": (b"\xff", "\ufffd"),
    "an escape that is none": (rb"\\ud83d", r"\ud83d"),
}
EVERY = pytest.mark.parametrize(("cut", "read"), CUT.values(), ids=CUT)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    running = Running(tmp_path_factory.mktemp("unicode") / "data")
    running.start()
    yield running
    running.end()


def body(query: str, variables: bytes) -> bytes:
    return b'{"query": %b, "variables": %b}' % (json.dumps(query).encode(), variables)


async def post(server: Running, path: str, content: bytes, kind: str = "application/json") -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False, timeout=30) as http:
        return await http.post(f"http://{server.address}{path}", content=content, headers={"content-type": kind})


@EVERY
async def test_http_in_keys_and_values(server: Running, cut: bytes, read: str) -> None:
    variables = b'{"v": {"a %b": ["%b z", 1]}}' % (cut, cut)
    answer = await post(server, "/graphql", body(SET, variables))
    assert answer.json()["data"]["setState"] == {
        "state": {"value": {f"a {read}": [f"{read} z", 1]}},
        "errors": [],
    }


@pytest.mark.parametrize("literal", [r"\ud83d", r"\uDE00", r"\u{D83D}", "\\ud83d\\n"])
async def test_a_document(server: Running, literal: str) -> None:
    text = (
        f'mutation {{ setState(input: {{namespace: "n", key: "d", value: {{a: "x {literal}", b: "fine \\ud83d\\ude00", '
        f'c: """{literal}""" }}}}) {{ state {{ value }} }} }} # {literal} "'
    )
    answer = (await post(server, "/graphql", json.dumps({"query": text}).encode())).json()
    value = answer["data"]["setState"]["state"]["value"]
    assert value["a"].startswith("x \ufffd")
    assert value["b"] == "fine 😀"
    assert value["c"].startswith(literal[:3])


async def test_a_url(server: Running) -> None:
    query = "query ($f: SessionFilter) { sessions(filter: $f) { totalCount } }"
    variables = "%7B%22f%22%3A%7B%22text%22%3A%22%F0%9F%98+%5Cud83d+%ED%A0%BD%22%7D%7D"
    async with httpx.AsyncClient(trust_env=False) as http:
        answer = await http.get(f"http://{server.address}/graphql?query={query}&variables={variables}")
    assert answer.json()["data"] == {"sessions": {"totalCount": 0}}


@EVERY
@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_socket_stays_open(server: Running, protocol: str, cut: bytes, read: str) -> None:
    start, result = PROTOCOLS[protocol]
    async with connect(f"ws://{server.address}/graphql", subprotocols=[Subprotocol(protocol)], proxy=None) as socket:
        await socket.send('{"type": "connection_init"}')
        payload = body(SET, b'{"v": "%b", "k": "k %b"}' % (cut, cut))
        for id in (b"1", b"2"):
            frame = b'{"id": "%b", "type": "%b", "payload": %b}' % (id, start.encode(), payload)
            await socket.send(frame, text=True)
        values = []
        async for text in socket:
            message = json.loads(text)
            if message["type"] == result:
                values.append(message["payload"]["data"]["setState"]["state"]["value"])
            if len(values) == 2:
                break
        assert values == [read, read]


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_value_that_cannot_be_read_ends_its_own_operation(server: Running, protocol: str) -> None:
    start, _ = PROTOCOLS[protocol]
    async with connect(f"ws://{server.address}/graphql", subprotocols=[Subprotocol(protocol)], proxy=None) as socket:
        await socket.send('{"type": "connection_init"}')
        payload = body(SET, b'{"v": %b}' % (b"9" * 10_000)).decode()
        await socket.send(f'{{"id": "1", "type": "{start}", "payload": {payload}}}')
        await socket.send(json.dumps({"id": "2", "type": start, "payload": {"query": "{ __typename }"}}))
        told: dict[str, Any] = {}
        async for text in socket:
            message = json.loads(text)
            told.setdefault(message.get("id", ""), message)
            if "2" in told:
                break
        assert told["1"]["type"] == "error"
        assert "int_max_str_digits" not in json.dumps(told)


async def test_integers_of_ten_thousand_digits(server: Running) -> None:
    """They are told in our own words wherever they come in; a span's attribute is the text of them."""
    digits = "9" * 10_000
    span = {
        "traceId": "1" * 32,
        "spanId": "2" * 16,
        "name": "x",
        "attributes": [{"key": "n", "value": {"intValue": digits}}],
    }
    exported = {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}
    for path, content in (
        ("/graphql", json.dumps({"query": f"{{ sessions(first: {digits}) {{ totalCount }} }}"}).encode()),
        ("/graphql", json.dumps({"query": SET.replace("value: $v", f"value: [{{a: -{digits}}}]")}).encode()),
        ("/graphql", body(SET, b'{"v": %b}' % digits.encode())),
        ("/graphql", body("query ($n: Int) { sessions(first: $n) { totalCount } }", b'{"n": %b}' % digits.encode())),
        ("/v1/traces", json.dumps(exported).encode()),
        ("/v1/traces", json.dumps(exported).replace(f'"{digits}"', digits).encode()),
    ):
        answer = await post(server, path, content)
        as_text = f'"{digits}"'.encode() in content
        assert (answer.json() == {}) if as_text else 400 <= answer.status_code < 500 or "errors" in answer.json(), path
        told = answer.text
        assert len(told) < 1_000, told[:200]
        assert "limit" not in told.lower() or "sys." not in told
        assert "conversion" not in told


@EVERY
async def test_otlp_in_json(server: Running, cut: bytes, read: str) -> None:
    trace = os.urandom(16).hex()
    spans = b",".join(
        b'{"traceId": "%b", "spanId": "%b", "name": "%b", "attributes": [{"key": "k%b", "value": {"stringValue": "v%b"}}]}'
        % (trace.encode(), id.encode(), name, name, name)
        for id, name in (("1" * 16, b"fine"), ("2" * 16, cut))
    )
    answer = await post(server, "/v1/traces", b'{"resourceSpans": [{"scopeSpans": [{"spans": [%b]}]}]}' % spans)
    assert answer.status_code == 200
    assert await attributes(server, trace) == sorted([("fine", "vfine"), (read, f"v{read}")])


@pytest.mark.parametrize(
    ("cut", "read"), [(b"\xf0\x9f\x98", "\ufffd"), (b"\xed\xa0\xbd", "\ufffd"), (b"\xff", "\ufffd")]
)
async def test_otlp_in_protobuf(server: Running, cut: bytes, read: str) -> None:
    trace = os.urandom(16)
    request = ExportTraceServiceRequest()
    of = request.resource_spans.add()
    of.resource.attributes.add(key="service.name").value.string_value = "MARK"
    library = of.scope_spans.add()
    library.scope.name = "MARK"
    for id, name in ((b"1" * 8, "fine"), (b"2" * 8, "MARK")):
        span = Span(trace_id=trace, span_id=id, name=name)
        span.attributes.add(key=f"k{name}").value.string_value = f"v{name}"
        span.attributes.add(key="list").value.array_value.values.add().kvlist_value.values.add(key=name)
        span.events.add(name=name)
        library.spans.append(span)
    mark = cut.ljust(4, b"!")  # as long as what it stands for, so that the lengths around it stay right
    content = request.SerializeToString().replace(b"MARK", mark)
    assert (await post(server, "/v1/traces", content, "application/x-protobuf")).status_code == 200
    name = mark.replace(cut, read.encode()).decode()
    assert await attributes(server, trace.hex()) == [("fine", "vfine"), (name, f"v{name}")]


async def attributes(server: Running, trace: str) -> list[tuple[str, str]]:
    """Name of each span, and what its attribute k... holds."""
    query = "query ($t: String!) { trace(traceId: $t) { spans { nodes { name attributes } } } }"
    nodes = (await server.ask(query, {"t": trace}))["trace"]["spans"]["nodes"]
    return sorted((node["name"], node["attributes"][f"k{node['name']}"]) for node in nodes)


FILES = {  # format: the file around its parts, and one part, which a text is cut in twice
    "chatgpt": (
        b"[%b]",
        b'{"id": "c%d", "title": "t %b", "create_time": 1, "mapping": {"n": {"message": {"author": {"role": "user"}, '
        b'"content": {"content_type": "text", "parts": ["said %b"]}}}}}',
    ),
    "openai-messages": (
        b"[%b]",
        b'{"role": "user", "content": "%d said %b"}, {"role": "assistant", "content": "%b"}',
    ),
    "otlp": (
        b'{"resourceSpans": [{"scopeSpans": [{"spans": [%b]}]}]}',
        b'{"traceId": "' + b"1" * 32 + b'", "spanId": "222222222222222%d", "name": "said %b", '
        b'"attributes": [{"key": "%b", "value": {"intValue": "1"}}]}',
    ),
}


@pytest.mark.parametrize("format", FILES)
@pytest.mark.slow
def test_imports_tell_how_many(tmp_path: Path, format: str) -> None:
    file, part = FILES[format]
    (tmp_path / "file.json").write_bytes(
        file % b", ".join(part % (number, cut, cut) for number, (cut, _) in enumerate(CUT.values()))
    )
    status, out, err = recollect("import", str(tmp_path / "file.json"), "--data", str(tmp_path / "data"))
    assert (status, err) == (0, "")
    count = sum(2 * read.count("\ufffd") for _, read in CUT.values())
    assert f"{count} invalid Unicode sequences replaced" in out
    again = tmp_path / "again.jsonl"
    recollect("export", str(again), "--data", str(tmp_path / "data"))
    exported = again.read_text().replace("\\\\", "\\")
    for _, read in CUT.values():
        assert f'said {read}"' in exported


@pytest.mark.slow
def test_a_file_that_has_none_says_nothing_of_it(tmp_path: Path) -> None:
    (tmp_path / "file.json").write_bytes(rb'[{"role": "user", "content": "\\ud83d and \ud83d\ude00"}]')
    status, out, err = recollect("import", str(tmp_path / "file.json"), "--data", str(tmp_path / "data"))
    assert (status, err) == (0, "")
    assert "Unicode" not in out


@pytest.mark.slow
def test_arguments_of_the_command_line(tmp_path: Path) -> None:
    data = str(tmp_path / "data")
    said = json.dumps([{"role": "user", "content": "tea"}])
    (tmp_path / "f.json").write_text(said)
    for arguments in (
        ("import", str(tmp_path / "f.json"), "--memories", "--owner", b"me \xf0\x9f\x98", "--data", data),
        ("search", b"tea \xff\xed\xa0\xbd", "--owner", b"me \xf0\x9f\x98", "--data", data),
        ("keys", "create", "--name", b"cut \xf0\x9f", "--data", data),
    ):
        done = subprocess.run(
            [*command(), *arguments], cwd=ROOT, env=environment(), capture_output=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        assert b"Traceback" not in done.stderr
    status, out, _ = recollect("search", "tea", "--owner", "me \ufffd", "--json", "--data", data)
    assert status == 0
    assert "tea" in out
