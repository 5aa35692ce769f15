"""The variables of a request, read straight into domain commands.

graphql-core coerces an input object member by member, some 40 us for one of fifteen. Here msgspec converts it in one
go, once the few values that need more than their JSON type are seen to: JSON, times, 32-bit integers, one-of objects.
Whatever does not fit raises, and is left to graphql-core, which words the error.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple, get_args, get_origin, get_type_hints

import msgspec
from graphql import (
    GraphQLError,
    GraphQLSchema,
    ListTypeNode,
    NamedTypeNode,
    NonNullTypeNode,
    TypeNode,
    VariableDefinitionNode,
)
from graphql.execution.get_variable_signature import GraphQLVariableSignature, get_variable_signature
from graphql.execution.values import VariableValues, VariableValueSource

from domain.blob import Upload
from domain.node import Id
from domain.values import Command
from schema.inputs import ONE_OF, published, unwrapped
from schema.scalars import read_json, read_time

Prepare = Callable[[Any], Any]
"""Makes a JSON value ready for msgspec. Raises where it is not what it must be."""

_SCALARS: dict[str, Any] = {
    "String": str,
    "ID": Id,
    "Int": int,
    "Float": float,
    "Boolean": bool,
    "DateTime": datetime,
    "JSON": Any,
    "Upload": Upload,
}


class Unfit(Exception):
    """These variables are for graphql-core."""


NOT_FITTING = (Unfit, ValueError, GraphQLError, OverflowError, RecursionError)
"""What values raise that do not fit; msgspec's errors are ValueErrors."""


class _Variable(NamedTuple):
    """One variable: what it becomes, and how graphql-core describes it."""

    signature: GraphQLVariableSignature
    annotation: Any
    prepare: Prepare | None
    required: bool


class Variables:
    """The variables of one operation. Raises Unfit where they have a default, or a type that we did not publish."""

    def __init__(self, schema: GraphQLSchema, defined: tuple[VariableDefinitionNode, ...]) -> None:
        self._variables = {node.variable.name.value: _variable(schema, node) for node in defined}

    def read(self, given: Mapping[str, Any]) -> VariableValues:
        """The values, as graphql-core has them but for input objects, which are commands. Raises whatever is wrong."""
        sources: dict[str, VariableValueSource] = {}
        coerced: dict[str, Any] = {}
        for name, (signature, annotation, prepare, required) in self._variables.items():
            if name not in given:
                if required:
                    raise Unfit
                sources[name] = VariableValueSource(signature)
                continue
            value = given[name]
            if value is None and required:
                raise Unfit
            sources[name] = VariableValueSource(signature, value)
            if prepare is not None and value is not None:
                value = prepare(value)
            coerced[name] = msgspec.convert(value, annotation)
        return VariableValues(sources, coerced)


def _variable(schema: GraphQLSchema, node: VariableDefinitionNode) -> _Variable:
    signature = get_variable_signature(schema, node)
    if node.default_value is not None or not isinstance(signature, GraphQLVariableSignature):
        raise Unfit
    annotation = _annotation(node.type)
    return _Variable(signature, annotation, _preparing(annotation), isinstance(node.type, NonNullTypeNode))


def _annotation(node: TypeNode) -> Any:
    if isinstance(node, NonNullTypeNode):
        return _present(node.type)
    return _present(node) | None if _present(node) is not Any else Any


def _present(node: TypeNode) -> Any:
    if isinstance(node, ListTypeNode):
        return list[_annotation(node.type)]  # type: ignore[misc]
    assert isinstance(node, NamedTypeNode)
    name = node.name.value
    found = _SCALARS.get(name) or published(name)
    if found is None:
        raise Unfit
    return found


def _preparing(annotation: Any) -> Prepare | None:
    """What a value of that type needs before msgspec has it; None where that is nothing."""
    annotation, _ = unwrapped(annotation)
    if annotation is Any:
        return read_json
    if annotation is datetime:
        return read_time
    if annotation is int:
        return _int32
    if get_origin(annotation) is list:
        inner = _preparing(get_args(annotation)[0])
        return None if inner is None else lambda values: _each(inner, values)
    if isinstance(annotation, type) and issubclass(annotation, Command):
        return _preparing_command(annotation)
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return _name
    return None


_prepares: dict[type[Command], Prepare] = {}


def _preparing_command(command: type[Command]) -> Prepare:
    """The same for a command, which may hold itself."""
    if command not in _prepares:
        members: dict[str, Prepare | None] = {}
        solid: list[str] = []  # JSON that may not be null, which msgspec would not notice
        one_of = command in ONE_OF

        def prepare(value: Any) -> Any:
            if type(value) is not dict or (one_of and (len(value) != 1 or None in value.values())):
                raise Unfit
            for name in solid:
                if value.get(name) is None:
                    raise Unfit
            try:
                return {
                    name: inner(item) if (inner := members[name]) is not None and item is not None else item
                    for name, item in value.items()
                }
            except KeyError:  # no such member
                raise Unfit from None

        _prepares[command] = prepare
        hints = get_type_hints(command, include_extras=True)
        fields = msgspec.structs.fields(command)
        solid += [field.encode_name for field in fields if field.required and unwrapped(hints[field.name])[0] is Any]
        members.update({field.encode_name: _preparing(hints[field.name]) for field in fields})
    return _prepares[command]


def _each(prepare: Prepare, values: Any) -> Any:
    if type(values) is not list:
        raise Unfit
    return [value if value is None else prepare(value) for value in values]


def _int32(value: Any) -> Any:
    if type(value) is not int or not -(2**31) <= value < 2**31:
        raise Unfit
    return value


def _name(value: Any) -> Any:
    if type(value) is not str:
        raise Unfit
    return value
