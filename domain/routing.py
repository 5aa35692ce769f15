"""Which agents answer what: their routes, and how well they fit what is asked."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Annotated

import msgspec
from msgspec import Meta

from domain.values import Command, Key, Said, Whose
from domain.words import plain

CAPABLE, MATCHING = 0.5, 0.9
"""What it counts to have the capabilities that are asked for, and to match a pattern, between 0 and 1."""


class RouteReason(enum.Enum):
    """Why an agent is to answer."""

    CAPABILITY = "CAPABILITY"
    KEYWORD = "KEYWORD"
    PATTERN = "PATTERN"
    EXAMPLE = "EXAMPLE"
    FALLBACK = "FALLBACK"


class AgentRoute(msgspec.Struct, frozen=True):
    """A way to an agent. Any one of what it has leads there."""

    name: str | None = None
    capabilities: list[str] = []
    keywords: list[str] = []
    pattern: str | None = None
    examples: list[str] = []
    priority: int = 0
    is_fallback: bool = False

    @property
    def leads(self) -> bool:
        return bool(self.capabilities or self.keywords or self.pattern or self.examples or self.is_fallback)


class Reason(msgspec.Struct, frozen=True):
    """One reason. detail: the capability, keyword, pattern or example; score: what it counts, from 0 to 1."""

    kind: RouteReason
    detail: str
    score: float
    route: str | None = None


class Fit(msgspec.Struct, frozen=True):
    """How an agent fits. score: of all reasons together, from 0 to 1. priority: the highest of the routes that led to
    it."""

    score: float
    priority: int
    reasons: list[Reason]

    @property
    def is_fallback(self) -> bool:
        return all(one.kind is RouteReason.FALLBACK for one in self.reasons)


class Asked(msgspec.Struct, frozen=True):
    """What is asked. words: of the text, as words_of gives them. alike: of example texts, the cosine with the text,
    where it is about the same. matches: whether a pattern is found in the text."""

    text: str
    words: str
    capabilities: Sequence[str]
    alike: Mapping[str, float]
    matches: Callable[[str], bool]


def words_of(text: str) -> str:
    """The words of a text or keyword, in order, in small letters, with blanks around each."""
    return f" {' '.join(plain(text))} "


_known = lru_cache(10_000)(words_of)


def _says(asked: Asked, keyword: str) -> bool:
    """Whether a keyword stands in the text as words of its own, or anywhere in it where its script has no cases and may
    have no blanks."""
    words = _known(keyword)
    if words.strip() and words in asked.words:
        return True
    return keyword.lower() == keyword.upper() and any(map(str.isalpha, keyword)) and keyword in asked.text


def fit(capabilities: Sequence[str], routes: Sequence[AgentRoute], asked: Asked) -> Fit | None:
    """How an agent with these capabilities and routes fits; None where it does not, or lacks a capability.

    A capability counts as CAPABLE, a matching pattern as MATCHING, n keywords of a route as 1 - 0.5^n, an example as
    its cosine; reasons add up as independent ones do: 1 - the product of (1 - score).
    """
    has = {*capabilities, *(one for route in routes for one in route.capabilities)}
    if not has.issuperset(asked.capabilities):
        return None
    reasons = [Reason(RouteReason.CAPABILITY, one, CAPABLE) for one in asked.capabilities]
    priorities = [route.priority for route in routes if not {*route.capabilities}.isdisjoint(asked.capabilities)]
    for route in routes if asked.text else ():
        if found := list(_found(route, asked)):
            priorities.append(route.priority)
            reasons += found
    if not reasons:
        reasons = [Reason(RouteReason.FALLBACK, "", 0.0, route.name) for route in routes if route.is_fallback]
        priorities = [route.priority for route in routes if route.is_fallback]
    if not reasons:
        return None
    missing = 1.0
    for one in reasons:
        missing *= 1 - one.score
    best = sorted(reasons, key=lambda one: -one.score)
    return Fit(1 - missing, max(priorities, default=0), best)


def _found(route: AgentRoute, asked: Asked) -> list[Reason]:
    said = [word for word in route.keywords if _says(asked, word)]
    found = [Reason(RouteReason.KEYWORD, ", ".join(said), 1 - 0.5 ** len(said), route.name)] if said else []
    if route.pattern is not None and asked.matches(route.pattern):
        found.append(Reason(RouteReason.PATTERN, route.pattern, MATCHING, route.name))
    alike = [(asked.alike[text], text) for text in route.examples if text in asked.alike]
    if alike:
        nearest, text = max(alike)
        found.append(Reason(RouteReason.EXAMPLE, text, min(nearest, 1.0), route.name))
    return found


class AgentRouteInput(Command, frozen=True, kw_only=True):
    """A way to an agent: any one of what it has leads there. capabilities: what the agent can do this way; keywords:
    words or phrases that stand in what is asked, in either case; pattern: a regular expression of RE2 that is found in
    it; examples: texts that mean about the same. priority: higher ones come first. isFallback: for what leads nowhere
    else."""

    name: Key | None = None
    capabilities: Annotated[list[Key], Meta(max_length=100)] | None = None
    keywords: Annotated[list[Key], Meta(max_length=100)] | None = None
    pattern: Key | None = None
    examples: Annotated[list[Key], Meta(max_length=50)] | None = None
    priority: Annotated[int, Meta(ge=-1000, le=1000)] = 0
    is_fallback: bool = False

    @property
    def route(self) -> AgentRoute:
        return AgentRoute(
            self.name,
            self.capabilities or [],
            self.keywords or [],
            self.pattern,
            self.examples or [],
            self.priority,
            self.is_fallback,
        )


class RouteAgentInput(Command, frozen=True, kw_only=True):
    """What is asked, what the agent must be able to do, or both. session: only agents that take part in it."""

    text: Said | None = None
    capabilities: Annotated[list[Key], Meta(max_length=100)] | None = None
    session: Whose = None
    first: Annotated[int, Meta(ge=1, le=50)] = 5
