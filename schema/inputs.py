"""Domain commands and filters as GraphQL inputs: published from their one definition, and read back into it."""

from __future__ import annotations

import enum
import re
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache, partial
from math import isfinite
from typing import Annotated, Any, Optional, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec
import strawberry
from msgspec import UNSET, Meta, Raw, UnsetType

from domain.blob import Upload
from domain.errors import Rejected, invalid
from domain.message import ContentInput
from domain.node import Id
from domain.search import MemoryQuery
from domain.state_schema import StateStep
from domain.transaction import Operation
from domain.values import MAX_JSON, Command, Ref
from schema.enums import ENUMS, publish
from schema.scalars import JSON

T = TypeVar("T")

NOT_NULL = "Must not be null: omit it or give a value."

ONE_OF: tuple[type, ...] = (Ref, MemoryQuery, ContentInput, Operation, StateStep)

_published: dict[type, Any] = {}


def graphql_type(annotation: Any) -> Any:
    """What Strawberry is to publish for a domain annotation."""
    if annotation is Id:
        return strawberry.ID
    if annotation is Any:
        return JSON
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return graphql_type(arguments[0])
    if origin in (Union, types.UnionType):
        return Optional[graphql_type(unwrapped(annotation)[0])]  # noqa: UP045
    if origin is list:
        return list[graphql_type(arguments[0])]  # type: ignore[misc]
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        publish(annotation)
        return annotation
    if isinstance(annotation, type) and issubclass(annotation, Command):
        return published_input(annotation)
    if annotation in (str, int, float, bool, datetime, Upload):
        return annotation
    raise TypeError(f"No GraphQL type stands for {annotation!r}.")


def published_input(command: type[Command]) -> Any:
    """The GraphQL input of a domain command or filter, made once; it may name itself."""
    if command in _published:
        return _published[command]
    name = command.__name__
    _published[command] = Annotated[name, strawberry.lazy("schema.inputs")]
    hints = get_type_hints(command, include_extras=True)
    body: dict[str, Any] = {"__annotations__": {}, "__module__": __name__, "__doc__": command.__doc__}
    for field in msgspec.structs.fields(command):
        annotation = graphql_type(hints[field.name])
        if not field.required and field.default in (None, UNSET):
            annotation = Optional[annotation]  # noqa: UP045 - a NewType has no |
        body["__annotations__"][field.name] = annotation
        body[field.name] = strawberry.field(name=field.encode_name, **_default(field))
    made = strawberry.input(type(name, (), body), description=_sentence(command), one_of=command in ONE_OF or None)
    globals()[name] = made  # where lazy names look
    _published[command] = made
    return made


def published(name: str) -> type | None:
    """The command or enum behind an input or enum of the contract."""
    return next((kind for kind in (*_published, *ENUMS) if kind.__name__ == name), None)


def _default(field: msgspec.structs.FieldInfo) -> dict[str, Any]:
    if field.required:
        return {}
    return {"default": strawberry.UNSET if field.default in (None, UNSET, msgspec.NODEFAULT) else field.default}


def _sentence(command: type) -> str:
    return " ".join((command.__doc__ or "").split())


def camel(name: str) -> str:
    first, *rest = name.strip("_").split("_")
    return first + "".join(word.capitalize() for word in rest)


