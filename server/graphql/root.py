"""The way to a root field without graphql-core, which takes 40 us to get there.

It serves operations with one root field whose selection is compiled. The field is asked once: where it fails, or its
value is none that the compiled selection takes, graphql-core answers, and is given what the field said instead of
asking it again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from graphql import GraphQLError, GraphQLField, is_non_null_type
from graphql.execution.collect_fields import collect_fields
from graphql.execution.values import VariableValues
from graphql.pyutils import Path

from schema.fields import is_root
from server.graphql.arguments import FieldArguments
from server.graphql.compiled import CompilingExecutor, LeftToGraphQLCore, Plain, Plan, refuse_the_unknown


class Answered(Exception):
    """What a root field has said, where graphql-core is to go on from there. It takes the place of its middleware."""

    def __init__(self, field: GraphQLField, value: Any, error: Exception | None = None) -> None:
        super().__init__()
        self._field, self._value, self._error = field, value, error

    def get_field_resolver(self, resolve: Callable[..., Any]) -> Callable[..., Any]:
        return self._again if resolve is self._field.resolve else resolve

    def _again(self, *_: Any, **__: Any) -> Any:
        if self._error is not None:
            raise self._error
        return self._value


class _Info:
    """What the resolver of a root field may know of its operation."""

    __slots__ = ("context", "field_name", "path")

    def __init__(self, context: Any, field_name: str, path: Path) -> None:
        self.context, self.field_name, self.path = context, field_name, path


class Root:
    """The root field of an operation, under its response key."""

    def __init__(self, key: str, type_name: str, field: GraphQLField, group: Any, plan: Plan) -> None:
        self._key, self._field, self._plan = key, field, plan
        node = group[0].node
        self._name, self._path = node.name.value, Path(None, key, type_name)
        self._arguments = FieldArguments(field, node)
        self._nullable = not is_non_null_type(field.type)

    async def run(self, context: Any, values: VariableValues) -> dict[str, Any]:
        """The operation's data. Raises Answered; GraphQLError before anything was asked."""
        given, resolve = self._arguments.read(values), self._field.resolve
        assert resolve is not None
        try:
            value = await resolve(None, _Info(context, self._name, self._path), **given)
        except Exception as error:
            raise Answered(self._field, None, error) from None
        if value is None and self._nullable:
            return {self._key: None}
        with LeftToGraphQLCore():
            if self._plan.is_flat:
                return {self._key: self._plan.complete(value)}
            return {self._key: await self._plan.load(value, context, values)}
        raise Answered(self._field, value)


def root_of(executor: CompilingExecutor) -> Root | dict[str, str] | None:
    """The root field of the operation that an executor is built for, or its data where that is but __typename; None
    where it is graphql-core's."""
    schema, operation = executor.schema, executor.operation
    type_ = schema.get_root_type(operation.operation)
    assert type_ is not None
    try:
        collected = collect_fields(schema, executor.fragments, executor.variable_values, type_, operation)
    except GraphQLError:  # @skip(if: null)
        return None
    if len(collected[0]) != 1:
        return None
    [(key, group)] = collected[0].items()
    name = group[0].node.name.value
    if name == "__typename":
        return {key: type_.name}
    field = schema.get_field(type_, name)
    if field is None or not is_root(field):
        return None
    try:
        refuse_the_unknown(group)
    except Plain:
        return None
    plan = executor.plan(field.type, group)
    return None if plan is None else Root(key, type_.name, field, group, plan)
