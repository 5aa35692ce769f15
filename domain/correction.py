"""Corrections of what was said: earlier contents of messages, and what takes texts out of records."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Annotated, Any, ClassVar, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType
from msgspec.structs import replace

from domain.annotation import Annotation
from domain.context_version import ContextVersion
from domain.declaration import listed, made_of, refers, shown
from domain.experiment import Experiment, ExperimentResult
from domain.message import (
    Content,
    ContentInput,
    Media,
    Message,
    ReasoningContent,
    TextContent,
    ToolCall,
    ToolResponse,
)
from domain.model_call import ModelCall
from domain.node import Id, Node, kind_of, register
from domain.page import OrderDirection
from domain.panel import Decision, Insight
from domain.reasoning import ReasoningChain
from domain.span import Span
from domain.tool_execution import ToolExecution
from domain.trace import TraceEvent
from domain.values import (
    EMPTY_OBJECT,
    MAX_BATCH,
    Command,
    GivenObject,
    Json,
    Key,
    Name,
    Ref,
    Text,
    decode_json,
    encode_json,
)
from domain.workflow import WorkflowExecution

R = TypeVar("R", bound=msgspec.Struct)

MESSAGE_EDITED = "message_edited"
MESSAGE_REDACTED = "message_redacted"
MESSAGES_DELETED = "messages_deleted"

REDACTED = "[redacted]"
"""What stands in the place of a text that was taken out of a record."""

_SHORT = 4
"""Texts of fewer characters are taken out only where they stand alone: they are part of too many others."""


class MessageVersion(Node, frozen=True, kw_only=True, gc=False):
    """What a message was until `replaced_at`."""

    prefix: ClassVar[str] = "mgv"
    noun: ClassVar[str] = "message version"

    message_id: Annotated[
        Id,
        refers("Message", gone="cascade"),
        listed("version"),
        shown("versions", "What it was before it was edited, newest first."),
    ]
    version: int
    content: list[Content]
    metadata: Json
    replaced_at: datetime

    @property
    @made_of("content")
    def text(self) -> str:
        return "\n".join(part.text for part in self.content if type(part) is TextContent)


register(MessageVersion)


class MessageVersionOrderField(enum.Enum):
    """Fields to sort the versions of messages by."""

    VERSION = "VERSION"


class MessageVersionOrder(Command, frozen=True, kw_only=True):
    """Sort order of the versions of messages; ties are broken by id."""

    field: MessageVersionOrderField = MessageVersionOrderField.VERSION
    direction: OrderDirection = OrderDirection.DESC


class EditMessageInput(Command, frozen=True, kw_only=True):
    """What a message is from now on: its text, its content or both, as in addMessage; what it was is kept as a version.
    Metadata that is left out stays. With ifVersion the message must still be at that version."""

    message: Ref
    text: Text | None = None
    content: list[ContentInput] | None = None
    metadata: GivenObject | UnsetType = UNSET
    if_version: int | UnsetType = UNSET
    idempotency_key: Key | None = None


class RedactMessageInput(Command, frozen=True, kw_only=True):
    """The message whose content is to be nowhere any more."""

    message: Ref
    dry_run: bool = False


class DeleteMessagesInput(Command, frozen=True, kw_only=True):
    """The messages to delete, all or none."""

    messages: Annotated[list[Ref], Meta(max_length=MAX_BATCH)]
    dry_run: bool = False


class ForkSessionInput(Command, frozen=True, kw_only=True):
    """The session to fork, and the message up to which it is copied; where none is given the end of its current
    branch."""

    session: Ref
    at: Ref | None = None
    title: Name | None = None
    external_id: Key | None = None
    idempotency_key: Key | None = None


def texts_of(contents: Iterable[Sequence[Content]]) -> list[str]:
    """The texts in the parts of messages, the longest first."""
    found = {text for content in contents for part in content for text in _texts(part) if text.strip()}
    return sorted(found, key=lambda text: (-len(text), text))


def _texts(part: Content) -> Iterator[str]:
    if isinstance(part, TextContent | ReasoningContent):
        yield part.text
    elif isinstance(part, Media):
        told = (getattr(part, name, None) for name in ("url", "caption", "transcript", "title", "text"))
        yield from (text for text in told if text)
    elif isinstance(part, ToolCall):
        yield from leaves(decode_json(part.arguments))
    elif isinstance(part, ToolResponse):
        yield from leaves(decode_json(part.result))


def leaves(value: Any) -> Iterator[str]:
    """The texts in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from leaves(one)


