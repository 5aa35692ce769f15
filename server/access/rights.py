"""The right an operation requires: the greatest one its root fields declare."""

from __future__ import annotations

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
)

from domain.caller import Role
from domain.errors import ErrorCode
from schema.fields import right_of
from server.errors import OperationRefused, plain

FORBIDDEN_STATUS = 403

Rights = dict[str | None, Role]
"""What the operations of a document take, by name."""


def rights(schema: GraphQLSchema, document: DocumentNode) -> Rights:
    """What each operation of a valid document takes; a field that is skipped counts too."""
    fragments = {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}
    found: Rights = {}
    for node in document.definitions:
        if isinstance(node, OperationDefinitionNode):
            root = schema.get_root_type(node.operation)
            names = _fields(node.selection_set, fragments, set())
            takes = [_right(root, name) for name in names] if root is not None else []
            found[node.name.value if node.name else None] = max(takes, key=list(Role).index, default=Role.READ)
    return found


def _fields(selections: SelectionSetNode, fragments: dict[str, FragmentDefinitionNode], spread: set[str]) -> set[str]:
    names: set[str] = set()
    for node in selections.selections:
        if isinstance(node, FieldNode):
            names.add(node.name.value)
        elif isinstance(node, InlineFragmentNode):
            names |= _fields(node.selection_set, fragments, spread)
        elif isinstance(node, FragmentSpreadNode) and (name := node.name.value) not in spread:
            spread.add(name)
            names |= _fields(fragments[name].selection_set, fragments, spread)
    return names


def _right(root: GraphQLObjectType, name: str) -> Role:
    """What a field takes: what it declares, ADMIN where it declares nothing, and little for the introspection."""
    if name.startswith("__"):
        return Role.READ
    return right_of(root.fields[name]) or Role.ADMIN


def require(role: Role, right: Role) -> None:
    """Raises OperationRefused where a role does not include a right."""
    if not role.allows(right):
        message = f"Requires role {right.name}; this credential has {role.name}."
        raise OperationRefused([plain(message, ErrorCode.FORBIDDEN.name)], FORBIDDEN_STATUS)
