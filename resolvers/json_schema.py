"""JSON Schemas that callers give. Nothing is fetched for them, their patterns are RE2's, and checking a value ends
after so many steps, whatever they say."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from functools import cache, lru_cache
from itertools import islice
from typing import Any

import msgspec
import re2
from jsonschema import FormatChecker, ValidationError, validators
from jsonschema.exceptions import SchemaError
from jsonschema.protocols import Validator
from jsonschema.validators import Draft202012Validator
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012, Schema

from domain.errors import ErrorCode, Rejected, UserError, invalid, reject
from domain.state_schema import MAX_SCHEMA
from domain.values import Json, decode_json
from resolvers.patterns import compiled

MAX_CHECKS = 50_000
"""How many keywords of a schema are looked at for one value: some 0.25 s of a processor."""

_MOST_ERRORS, _LONGEST = 10, 300
_DEEPEST = 50

_NAMES = ("properties", "$defs", "definitions", "dependentSchemas", "dependentRequired")
"""Keywords whose members are called as the caller likes."""

_VALUES = ("const", "enum", "default", "examples")

_left: ContextVar[list[int]] = ContextVar("left")


_NO_FORMATS = FormatChecker(())
"""Patterns are RE2's, which _look has seen to; Python would refuse some of them."""


class _TooLong(Exception):
    pass


def check_schema(schema: Json, path: Sequence[str]) -> None:
    """Raises Rejected (INVALID, LIMIT) for what is no schema, or one that cannot be taken."""
    if len(bytes(schema)) > MAX_SCHEMA:
        raise reject(ErrorCode.LIMIT, f"A schema has up to {MAX_SCHEMA:,} bytes.", path)
    plain = decode_json(schema)
    try:
        _look(plain, plain, path, 0)
        _class(plain, path).check_schema(plain, format_checker=_NO_FORMATS)
    except SchemaError as error:
        raise invalid(_sentence(error.message), [*path, *map(str, error.absolute_path)]) from None
    except RecursionError:
        raise reject(ErrorCode.LIMIT, f"A schema is up to {_DEEPEST} levels deep.", path) from None


def check_value(schema: Json, value: Json, path: Sequence[str | int]) -> None:
    """Raises Rejected (INVALID, with the path of each member that does not fit, LIMIT) for a value that is none of a
    schema."""
    token = _left.set([MAX_CHECKS])
    try:
        found = list(islice(_validator(bytes(schema)).iter_errors(decode_json(value)), _MOST_ERRORS))
    except (_TooLong, RecursionError):
        raise reject(ErrorCode.LIMIT, "Checking this value by the namespace's schema takes too long.", path) from None
    finally:
        _left.reset(token)
    if found:
        raise Rejected(
            UserError(ErrorCode.INVALID, _sentence(error.message), [*map(str, path), *map(str, error.absolute_path)])
            for error in found
        )


def _sentence(message: str) -> str:
    return (message if len(message) <= _LONGEST else f"{message[: _LONGEST - 3]}...").rstrip(".") + "."


def _look(part: Any, whole: Any, path: Sequence[str], depth: int) -> None:
    """Raises Rejected (INVALID, LIMIT) where a part of a schema has what cannot be taken."""
    if depth > _DEEPEST:
        raise reject(ErrorCode.LIMIT, f"A schema is up to {_DEEPEST} levels deep.", path)
    if isinstance(part, list):
        for index, one in enumerate(part):
            _look(one, whole, [*path, str(index)], depth + 1)
    if not isinstance(part, dict):
        return
    for name, value in part.items():
        here = [*path, name]
        _take(name, value, part is whole, here)
        if name in ("$ref", "$dynamicRef"):
            _resolve(whole, value, here)
        elif name in _NAMES and isinstance(value, dict):
            for inner, schema in value.items():
                _look(schema, whole, [*here, inner], depth + 1)
        elif name not in _VALUES:
            _look(value, whole, here, depth + 1)


def _take(keyword: str, value: Any, top: bool, path: Sequence[str]) -> None:
    if keyword == "patternProperties":
        raise invalid("patternProperties is not taken: use propertyNames with a pattern.", path)
    if keyword == "$id" and not top:
        raise invalid("$id may stand at the top only.", path)
    if keyword == "pattern" and isinstance(value, str):
        _pattern_of(value, path)


def _pattern_of(pattern: str, path: Sequence[str]) -> None:
    try:
        compiled(pattern)
    except re2.error as error:
        raise invalid(f"This is not a pattern of RE2: {_text(error)}.", path) from None


def _text(error: Exception) -> str:
    said = error.args[0] if error.args else ""
    return said.decode(errors="replace") if isinstance(said, bytes) else str(said)


def _resolve(whole: Any, reference: Any, path: Sequence[str]) -> None:
    if not isinstance(reference, str) or not reference.startswith("#"):
        raise invalid("A reference begins with #: nothing outside of the schema is looked up.", path)
    registry: Registry[Schema] = Registry().with_resource("", DRAFT202012.create_resource(whole))
    try:
        registry.resolver().lookup(reference)
    except Unresolvable:
        raise invalid("There is no such part of the schema.", path) from None


def _class(schema: Any, path: Sequence[str]) -> Any:
    """The validator of the draft that a schema says it is of."""
    told = schema.get("$schema")
    if told is not None and (not isinstance(told, str) or validators.validator_for(schema, None) is None):
        raise invalid("This draft of JSON Schema is not known.", [*path, "$schema"])
    return validators.validator_for(schema, Draft202012Validator)


@lru_cache(maxsize=64)
def _validator(schema: bytes) -> Validator:
    plain = msgspec.json.decode(schema)
    made: Validator = _bounded(_class(plain, []))(plain, registry=Registry())
    return made


@cache
def _bounded(of: Any) -> Any:
    """The validator whose keywords are counted, and those that could take long in others' hands are ours."""
    own = {"pattern": _pattern, "uniqueItems": _unique}
    keywords = {**of.VALIDATORS, **{name: check for name, check in own.items() if name in of.VALIDATORS}}
    return validators.extend(of, {name: _counted(check) for name, check in keywords.items()})


_Keyword = Callable[[Any, Any, Any, Any], Any]


def _counted(check: _Keyword) -> _Keyword:
    def run(validator: Any, wanted: Any, value: Any, schema: Any) -> Iterator[ValidationError]:
        left = _left.get()
        left[0] -= 1
        if left[0] < 0:
            raise _TooLong
        yield from check(validator, wanted, value, schema) or ()

    return run


def _pattern(_validator: Any, pattern: str, value: Any, _schema: Any) -> Iterator[ValidationError]:
    if isinstance(value, str) and not compiled(pattern).search(value):
        yield ValidationError(f"{value!r} does not match {pattern!r}")


def _unique(_validator: Any, wanted: bool, value: Any, _schema: Any) -> Iterator[ValidationError]:
    if wanted and isinstance(value, list) and len({_canonical(one) for one in value}) < len(value):
        yield ValidationError("It has an item twice")


def _canonical(value: Any) -> bytes:
    return msgspec.json.encode(_numbers(value), order="deterministic")


def _numbers(value: Any) -> Any:
    """Numbers that are equal are written alike."""
    if isinstance(value, dict):
        return {name: _numbers(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_numbers(one) for one in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
