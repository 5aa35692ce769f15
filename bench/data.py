"""The data of a run, made from a seed: the same seed and size give the same data, in every process that asks."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from bench.vectors import sentences

LONG = "long"
"""The session (by externalId) whose pages are read."""

OWNER = "owner"
LONG_MESSAGES = 1_000
LINKS_PER_MEMORY = 5

_SPEAKERS = (
    ("user", "Anna"),
    ("assistant", "Concierge"),
    ("user", "Ben"),
    ("assistant", "Researcher"),
    ("user", "Mei"),
)
_KINDS = ("RELATED", "DERIVED_FROM", "SUPPORTS", "CONTRADICTS", "SUPERSEDES", "CAUSES", "PRECEDES")
_TOOLS = ("search_flights", "read_file", "run_tests", "query_database", "send_mail")
_EVENTS = ("llm_start", "llm_end", "tool_start", "tool_end", "retrieval", "decision")
_BEGIN = datetime(2026, 1, 5, 9, tzinfo=UTC)


class Memory(msgspec.Struct, frozen=True):
    """A memory to be, known by its externalId."""

    key: str
    text: str
    importance: float


class Message(msgspec.Struct, frozen=True):
    """A message to be. refs: the memories (by their numbers) it draws on, with a score each."""

    role: str
    speaker: str
    text: str
    at: datetime
    tool: str | None
    refs: list[tuple[int, float]]


class Data:
    """What is put into a server before it is measured."""

    def __init__(self, size: int, seed: int) -> None:
        self.size, self.seed = size, seed
        chance = random.Random(seed)
        self.memories = [
            Memory(f"memory-{number}", text, round(chance.uniform(0.1, 1.0), 3))
            for number, text in enumerate(sentences(size, seed))
        ]
        self.long = list(self.conversation(LONG_MESSAGES, chance))
        self.others = [f"session-{number}" for number in range(max(2, size // 50))]

    def conversation(self, count: int, chance: random.Random) -> Iterator[Message]:
        """Messages of a session, one to three sentences long; every tenth calls a tool."""
        words = sentences(3 * count, chance.randrange(1 << 30))
        for number in range(count):
            role, speaker = _SPEAKERS[number % len(_SPEAKERS)]
            refs = chance.sample(range(self.size), min(self.size, number % 3))
            yield Message(
                role,
                speaker,
                " ".join(next(words) for _ in range(1 + number % 3)),
                _BEGIN + timedelta(seconds=30 * number, milliseconds=chance.randrange(1000)),
                chance.choice(_TOOLS) if number % 10 == 9 else None,
                [(memory, round(chance.uniform(0.2, 0.9), 3)) for memory in refs],
            )

    def links(self) -> Iterator[dict[str, Any]]:
        """Links as GraphQL takes them. Some memories are linked far more often than others."""
        chance = random.Random(self.seed + 1)
        seen = set()
        for _ in range(LINKS_PER_MEMORY * self.size):
            source, target = chance.randrange(self.size), int(self.size * chance.random() ** 2)
            kind = chance.choice(_KINDS)
            if kind == "SUPERSEDES":  # what comes later, or one would supersede itself over others
                source, target = max(source, target), min(source, target)
            if source != target and (source, target, kind) not in seen:
                seen.add((source, target, kind))
                weight = round(chance.uniform(0.1, 1.0), 3)
                yield {"source": self._ref(source), "target": self._ref(target), "kind": kind, "weight": weight}

    def memory_inputs(self, first: int = 0) -> Iterator[dict[str, Any]]:
        """Memories as GraphQL takes them."""
        for memory in self.memories[first:]:
            owner = {"externalId": OWNER}
            yield {"text": memory.text, "importance": memory.importance, "owner": owner, "externalId": memory.key}

    def message_inputs(self, messages: Sequence[Message]) -> Iterator[dict[str, Any]]:
        """Messages as GraphQL takes them."""
        for number, message in enumerate(messages):
            content: list[Any] = [{"text": message.text}]
            if message.tool is not None:
                arguments = {"query": message.text[:40], "limit": 10}
                content.append({"toolCall": {"callId": f"call-{number}", "tool": message.tool, "arguments": arguments}})
            yield {
                "role": message.role,
                "senderName": message.speaker,
                "content": content,
                "createdAt": message.at.isoformat(),
                "memoryRefs": [{"memory": self._ref(number), "score": score} for number, score in message.refs],
            }

    def questions(self) -> Iterator[str]:
        """What is searched for: parts of sentences like those that are remembered, without end."""
        chance = random.Random(self.seed + 2)
        while True:
            for text in sentences(1000, chance.randrange(1 << 30)):
                words = text.split()
                start = chance.randrange(max(1, len(words) - 4))
                yield " ".join(words[start : start + chance.randint(2, 8)]).strip(".;")

    def _ref(self, number: int) -> dict[str, str]:
        return {"externalId": f"memory-{number}"}


def events(count: int) -> list[dict[str, Any]]:
    """Trace events as GraphQL takes them."""
    return [
        {
            "type": _EVENTS[number % len(_EVENTS)],
            "component": "planner" if number % 2 else "executor",
            "durationMs": 1.5 + number,
            "data": {"step": number, "model": "large", "tokens": {"input": 812, "output": 64}},
        }
        for number in range(count)
    ]


def small_talk(count: int, seed: int) -> list[dict[str, Any]]:
    """Plain messages as GraphQL takes them."""
    return [
        {"role": "user" if number % 2 else "assistant", "text": text}
        for number, text in enumerate(sentences(count, seed))
    ]
