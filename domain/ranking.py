"""Rank what a search has found: candidates and their ties go in, hits with the parts of their scores come out.

What a memory says itself comes first: its words and its meaning, each as a share of the best's in this search. In
HYBRID it is also vouched for by what stands beside it, by its session, links and people, and by the time asked about.
A signal that is not there adds nothing and takes nothing away.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from operator import itemgetter
from typing import Annotated, NamedTuple

import msgspec

from domain.forms import fits, forms
from domain.link import MemoryLinkKind
from domain.node import Id
from domain.period import Period, periods
from domain.search import Candidate, Ranking, ScoreParts, SearchMode, Tie, similarity
from domain.values import UnitFloat
from domain.words import STOP, plain

Share = Annotated[float, msgspec.Meta(ge=0, le=10)]


class Weights(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What each signal counts, of which all are between 0 and 1. Meaning seldom comes near 1, nor do words."""

    text: Share = 0.6
    meaning: Share = 1.0
    neighbors: Share = 0.6
    """Of what the memories just before and after say, a third for each, and half as much of those a step further."""
    reply: Share = 0.4
    """Of what the question says that it follows, or the message that it replies to."""
    session: Share = 0.2
    """Of what the best other one of its session says."""
    people: Share = 0.3
    """That the query names who said it, or whose it is."""
    links: Share = 0.3
    references: Share = 0.1
    """Of what the memories say that the same messages drew on."""
    time: Share = 0.3
    """That it is of a time that the query names."""
    entities: Share = 0.2
    """That it mentions an entity that the query names, or of what the best other one says that mentions the same."""
    question: UnitFloat = 0.2
    """What a question loses: it asks, and seldom answers."""


WEIGHTS = Weights()

LINKED: Mapping[MemoryLinkKind | None, float] = {
    MemoryLinkKind.DERIVED_FROM: 1.0,
    MemoryLinkKind.SUPPORTS: 0.8,
    MemoryLinkKind.CAUSES: 0.8,
    MemoryLinkKind.RELATED: 0.6,
    MemoryLinkKind.CONTRADICTS: 0.6,
    MemoryLinkKind.PRECEDES: 0.5,
    MemoryLinkKind.SUPERSEDES: 0.0,
}
"""How much of a link's weight counts."""

INFLUENCE = 0.1
"""How much of a score importance and decay decide: 10 % at the most, so they order what is about equally relevant."""

KINDRED = 0.25
"""The cosine from which on meaning alone makes a hit, for an embedder that says nothing else."""

VOUCHED = 0.25
"""What neighbours, a question, links and references give a memory that is shown for these alone, of the best's."""


LEAST = 0.15
"""What a memory must say itself to vouch for others, for nearly all have some word or shade of what is asked."""

USUAL = 0.1
"""The cosine of texts that have nothing to do with each other, for an embedder that says nothing else."""


SHADE = 0.01
"""What a similarity counts in any case, so that what is no more alike than usual has an order too."""


class Asked(msgspec.Struct, frozen=True):
    """What is asked, as far as ranking needs it. kindred: the cosine from which on a text is about the same. covered:
    what share of the words that are looked for the best by words has; where that is small, words tell little. usual:
    the cosine that the query has with any text of its language. entities: those that it names."""

    mode: SearchMode
    threshold: float
    first: int
    ranking: Ranking | None = None
    text: str | None = None
    now: datetime | None = None
    kindred: float = KINDRED
    covered: float = 1.0
    usual: float = USUAL
    entities: frozenset[Id] = frozenset()


class Ranked(NamedTuple):
    """A hit."""

    candidate: Candidate
    score: float
    parts: ScoreParts


class _Signals(NamedTuple):
    """What vouches for a memory, each between 0 and 1; None where nothing could."""

    neighbors: float | None = None
    reply: float | None = None
    session: float | None = None
    people: float | None = None
    links: float | None = None
    references: float | None = None
    time: float | None = None
    entities: float | None = None

    def sum(self, weights: Weights) -> float:
        return (
            self.near(weights)
            + weights.session * (self.session or 0.0)
            + weights.people * (self.people or 0.0)
            + weights.time * (self.time or 0.0)
            + weights.entities * (self.entities or 0.0)
        )

    def near(self, weights: Weights) -> float:
        """What stands beside it and is tied to it."""
        return (
            weights.neighbors * (self.neighbors or 0.0)
            + weights.reply * (self.reply or 0.0)
            + weights.links * (self.links or 0.0)
            + weights.references * (self.references or 0.0)
        )


_NONE = _Signals()


def influence(mode: SearchMode, ranking: Ranking | None) -> float:
    """How much of a score importance and decay decide: all of it by PRODUCT, which is usual in SEMANTIC."""
    how = ranking or (Ranking.PRODUCT if mode is SearchMode.SEMANTIC else Ranking.RELEVANCE)
    return 1.0 if how is Ranking.PRODUCT else INFLUENCE


