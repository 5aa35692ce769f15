"""Our search behind the interface of a turn-level recall scorer: `python recall.py bench/recall_adapter.py`.

All is as the server has it, and as `python -m bench.recall` asks.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import msgspec

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.recall.asking import Library, Way
from bench.recall.samples import LocomoConversation, conversation_of

_folder = tempfile.TemporaryDirectory()
_library: list[Library] = []
_owner = [""]
_WAY = Way("HYBRID")


async def load(conversation: dict[str, Any]) -> None:
    """Stores a conversation: its sessions, messages and memories."""
    if not _library:
        _library.append(Library(Path(_folder.name)))
    _owner[0] = conversation["id"]
    await _library[0].keep(conversation_of(msgspec.convert(conversation, LocomoConversation)))


async def search(question: str, k: int) -> list[str]:
    """Turn ids for a question, best first."""
    return await _library[0].ask(_owner[0], question, _WAY, k)


async def close() -> None:
    """Closes the store and removes its folder."""
    await _library[0].close()
    _folder.cleanup()
