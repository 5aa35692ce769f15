"""The arguments of a field, read without graphql-core where they are variables and constants."""

from __future__ import annotations

from typing import Any

from graphql import FieldNode, GraphQLArgument, GraphQLField, Undefined, VariableNode, is_non_null_type, visit
from graphql.execution.values import VariableValues, get_argument_values
from graphql.language import Visitor
from graphql.utilities import coerce_input_literal
from graphql.utilities.coerce_input_value import coerce_default_value


class FieldArguments:
    """Those of one field in a document. graphql-core takes some 5 us for each."""

    def __init__(self, field: GraphQLField, node: FieldNode) -> None:
        self._field, self._node = field, node
        self._constants: dict[str, Any] = {}
        self._variables: list[tuple[str, str, bool]] = []
        self._is_simple = all(self._takes(name, argument) for name, argument in field.args.items())

    def read(self, values: VariableValues) -> dict[str, Any]:
        """The values of those that are given, by their names in Python. Raises GraphQLError."""
        if self._is_simple:
            coerced, found = values.coerced, dict(self._constants)
            for name, variable, required in self._variables:
                value = coerced.get(variable, Undefined)
                if value is Undefined or (required and value is None):
                    break
                found[name] = value
            else:
                return found
        return get_argument_values(self._field, self._node, values)

    def _takes(self, name: str, argument: GraphQLArgument) -> bool:
        """Whether it need not be left to graphql-core."""
        given = next((one.value for one in self._node.arguments or () if one.name.value == name), None)
        out_name, required = argument.out_name or name, is_non_null_type(argument.type)
        if given is None:
            if (default := coerce_default_value(argument)) is not Undefined:
                self._constants[out_name] = default
            return default is not Undefined or not required
        if isinstance(given, VariableNode):
            self._variables.append((out_name, given.name.value, required))
            return True
        if _names_variables(given):
            return False
        self._constants[out_name] = value = coerce_input_literal(given, argument.type)
        return value is not Undefined


class _Variables(Visitor):
    found = False

    def enter_variable(self, *_: object) -> None:
        self.found = True


def _names_variables(node: Any) -> bool:
    visitor = _Variables()
    visit(node, visitor)
    return visitor.found
