"""Telemetry over gRPC has the doors, limits and rights that it has over HTTP."""

from __future__ import annotations

import asyncio
import base64
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from tests.support.running import Running, recollect

WRITER, READER = "w" * 40, "r" * 40
TRACE, SPAN = bytes(range(16)), bytes(range(1, 9))


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    keys = f"{WRITER}=main:write,{READER}=main:read"
    settings = {
        "RECOLLECT_GRPC_PORT": str(free_port()),
        "RECOLLECT_API_KEYS": keys,
        "RECOLLECT_MAX_SPANS_BYTES": "100000",
    }
    running = Running(tmp_path_factory.mktemp("grpc") / "data", **settings)
    running.start()
    yield running
    running.end()


async def export(server: Running, signal: str, request: Any, answer: Any, key: str | None = WRITER) -> Any:
    name = {"trace": "TraceService", "logs": "LogsService", "metrics": "MetricsService"}[signal]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.settings['RECOLLECT_GRPC_PORT']}") as channel:
        call = channel.unary_unary(
            f"/opentelemetry.proto.collector.{signal}.v1.{name}/Export",
            request_serializer=lambda one: one.SerializeToString(),
            response_deserializer=answer.FromString,
        )
        return await call(request, metadata=[("authorization", f"Bearer {key}")] if key else [], timeout=20)


def spans(name: str = "chat", id: bytes = SPAN) -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    request.resource_spans.add().scope_spans.add().spans.add(
        trace_id=TRACE, span_id=id, name=name, start_time_unix_nano=1
    )
    return request


async def test_spans_and_their_log_records(server: Running) -> None:
    assert await export(server, "trace", spans(), ExportTraceServiceResponse) == ExportTraceServiceResponse()
    logs = ExportLogsServiceRequest()
    record = (
        logs.resource_logs.add()
        .scope_logs.add()
        .log_records.add(trace_id=TRACE, span_id=SPAN, event_name="gen_ai.user.message")
    )
    content = record.body.kvlist_value.values.add(key="content")
    content.value.string_value = "Tea?"
    logs.resource_logs[0].scope_logs[0].log_records.add(time_unix_nano=1)
    answer = await export(server, "logs", logs, ExportLogsServiceResponse)
    assert answer.partial_success.rejected_log_records == 1
    query = "query ($t: String!) { trace(traceId: $t) { spans { nodes { name inputMessages { text } } } } }"
    async with httpx.AsyncClient(base_url=f"http://{server.address}", trust_env=False) as http:
        sent = {"query": query, "variables": {"t": TRACE.hex()}}
        found = (await http.post("/graphql", json=sent, headers={"authorization": f"Bearer {READER}"})).json()
    assert found["data"]["trace"]["spans"]["nodes"] == [{"name": "chat", "inputMessages": [{"text": "Tea?"}]}]


async def test_what_cannot_be_taken_is_told(server: Running) -> None:
    answer = await export(server, "trace", spans(id=b"\0" * 8), ExportTraceServiceResponse)
    assert answer.partial_success.rejected_spans == 1


async def test_metrics_are_taken_and_not_kept(server: Running) -> None:
    answer = await export(server, "metrics", ExportMetricsServiceRequest(), ExportMetricsServiceResponse)
    assert answer == ExportMetricsServiceResponse()


@pytest.mark.parametrize(
    ("key", "code"),
    [
        (None, grpc.StatusCode.UNAUTHENTICATED),
        ("x" * 40, grpc.StatusCode.UNAUTHENTICATED),
        (READER, grpc.StatusCode.PERMISSION_DENIED),
    ],
)
async def test_who_may_not(server: Running, key: str | None, code: grpc.StatusCode) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await export(server, "trace", spans(), ExportTraceServiceResponse, key)
    assert refused.value.code() is code


async def test_what_is_too_long(server: Running) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await export(server, "trace", spans("x" * 200_000), ExportTraceServiceResponse)
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_a_port_that_is_taken(server: Running, tmp_path: Path) -> None:
    taken = server.settings["RECOLLECT_GRPC_PORT"]
    arguments = ("serve", "--port", "0", "--data", str(tmp_path / "d"))
    status, _, said = await asyncio.to_thread(lambda: recollect(*arguments, RECOLLECT_GRPC_PORT=taken))
    assert (status, said.strip()) == (
        1,
        f"recollect: Cannot listen on 127.0.0.1:{taken} for gRPC. Choose another RECOLLECT_GRPC_PORT.",
    )


@pytest.mark.parametrize("path", ["/v1/traces", "/api/public/otel/v1/traces", "/otel/v1/traces"])
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"authorization": "Basic " + base64.b64encode(f"pk:{WRITER}".encode()).decode()}, 200),
        ({"x-api-key": WRITER}, 200),
        ({"x-api-key": READER}, 403),
        ({"authorization": "Basic nonsense"}, 401),
        ({}, 401),
    ],
)
def test_credentials_as_the_sdks_send_them(server: Running, path: str, headers: dict[str, str], status: int) -> None:
    body = spans().SerializeToString()
    sent = {"content-type": "application/x-protobuf", **headers}
    assert (
        httpx.post(f"http://{server.address}{path}", content=body, headers=sent, trust_env=False).status_code == status
    )
