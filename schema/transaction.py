"""Transactions."""

from __future__ import annotations

import strawberry

from resolvers import transaction
from schema import payloads, refs
from schema.fields import backed_by
from schema.page import Node


@backed_by(transaction.OperationResult)
@strawberry.type(description="What one operation of a transaction did.")
class OperationResult:
    operation: str = strawberry.field(description="The name of the operation.")
    nodes: list[Node] = strawberry.field(description="What it made, changed or deleted, as its mutation returns it.")


TransactionPayload = payloads.payload("Transaction", results=refs.optional(list[OperationResult]))
