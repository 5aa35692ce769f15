"""Messages: what participants say, in parts and in order."""

from __future__ import annotations

import enum
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, ClassVar, NamedTuple, Protocol, TypeAlias

import msgspec
from msgspec import Meta

from domain.blob import Blob, MediaKind
from domain.declaration import NATURAL, Stored, listed, made_of, refers
from domain.entity import Mentioned
from domain.errors import invalid
from domain.node import Id, Node, register
from domain.page import OrderDirection
from domain.participant import ROLES, SenderType
from domain.target import TargetFilter
from domain.values import (
    MAX_BATCH,
    NULL,
    Called,
    Command,
    GivenJson,
    GivenObject,
    Json,
    Key,
    Name,
    Named,
    Ref,
    Text,
    TimeRange,
    Whose,
)

Pixels: TypeAlias = Annotated[int, Meta(ge=1)]

_NONE: Mapping[int, Blob] = {}


class CallSite(msgspec.Struct, frozen=True, gc=False):
    """Where a tool call stands: its session, its message and the place of that, and its index among the parts."""

    session_id: Id
    message_id: Id
    place: int
    index: int


class TextContent(msgspec.Struct, frozen=True, gc=False, tag_field="kind", tag="text"):
    text: str


class ReasoningContent(msgspec.Struct, frozen=True, gc=False, tag_field="kind", tag="reasoning"):
    """What a model thought before it spoke; it is no part of a message's text."""

    text: str


class Media(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True, tag_field="kind"):
    """A blob that a message shows. Telemetry may tell only where something is, by an address or a data URL, or only its
    type, or a word for that."""

    medium: ClassVar[MediaKind] = MediaKind.DOCUMENT

    blob_id: Id | None = None
    media_type: str | None = None
    url: str | None = None
    caption: str | None = None


class ImageContent(Media, frozen=True, gc=False, kw_only=True, tag="image"):
    """width, height: in pixels."""

    medium: ClassVar[MediaKind] = MediaKind.IMAGE

    width: int | None = None
    height: int | None = None


class AudioContent(Media, frozen=True, gc=False, kw_only=True, tag="audio"):
    medium: ClassVar[MediaKind] = MediaKind.AUDIO

    transcript: str | None = None
    duration_ms: float | None = None


class VideoContent(Media, frozen=True, gc=False, kw_only=True, tag="video"):
    """width, height: in pixels."""

    medium: ClassVar[MediaKind] = MediaKind.VIDEO

    width: int | None = None
    height: int | None = None
    transcript: str | None = None
    duration_ms: float | None = None


class DocumentContent(Media, frozen=True, gc=False, kw_only=True, tag="document"):
    title: str | None = None
    text: str = ""


_SHOWING: dict[MediaKind, type[Media]] = {
    made.medium: made for made in (ImageContent, AudioContent, VideoContent, DocumentContent)
}


_BEFORE = re.compile(r'"kind":"media","media_type":("(?:[^"\\]|\\.)*"|null)')
"""How media were written while there were no blobs."""


def renewed(text: str) -> str:
    """JSON of parts of messages as they are written now, whatever stands around them."""

    def name(found: re.Match[str]) -> str:
        tag = type(media(msgspec.json.decode(found[1]), None)).__struct_config__.tag
        return f'"kind":"{tag}","media_type":{found[1]}'

    return _BEFORE.sub(name, text)


def media(media_type: str | None, url: str | None) -> Any:
    """What telemetry tells of an image, a sound, a film or a document; one whose type says nothing is a document."""
    kind = next((kind for kind in MediaKind if (media_type or "").upper().startswith(kind.name)), MediaKind.DOCUMENT)
    return _SHOWING[kind](media_type=media_type, url=url)


class ToolCall(msgspec.Struct, frozen=True, gc=False, tag_field="kind", tag="toolCall", omit_defaults=True):
    """arguments: null where they are not told."""

    call_id: str
    tool: str
    arguments: Json
    at: CallSite | None = None
    response: ToolResponse | None = None


class ToolResponse(msgspec.Struct, frozen=True, gc=False, tag_field="kind", tag="toolResponse"):
    call_id: str
    result: Json
    is_error: bool


Content: TypeAlias = (
    TextContent
    | ReasoningContent
    | ImageContent
    | AudioContent
    | VideoContent
    | DocumentContent
    | ToolCall
    | ToolResponse
)


