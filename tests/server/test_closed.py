"""Nothing is open by default: who forgets to say who may come in, or as whom, gets an error at once."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from domain.caller import LOCAL, Caller, Role
from resolvers.context import Context
from server.access.admission import Access
from server.app import create_app
from server.graphql.executor import Executor
from server.http.graphql import GraphQLHTTP
from server.otlp.endpoint import OTLP
from server.service import Service
from server.telemetry.metrics_http import MetricsHTTP
from server.websocket.graphql import GraphQLWebSocket


@pytest.mark.parametrize(
    ("made", "needed"),
    [
        (Caller, ["workspace", "role"]),
        (Context, ["caller"]),
        (Service.context, ["caller"]),
        (Service.operation, ["caller"]),
        (Access, ["keys", "tokens"]),
        (Executor, ["role"]),
        (create_app, ["access"]),
        (GraphQLHTTP, ["access"]),
        (GraphQLWebSocket, ["access"]),
        (OTLP, ["access"]),
        (MetricsHTTP, ["access"]),
    ],
)
def test_what_opens_a_door_has_no_default(made: Any, needed: list[str]) -> None:
    parameters = inspect.signature(made).parameters
    assert all(parameters[name].default is inspect.Parameter.empty for name in needed)


def test_a_caller_without_a_role_is_none() -> None:
    with pytest.raises(TypeError, match="role"):
        Caller("default")  # type: ignore[call-arg]
    assert (LOCAL.workspace, LOCAL.role) == ("default", Role.ADMIN)
