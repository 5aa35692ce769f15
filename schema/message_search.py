"""Hits of a search of what was said."""

from __future__ import annotations

import strawberry

from resolvers import lists
from schema import refs
from schema.fields import relation
from schema.message import Message
from schema.page import PageInfo


@strawberry.type(description="A message that was found, with its cursor.")
class MessageSearchEdge:
    cursor: str
    node: Message
    place: int = strawberry.field(description="Its place in its session, from 1.")
    snippet: str = strawberry.field(description="A piece of it in one line; the words are marked: **word**.")


@strawberry.type(description="A page of messages that were found.")
class MessageSearchConnection:
    edges: list[MessageSearchEdge]
    nodes: list[Message]
    page_info: PageInfo
    total_count = relation(
        lists.totals, refs.optional(int), "How many messages have the words; counted only if selected."
    )