class Arguments:
    """The arguments of one field, from a resolver's parameters: published, checked and converted."""

    def __init__(self, name: str, parameters: Mapping[str, tuple[Any, Any]], strip: str | None = None) -> None:
        """parameters: annotation and default (msgspec.NODEFAULT for none) by name. strip: the argument whose name is
        left out of the paths of errors."""
        self.parameters = dict(parameters)
        self._strip = strip
        fields: list[Any] = [
            (name, annotation) if default is msgspec.NODEFAULT else (name, annotation, default)
            for name, (annotation, default) in parameters.items()
        ]
        self._struct = msgspec.defstruct(f"{name}Arguments", fields, bases=(Command,), frozen=True, kw_only=True,
                                         rename=camel)  # fmt: skip

    def convert(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The resolver's arguments. Raises Rejected (INVALID) with the path and what is allowed."""
        if not self.parameters:
            return {}
        try:
            arguments = msgspec.convert(given, self._struct)
        except msgspec.ValidationError as error:
            raise self._refusal(str(error)) from None
        for path, problem in _problems(arguments):
            raise invalid(problem, self._path(path))
        return {name: getattr(arguments, name) for name in self.parameters}

    def _refusal(self, message: str) -> Rejected:
        what, _, where = message.partition(" - at `$")
        path = [name or index for name, index in re.findall(r"\.([^.\[\]`]+)|\[(\d+)\]", where)]
        if what.endswith("got `null`"):
            return invalid(NOT_NULL, self._path(path))
        return invalid(_allowed(self._struct, path) or f"{what}.".replace("`", ""), self._path(path))

    def _path(self, path: Sequence[str | int]) -> Sequence[str | int]:
        return path[1:] if path and path[0] == self._strip else path


def _allowed(annotation: Any, path: Sequence[str]) -> str | None:
    """What the value at a path may be, as a sentence; None where no bound says it."""
    bounds: list[Meta] = []
    for step in [*path, ""]:
        annotation, bounds = unwrapped(annotation)
        if not step:
            break
        if get_origin(annotation) is list:
            [annotation] = get_args(annotation)
        elif isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
            hints = get_type_hints(annotation, include_extras=True)
            names = {field.encode_name: field.name for field in msgspec.structs.fields(annotation)}
            annotation = hints.get(names.get(step, ""))
    many = get_origin(annotation) is list
    for meta in bounds:
        if sentence := _bound(meta, "items" if many else "characters"):
            return sentence
    return None


def unwrapped(annotation: Any) -> tuple[Any, list[Meta]]:
    """An annotation without null, left out and bounds, and the bounds."""
    bounds: list[Meta] = []
    while get_origin(annotation) in (Annotated, Union, types.UnionType):
        if get_origin(annotation) is Annotated:
            annotation, *more = get_args(annotation)
            bounds += [meta for meta in more if isinstance(meta, Meta)]
        else:
            annotation = next(a for a in get_args(annotation) if a not in (type(None), UnsetType))
    return annotation, bounds


def _bound(meta: Meta, unit: str) -> str | None:
    if meta.extra is not None and "must" in meta.extra:
        return str(meta.extra["must"])
    if meta.ge is not None and meta.le is not None:
        return f"Must be between {meta.ge} and {meta.le}."
    if meta.gt is not None and meta.le is not None:
        return f"Must be more than {meta.gt} and at most {meta.le}."
    if meta.ge is not None:
        return f"Must be at least {meta.ge}."
    but = "" if meta.pattern is None else ", not only blanks"
    if meta.min_length is not None:
        return f"Must have {meta.min_length} to {meta.max_length} {unit}{but}."
    if meta.max_length is not None:
        return f"Must have at most {meta.max_length} {unit}{but}."
    return None


Check = Callable[[Any], Iterator[tuple[list[str | int], str]]]


@cache
def _checks(struct: type[msgspec.Struct]) -> tuple[tuple[str, str, Check, bool], ...]:
    """The fields of a command that types and bounds do not check to the end, each with its check, and whether it
    refuses null: to msgspec, any value may be null."""
    hints = get_type_hints(struct, include_extras=True)
    return tuple(
        (field.name, field.encode_name, check, refuses_null(hints[field.name]))
        for field in msgspec.structs.fields(struct)
        if (check := _check(hints[field.name])) is not None
    )


def refuses_null(annotation: Any) -> bool:
    """Whether a member that may be left out may not be null."""
    return UnsetType in get_args(annotation) and type(None) not in get_args(annotation)


def _check(annotation: Any) -> Check | None:
    annotation, bounds = unwrapped(annotation)
    if annotation is float and all(meta.le is None for meta in bounds):
        return _finite
    if annotation is Any:
        said = {name: value for meta in bounds for name, value in (meta.extra or {}).items()}
        return partial(_json_value, must_be_object=said.get("json") == "object", most=said.get("bytes", MAX_JSON))
    if get_origin(annotation) is list:
        [item] = get_args(annotation)
        inner = None if item is float else _check(item)  # the numbers of a vector are looked at where it is used
        return inner and (lambda values: _each(values, inner))
    if isinstance(annotation, type) and issubclass(annotation, Command):
        return _problems
    return None


def _finite(value: float) -> Iterator[tuple[list[str | int], str]]:
    if not isfinite(value):
        yield [], "Must be a finite number."


def _json_value(value: Raw, *, must_be_object: bool, most: int) -> Iterator[tuple[list[str | int], str]]:
    text = memoryview(value)
    if len(text) > most:
        yield [], f"Must be at most {most} bytes of JSON."
    elif must_be_object and bytes(text[:1]) != b"{":
        yield [], "Must be a JSON object."


def _each(values: Sequence[Any], check: Check) -> Iterator[tuple[list[str | int], str]]:
    for index, value in enumerate(values):
        for path, problem in check(value):
            yield [index, *path], problem


def _problems(command: msgspec.Struct) -> Iterator[tuple[list[str | int], str]]:
    """Where a command holds JSON that is too long, or no object where one must be, or a number that is none."""
    for name, shown, check, solid in _checks(type(command)):
        value = getattr(command, name)
        if value is None and solid:
            yield [shown], NOT_NULL
        elif value is not None and value is not UNSET:
            for path, problem in check(value):
                yield [shown, *path], problem