class ContentType(enum.Enum):
    """What a part of a message is."""

    TEXT = "TEXT"
    REASONING = "REASONING"
    IMAGE = "IMAGE"
    AUDIO = "AUDIO"
    VIDEO = "VIDEO"
    DOCUMENT = "DOCUMENT"
    TOOL_CALL = "TOOL_CALL"
    TOOL_RESPONSE = "TOOL_RESPONSE"

    @property
    def tag(self) -> str:
        """What such a part is called where it is stored."""
        first, *more = self.value.lower().split("_")
        return first + "".join(word.capitalize() for word in more)


class MemoryRef(msgspec.Struct, frozen=True, gc=False):
    """A memory used by a message, with its rank."""

    memory_id: Id
    score: float | None
    note: str | None


class Thread(Node, frozen=True, kw_only=True, gc=False):
    prefix: ClassVar[str] = "thr"
    noun: ClassVar[str] = "thread"

    session_id: Annotated[Id, refers("Session", gone="cascade", edge="OF"), NATURAL, listed("name")]
    name: Annotated[str, NATURAL]
    created_at: datetime


class Message(Node, frozen=True, kw_only=True, gc=False):
    """One utterance. place is its position in the session, from 1."""

    prefix: ClassVar[str] = "msg"
    noun: ClassVar[str] = "message"

    external_id: Annotated[str | None, NATURAL]
    session_id: Annotated[Id, refers("Session", gone="cascade", edge="IN"), listed("created_at")]
    place: int
    sender_id: Annotated[Id, refers("Participant", gone="refuse", edge="FROM"), listed("place")]
    sender_type: SenderType
    content: list[Content]
    thread_id: Annotated[Id | None, refers("Thread", gone="refuse", edge="IN_THREAD"), listed("place")]
    parent_id: Annotated[Id | None, refers("Message", gone="null", edge="REPLIES_TO"), listed("place")]
    metadata: Json
    created_at: datetime
    span_record_id: Annotated[Id | None, refers("Span", gone="keep"), Stored("span")] = None
    version: int = 1
    edited_at: datetime | None = None
    is_redacted: bool = False

    @property
    @made_of("content")
    def text(self) -> str:
        content = self.content
        if len(content) == 1 and type(content[0]) is TextContent:  # nearly all
            return content[0].text
        return "\n".join([part.text for part in content if type(part) is TextContent])

    @property
    @made_of("content")
    def searched(self) -> str:
        """What it is found by: its text, and what its media show and say."""
        return searched(self.content)

    @property
    @made_of("content")
    def blobs(self) -> dict[Id, MediaKind]:
        """What it shows, each once, in order, and as what."""
        content = self.content
        if len(content) == 1 and type(content[0]) is TextContent:
            return {}
        return {part.blob_id: part.medium for part in content if isinstance(part, Media) and part.blob_id}

    @property
    @made_of("content", "session_id", "id", "place")
    def tool_calls(self) -> list[ToolCall]:
        return [part for part in self.placed_content if type(part) is ToolCall]

    @property
    @made_of("content", "session_id", "id", "place")
    def placed_content(self) -> list[Content]:
        """The parts; tool calls know where they stand."""
        if ToolCall not in map(type, self.content):
            return self.content
        return [
            msgspec.structs.replace(part, at=CallSite(self.session_id, self.id, self.place, index))
            if type(part) is ToolCall
            else part
            for index, part in enumerate(self.content)
        ]


def searched(content: Sequence[Content]) -> str:
    """What a message of these parts is found by."""
    if len(content) == 1 and type(content[0]) is TextContent:
        return content[0].text
    return "\n".join(text for part in content for text in _searched(part) if text)


def _searched(part: Content) -> Iterator[str | None]:
    if type(part) is TextContent:
        yield part.text
    elif isinstance(part, Media):
        for name in ("caption", "title", "transcript", "text"):
            yield getattr(part, name, None)


class Odd(NamedTuple):
    """A tool response that may not be as it was meant: to a call that nobody has made, or one more than there are
    calls.

    calls, answers: the latest messages before it that make a call of this id and that answer one.
    """

    call_id: str
    calls: Sequence[Any] = ()
    answers: Sequence[Any] = ()

    def is_second(self, branch: Collection[Any]) -> bool:
        """Whether what it answers was answered before, of messages on its branch."""
        answers = sum(one in branch for one in self.answers)
        return answers > 0 and answers >= sum(one in branch for one in self.calls)


