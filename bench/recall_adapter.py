"""Our search behind the interface of a turn-level recall scorer: `python recall.py bench/recall_adapter.py`.

A conversation is one user with a session per sitting, a message per turn, and an episodic memory formed from each.
RECALL_MODE chooses TEXT, SEMANTIC or HYBRID (the default), RECALL_WITHOUT names a signal to be left out; all else
is as the server has it.
"""

from __future__ import annotations

import os
import sys
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from domain.caller import LOCAL

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from domain import ranking
from domain.memory import CreateMemoriesInput, MemoryFilter, MemoryInput
from domain.message import AddMessagesInput, MessageInput
from domain.search import MemoryQuery, SearchMode
from domain.session import CreateSessionInput
from domain.values import Ref
from resolvers import memories, messages, sessions
from resolvers.search import search as search_memories
from server.service import Service, open_service
from server.settings import Settings

if without := os.environ.get("RECALL_WITHOUT"):
    ranking.WEIGHTS = msgspec.structs.replace(ranking.WEIGHTS, **{without: 0.0})

MODE = SearchMode[os.environ.get("RECALL_MODE", "HYBRID")]

_folder = tempfile.TemporaryDirectory()
_opened: dict[str, Service] = {}
_turns: dict[str, str] = {}
_owner: list[Ref] = []


def _memory_text(turn: dict[str, Any]) -> str:
    shared = f" [shares {turn['caption']}]" if turn.get("caption") else ""
    return f"{turn['speaker']}: {turn['text']}{shared}"


def _service() -> Service:
    if not _opened:
        _opened["it"] = open_service(Path(_folder.name), Settings())
    return _opened["it"]


async def load(conversation: dict[str, Any]) -> None:
    """Stores a conversation: its sessions, messages and memories."""
    context = _service().context(LOCAL)
    owner = Ref(external_id=conversation["id"])
    _owner[:] = [owner]
    for sitting in conversation["sessions"]:
        at = datetime.fromisoformat(sitting["at"])
        turns = sitting["turns"]
        ref = Ref(external_id=sitting["id"])
        await sessions.create(context, CreateSessionInput(external_id=sitting["id"], created_at=at))
        said = [
            MessageInput(role="user", sender_name=t["speaker"], text=t["text"], external_id=t["id"], created_at=at)
            for t in turns
        ]
        await messages.add_many(context, AddMessagesInput(session=ref, messages=said))
        kept = [
            MemoryInput(owner=owner, text=_memory_text(t), source_message=Ref(external_id=t["id"]), created_at=at)
            for t in turns
        ]
        stored = await memories.create_many(context, CreateMemoriesInput(memories=kept))
        _turns.update((memory.id, turn["id"]) for memory, turn in zip(stored.memories, turns, strict=True))


async def search(question: str, k: int) -> list[str]:
    """Turn ids for a question, best first."""
    found = await search_memories(
        _service().context(LOCAL), MemoryQuery(text=question), MemoryFilter(owner=_owner[0]), MODE, 0.0, k
    )
    return [_turns[hit.memory.id] for hit in found.hits]


async def close() -> None:
    """Closes the store and removes its folder."""
    await _service().close()
    _folder.cleanup()
