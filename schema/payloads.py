"""Payloads of mutations: the result, or the errors."""

from __future__ import annotations

from typing import Any

import strawberry

from domain import errors as domain
from domain.errors import ErrorCode
from resolvers.consistency import tokens
from schema import refs
from schema.fields import backed_by, relation
from schema.search import MemorySearch


@backed_by(domain.UserError)
@strawberry.type(description="An error the caller can fix. If there is one, nothing was written.")
class UserError:
    code: ErrorCode
    message: str
    path: list[str] = strawberry.field(
        description="Path of the input field that caused the error, outermost name first."
    )


_TOKEN = "Operations with @consistency(after: ...) see what was written, through whichever process they are asked."


def payload(name: str, **fields: Any) -> Any:
    """The payload of mutations: what was written, each under its name, and errors."""
    annotations = {**fields, "errors": list[UserError]}
    token = relation(tokens, refs.optional(str), _TOKEN, reads=())
    members = {"__annotations__": annotations, "__module__": __name__, "consistency_token": token}
    made = type(f"{name}Payload", (), members)
    return strawberry.type(made, description="The result of the mutation, or its errors.")


_memories = refs.optional(list[refs.Memory])

SessionPayload = payload("Session", session=refs.optional(refs.Session))
ParticipantPayload = payload("Participant", participant=refs.optional(refs.Participant))
UserPayload = payload("User", user=refs.optional(refs.User))
AgentPayload = payload("Agent", agent=refs.optional(refs.Agent))
MessagePayload = payload("Message", message=refs.optional(refs.Message))
MessagesPayload = payload("Messages", messages=refs.optional(list[refs.Message]))
MemoryPayload = payload("Memory", memory=refs.optional(refs.Memory), archived=_memories)
MemoriesPayload = payload("Memories", memories=_memories, archived=_memories)
AffectedMemoriesPayload = payload("AffectedMemories", count=refs.optional(int), memories=_memories)
LinksPayload = payload("Links", links=refs.optional(list[refs.MemoryLink]))
SessionLinksPayload = payload("SessionLinks", links=refs.optional(list[refs.SessionLink]))
RecallPayload = payload("Recall", search=refs.optional(MemorySearch), event=refs.optional(refs.TraceEvent))
TracePayload = payload("Trace", accepted=refs.optional(int), end_cursor=refs.optional(str))
ApiKeyPayload = payload("ApiKey", api_key=refs.optional(refs.ApiKey))
CreateApiKeyPayload = payload("CreateApiKey", api_key=refs.optional(refs.ApiKey), secret=refs.optional(str))
SpanPayload = payload("Span", span=refs.optional(refs.Span))
SpansPayload = payload("Spans", spans=refs.optional(list[refs.Span]))
StatePayload = payload("State", state=refs.optional(refs.StateEntry))
DeletedStatesPayload = payload("DeletedStates", count=refs.optional(int))
StatesPayload = payload("States", states=refs.optional(list[refs.StateEntry]))
