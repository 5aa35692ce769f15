"""What is asked of which memories: samples of our own (samples/*.txt), and conversations in LoCoMo's form.

A sample is a text file. Each line is a memory, lines that begin with two blanks go on with it, and a line that begins
with "? " is a question which that memory answers. After "== TIME" the memories come from messages of a session, as
"NAME: TEXT" or "tool NAME: TEXT", up to an empty line; all others stand alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

FOLDER = Path(__file__).parent / "samples"
NAMES = ("agents", "zh", "ja", "ko", "ar", "th", "de", "tr", "fi", "en")


class Turn(msgspec.Struct, frozen=True):
    """What is remembered, by an id of its own. speaker: who said it, None outside of sessions."""

    id: str
    text: str
    speaker: str | None = None

    @property
    def role(self) -> str:
        who = (self.speaker or "").partition(" ")[0]
        return who if who in ("assistant", "tool", "system") else "user"


class Session(msgspec.Struct, frozen=True):
    """Turns in their order. at: None where they stand alone."""

    turns: list[Turn]
    at: datetime | None = None


class Question(msgspec.Struct, frozen=True):
    """evidence: ids of the turns that answer it. category: of LoCoMo's; 5 has no answer, and does not count."""

    text: str
    evidence: list[str]
    category: int = 0


class Conversation(msgspec.Struct, frozen=True):
    """What one owner remembers, and is asked."""

    id: str
    sessions: list[Session]
    questions: list[Question]


class Sample(msgspec.Struct, frozen=True):
    name: str
    conversations: list[Conversation]


def ours(name: str) -> Sample:
    """A sample of samples/."""
    sessions: list[Session] = []
    questions: list[Question] = []
    lines = (FOLDER / f"{name}.txt").read_text(encoding="utf-8").split("\n\n")
    numbers = iter(range(1_000_000))
    for paragraph in lines:
        head, *rest = paragraph.strip("\n").split("\n")
        at = datetime.fromisoformat(head[3:]).replace(tzinfo=UTC) if head.startswith("== ") else None
        turns: list[Turn] = []
        for kind, text in _entries(rest if at else [head, *rest]):
            if kind == "question":
                questions.append(Question(text, [turns[-1].id]))
            else:
                speaker = text.partition(": ")[0] if at else None
                turns.append(Turn(f"{name}:{next(numbers)}", text, speaker))
        sessions.append(Session(turns, at))
    return Sample(name, [Conversation(name, sessions, questions)])


def _entries(lines: Sequence[str]) -> Iterator[tuple[str, str]]:
    """("memory", its text) or ("question", its text), of lines."""
    memory: list[str] = []
    for line in [*lines, None]:
        if line is not None and line.startswith("  "):
            memory.append(line[2:])
            continue
        if memory:
            yield "memory", "\n".join(memory)
        memory = []
        if line is not None and line.startswith("? "):
            yield "question", line[2:]
        elif line is not None:
            memory = [line]


class _LocomoTurn(msgspec.Struct):
    id: str
    speaker: str
    text: str
    caption: str | None = None


class _LocomoSession(msgspec.Struct):
    id: str
    at: datetime
    turns: list[_LocomoTurn]


class LocomoConversation(msgspec.Struct):
    id: str
    sessions: list[_LocomoSession]
    questions: list[Question] = []


class _Locomo(msgspec.Struct):
    conversations: list[LocomoConversation]


def locomo(file: Path) -> Sample:
    """Conversations of two friends, as LoCoMo's data set has them; it is no part of this repository. Raises
    msgspec.DecodeError."""
    found = msgspec.json.decode(file.read_bytes(), type=_Locomo)
    return Sample("locomo", [conversation_of(one) for one in found.conversations])


def conversation_of(one: LocomoConversation) -> Conversation:
    sessions = [Session([_turn(turn) for turn in session.turns], session.at) for session in one.sessions]
    return Conversation(one.id, sessions, [question for question in one.questions if question.category != 5])


def _turn(turn: _LocomoTurn) -> Turn:
    shared = f" [shares {turn.caption}]" if turn.caption else ""
    return Turn(turn.id, f"{turn.speaker}: {turn.text}{shared}", turn.speaker)
