"""A subscription that goes on after a cursor: the same operation with another `after`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from graphql import (
    ArgumentNode,
    FieldNode,
    GraphQLSchema,
    NameNode,
    OperationType,
    StringValueNode,
    TypeInfo,
    TypeInfoVisitor,
    VariableNode,
    Visitor,
    visit,
)

from server.graphql.operation import Operation, chosen


def resumed(schema: GraphQLSchema, operation: Operation, cursor: str) -> Operation:
    """The same subscription, to go on after `cursor`; unchanged if its root field takes no `after`."""
    root, types = schema.subscription_type, TypeInfo(schema)
    if operation.kind is not OperationType.SUBSCRIPTION or root is None:
        return operation
    change = _Resume(cursor, lambda: types.get_parent_type() is root and _takes_after(types))
    document = visit(operation.parsed.document, TypeInfoVisitor(types, change))
    name = operation.node.name.value if operation.node.name else None
    variables = {**(operation.variables or {}), **change.variables}
    same = document is operation.parsed.document
    parsed = operation.parsed if same else operation.parsed._replace(document=document, plans={}, built={})
    return dataclasses.replace(operation, parsed=parsed, node=chosen(document, name), variables=variables)


def _takes_after(types: TypeInfo) -> bool:
    field = types.get_field_def()
    return field is not None and "after" in field.args


class _Resume(Visitor):
    """Sets `after` of the root field: in the variables where it is one, else in a copy of the field."""

    def __init__(self, cursor: str, is_resumable: Callable[[], bool]) -> None:
        super().__init__()
        self._cursor, self._is_resumable = cursor, is_resumable
        self.variables: dict[str, str] = {}

    def enter_field(self, node: FieldNode, *_: Any) -> FieldNode | None:
        if not self._is_resumable():
            return None
        others = []
        for argument in node.arguments or ():
            if argument.name.value != "after":
                others.append(argument)
            elif isinstance(argument.value, VariableNode):
                self.variables[argument.value.name.value] = self._cursor
                return None
        after = ArgumentNode(name=NameNode(value="after"), value=StringValueNode(value=self._cursor))
        return dataclasses.replace(node, arguments=(*others, after))
