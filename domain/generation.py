"""Cached generations: what a model answered, by a key of what it was asked."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from domain.values import MAX_BATCH, Command, GivenJson, GivenObject, Json, Key, Seconds, decode_json


class CachedGeneration(msgspec.Struct, frozen=True, kw_only=True):
    """hits: how often it was found. expires_at: None where it stays until it is evicted."""

    key: str
    value: Json
    model: str | None
    tags: list[str]
    hits: int
    created_at: datetime
    expires_at: datetime | None


class CacheGenerationInput(Command, frozen=True, kw_only=True):
    """A generation to keep under a key, in place of what is there. Without ttlSeconds it does not expire."""

    key: Key
    value: GivenJson
    model: Key | None = None
    tags: list[Key] | None = None
    ttl_seconds: Seconds | None = None


class EvictGenerationsInput(Command, frozen=True, kw_only=True):
    """Which generations to evict; all given members must match, and one must be given. tags: those that have them
    all."""

    keys: Annotated[list[Key], Meta(max_length=MAX_BATCH)] | None = None
    model: Key | None = None
    tags: list[Key] | None = None
    dry_run: bool = False

    def matches(self, key: str, model: str | None, tags: list[str]) -> bool:
        """Whether one of this key and model with these tags is meant."""
        named = self.keys is None or key in self.keys
        return named and self.model in (None, model) and set(self.tags or ()).issubset(tags)


class GenerationKeyInput(Command, frozen=True, kw_only=True):
    """What a model is asked: its name, the messages, and parameters such as temperature and tools."""

    model: Key
    messages: GivenJson
    parameters: GivenObject = None


def generation_key(input: GenerationKeyInput) -> str:
    """The SHA-256, in hex, of the canonical JSON (RFC 8785) of an object with `messages`, `model` and `parameters`."""
    parameters = {} if input.parameters is None else decode_json(input.parameters)
    asked = {"model": input.model, "messages": decode_json(input.messages), "parameters": parameters}
    return hashlib.sha256(canonical(asked).encode("utf-8", "surrogatepass")).hexdigest()


def canonical(value: Any) -> str:
    """The one way to write a JSON value that RFC 8785 leaves."""
    return "".join(_parts(value))


def _parts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        members = sorted(value.items(), key=lambda member: member[0].encode("utf-16-be", "surrogatepass"))
        inner = ",".join(f"{_text(name)}:{canonical(one)}" for name, one in members)
        yield f"{{{inner}}}"
    elif isinstance(value, list):
        yield f"[{','.join(map(canonical, value))}]"
    elif isinstance(value, str):
        yield _text(value)
    elif isinstance(value, bool) or value is None:
        yield "null" if value is None else "true" if value else "false"
    else:
        yield _number(value)


_ESCAPES = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def _text(value: str) -> str:
    escaped = (_ESCAPES.get(one, f"\\u{ord(one):04x}" if one < " " else one) for one in value)
    return f'"{"".join(escaped)}"'


def _number(value: float) -> str:
    """As ECMAScript writes the double that is nearest (section 7.1.12.1 of its 10th edition)."""
    number = float(value)
    if not math.isfinite(number):
        raise ValueError("JSON has no such number")
    if number == 0:
        return "0"
    sign, (_, digits, exponent) = "-" if number < 0 else "", _decimal(abs(number))
    point = len(digits) + exponent
    if 0 < point <= 21:
        whole = digits + "0" * (point - len(digits)) if point >= len(digits) else f"{digits[:point]}.{digits[point:]}"
        return sign + whole
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    power = point - 1
    fraction = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{fraction}e{'+' if power > 0 else '-'}{abs(power)}"


def _decimal(number: float) -> tuple[int, str, int]:
    """The shortest digits that are this double, without zeros at the end, and their exponent."""
    mantissa, _, power = repr(number).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    exponent = int(power or 0) - len(fraction)
    stripped = digits.rstrip("0")
    return 0, stripped, exponent + len(digits) - len(stripped)
