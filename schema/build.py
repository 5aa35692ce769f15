"""The schema, built from its declarations."""

from __future__ import annotations

import strawberry
from graphql import GraphQLSchema
from strawberry.schema.config import StrawberryConfig

from schema.fields import bind
from schema.operations import Mutation, Query, Subscription
from schema.scalars import SCALARS
from schema.session import ChatSession, PanelSession, PlaygroundSession, WorkflowSession


def _declared() -> strawberry.Schema:
    return strawberry.Schema(
        query=Query,
        mutation=Mutation,
        subscription=Subscription,
        types=[ChatSession, PanelSession, WorkflowSession, PlaygroundSession],
        config=StrawberryConfig(scalar_map=SCALARS),
    )


def build() -> GraphQLSchema:
    """The executable schema; its operations run with a schema.loading.Loading as their context."""
    schema = _declared()._schema
    bind(schema)
    return schema


def sdl() -> str:
    """The contract as text."""
    return _declared().as_str() + "\n"