def weighed(relevance: float, weight: float, influence: float) -> float:
    """The score of a relevance and a weight, which is importance x decay. An influence of 1: their product; of 0.1:
    none comes before another that is more than a ninth more relevant."""
    return relevance * (1 - influence * (1 - weight))


def passes(candidate: Candidate, asked: Asked) -> bool:
    """Whether a candidate is a hit by what it says itself: the threshold applies to similarity, and in HYBRID never
    drops one that was found by its words. With a threshold above 0 meaning alone makes a hit of HYBRID only where it is
    about the same, and more than any text of its language."""
    if asked.mode is SearchMode.TEXT or (asked.mode is SearchMode.HYBRID and candidate.text_rank is not None):
        return candidate.text_rank is not None
    if candidate.similarity is None or candidate.similarity < asked.threshold:
        return False
    near = asked.mode is SearchMode.SEMANTIC or asked.text is None or asked.threshold == 0
    # To an embedder without a floor all texts are about the same.
    floor = max(asked.kindred, asked.usual) if asked.kindred > 0 else asked.kindred
    return near or candidate.similarity >= similarity(floor)


def rank(
    candidates: Iterable[Candidate], asked: Asked, ties: Sequence[Tie] = (), weights: Weights = WEIGHTS
) -> list[Ranked]:
    """All hits, best first, at most `first`; ties by id, newest first."""
    found = _formed(candidates, asked)
    hits: Iterable[tuple[Candidate, float, float | None, _Signals]]
    if asked.mode is SearchMode.HYBRID:
        hits = _hybrid(found, asked, ties, weights)
    else:
        hits = [(one, _plain(one, asked), None, _NONE) for one in found if passes(one, asked)]
    share = influence(asked.mode, asked.ranking)
    scored = [(weighed(hit[1], hit[0].importance * hit[0].decay, share), hit[0].id, hit) for hit in hits]
    best = heapq.nlargest(asked.first, scored, key=itemgetter(0, 1))
    return [Ranked(one, score, _parts(one, fusion, signals)) for score, _, (one, _, fusion, signals) in best]


def _formed(candidates: Iterable[Candidate], asked: Asked) -> list[Candidate]:
    """The candidates, whose words count less where they stand in another form than is asked for."""
    if not asked.text or asked.mode is SearchMode.SEMANTIC or not any(wanted := forms(asked.text)):
        return list(candidates)
    found = list(candidates)
    said = {at: one.text for at, one in enumerate(found) if one.text is not None and one.text_rank is not None}
    for (at, _), fit in zip(said.items(), fits(wanted, list(said.values())), strict=True):
        if fit < 1:
            found[at] = msgspec.structs.replace(found[at], text_rank=fit * (found[at].text_rank or 0.0))
    return found


def _plain(one: Candidate, asked: Asked) -> float:
    return (one.similarity if asked.mode is SearchMode.SEMANTIC else one.text_rank) or 0.0


def _parts(one: Candidate, fusion: float | None, signals: _Signals) -> ScoreParts:
    return ScoreParts(one.importance, one.decay, one.similarity, one.text_rank, fusion, *signals)


def _hybrid(
    found: Sequence[Candidate], asked: Asked, ties: Sequence[Tie], weights: Weights
) -> Iterator[tuple[Candidate, float, float, _Signals]]:
    passing = {one.id for one in found if passes(one, asked)}
    own = _own(found, passing, asked, weights)
    vouched = _vouched(found, own, asked, ties)
    raw = {}
    for one in found:
        beside = vouched[one.id]
        value = own[one.id] if beside is _NONE else own[one.id] + beside.sum(weights)
        raw[one.id] = value * (1 - weights.question) if one.asks else value
    least = VOUCHED * max((raw[one.id] for one in found if own[one.id] > 0), default=float("inf"))
    hits = [
        one
        for one in found
        if one.id in passing or (vouched[one.id] is not _NONE and vouched[one.id].near(weights) >= least)
    ]
    best = max([1.0, *(raw[one.id] for one in hits)])
    for one in hits:
        relevance = raw[one.id] / best
        yield one, relevance, relevance, vouched[one.id]


def _own(found: Sequence[Candidate], passing: Collection[Id], asked: Asked, weights: Weights) -> dict[Id, float]:
    """What each says itself: nothing where it is no hit by that. A meaning is how far its cosine is above the usual
    one, as a share of what is above kindred ones; it counts the less the more is usual, for then the embedder hardly
    knows the language."""
    text = weights.text * math.sqrt(asked.covered)
    scale, usual = 2 / max(1 - asked.kindred, 0.1), similarity(asked.usual)
    known = weights.meaning * min(1 - asked.usual, 1.0)

    def own(one: Candidate) -> float:
        words = text * (one.text_rank or 0.0)
        if one.similarity is None:
            return words
        meaning = min(max(0.0, scale * (one.similarity - usual)), 1.0)
        return words + known * ((1 - SHADE) * meaning + SHADE * one.similarity)

    return {one.id: own(one) if one.id in passing else 0.0 for one in found}


