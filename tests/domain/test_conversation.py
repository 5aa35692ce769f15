"""What calls tell of a conversation, each turn once."""

from __future__ import annotations

from typing import Any

import pytest

from domain.conversation import MAX_KNOWN, Known, Teller, news, places_of, utterances
from domain.message import ReasoningContent, TextContent, ToolCall, ToolResponse
from domain.model_call import ModelMessage
from domain.node import Id
from domain.participant import SenderType
from domain.values import encode_json


def said(*words: str) -> list[ModelMessage]:
    """Messages: "u:hi" is the user's, "a:ho" the agent's, "c:1" a call, "r:1" its result, "t:hm" a thought."""
    found = []
    for word in words:
        kind, _, text = word.partition(":")
        part: Any = {
            "u": TextContent(text),
            "a": TextContent(text),
            "s": TextContent(text),
            "t": ReasoningContent(text),
            "c": ToolCall(text, "clock", encode_json({})),
            "r": ToolResponse(text, encode_json("noon"), False),
        }[kind]  # fmt: skip
        role = {"u": "user", "s": "system", "r": "tool"}.get(kind, "assistant")
        found.append(ModelMessage(role, [part]))
    return found


class Talk:
    """A conversation as it becomes known. The calls come one after another, in the same trace or in one each."""

    def __init__(self) -> None:
        self.known: list[Known] = []
        self.tellers: list[Teller] = []
        self.words: list[str] = []

    def hear(self, asked: str, answered: str = "", *, at: int | None = None, lasts: int = 0) -> list[str]:
        start = 10 * len(self.tellers) if at is None else at
        by = Teller("t", f"s{len(self.tellers)}", start, start + lasts)
        told = utterances(said(*asked.split()), said(*answered.split()))
        fresh, _, self.doubts = news(self.known, places_of(self.known), self.tellers, told, by)
        self.tellers.append(by)
        for one in fresh:
            self.known += [Known(key, len(self.tellers) - 1, Id("m")) for key in one.keys]
        self.known = self.known[-MAX_KNOWN:]
        words = [
            part.text if isinstance(part, TextContent) else type(part).__name__ for one in fresh for part in one.content
        ]
        self.words += words
        return words


def turns(first: int, last: int) -> str:
    """Turns of which every tenth is in the same words."""
    return " ".join(f"u:{'again' if n % 10 == 5 else n} a:{'ok' if n % 10 == 5 else -n}" for n in range(first, last))


@pytest.mark.parametrize("known", [3, 150, 199, 200, 201, 700])
@pytest.mark.parametrize("more", [1, 30, 199, 450])
def test_a_history_longer_than_what_is_compared_is_told_once(known: int, more: int) -> None:
    talk = Talk()
    talk.hear(turns(0, known))
    talk.hear(turns(0, known + more), "a:End")
    assert talk.words == said_in(f"{turns(0, known + more)} a:End")
    assert talk.doubts == []


def test_a_history_without_answers_is_told_once() -> None:
    talk = Talk()
    talk.hear("u:1", "a:one")
    assert talk.hear("u:1 u:2", "a:two") == ["2", "two"]
    assert talk.hear("u:1 u:2 u:3", "a:three") == ["3", "three"]
    assert talk.hear("u:1", "a:one") == ["1", "one"]  # asked again, and not repeated


def test_of_a_history_that_has_nothing_of_what_is_known_that_is_told() -> None:
    talk = Talk()
    talk.hear(turns(0, 700))
    assert len(talk.hear(turns(1001, 1005), "a:End")) == 9
    assert talk.doubts == [
        "A history of 9 messages repeats 0 of the last 400 parts of the session, which are those it is compared with: "
        "some of its messages may stand there twice"
    ]
    talk.hear(turns(1001, 1005) + " a:End u:More", "a:Yes")
    assert talk.doubts == []


def test_what_stands_between_known_words_and_is_not_known_is_counted() -> None:
    talk = Talk()
    talk.hear("u:one", "a:First")
    talk.hear("u:two", "a:Second")
    assert talk.hear("u:zero a:None u:one a:First u:half a:Half u:two a:Second u:three", "a:Third") == [
        "three",
        "Third",
    ]
    assert talk.doubts == ["2 messages of a history that stand before known ones are not known, and were not added"]


def said_in(words: str) -> list[str]:
    return [word.partition(":")[2] for word in words.split()]


def test_a_history_is_told_once() -> None:
    talk = Talk()
    talk.hear("s:Brief u:one", "c:1")
    assert talk.hear("s:Brief u:one c:1 r:1", "a:First") == ["ToolResponse", "First"]
    assert talk.hear("u:one c:1 r:1 a:First u:two", "a:Second") == ["two", "Second"]
    assert talk.words == ["one", "ToolCall", "ToolResponse", "First", "two", "Second"]


@pytest.mark.parametrize(
    ("asked", "answered", "fresh"),
    [
        ("u:one a:First u:two", "a:Second", []),
        ("u:one a:First u:two", "", []),
        ("u:one a:First u:two", "a:Other", ["Other"]),
        ("u:one a:First u:two a:Second u:two", "a:Second", ["two", "Second"]),
        ("a:First u:two a:Second u:three", "", ["three"]),
        ("u:summary a:Second u:three", "a:Third", ["three", "Third"]),
        ("u:two", "a:Second", ["two", "Second"]),
        ("s:Be u:new a:never u:known", "a:here", ["new", "never", "known", "here"]),
        ("r:9", "a:ok", ["ToolResponse", "ok"]),
    ],
)
def test_what_is_new_after_two_turns(asked: str, answered: str, fresh: list[str]) -> None:
    talk = Talk()
    talk.hear("u:one", "a:First")
    talk.hear("u:one a:First u:two", "a:Second")
    assert talk.hear(asked, answered) == fresh


def test_a_call_that_failed_and_is_tried_again() -> None:
    talk = Talk()
    assert talk.hear("u:hi") == ["hi"]
    assert talk.hear("u:hi", "a:Hello") == ["Hello"]
    assert talk.hear("u:hi", "a:Hello") == ["hi", "Hello"], "somebody says the same thing again"


def test_a_librarys_span_over_its_vendors() -> None:
    talk = Talk()
    talk.hear("u:hi", "a:Hello", at=5, lasts=10)
    assert talk.hear("u:hi", "a:Hello", at=0, lasts=20) == []


def test_a_stream_that_is_told_twice() -> None:
    talk = Talk()
    talk.hear("u:one", "a:First")
    assert talk.hear("u:one a:First u:two") == ["two"]
    assert talk.hear("u:one a:First u:two", "a:Second") == ["Second"]


def test_thoughts_go_before_what_they_lead_to() -> None:
    told = utterances([], said("t:hm", "a:Yes"))
    assert [(one.sender, one.content) for one in told] == [
        (SenderType.AGENT, [ReasoningContent("hm"), TextContent("Yes")])
    ]
    talk = Talk()
    talk.hear("u:one", "t:hm a:Yes")
    assert talk.hear("u:one a:Yes u:two", "a:No") == ["two", "No"]


def test_thoughts_wait_for_what_the_agent_says_next() -> None:
    told = utterances(said("t:hm", "r:1", "a:Yes"), [])
    assert [[type(part).__name__ for part in one.content] for one in told] == [
        ["ToolResponse"],
        ["ReasoningContent", "TextContent"],
    ]


def test_thousands_of_messages() -> None:
    talk = Talk()
    words = [word for n in range(2_500) for word in (f"u:q{n}", f"a:a{n}")]
    talk.hear(" ".join(words[:5_000]))
    assert talk.hear(" ".join([*words, "u:last"])) == ["last"]
