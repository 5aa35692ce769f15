"""OTLP over gRPC: the same doors as over HTTP, with the same limits and rights. Needs the extra `recollect[grpc]`.

https://opentelemetry.io/docs/specs/otlp/#otlpgrpc
"""

from __future__ import annotations

import os
import socket
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from server.otlp.endpoint import OTLP, Refusal
from server.settings import BadSetting

if TYPE_CHECKING:
    from grpc.aio import Server

_SERVICES = {
    "traces": "opentelemetry.proto.collector.trace.v1.TraceService",
    "logs": "opentelemetry.proto.collector.logs.v1.LogsService",
    "metrics": "opentelemetry.proto.collector.metrics.v1.MetricsService",
}


async def serve_grpc(host: str, port: int, doors: dict[str, OTLP], max_bytes: int) -> Server:
    """Starts it beside the server. doors: by the signal they take. Raises BadSetting, with one sentence."""
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # it writes lines of its own, read when it is imported
    try:
        import grpc
    except ImportError:
        raise BadSetting("RECOLLECT_GRPC_PORT needs grpcio: install recollect[grpc].") from None
    server = grpc.aio.server(options=[("grpc.max_receive_message_length", max_bytes), ("grpc.so_reuseport", 0)])
    for signal, service in _SERVICES.items():
        method = grpc.unary_unary_rpc_method_handler(_exporting(doors[signal]))
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {"Export": method}),))
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        # The system is asked first: of a port that is taken grpc at times writes a line of its own, told not to or not.
        socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET).close()
        server.add_insecure_port(where)
    except (OSError, RuntimeError):
        raise BadSetting(f"Cannot listen on {where} for gRPC. Choose another RECOLLECT_GRPC_PORT.") from None
    await server.start()
    return server


def _exporting(door: OTLP) -> Callable[[bytes, Any], Awaitable[bytes]]:
    import grpc

    codes = {code.value[0]: code for code in grpc.StatusCode}

    async def export(body: bytes, call: Any) -> bytes:
        sent = dict(call.invocation_metadata() or ())
        try:
            return await door.take(body, sent.get("authorization"))
        except Refusal as refusal:
            await call.abort(codes[refusal.code], refusal.message)
            raise

    return export
