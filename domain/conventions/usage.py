"""Counts of tokens and costs, by the names of any convention."""

from __future__ import annotations

import re
from typing import Any

from domain.conventions.content import structured
from domain.conventions.lookup import Given
from domain.span import MAX_COST, MAX_COUNT, NO_USAGE, TokenUsage

_NUMBER = re.compile(r"[0-9]{1,20}(\.[0-9]{0,20})?([eE][+-]?[0-9]{1,3})?")
"""A count or a price that is told as text, as attributes of strings alone do."""

_MEMBERS = {
    "input_tokens": ("input_tokens", "prompt_tokens", "inputTokens", "promptTokens", "input", "prompt_token_count"),
    "output_tokens": (
        "output_tokens",
        "completion_tokens",
        "outputTokens",
        "completionTokens",
        "output",
        "candidates_token_count",
    ),
    "total_tokens": ("total_tokens", "totalTokens", "total", "total_token_count", "tokens"),
    "cached_tokens": (
        "cache_read_input_tokens",
        "cached_tokens",
        "input_cached_tokens",
        "cachedInputTokens",
        "input_cache_read",
        "cached_content_token_count",
        "prompt_cached_tokens",
    ),
    "reasoning_tokens": (
        "reasoning_tokens",
        "output_reasoning_tokens",
        "reasoningTokens",
        "output_reasoning",
        "thoughts_token_count",
        "completion_reasoning_tokens",
    ),
}
"""What the members of an object of counts are called."""

_INPUT_DETAILS = ("prompt_tokens_details", "input_tokens_details", "input_token_details", "inputTokenDetails")
_OUTPUT_DETAILS = ("completion_tokens_details", "output_tokens_details", "output_token_details", "outputTokenDetails")
_DETAILS = {"cached_tokens": _INPUT_DETAILS, "reasoning_tokens": _OUTPUT_DETAILS}
_DETAIL = {
    "cached_tokens": ("cached_tokens", "cache_read", "cacheReadTokens"),
    "reasoning_tokens": ("reasoning_tokens", "reasoning", "reasoningTokens"),
}
"""The objects inside of it, and what their members are called."""


def usage(given: Given, warnings: list[str]) -> TokenUsage:
    """What a span used. A total that is not told is the sum of the others."""
    if _TELLING.isdisjoint(given):
        return NO_USAGE
    told: dict[str, float | None] = {}
    for slot in _SLOTS:
        for _, name, value in given.get(slot, ()):
            if (found := _counted(value, slot)) is not None:
                told[slot] = found
                break
            if value is not None:
                warnings.append(f"{name} is {'not a number' if amount(value) is None else 'negative or too great'}")
    for _, name, value in given.get("usage", ()):
        if isinstance(value := structured(value), dict):
            for slot in _MEMBERS:
                if told.get(slot) is None:
                    told[slot] = _inside(value, slot)
        else:
            warnings.append(f"{name} is no object")
    asked, said, total = told.get("input_tokens"), told.get("output_tokens"), told.get("total_tokens")
    if total is None and (asked is not None or said is not None):
        total = (asked or 0) + (said or 0)
    return TokenUsage(
        _whole(asked),
        _whole(said),
        _whole(total),
        told.get("cost"),
        _whole(told.get("cached_tokens")),
        _whole(told.get("reasoning_tokens")),
    )


_SLOTS = (*_MEMBERS, "cost")
_TELLING = {*_SLOTS, "usage"}


def _inside(value: dict[str, Any], slot: str) -> float | None:
    for name in _MEMBERS[slot]:
        if (found := _counted(value.get(name), slot)) is not None:
            return found
    for name in _DETAILS.get(slot, ()):
        if isinstance(inner := value.get(name), dict):
            for part in _DETAIL[slot]:
                if (found := _counted(inner.get(part), slot)) is not None:
                    return found
    return None


def amount(value: Any) -> float | None:
    """A number, which may be told as text."""
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        value = float(value)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _counted(value: Any, slot: str) -> float | None:
    """A number that can be a count or a cost: libraries tell -1 where they do not know."""
    found = amount(value)
    most = MAX_COST if slot == "cost" else MAX_COUNT
    return found if found is not None and 0 <= found <= most else None


def _whole(count: float | None) -> int | None:
    return int(count) if count is not None and count <= MAX_COUNT else None