def without(value: Any, texts: Sequence[str]) -> Any:
    """A JSON value without these texts, the longest of which come first; also where JSON stands in a string."""
    if isinstance(value, str):
        return _without(value, texts)
    if isinstance(value, dict):
        return {without(name, texts): without(one, texts) for name, one in value.items()}
    return [without(one, texts) for one in value] if isinstance(value, list) else value


def _without(value: str, texts: Sequence[str]) -> str:
    if value.strip() in texts:
        return REDACTED
    if value[:1] in ("{", "["):
        try:
            inner = msgspec.json.decode(value)
        except (msgspec.DecodeError, RecursionError):
            inner = None
        if inner is not None and (fresh := without(inner, texts)) != inner:
            return msgspec.json.encode(fresh).decode()
    for text in texts:
        for one in (text, text.strip()):
            if len(one) >= _SHORT:
                value = value.replace(one, REDACTED)
    return value


def json_without(value: Json, texts: Sequence[str]) -> Json:
    """The same JSON where it has none of the texts."""
    plain = decode_json(value)
    fresh = without(plain, texts)
    return value if fresh == plain else encode_json(fresh)


_TEXTS: dict[type[Node], tuple[str, ...]] = {
    TraceEvent: ("data",),
    ToolExecution: ("arguments", "result", "error"),
    ReasoningChain: ("steps", "conclusion", "metadata"),
    Decision: ("topic", "text", "votes", "metadata"),
    Insight: ("text", "metadata"),
    WorkflowExecution: ("input", "output", "error", "metadata"),
    Experiment: ("description", "parameters", "metadata"),
    ExperimentResult: ("output", "comment", "metadata"),
    ContextVersion: ("context", "comment"),
    Annotation: ("label", "comment", "metadata"),
}
"""The fields in which records of a session may tell what was said in it."""

TELLING: tuple[type[Node], ...] = (Span, *_TEXTS)
"""The records that may tell what was said in their session."""


def record_without(record: R, texts: Sequence[str]) -> R:
    """A record that tells of a conversation without these texts; the same one where it has none."""
    if isinstance(record, Span):
        return _changed(
            record,
            name=_without(record.name, texts),
            status_message=record.status_message and _without(record.status_message, texts),
            attributes=json_without(record.attributes, texts),
            call=record.call and _call_without(record.call, texts),
        )
    return _changed(record, **{name: _value_without(getattr(record, name), texts) for name in _TEXTS[type(record)]})  # type: ignore[index]


def _value_without(value: Any, texts: Sequence[str]) -> Any:
    """The value of a field, or of a part of it; the same one where it has none of the texts."""
    if isinstance(value, msgspec.Raw):
        return json_without(value, texts)
    if isinstance(value, str):
        return value if kind_of(value) is not None else _without(value, texts)
    if isinstance(value, list):
        return [_value_without(one, texts) for one in value]
    if isinstance(value, msgspec.Struct):
        parts = {name: _value_without(getattr(value, name), texts) for name in value.__struct_fields__}
        return _changed(value, **parts)
    return value


def _call_without(call: ModelCall, texts: Sequence[str]) -> ModelCall:
    plain = msgspec.json.decode(msgspec.json.encode(call))
    fresh = {name: _parts_without(one, texts) for name, one in plain.items()}
    return call if fresh == plain else msgspec.convert(fresh, ModelCall)


_TAGS = ("kind", "role", "key")


def _parts_without(value: Any, texts: Sequence[str]) -> Any:
    """The same of the messages of a call, but for what says what they are."""
    if isinstance(value, dict):
        return {name: one if name in _TAGS else _parts_without(one, texts) for name, one in value.items()}
    if isinstance(value, list):
        return [_parts_without(one, texts) for one in value]
    return _without(value, texts) if isinstance(value, str) else value


def _changed(record: R, **fields: Any) -> R:
    fresh = {name: value for name, value in fields.items() if value is not getattr(record, name)}
    fresh = {name: value for name, value in fresh.items() if value != getattr(record, name)}
    return replace(record, **fresh) if fresh else record


def redacted(message: Message) -> Message:
    """The message without its content."""
    return replace(message, content=[], metadata=EMPTY_OBJECT, is_redacted=True)
