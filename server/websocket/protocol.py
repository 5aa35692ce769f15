"""The words of graphql-transport-ws and of the older graphql-ws: messages, and codes that end a connection."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from domain.unicode import read_json
from server.errors import BAD_REQUEST, FormattedError, OperationRefused, plain
from server.graphql.documents import Request

MALFORMED = 4400
UNAUTHORIZED = 4401
FORBIDDEN = 4403
INIT_TIMEOUT = 4408
NO_SUBPROTOCOL = 4406
ID_IN_USE = 4409
INITIALISED_TWICE = 4429
NORMAL = 1000

_OUT_OF_RANGE = "out of range"
_decode_request = msgspec.json.Decoder(Request).decode

_TOO_DEEP = msgspec.Raw(b"")
"""Stands for a payload that is nested deeper than is read."""

_NESTING = re.compile(r'"(?:[^"\\]|\\.)*"|[][{}]', re.DOTALL)

# What fits in a close frame beside its code, in bytes.
MAX_REASON = 123


class Vocabulary(msgspec.Struct, frozen=True):
    """A sub-protocol: its name, and what it says where the two differ."""

    name: str
    start: str
    stop: str
    result: str
    pings: bool
    ends_by_message: bool
    confirms_stop: bool
    keeps_alive: bool
    one_error: bool

    def error_payload(self, errors: list[FormattedError]) -> Any:
        """The payload of an `error` message."""
        return errors[0] if self.one_error else errors


TRANSPORT = Vocabulary(
    "graphql-transport-ws",
    start="subscribe",
    stop="complete",
    result="next",
    pings=True,
    ends_by_message=False,
    confirms_stop=False,
    keeps_alive=False,
    one_error=False,
)
LEGACY = Vocabulary(
    "graphql-ws",
    start="start",
    stop="stop",
    result="data",
    pings=False,
    ends_by_message=True,
    confirms_stop=True,
    keeps_alive=True,
    one_error=True,
)


class Message(msgspec.Struct):
    """A message of a client; the payload is decoded by whoever the type leads to."""

    type: str
    id: str | None = None
    payload: msgspec.Raw = msgspec.Raw(b"null")


_decode_message = msgspec.json.Decoder(Message).decode


class Closed(Exception):
    """The server ends the connection with this code."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason.encode()[:MAX_REASON].decode(errors="ignore")


def message_of(id: str, type: str, payload: str | None = None) -> str:
    """A message about an operation; the payload is JSON already."""
    tail = "}" if payload is None else f',"payload":{payload}}}'
    return f'{{"id":{msgspec.json.encode(id).decode()},"type":"{type}"{tail}'


def id_of(message: Message) -> str:
    if not message.id:
        raise Closed(MALFORMED, f"Invalid message: {message.type} without an id")
    return message.id


def decoded(text: str | msgspec.Raw, type: Any) -> Any:
    """A message, or its payload. Raises Closed."""
    try:
        return read_json(lambda data: msgspec.json.decode(data, type=type), text)
    except msgspec.DecodeError as error:
        raise Closed(MALFORMED, f"Invalid message: {error}") from None
    except RecursionError:
        raise Closed(MALFORMED, "Invalid message: nested too deeply") from None


def message_in(text: str) -> Message:
    """A message. One that is nested too deeply to be read is known by its top: what is deep in it is content, of which
    `request_of` tells. Raises Closed."""
    try:
        return read_json(_decode_message, text)
    except msgspec.DecodeError as error:
        raise Closed(MALFORMED, f"Invalid message: {error}") from None
    except RecursionError:
        message: Message = decoded(_top(text), Message)
        return msgspec.structs.replace(message, payload=_TOO_DEEP)


def _top(text: str) -> str:
    """JSON with null for each object and array in it."""
    kept, depth, at = [], 0, 0
    for token in _NESTING.finditer(text):
        if token[0] in "[{":
            depth += 1
            if depth == 2:
                kept.append(f"{text[at : token.start()]}null")
        elif token[0] in "]}":
            depth -= 1
            if depth == 1:
                at = token.end()
    return "".join([*kept, text[at:]])


def request_of(message: Message) -> Request:
    """What an operation asks. Raises Closed for a payload of another form, which is no message of the protocol.

    A value in it that cannot be read, such as a number of a thousand digits, ends only its own operation:
    OperationRefused.
    """
    try:
        if message.payload is _TOO_DEEP:
            raise RecursionError
        return read_json(_decode_request, message.payload)
    except RecursionError:
        raise OperationRefused([plain("The request is nested too deeply.", BAD_REQUEST)]) from None
    except msgspec.DecodeError as error:
        if isinstance(error, msgspec.ValidationError) and _OUT_OF_RANGE not in str(error):
            raise Closed(MALFORMED, f"Invalid message: {error}") from None
        raise OperationRefused([plain(f"This is not a GraphQL request in JSON: {error}.", BAD_REQUEST)]) from None
