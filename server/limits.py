"""Limits of one request, one socket and one caller."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from domain.telemetry import MAX_ATTRIBUTES
from server.errors import LIMIT, OperationRefused, plain
from stores.outage import OUTAGE_SECONDS
from stores.ports import READ_SECONDS

TOO_MANY_REQUESTS = 429

Count = Annotated[int, msgspec.Meta(ge=1)]
Seconds = Annotated[float, msgspec.Meta(gt=0, le=1e9)]


class Limits(msgspec.Struct, frozen=True):
    """The limits, each of which can be set: as RECOLLECT_ and its name in capitals.

    A document is measured once, with its fragments expanded, before it is validated, for validation can be the attack.
    """

    max_body_bytes: Count = 1024 * 1024
    max_spans_bytes: Count = 16 * 1024 * 1024
    max_attributes_bytes: Annotated[int, msgspec.Meta(ge=4096, le=MAX_ATTRIBUTES)] = MAX_ATTRIBUTES
    max_header_bytes: Count = 32 * 1024
    max_document_bytes: Count = 128 * 1024
    max_tokens: Count = 5_000
    max_depth: Count = 20
    max_selections: Count = 5_000
    max_aliases: Count = 100
    max_repeats: Count = 50
    max_directives: Count = 100
    max_fragments: Count = 100
    max_variables: Count = 100
    max_introspection_depth: Count = 2
    max_cost: Count = 100_000
    max_seconds: Seconds = 30.0
    max_read_seconds: Seconds = READ_SECONDS
    max_outage_seconds: Seconds = OUTAGE_SECONDS
    max_concurrent: Count = 500
    max_subscriptions: Count = 10_000
    max_socket_operations: Count = 100
    max_live_bytes: Count = 256 * 1024 * 1024
    introspection: Literal["on", "off"] = "on"


DEFAULTS = Limits()


def exceeded(
    limits: Limits, name: str, what: str, *, code: str = LIMIT, status: int | None = None, **more: Any
) -> OperationRefused:
    """The refusal of what goes beyond a limit; the error names the setting and its value.

    name: of the field of Limits. what: the sentence up to the limit. status: of HTTP. more: further extensions.
    """
    setting, value = f"RECOLLECT_{name.upper()}", getattr(limits, name)
    message = f"{what}; {setting} is {value:,}."
    return OperationRefused([plain(message, code, limit=setting, value=value, **more)], status)
