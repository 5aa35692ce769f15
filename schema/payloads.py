"""What mutations answer: the thing written, or why nothing was."""

from __future__ import annotations

from typing import Any

import strawberry

from domain import errors as domain
from domain.errors import ErrorCode
from schema import refs
from schema.fields import backed_by
from schema.search import MemorySearch


@backed_by(domain.UserError)
@strawberry.type(description="An error the caller can fix. If there is one, nothing was written.")
class UserError:
    code: ErrorCode
    message: str
    path: list[str] = strawberry.field(
        description="Path of the input field that caused the error, outermost name first."
    )


def _payload(name: str, **fields: Any) -> Any:
    annotations = {**fields, "errors": list[UserError]}
    made = type(f"{name}Payload", (), {"__annotations__": annotations, "__module__": __name__})
    return strawberry.type(made, description="The result of the mutation, or its errors.")


_memories = refs.optional(list[refs.Memory])

SessionPayload = _payload("Session", session=refs.optional(refs.Session))
ParticipantPayload = _payload("Participant", participant=refs.optional(refs.Participant))
UserPayload = _payload("User", user=refs.optional(refs.User))
AgentPayload = _payload("Agent", agent=refs.optional(refs.Agent))
MessagePayload = _payload("Message", message=refs.optional(refs.Message))
MessagesPayload = _payload("Messages", messages=refs.optional(list[refs.Message]))
MemoryPayload = _payload("Memory", memory=refs.optional(refs.Memory), archived=_memories)
MemoriesPayload = _payload("Memories", memories=_memories, archived=_memories)
AffectedMemoriesPayload = _payload("AffectedMemories", count=refs.optional(int), memories=_memories)
LinksPayload = _payload("Links", links=refs.optional(list[refs.MemoryLink]))
RecallPayload = _payload("Recall", search=refs.optional(MemorySearch), event=refs.optional(refs.TraceEvent))
TracePayload = _payload("Trace", accepted=refs.optional(int), end_cursor=refs.optional(str))
ApiKeyPayload = _payload("ApiKey", api_key=refs.optional(refs.ApiKey))
CreateApiKeyPayload = _payload("CreateApiKey", api_key=refs.optional(refs.ApiKey), secret=refs.optional(str))
SpanPayload = _payload("Span", span=refs.optional(refs.Span))
StatePayload = _payload("State", state=refs.optional(refs.StateEntry))
StatesPayload = _payload("States", states=refs.optional(list[refs.StateEntry]))
