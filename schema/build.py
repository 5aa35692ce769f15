"""The schema, built from its declarations."""

from __future__ import annotations

from functools import cache
from typing import Any

import strawberry
from graphql import GraphQLEnumType, GraphQLInputObjectType, GraphQLSchema
from strawberry.schema.config import StrawberryConfig

from schema.consistency import consistency
from schema.enums import SHARED
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
        directives=[consistency],
        config=StrawberryConfig(scalar_map=SCALARS),
    )


@cache
def build() -> GraphQLSchema:
    """The executable schema, one for all; its operations run with a schema.loading.Loading as their context. To make it
    takes half a second."""
    schema = executable(_declared())
    bind(schema)
    return schema


def executable(declared: strawberry.Schema) -> GraphQLSchema:
    """The schema as graphql-core has it, whose own rules see to one-of inputs.

    Strawberry's rule looks at the variables of the operation that it has met last: it raises KeyError where there is no
    such variable, and AttributeError in a fragment before the first operation.
    """
    schema = declared._schema
    for type_ in schema.type_map.values():
        if isinstance(type_, GraphQLInputObjectType):
            type_.is_one_of = type_.extensions["strawberry-definition"].is_one_of
    for shared in (schema.type_map.get(kind.__name__) for kind in SHARED):
        if isinstance(shared, GraphQLEnumType):
            shared.coerce_output_value = _value  # type: ignore[method-assign, assignment]
    return schema


def _value(member: Any) -> str:
    """What shows a member of any enum that a shared one stands for."""
    return str(member.value)


def sdl() -> str:
    return _declared().as_str() + "\n"
