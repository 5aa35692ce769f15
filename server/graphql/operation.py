"""One operation of a valid document, and which one a request means."""

from __future__ import annotations

import dataclasses
from typing import Any

from graphql import DocumentNode, OperationDefinitionNode, OperationType

from server.errors import BAD_USER_INPUT, OperationRefused, plain
from server.graphql.documents import Parsed


@dataclasses.dataclass(frozen=True, slots=True)
class Operation:
    """One operation of a valid document, with the variables as they came, and what it costs with them."""

    parsed: Parsed
    node: OperationDefinitionNode
    variables: dict[str, Any] | None = None
    extensions: dict[str, Any] | None = None
    cost: int | None = None

    @property
    def kind(self) -> OperationType:
        return self.node.operation


def chosen(document: DocumentNode, name: str | None) -> OperationDefinitionNode:
    """The operation of this name, or the only one. Raises OperationRefused."""
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    if name is None:
        if len(operations) == 1:
            return operations[0]
        message = "Must provide operation name if query contains multiple operations."
    else:
        for node in operations:
            if node.name and node.name.value == name:
                return node
        message = f"Unknown operation named '{name}'."
    raise OperationRefused([plain(message, BAD_USER_INPUT)])
