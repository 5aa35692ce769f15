"""Hits of a search of what was said."""

from __future__ import annotations

import strawberry

from domain.search import SearchMode
from resolvers.message_search import MOST
from schema.message import Message
from schema.page import PageInfo


@strawberry.type(description="A message that was found, with its cursor.")
class MessageSearchEdge:
    cursor: str
    node: Message
    place: int = strawberry.field(description="Its place in its session, from 1.")
    score: float = strawberry.field(description="0 to 1, comparable within one search.")
    snippet: str = strawberry.field(description="A piece of it in one line; what was looked for is marked: **word**.")


@strawberry.type(description="A page of messages that were found, best first unless asked otherwise.")
class MessageSearchConnection:
    edges: list[MessageSearchEdge]
    nodes: list[Message]
    page_info: PageInfo
    total_count: int | None = strawberry.field(description=f"How many were found, at the most {MOST}.")
    mode: SearchMode = strawberry.field(description="How they were looked for.")
    degraded: bool = strawberry.field(description="True if their meaning could not be looked for, or only in part.")
