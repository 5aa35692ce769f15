"""Prices of models: what a call cost that nobody has told the cost of."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, datetime
from fnmatch import translate
from functools import lru_cache
from typing import Annotated

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from domain.span import MAX_COST, TokenUsage

Rate = Annotated[float, Meta(ge=0, le=1e6)]
"""US dollars for a million tokens."""

_MILLION = 1_000_000
_REGION = re.compile(r"^(?:(?:us|eu|apac|global)\.)?(?:anthropic|meta|mistral|cohere|amazon|deepseek)\.")
"""What Bedrock writes before a model's name."""


class Price(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What models cost. models: their names, in lower case, * standing for any characters. cached, reasoning: where a
    token of these has a price of its own. since, until: the days of which it holds, the last one not among them."""

    models: Annotated[list[Annotated[str, Meta(min_length=1, max_length=200)]], Meta(min_length=1)]
    input: Rate
    output: Rate | None = None
    cached: Rate | None = None
    reasoning: Rate | None = None
    since: date | None = None
    until: date | None = None
    source: str = ""
    as_of: date | None = None

    def holds(self, day: date) -> bool:
        return (self.since is None or self.since <= day) and (self.until is None or day < self.until)

    def of(self, usage: TokenUsage) -> float | None:
        """What a call cost in US dollars; None where its tokens are not told. Cached tokens are part of the input,
        reasoning tokens of the output."""
        if usage.input_tokens is None and usage.output_tokens is None:
            return None
        asked, said = usage.input_tokens or 0, usage.output_tokens or 0
        cached, thought = min(usage.cached_tokens or 0, asked), min(usage.reasoning_tokens or 0, said)
        output = self.output or 0.0
        parts = (
            (asked - cached, self.input),
            (cached, self.input if self.cached is None else self.cached),
            (said - thought, output),
            (thought, output if self.reasoning is None else self.reasoning),
        )
        return min(round(sum(count * rate for count, rate in parts) / _MILLION, 12), MAX_COST)


class Prices:
    """Lists of prices, the first that knows a model counting."""

    def __init__(self, *lists: Sequence[Price]) -> None:
        self._lists = [
            [(re.compile(translate(name.lower())), price) for price in prices for name in price.models]
            for prices in lists
        ]
        self.find = lru_cache(maxsize=4096)(self._find)

    def _find(self, model: str, day: date) -> Price | None:
        """The price of a model on a day."""
        names = {_plain(model), model.strip().lower()}
        for prices in self._lists:
            for name, price in prices:
                if price.holds(day) and any(map(name.fullmatch, names)):
                    return price
        return None

    def reckon(self, usage: TokenUsage, model: str | None, at: datetime) -> TokenUsage:
        """The usage with the cost that is reckoned, where nobody has told one; unknown models have none."""
        if usage.cost_usd is not None and usage.reckoned_usd is None:
            return usage
        price = None if model is None else self.find(model, at.date())
        cost = None if price is None else price.of(usage)
        if cost == usage.cost_usd:
            return usage
        return replace(usage, cost_usd=cost, reckoned_usd=cost)


def _plain(model: str) -> str:
    """The name of a model without that of who serves it."""
    return _REGION.sub("", model.strip().lower().rpartition("/")[2])
