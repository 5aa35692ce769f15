"""Repair invalid Unicode, such as a text cut in the middle of an emoji: U+FFFD replaces what is broken."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

import msgspec

T = TypeVar("T")

REPLACEMENT = "\ufffd"

_BROKEN = REPLACEMENT.encode()
_SURROGATE = re.compile(rb"\xed[\xa0-\xbf][\x80-\xbf]")
"""Half a pair in what would be UTF-8: 0xED begins nothing else that goes on so."""

_ESCAPE = re.compile(
    rb"(\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})|\\.", re.DOTALL
)
"""An escape of JSON: a pair, half a pair, or another one."""


def decoded(data: bytes) -> str:
    """UTF-8 as text, U+FFFD for what is none."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return _SURROGATE.sub(_BROKEN, data).decode("utf-8", "replace")


def well_formed(text: str) -> str:
    """A text without surrogates: pairs are joined, U+FFFD stands for a half. Bytes that the system could not read, as
    Python has them in arguments, count as bytes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        try:
            return decoded(text.encode("utf-8", "surrogateescape"))
        except UnicodeEncodeError:
            return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def mended(data: bytes) -> bytes:
    """JSON, and what is like it, with U+FFFD for what is no UTF-8 and for escaped halves of pairs, in keys as well."""
    whole = decoded(data).encode()
    if b"\\ud" not in whole and b"\\uD" not in whole:
        return whole
    return _ESCAPE.sub(lambda escape: _BROKEN if escape[2] else escape[0], whole)


def replaced(data: bytes) -> int:
    """How many places of JSON `mended` puts U+FFFD in."""
    return mended(data).count(_BROKEN) - data.count(_BROKEN)


def read_json(decode: Callable[[bytes], T], data: bytes | str | msgspec.Raw) -> T:
    """JSON as `decode` reads it, mended where it cannot. Raises what `decode` raises."""
    given = data.encode() if isinstance(data, str) else bytes(data)
    try:
        return decode(given)
    except (msgspec.DecodeError, UnicodeDecodeError):
        if (whole := mended(given)) == given:
            raise
        return decode(whole)