def _vouched(
    found: Sequence[Candidate], own: Mapping[Id, float], asked: Asked, ties: Sequence[Tie]
) -> dict[Id, _Signals]:
    strong = {id: min(max(0.0, value - LEAST) / (1 - LEAST), 1.0) for id, value in own.items()}
    beside = _Beside(found, strong)
    linked, shared = _tied(strong, ties)
    named = _named(found, asked.text)
    mentioning = _mentioning(found, strong, asked.entities)
    times = periods(asked.text, asked.now) if asked.text and asked.now is not None else []
    sessions = _Sessions(found, strong)
    tied = {*linked, *shared, *mentioning}
    return {
        one.id: _NONE
        if one.session_id is None and named is None and not times and one.id not in tied
        else _Signals(
            beside.neighbors(one),
            beside.reply(one),
            sessions.best_other(one),
            None if named is None else float(one.id in named),
            linked.get(one.id),
            shared.get(one.id),
            _in_time(one, times) if times else None,
            mentioning.get(one.id),
        )
        for one in found
    }


class _Sessions:
    """The two best of each session."""

    def __init__(self, found: Sequence[Candidate], own: Mapping[Id, float]) -> None:
        self._best: dict[Id, tuple[float, Id, float]] = {}
        for one in found:
            if one.session_id is not None:
                value, (first, id, second) = own[one.id], self._best.get(one.session_id, (0.0, Id(""), 0.0))
                best = (value, one.id, first) if value > first else (first, id, max(second, value))
                self._best[one.session_id] = best

    def best_other(self, one: Candidate) -> float | None:
        if one.session_id is None:
            return None
        first, id, second = self._best[one.session_id]
        return second if id == one.id else first


class _Beside:
    """The candidates by their places in sessions."""

    def __init__(self, found: Sequence[Candidate], own: Mapping[Id, float]) -> None:
        self._best: dict[tuple[Id, int], tuple[float, bool]] = {}
        for one in found:
            if one.session_id is not None and one.place is not None:
                at = one.session_id, one.place
                self._best[at] = max(self._best.get(at, (0.0, False)), (own[one.id], one.asks))

    def _at(self, one: Candidate, place: int) -> tuple[float, bool]:
        return self._best.get((one.session_id or Id(""), place), (0.0, False))

    def neighbors(self, one: Candidate) -> float | None:
        """What those before and after say, and half of what those say that are a step further, at most 1."""
        if one.place is None:
            return None
        near = sum(self._at(one, one.place + step)[0] for step in (-1, 1))
        far = sum(self._at(one, one.place + step)[0] for step in (-2, 2))
        return (near + far / 2) / 3

    def reply(self, one: Candidate) -> float | None:
        """What that says which it answers: a question just before it, or the message it replies to."""
        if one.place is None:
            return None
        value, asks = self._at(one, one.place - 1)
        answered = value if asks else 0.0
        return answered if one.parent is None else max(answered, self._at(one, one.parent)[0])


def _tied(own: Mapping[Id, float], ties: Sequence[Tie]) -> tuple[dict[Id, float], dict[Id, float]]:
    """What the best linked one says, and the best of those that the same messages drew on."""
    linked: dict[Id, float] = {}
    shared: dict[Id, float] = {}
    for tie in ties:
        to = shared if tie.kind is None else linked
        strength = tie.weight * (1.0 if tie.kind is None else LINKED[tie.kind])
        for one, other in ((tie.one, tie.other), (tie.other, tie.one)):
            to[one] = max(to.get(one, 0.0), strength * own.get(other, 0.0))
    return linked, shared


def _named(found: Sequence[Candidate], text: str | None) -> Collection[Id] | None:
    """Those of whose people the query names one; None where it names nobody's, or everybody's."""
    if not text:
        return None
    asked = set(plain(text)) - STOP
    names: dict[str, bool] = {}
    for one in found:
        for name in one.people:
            if name not in names:
                names[name] = not asked.isdisjoint(plain(name))
    named = {one.id for one in found if any(names[name] for name in one.people)}
    return named if 0 < len(named) < len(found) else None


def _mentioning(found: Sequence[Candidate], own: Mapping[Id, float], asked: Collection[Id]) -> dict[Id, float]:
    """What the best other one says that mentions the same entity, or 1 where the query names that; the less the more of
    them mention it, for what all have in common says nothing."""
    having: dict[Id, list[Id]] = {}
    for one in found:
        for entity in set(one.entities):
            having.setdefault(entity, []).append(one.id)
    mentioning: dict[Id, float] = {}
    for entity, some in having.items():
        first, second = heapq.nlargest(2, [0.0, *(own[id] for id in some)])
        for id in some:
            value = 1.0 if entity in asked else second if own[id] == first else first
            mentioning[id] = max(mentioning.get(id, 0.0), value * (1 - len(some) / len(found)))
    return mentioning


def _in_time(one: Candidate, times: Sequence[Period]) -> float:
    return 0.0 if one.at is None else float(any(begin <= one.at < end for begin, end in times))
