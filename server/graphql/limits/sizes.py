"""How many objects a field may bring, as far as schema, document and variables tell before anything has run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from graphql import (
    FieldNode,
    GraphQLField,
    GraphQLSchema,
    IntValueNode,
    ListValueNode,
    ObjectValueNode,
    ValueNode,
    VariableNode,
    get_named_type,
    is_list_type,
    is_non_null_type,
)

from domain.page import DEFAULT_FIRST, MAX_FIRST_LONG

SLICING = ("first", "last", "limit", "ids")
"""The arguments that say how many there will be: numbers, or a list of which each item brings one."""

SMALL = 10
"""How many there are in a list without such an argument, which the contract has only where lists are small, and in what
a mutation answers with."""


class Given(NamedTuple):
    """A size that a variable gives; `otherwise` where it is not given."""

    name: str
    otherwise: int

    def read(self, variables: Mapping[str, Any]) -> int:
        value = variables.get(self.name)
        if type(value) is list:
            return len(value)
        if type(value) is float and value.is_integer():  # which GraphQL takes for a whole number
            value = int(value)
        return bounded(value) if type(value) is int else self.otherwise


class Listed(NamedTuple):
    """The longest list in an input that a variable gives, or the list that it gives; `otherwise` without one."""

    name: str
    otherwise: int

    def read(self, variables: Mapping[str, Any]) -> int:
        value = variables.get(self.name)
        members = value.values() if isinstance(value, dict) else [value]
        return max([len(member) for member in members if type(member) is list], default=self.otherwise)


Size = int | Given | Listed


def bounded(number: int) -> int:
    """A size that is asked for, up to the largest page there is: what is beyond is refused by the field itself."""
    return min(max(number, 0), MAX_FIRST_LONG)


def sliced(field: GraphQLField, node: FieldNode, defaults: Mapping[str, int]) -> list[Size]:
    """The sizes that a field's slicing arguments ask for; the page there is without any; none if it takes none.

    defaults: of the operation's variables, where those are sizes.
    """
    takes = [name for name in SLICING if name in field.args]
    if not takes:
        return []
    given = {argument.name.value: argument.value for argument in node.arguments or () if argument.name.value in takes}
    declared = [default for name in takes if type(default := field.args[name].default_value) is int]
    otherwise = max(declared, default=DEFAULT_FIRST)
    return [_size(value, otherwise, defaults) for value in given.values()] or [otherwise]


def _size(value: ValueNode, otherwise: int, defaults: Mapping[str, int]) -> Size:
    if isinstance(value, VariableNode):
        name = value.name.value
        return Given(name, defaults.get(name, otherwise))
    return otherwise if (number := literal(value)) is None else number


def listed(node: FieldNode, defaults: Mapping[str, int]) -> list[Size]:
    """How long the lists are that a mutation answers with: as long as those in its input, but never less than SMALL."""
    sizes: list[Size] = [SMALL]
    for argument in node.arguments or ():
        value = argument.value
        for part in [field.value for field in value.fields] if isinstance(value, ObjectValueNode) else [value]:
            if isinstance(part, VariableNode):
                name = part.name.value
                sizes.append(Listed(name, defaults.get(name, SMALL)))
            elif isinstance(part, ListValueNode):
                sizes.append(len(part.values))
    return sizes


def literal(value: ValueNode | None) -> int | None:
    """The size that a literal means, that of the longest list in an object; None if it means none."""
    if isinstance(value, IntValueNode):
        return bounded(int(value.value[:20]))
    if isinstance(value, ObjectValueNode):
        lists = [field.value for field in value.fields if isinstance(field.value, ListValueNode)]
        return max([len(one.values) for one in lists], default=None)
    return len(value.values) if isinstance(value, ListValueNode) else None


def is_list(field: GraphQLField) -> bool:
    type_ = field.type.of_type if is_non_null_type(field.type) else field.type
    return is_list_type(type_)


def introspected(schema: GraphQLSchema) -> dict[str, int]:
    """For each list of the introspection, how long it is in this schema: of those in types and fields, the average."""
    types = list(schema.type_map.values())
    sizes = {"types": len(types), "directives": len(schema.directives)}
    fields = [field for type_ in types for field in getattr(type_, "fields", {}).values()]
    arguments = sum(len(getattr(field, "args", ())) for field in fields)
    sizes["fields"] = sizes["inputFields"] = -(-len(fields) // len(types))
    sizes["args"] = -(-arguments // max(len(fields), 1))
    sizes["enumValues"] = -(-sum(len(getattr(type_, "values", ())) for type_ in types) // len(types))
    return sizes


def named(field: GraphQLField) -> Any:
    return get_named_type(field.type)
