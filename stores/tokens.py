"""Counts of tokens, by the tokenizer that the default embedder ships with: Llama 2's, of 32,000 pieces."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_FILE = "tokenizers/l2_supercat_tokenizer_config.json"


def counts(texts: Sequence[str]) -> list[int]:
    """How many tokens each text has; 35 us for 100 characters, and what was counted is remembered a while."""
    return [_count(text) for text in texts]


@lru_cache(4_096)
def _count(text: str) -> int:
    return len(_tokenizer().encode(text, add_special_tokens=False))


@cache
def _tokenizer() -> Tokenizer:
    from tokenizers import Tokenizer  # it takes 30 ms

    found = importlib.util.find_spec("wordllama")
    assert found is not None
    assert found.origin is not None
    tokenizer: Tokenizer = Tokenizer.from_file(str(Path(found.origin).parent / _FILE))
    return tokenizer
