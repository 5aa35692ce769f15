"""Keep what a call tells within bounds: long texts are shortened, and what cannot be shortened is left out."""

from __future__ import annotations

from msgspec.structs import replace

from domain.conventions.lookup import Given
from domain.message import Content, Media, ReasoningContent, TextContent, ToolCall, ToolResponse
from domain.model_call import MAX_HEARD, Heard, ModelCall, ModelMessage
from domain.shortening import fitted_json, shortened
from domain.values import MAX_JSON, MAX_TEXT, NULL, Json

MAX_TOLD = 4 * 1024 * 1024
"""How many characters the messages to a model have together at the most; the latest are kept."""


def may_be_long(given: Given) -> bool:
    """Whether something among what is told for a span may be beyond the bounds."""
    size = 0
    for told in given.values():
        for _, _, value in told:
            if not isinstance(value, str):
                size += MAX_TEXT if isinstance(value, list | dict) else 0
            else:
                size += len(value)
    return size >= MAX_TEXT


def latest_heard(call: ModelCall, warnings: list[str]) -> ModelCall:
    """The call with the latest of the messages that events and log records tell of."""
    if (left_out := len(call.heard) - MAX_HEARD) <= 0:
        return call
    known = next((one for one in warnings if one.startswith(_UNHEARD)), "")
    if known:
        warnings.remove(known)
        left_out += int(known.removeprefix(_UNHEARD).split()[0].replace(",", ""))
    warnings.append(f"{_UNHEARD}{left_out:,} were left out")
    return replace(call, heard=call.heard[-MAX_HEARD:])


_UNHEARD = f"Events or log records of more than {MAX_HEARD:,} messages: the earliest "


def fitted(call: ModelCall, warnings: list[str]) -> ModelCall:
    """The call within bounds; what it lacks is told among the warnings."""
    fits = _Fitting(warnings)
    heard = [Heard(one.time, one.key, one.by_model, fits.message(one.message)) for one in call.heard]
    ran = None if call.ran is None else fits.call(call.ran)
    return ModelCall(fits.latest(call.asked), [fits.message(one) for one in call.said], heard, ran)


class _Fitting:
    def __init__(self, warnings: list[str]) -> None:
        self._warnings = warnings

    def _warn(self, problem: str) -> None:
        if problem not in self._warnings:
            self._warnings.append(problem)

    def latest(self, messages: list[ModelMessage]) -> list[ModelMessage]:
        """The instructions and the latest messages, as far as there is room."""
        found: list[ModelMessage] = []
        room, left_out = MAX_TOLD, 0
        for message in map(self.message, reversed(messages)):
            room -= sum(map(_size, message.content))
            if room < 0 and message.role != "system":
                left_out += 1
                continue
            found.append(message)
        if left_out:
            self._warn(f"Messages of more than {MAX_TOLD:,} characters: the earliest {left_out:,} were left out")
        found.reverse()
        return found

    def message(self, message: ModelMessage) -> ModelMessage:
        return ModelMessage(message.role, [self._part(part) for part in message.content])

    def _part(self, part: Content) -> Content:
        if isinstance(part, TextContent | ReasoningContent):
            if len(part.text) <= MAX_TEXT:
                return part
            self._warn(f"A text of more than {MAX_TEXT:,} characters was shortened")
            return replace(part, text=shortened(part.text, MAX_TEXT))
        if isinstance(part, Media):
            if part.url is None or len(part.url) <= MAX_JSON:
                return part
            self._warn(f"An image or file of {len(part.url):,} characters was left out")
            return replace(part, url=None)
        return self.call(part) if isinstance(part, ToolCall) else self._response(part)

    def call(self, call: ToolCall) -> ToolCall:
        response = None if call.response is None else self._response(call.response)
        return replace(call, arguments=self._json(call.arguments, "Arguments", "were"), response=response)

    def _response(self, response: ToolResponse) -> ToolResponse:
        return replace(response, result=self._json(response.result, "A result", "was"))

    def _json(self, value: Json, what: str, verb: str) -> Json:
        if len(bytes(value)) <= MAX_JSON:
            return value
        fits = fitted_json(value, MAX_JSON)
        self._warn(f"{what} of more than {MAX_JSON:,} bytes {verb} {'left out' if fits is None else 'shortened'}")
        return NULL if fits is None else fits


def _size(part: Content) -> int:
    if isinstance(part, TextContent | ReasoningContent):
        return len(part.text)
    if isinstance(part, Media):
        return len(part.url or "")
    return len(bytes(part.arguments if isinstance(part, ToolCall) else part.result))
