"""Model calls as spans tell of them: what was said to a model and by it, and the tool that ran."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from domain.message import Content, Media, TextContent, ToolCall, ToolResponse
from domain.node import Id
from domain.tool_calls import Spot, Step, answers, call_parts
from domain.values import Json, decode_json, encode_json

MAX_HEARD = 1_000
"""How many messages of events and log records a call has at the most: see domain.conventions.fitting."""


class ModelMessage(msgspec.Struct, frozen=True, gc=False):
    """What was said to a model or by it. role: as the model knows it, such as system, user, assistant or tool."""

    role: str
    content: list[Content]

    @property
    def text(self) -> str:
        return "\n".join(part.text for part in self.content if type(part) is TextContent)


class Heard(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A message that an event or a log record tells of. time: nanoseconds since 1970. key: the same each time that it
    is sent. by_model: whether the model said it."""

    time: int
    key: str
    by_model: bool
    message: ModelMessage


class ModelCall(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What a span tells of a call. asked, said: by its attributes; heard: by events and log records, one by one; those
    count where attributes tell nothing. ran: the call that a tool's span is of."""

    asked: list[ModelMessage] = []
    said: list[ModelMessage] = []
    heard: list[Heard] = []
    ran: ToolCall | None = None

    @property
    def input(self) -> list[ModelMessage]:
        """What was said to the model, its instructions first."""
        return _answered(self.asked or self._heard(False))

    @property
    def output(self) -> list[ModelMessage]:
        """What the model said; of a tool that ran, what it answered."""
        said = self.said or self._heard(True)
        if not said and self.ran is not None and self.ran.response is not None:
            return [ModelMessage("tool", [self.ran.response])]
        return _answered(said)

    @property
    def calls(self) -> list[ToolCall]:
        """The calls the model asked for; of a tool that ran, the call it answered."""
        if self.ran is not None:
            return [self.ran]
        return [part for message in self.output for part in message.content if type(part) is ToolCall]

    @property
    def blobs(self) -> list[Id]:
        found = [part for message in self._messages for part in message.content if isinstance(part, Media)]
        return [part.blob_id for part in found if part.blob_id is not None]

    @property
    def texts(self) -> list[str]:
        """What was put in and what came out, text by text, also inside of what tools were given and answered."""
        found = [text for message in self._messages for part in message.content for text in _texts(part)]
        return found if self.ran is None else [*found, *_texts(self.ran)]

    def showing(self, show: Callable[[Media], Media]) -> ModelCall:
        """The same call with other media; itself where it has none."""
        if not any(isinstance(part, Media) for message in self._messages for part in message.content):
            return self

        def shown(message: ModelMessage) -> ModelMessage:
            parts: list[Any] = [show(part) if isinstance(part, Media) else part for part in message.content]
            return ModelMessage(message.role, parts)

        heard = [Heard(one.time, one.key, one.by_model, shown(one.message)) for one in self.heard]
        return ModelCall([*map(shown, self.asked)], [*map(shown, self.said)], heard, self.ran)

    @property
    def _messages(self) -> list[ModelMessage]:
        return [*self.asked, *self.said, *(one.message for one in self.heard)]

    def _heard(self, by_model: bool) -> list[ModelMessage]:
        return [one.message for one in self.heard if one.by_model is by_model]

    def and_then(self, later: ModelCall) -> ModelCall:
        """What both tell, the later one where it tells something."""
        ran = later.ran if self.ran is None else self.ran if later.ran is None else _ran(self.ran, later.ran)
        known = {one.key for one in self.heard}
        heard = [*self.heard, *(one for one in later.heard if one.key not in known)]
        if len(heard) > len(self.heard) > 0:
            heard.sort(key=lambda one: one.time)
        return ModelCall(later.asked or self.asked, later.said or self.said, heard, ran)


def _texts(part: Content) -> Iterator[str]:
    if isinstance(part, ToolCall):
        yield from (part.tool, *leaves(part.arguments))
        if part.response is not None:
            yield from leaves(part.response.result)
    elif isinstance(part, ToolResponse):
        yield from leaves(part.result)
    else:
        yield from (said for name in _SAYING if (said := getattr(part, name, None)))


_SAYING = ("text", "caption", "title", "transcript")


def leaves(value: Json) -> Iterator[str]:
    """The texts and numbers that stand in a JSON value, in its order."""
    left = [decode_json(value)]
    while left:
        match left.pop():
            case str(text):
                yield text
            case list(inner):
                left += reversed(inner)
            case dict(inner):
                left += reversed(inner.values())
            case int() | float() as number if not isinstance(number, bool):
                yield bytes(encode_json(number)).decode()


def _ran(before: ToolCall, later: ToolCall) -> ToolCall:
    return ToolCall(
        later.call_id or before.call_id,
        later.tool or before.tool,
        before.arguments if bytes(later.arguments) == b"null" else later.arguments,
        response=later.response or before.response,
    )


def _answered(messages: list[ModelMessage]) -> list[ModelMessage]:
    """Messages whose calls have the responses that are among them."""
    if not any(type(part) is ToolResponse for message in messages for part in message.content):
        return messages
    steps = (
        Step(place, message.role == "assistant", None, None, False, list(call_parts(message.content)))
        for place, message in enumerate(messages)
    )
    found = {asked: messages[place].content[at] for asked, (place, at) in answers(steps).items()}

    def part(spot: Spot, part: Content) -> Content:
        return msgspec.structs.replace(part, response=found[spot]) if spot in found else part

    return [
        ModelMessage(message.role, [part((place, at), one) for at, one in enumerate(message.content)])
        for place, message in enumerate(messages)
    ]
