"""Extractive summaries: the sentences that carry a text, as they stand.

SumBasic (Nenkova and Vanderwende, "The Impact of Frequency on Summarization", MSR-TR-2005-101): of the sentences
that have the word that counts most, the one whose words count most on average. A word counts its share of all words;
once a sentence is taken its words count the square of that, so that the next one says something else.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from domain.words import Stem, telling

MAX_SENTENCES = 20
MAX_CHARACTERS = 2_000

_END = re.compile(r"(?<=[.!?\u2026])[\"')\]\u201d\u2019]*\s+|(?<=[\u3002\uff01\uff1f\uff0e])|\n+")
_LEAST = 2
"""Words beside function words of a sentence that says something; shorter ones are taken where there are no others."""

_LONGEST = 500
"""Characters; what is longer is cut, for it is no sentence of a language."""


def sentences(text: str) -> list[str]:
    """The sentences of a text; lines end them, too."""
    return [found[:_LONGEST] for part in _END.split(text) if part and (found := " ".join(part.split()))]


def _as_it_is(word: str, _script: str) -> str:
    return word


def summary(texts: Sequence[str], most: int = 5, characters: int = MAX_CHARACTERS, stem: Stem = _as_it_is) -> str:
    """Up to `most` sentences, in their order, that carry the texts; "" where there is none."""
    found = list(dict.fromkeys(sentence for text in texts for sentence in sentences(text)))
    words = [telling(sentence, stem).exact for sentence in found]
    told = [index for index, one in enumerate(words) if len(one) >= _LEAST] or list(range(len(found)))
    counts = Counter(word for index in told for word in words[index])
    total = sum(counts.values()) or 1
    share = {word: count / total for word, count in counts.items()}
    taken: list[int] = []
    left = characters
    while told and len(taken) < most:
        top = max((word for index in told for word in words[index]), key=share.__getitem__, default=None)
        having = [index for index in told if top is None or top in words[index]]
        best = max(having, key=lambda index: (_worth(words[index], share), -index))
        told.remove(best)
        if len(found[best]) > left:
            continue
        taken.append(best)
        left -= len(found[best]) + 1
        share |= {word: share[word] ** 2 for word in words[best] if word in share}
    return " ".join(found[index] for index in sorted(taken))


def _worth(words: Sequence[str], share: dict[str, float]) -> float:
    return sum(share.get(word, 0.0) for word in words) / (len(words) or 1)
