"""The conversation that model calls tell of, each turn once although every call repeats what was said before it."""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Annotated, ClassVar, NamedTuple

import msgspec

from domain.declaration import NATURAL, refers
from domain.message import Content, Media, TextContent, ToolCall, ToolResponse
from domain.model_call import ModelMessage
from domain.node import Id, Node
from domain.participant import SenderType

MAX_KNOWN = 400
"""How much of the end of a conversation is known: a call's history is compared with that."""


class Known(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A part of what was said. key: equal for what says the same, and begins with what it is. span: the place of the
    span that told it."""

    key: str
    span: int
    message_id: Id


class Teller(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A span that told something. start, end: microseconds since 1970. missing: the span_id of the nearest of those
    above it that is not known in the session."""

    trace_id: str
    span_id: str
    start: int
    end: int
    missing: str = ""


class Conversation(Node, frozen=True, kw_only=True, gc=False):
    """What is known of a session's conversation that telemetry tells. told: how many messages it has written; title,
    titled_at: what it called the session, and when that was said."""

    prefix: ClassVar[str] = "cnv"
    noun: ClassVar[str] = "conversation"
    hidden: ClassVar[bool] = True

    session_id: Annotated[Id, refers("Session", gone="cascade"), NATURAL]
    told: int = 0
    known: list[Known] = []
    tellers: list[Teller] = []
    title: str = ""
    titled_at: datetime | None = None


class Utterance(NamedTuple):
    """What one says at once. keys: of its parts, but for thoughts. answers: whether a model said it in this call."""

    sender: SenderType
    content: list[Content]
    keys: list[str]
    answers: bool


def utterances(asked: Iterable[ModelMessage], said: Iterable[ModelMessage]) -> list[Utterance]:
    """What a call tells, in order; instructions are left out. Thoughts go before what follows them."""
    found: list[Utterance] = []
    thoughts: list[Content] = []
    for answers, messages in ((False, asked), (True, said)):
        for message in messages:
            for sender, content in _by_sender(message):
                keys = keys_of(sender, content)
                if not keys:
                    thoughts += content
                    continue
                if sender is SenderType.AGENT and thoughts:
                    content, thoughts = thoughts + content, []
                found.append(Utterance(sender, content, keys, answers))
    return found


def keys_of(sender: SenderType, content: Iterable[Content]) -> list[str]:
    """Of what one says at once: of its parts, but for thoughts."""
    return [key for part in content if (key := _key(sender, part))] if sender in _TEXTS else []


def _by_sender(message: ModelMessage) -> Sequence[tuple[SenderType, list[Content]]]:
    """What a message says, by whom: the answers of tools may stand among what a user or an agent says."""
    if message.role == "system":
        return ()
    sender = _SENDERS.get(message.role, SenderType.AGENT)
    if not any(type(part) is ToolResponse for part in message.content):
        return ((sender, message.content),)
    own = [part for part in message.content if type(part) is not ToolResponse]
    answers: list[tuple[SenderType, list[Content]]] = [
        (SenderType.TOOL, [part]) for part in message.content if type(part) is ToolResponse
    ]
    return [(sender, own), *answers] if own else answers


_SENDERS = {"user": SenderType.USER, "tool": SenderType.TOOL}
_TEXTS = {SenderType.USER: "u", SenderType.AGENT: "a", SenderType.TOOL: "r"}


def _key(sender: SenderType, part: Content) -> str:
    """The key of a part; empty for thoughts."""
    if isinstance(part, TextContent):
        return _TEXTS[sender] + _digest(part.text.strip())
    if isinstance(part, ToolCall):
        return "c" + _digest(f"{part.tool} {part.call_id or bytes(part.arguments).decode()}")
    if isinstance(part, ToolResponse):
        return "r" + _digest(part.call_id or bytes(part.result).decode())
    return "m" + _digest(part.blob_id or part.url or "") if isinstance(part, Media) else ""


ANSWER, ASKED = "a", "um"
"""What the keys of texts begin with that an agent says, and of texts and images that a user does."""


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).hexdigest()


