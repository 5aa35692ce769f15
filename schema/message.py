"""Messages and their parts."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import strawberry

from domain import message as domain
from domain.memory import Memory
from domain.participant import SenderType
from resolvers import blobs, branches, entities, formation, lists, messages, sessions, tool_execution
from schema import page, refs
from schema.fields import backed_by, connection, relation, with_lists
from schema.page import Node
from schema.scalars import JSON


@backed_by(domain.TextContent)
@strawberry.type(description="Text.")
class TextContent:
    text: str


@backed_by(domain.ReasoningContent)
@strawberry.type(description="What a model thought before it spoke. It is no part of a message's text.")
class ReasoningContent:
    text: str


@strawberry.interface(description="A blob that a message shows.")
class Media:
    blob = relation(
        blobs.blobs_of,
        refs.optional(refs.Blob),
        "What it shows; null where telemetry told of it and not what it is.",
        reads=["blob_id"],
    )
    media_type: str | None = strawberry.field(description="Its type, such as image/png, or a word for it.")
    url: str | None = strawberry.field(description="Where it is, if telemetry told that and it is not stored here.")
    caption: str | None


@backed_by(domain.ImageContent)
@strawberry.type(description="An image.")
class ImageContent(Media):
    width: int | None = strawberry.field(description="In pixels.")
    height: int | None = strawberry.field(description="In pixels.")


@backed_by(domain.AudioContent)
@strawberry.type(description="A sound.")
class AudioContent(Media):
    transcript: str | None
    duration_ms: float | None


@backed_by(domain.VideoContent)
@strawberry.type(description="A film.")
class VideoContent(Media):
    width: int | None = strawberry.field(description="In pixels.")
    height: int | None = strawberry.field(description="In pixels.")
    transcript: str | None
    duration_ms: float | None


@backed_by(domain.DocumentContent)
@strawberry.type(description="A document.")
class DocumentContent(Media):
    title: str | None
    text: str = strawberry.field(description="What it says, where that is known.")


@backed_by(domain.ToolResponse)
@strawberry.type(description="The result of a tool call.")
class ToolResponse:
    call_id: str
    result: JSON | None
    is_error: bool


@backed_by(domain.ToolCall)
@strawberry.type(description="A call to a tool.")
class ToolCall:
    call_id: str
    tool: str
    arguments: JSON | None = strawberry.field(description="Null where they are not told.")
    response = relation(
        messages.responses,
        refs.optional(ToolResponse),
        "The response on the same branch and thread; if several calls share a callId, the first open call is answered.",
    )
    execution = relation(
        tool_execution.of_calls, refs.optional(refs.ToolExecution), "The latest run of the tool for this call."
    )


Content = Annotated[
    TextContent
    | ReasoningContent
    | ImageContent
    | AudioContent
    | VideoContent
    | DocumentContent
    | ToolCall
    | ToolResponse,
    strawberry.union("Content", description="One part of a message."),
]


@backed_by(domain.MemoryRef)
@strawberry.type(description="A memory used by a message, with its rank.")
class MemoryRef:
    memory = relation(messages.ref_memories, refs.Memory, reads=["memory_id"], of=Memory, along=True)
    score: float | None
    note: str | None


@backed_by(domain.Thread)
@strawberry.type(description="A named thread of a session.")
class Thread(Node):
    name: str
    session = relation(sessions.sessions_of, refs.optional(refs.Session), reads=["session_id"])
    created_at: datetime
    messages = connection(lists.THREAD_MESSAGES, page.MessageConnection)


@backed_by(domain.Message)
@strawberry.type(description="A message in a session.")
@with_lists(domain.Message)
class Message(Node):
    external_id: str | None
    session = relation(sessions.sessions_of, refs.optional(refs.Session), reads=["session_id"])
    sender_type: SenderType
    sender = relation(messages.senders, refs.Participant, reads=["sender_id"])
    sender_snapshot = relation(
        messages.sender_snapshots,
        refs.optional(refs.AgentSnapshot),
        "What the agent that sent it was then; null where it was no agent.",
        reads=["sender_id", "sender_type", "created_at"],
    )
    created_at: datetime
    text: str = strawberry.field(description="The text parts, joined by newlines; suitable for lists.")
    placed_content: list[Content] = strawberry.field(name="content", description="All parts, in order.")
    thread = relation(messages.threads, refs.optional(Thread), reads=["thread_id"])
    on_current_branch = relation(
        branches.on_current, bool, "Part of the session's current branch, not of an answer that was discarded."
    )
    parent = relation(messages.parents, refs.optional(refs.Message), "The message it replies to.", reads=["parent_id"])
    replies = connection(lists.MESSAGE_REPLIES, page.MessageConnection)
    tool_calls: list[ToolCall]
    warnings = relation(
        messages.warnings,
        list[str],
        "Possible mistakes: tool responses that answer no earlier call, or one that is answered.",
    )
    span = relation(
        messages.spans, refs.optional(refs.Span), "The span that tells of it, where the message came by telemetry."
    )
    memory_refs = relation(
        messages.memory_refs,
        list[MemoryRef],
        "Memories this message used, with their ranks.",
        reads=["id"],
        of=Memory,
    )
    mentions = relation(
        entities.mentions_of, list[refs.Mention], "What it mentions, and whether a rule found that.", reads=["id"]
    )
    entities = relation(
        entities.of_records, list[refs.Entity], "What it mentions, in the order in which it was told.", reads=["id"]
    )
    formed_memories = relation(
        formation.formed_by_messages, list[refs.Memory], "Memories formed from this message.", reads=["id"]
    )
    trace = connection(lists.MESSAGE_TRACE, page.TraceEventConnection, "Trace events about this message.")
    metadata: JSON
    version: int = strawberry.field(description="Counts from 1 and goes up with every edit; use it as ifVersion.")
    edited_at: datetime | None
    is_redacted: bool = strawberry.field(description="Its content was removed for good.")
