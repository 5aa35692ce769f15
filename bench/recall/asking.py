"""Stores a conversation as a user would have it, and asks its questions.

A conversation is one user with a session per sitting, a message per turn, and an episodic memory formed from each; what
stands alone is a memory alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from bench.recall.samples import Conversation, Sample, Session, Turn
from domain.caller import LOCAL
from domain.memory import CreateMemoriesInput, MemoryFilter, MemoryInput
from domain.message import AddMessagesInput, MessageInput
from domain.ranking import WEIGHTS, Weights
from domain.search import MemoryQuery, SearchMode
from domain.session import CreateSessionInput
from domain.values import Ref
from resolvers import memories, messages, sessions
from resolvers.search import search
from server.service import open_service
from server.settings import Settings

SHOWN = 20
"""Hits that are asked for."""


class Way(msgspec.Struct, frozen=True):
    """How it is asked. weights: of HYBRID's signals."""

    name: str
    mode: SearchMode = SearchMode.HYBRID
    weights: Weights = WEIGHTS


class Figures(msgspec.Struct, frozen=True):
    """Over the questions of a sample. recall: the mean share of a question's evidence among the first 10 hits. mrr: the
    mean of 1 / rank of the first of it among the first 20, or 0."""

    questions: int
    recall: float
    mrr: float


class Library:
    """A store of conversations in a folder."""

    def __init__(self, folder: Path, embedder: str = Settings().embedder) -> None:
        self._service = open_service(folder, Settings(embedder=embedder))
        self._turns: dict[str, str] = {}

    async def close(self) -> None:
        await self._service.close()

    async def keep(self, conversation: Conversation) -> None:
        for number, session in enumerate(conversation.sessions):
            await self._keep(conversation.id, f"{conversation.id}/{number}", session)

    async def _keep(self, owner: str, key: str, session: Session) -> None:
        context = self._service.context(LOCAL)
        if session.at is not None:
            await sessions.create(context, CreateSessionInput(external_id=key, created_at=session.at))
            said = [
                MessageInput(
                    role=turn.role, sender_name=turn.speaker, text=turn.text, external_id=turn.id, created_at=session.at
                )
                for turn in session.turns
            ]
            await messages.add_many(context, AddMessagesInput(session=Ref(external_id=key), messages=said))
        kept = [_memory(owner, turn, session) for turn in session.turns]
        stored = await memories.create_many(context, CreateMemoriesInput(memories=kept))
        self._turns.update((memory.id, turn.id) for memory, turn in zip(stored.memories, session.turns, strict=True))

    async def ask(self, owner: str, text: str, way: Way, first: int = SHOWN) -> list[str]:
        """Ids of turns, best first."""
        context = self._service.context(LOCAL)
        context.weights = way.weights
        among = MemoryFilter(owner=Ref(external_id=owner))
        found = await search(context, MemoryQuery(text=text), among, way.mode, 0.0, first)
        return [self._turns[hit.memory.id] for hit in found.hits]

    async def figures(self, sample: Sample, way: Way) -> Figures:
        """Asks all questions of a sample that is kept here."""
        recalls: list[float] = []
        reciprocals: list[float] = []
        for conversation in sample.conversations:
            for question in conversation.questions:
                found = await self.ask(conversation.id, question.text, way)
                ranks = [found.index(turn) + 1 for turn in question.evidence if turn in found]
                recalls.append(sum(rank <= 10 for rank in ranks) / len(question.evidence))
                reciprocals.append(1 / min(ranks) if ranks else 0.0)
        return Figures(len(recalls), _mean(recalls), _mean(reciprocals))


def _memory(owner: str, turn: Turn, session: Session) -> MemoryInput:
    source = None if session.at is None else Ref(external_id=turn.id)
    return MemoryInput(owner=Ref(external_id=owner), text=turn.text, source_message=source, created_at=session.at)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