class News(NamedTuple):
    """What is not known yet, and whether something is that a user said in the same call. doubts: why something of it
    may be known all the same, or something else not."""

    told: list[Utterance]
    goes_on: bool
    doubts: list[str]


Places = dict[str, list[int]]
"""By key the places where it is known, in order."""


def places_of(known: Sequence[Known]) -> Places:
    places: Places = {}
    for place, part in enumerate(known):
        places.setdefault(part.key, []).append(place)
    return places


def news(
    known: Sequence[Known], places: Places, tellers: Sequence[Teller], told: Sequence[Utterance], by: Teller
) -> News:
    """Which of what a call tells is not known yet.

    What a call repeats is known in its order. Where it repeats no answer, only what was said since the last answer is
    compared, and what was told by spans of the same time: users say the same thing again. But a history may lack its
    answers: then it repeats all that was asked before. places: those of known.
    """
    has_history = any(one.sender is SenderType.AGENT and not one.answers for one in told) or _asks_anew(known, told)
    before = -1 if has_history else _since(known, tellers, by) - 1
    ways = [_repeated(places, told[start:], before) for start in _starts(known, told)]
    count, following, goes_on, passed = max(ways, key=lambda way: way[0])
    fresh = list(told[len(told) - following :] if count else told)
    doubts = []
    if passed:
        doubts.append(
            f"{passed:,} messages of a history that stand before known ones are not known, and were not added"
        )
    if has_history and len(known) == MAX_KNOWN and (count == 0 or count < len(known) < len(told)):
        doubts.append(
            f"A history of {len(told):,} messages repeats {count:,} of the last {MAX_KNOWN} parts of the session, "
            "which are those it is compared with: some of its messages may stand there twice"
        )
    return News(fresh, goes_on, doubts)


def _asks_anew(known: Sequence[Known], told: Sequence[Utterance]) -> bool:
    """Whether a call begins with all that users have said so far, and something follows."""
    if len(known) >= MAX_KNOWN:
        return False
    before = [part.key for part in known if part.key[0] in ASKED]
    asked = [key for one in told if one.sender is SenderType.USER for key in one.keys]
    return bool(before) and len(asked) > len(before) and asked[: len(before)] == before


def _starts(known: Sequence[Known], told: Sequence[Utterance]) -> list[int]:
    """From where on a call may repeat what is known: from its beginning, unless only the end of that is known."""
    if len(told) <= MAX_KNOWN or len(known) < MAX_KNOWN:
        return [0]
    first = [index for index, one in enumerate(told) if known[0].key in one.keys]
    return [len(told) - MAX_KNOWN, *first[-_MAX_STARTS:], 0]


_MAX_STARTS = 8


def _repeated(places: Places, told: Sequence[Utterance], at: int) -> tuple[int, int, bool, int]:
    """How many parts are known, how many utterances follow the last known one, whether a user said one of those that
    are known, and how many between those are not. at: the place after which they are looked for."""
    count, first, last, known, goes_on = 0, 0, -1, 0, False
    for index, one in enumerate(told):
        found = [place for key in one.keys if (place := _after(places.get(key, ()), at)) is not None]
        if found and (not one.answers or len(found) == len(one.keys)):
            first = first if count else index
            at, last, count, known = max(found), index, count + len(found), known + 1
            goes_on = goes_on or one.sender is SenderType.USER
    return count, len(told) - last - 1, goes_on, last - first + 1 - known if count else 0


def _after(places: Sequence[int], at: int) -> int | None:
    index = bisect_left(places, at + 1)
    return places[index] if index < len(places) else None


def _since(known: Sequence[Known], tellers: Sequence[Teller], by: Teller) -> int:
    """From where on a call without a history is compared."""
    same = {place for place, one in enumerate(tellers) if one.start <= by.end and by.start <= one.end}
    if (told := next((place for place, one in enumerate(known) if one.span in same), None)) is not None:
        return told
    return next((place + 1 for place in reversed(range(len(known))) if known[place].key[0] == ANSWER), 0)