class Answering:
    """Takes the parts of messages in order, stored ones or ones to be, and finds which responses are odd. It knows
    nothing of branches: an answer on another one is no answer before."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[str | None, str], int] = {}
        self._calls: dict[tuple[str | None, str], list[Any]] = {}
        self._answers: dict[tuple[str | None, str], list[Any]] = {}

    def take(self, key: Any, thread: str | None, parts: Sequence[Any]) -> list[Odd]:
        """key: what the caller tells messages apart by."""
        found = []
        for part in parts:
            call = part if isinstance(part, ToolCall) else getattr(part, "tool_call", None)
            response = part if isinstance(part, ToolResponse) else getattr(part, "tool_response", None)
            if call is not None:
                id = thread, call.call_id
                self._waiting[id] = self._waiting.get(id, 0) + 1
                self._calls.setdefault(id, []).append(key)
            elif response is not None:
                id = thread, response.call_id
                answers = self._answers.setdefault(id, [])
                if self._waiting.get(id):
                    self._waiting[id] -= 1
                else:
                    found.append(Odd(response.call_id, self._calls.get(id, ())[-_LATEST:], answers[-_LATEST:]))
                answers.append(key)
        return found


_LATEST = 100


register(Thread, Message)


class MessageOrderField(enum.Enum):
    """Fields to sort messages by; PLACE is the order in which they were added to the session."""

    PLACE = "PLACE"
    CREATED_AT = "CREATED_AT"


class MessageOrder(Command, frozen=True, kw_only=True):
    """Sort order of messages; ties are broken by id."""

    field: MessageOrderField = MessageOrderField.PLACE
    direction: OrderDirection = OrderDirection.ASC


class ThreadOrderField(enum.Enum):
    """Fields to sort threads by."""

    CREATED_AT = "CREATED_AT"
    NAME = "NAME"


class ThreadOrder(Command, frozen=True, kw_only=True):
    """Sort order of threads; ties are broken by id."""

    field: ThreadOrderField = ThreadOrderField.CREATED_AT
    direction: OrderDirection = OrderDirection.ASC


class MessageFilter(TargetFilter, frozen=True, kw_only=True):
    """Selects messages; all given members must match. contentTypes: a part of the message is one of these."""

    sender_types: list[SenderType] | None = None
    content_types: list[ContentType] | None = None
    sender: Whose = None
    thread: Named = None
    text: str | None = None
    tool: str | None = None
    created_at: TimeRange | None = None
    metadata: GivenObject = None
    entity: Whose = None
    and_: list[MessageFilter] | None = msgspec.field(name="and", default=None)
    or_: list[MessageFilter] | None = msgspec.field(name="or", default=None)
    not_: MessageFilter | None = msgspec.field(name="not", default=None)


class ToolCallInput(Command, frozen=True, kw_only=True):
    """A call to a tool."""

    call_id: Key
    tool: Key
    arguments: GivenJson


class ToolResponseInput(Command, frozen=True, kw_only=True):
    """The result of the tool call with the same callId."""

    call_id: Key
    result: GivenJson = None
    is_error: bool = False


class MediaInput(Command, frozen=True, kw_only=True):
    """A blob to show: one that is stored, or the bytes of one as base64 or a data URL, with their mediaType and a
    filename. width and height: of images and films, in pixels. transcript and durationMs: of sounds and films. title
    and text: of documents."""

    blob: Ref | None = None
    data: str | None = None
    media_type: Name | None = None
    filename: Name | None = None
    caption: Text | None = None
    width: Pixels | None = None
    height: Pixels | None = None
    duration_ms: Annotated[float, Meta(ge=0)] | None = None
    transcript: Text | None = None
    title: Name | None = None
    text: Text | None = None


class ContentInput(Command, frozen=True, kw_only=True):
    """One part of a message. Give exactly one member."""

    text: Text | None = None
    tool_call: ToolCallInput | None = None
    tool_response: ToolResponseInput | None = None
    image: MediaInput | None = None
    audio: MediaInput | None = None
    video: MediaInput | None = None
    document: MediaInput | None = None

    @property
    def media(self) -> tuple[MediaKind, MediaInput] | None:
        """What it shows, if it shows something."""
        for kind, given in zip(MediaKind, (self.image, self.audio, self.video, self.document), strict=True):
            if given is not None:
                return kind, given
        return None


class MemoryRefInput(Command, frozen=True, kw_only=True):
    """A memory the message uses."""

    memory: Ref
    score: float | None = None
    note: Name | None = None


class MessageInput(Command, frozen=True, kw_only=True):
    """A new message, sent by a participant (`sender`) or by a role (user, assistant, system, tool) with an optional
    name."""

    role: str | None = None
    sender_name: Called | None = None
    sender: Whose = None
    text: Text | None = None
    content: list[ContentInput] | None = None
    thread: Key | None = None
    parent: Ref | None = None
    memory_refs: list[MemoryRefInput] | None = None
    metadata: GivenObject = None
    created_at: datetime | None = None
    external_id: Key | None = None
    entities: Mentioned | None = None


class AddMessageInput(MessageInput, frozen=True, kw_only=True):
    """A message to add to a session."""

    session: Ref
    idempotency_key: Key | None = None


class AddMessagesInput(Command, frozen=True, kw_only=True):
    """Up to 1,000 messages to add to a session, all or none; one may refer to an earlier one as its parent by
    externalId."""

    session: Ref
    messages: Annotated[list[MessageInput], Meta(max_length=MAX_BATCH)]
    idempotency_key: Key | None = None


def sender_type(role: str) -> SenderType:
    """The sender type a role word stands for. Raises Rejected (INVALID) for any other word."""
    try:
        return ROLES[role]
    except KeyError:
        raise invalid(f"Unknown role; expected one of {', '.join(ROLES)}.", ["role"]) from None


class Saying(Protocol):
    """What has the parts of a message to be."""

    @property
    def text(self) -> str | None: ...

    @property
    def content(self) -> Sequence[ContentInput] | None: ...


def contents(message: Saying, blobs: Mapping[int, Blob] = _NONE) -> list[Content]:
    """The parts of a new message: `text` first, then `content`. blobs: that it shows, by the index of the part.

    Raises Rejected (INVALID) where there is no part, or one is none.
    """
    parts = list(_parts(message, blobs))
    if not parts:
        raise invalid("A message needs text (possibly empty) or at least one content part.", ["content"])
    return parts


def _parts(message: Saying, blobs: Mapping[int, Blob]) -> Iterator[Content]:
    if message.text is not None:
        yield TextContent(message.text)
    for index, part in enumerate(message.content or ()):
        if part.text is not None:
            yield TextContent(part.text)
        elif part.tool_call is not None:
            yield ToolCall(part.tool_call.call_id, part.tool_call.tool, part.tool_call.arguments)
        elif part.tool_response is not None:
            response = part.tool_response
            yield ToolResponse(
                response.call_id, NULL if response.result is None else response.result, response.is_error
            )
        elif part.media is not None:
            yield _shown(*part.media, blobs[index], ["content", index])
        else:
            raise invalid("Give exactly one of text, toolCall, toolResponse and a medium.", ["content", index])


_OF_ITS_KIND = ("width", "height", "duration_ms", "transcript", "title", "text")


def _shown(kind: MediaKind, given: MediaInput, blob: Blob, path: list[str | int]) -> Any:
    """The part that shows a blob. Its size and its text are those of the blob where none are given."""
    path, made = [*path, kind.name.lower()], _SHOWING[kind]
    if blob.format.kind is not kind:
        raise invalid(f"The blob is {blob.media_type}, which is no {kind.name.lower()}.", [*path, "blob"])
    told = {name: value for name in _OF_ITS_KIND if (value := getattr(given, name)) is not None}
    if strange := [name for name in told if name not in made.__struct_fields__]:
        name = MediaInput.__struct_encode_fields__[MediaInput.__struct_fields__.index(strange[0])]
        raise invalid(f"A part of kind {kind.name} has no {name}.", [*path, name])
    measured = {name: getattr(blob, name) for name in ("width", "height", "text") if name in made.__struct_fields__}
    return made(blob_id=blob.id, media_type=blob.media_type, caption=given.caption, **measured | told)
