"""Prices: what a call cost that nobody has told."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from domain.price import Price, Prices
from domain.span import CostSource, TokenUsage
from server.price_list import ours

DAY = datetime(2026, 5, 1, tzinfo=UTC)
OWN = [
    Price(models=["m", "m-20*"], input=2, output=10, cached=0.5, reasoning=20, until=date(2026, 6, 1)),
    Price(models=["m"], input=1, output=5, since=date(2026, 6, 1)),
    Price(models=["embed"], input=0.1),
    Price(models=["Served-By/m-mini", "our/*"], input=3),
    Price(models=["free"], input=0, output=0),
]
PRICES = Prices(OWN, ours())


@pytest.mark.parametrize(
    ("model", "usage", "cost"),
    [
        ("m", TokenUsage(1_000_000, 1_000_000), 12),
        ("M", TokenUsage(1_000_000), 2),
        ("provider/m", TokenUsage(1_000_000), 2),
        ("us.anthropic.m", TokenUsage(1_000_000), 2),
        ("m-2026-01-01", TokenUsage(1_000_000), 2),
        ("m-mini", TokenUsage(1_000_000), None),
        ("served-by/M-mini", TokenUsage(1_000_000), 3),
        ("our/own/one", TokenUsage(1_000_000), 3),
        ("m", TokenUsage(1_000_000, 100_000, cached_tokens=400_000, reasoning_tokens=50_000), 1.2 + 0.2 + 0.5 + 1.0),
        ("m", TokenUsage(10, 0, cached_tokens=40), 10 * 0.5 / 1e6),
        ("m", TokenUsage(total_tokens=9), None),
        ("embed", TokenUsage(1_000_000), 0.1),
        ("free", TokenUsage(10, 10), 0),
        ("nobody-knows", TokenUsage(10, 10), None),
        (None, TokenUsage(10, 10), None),
        ("m" * 1_000, TokenUsage(10, 10), None),
    ],
)
def test_what_a_call_cost(model: str | None, usage: TokenUsage, cost: float | None) -> None:
    found = PRICES.reckon(usage, model, DAY)
    assert found.cost_usd == (None if cost is None else pytest.approx(cost))
    assert found.cost_source is (None if cost is None else CostSource.RECKONED)


def test_a_price_holds_for_its_days() -> None:
    costs = [
        PRICES.reckon(TokenUsage(1_000_000), "m", datetime(2026, 5, 31, 23, 59, tzinfo=UTC)).cost_usd,
        PRICES.reckon(TokenUsage(1_000_000), "m", datetime(2026, 6, 1, tzinfo=UTC)).cost_usd,
    ]
    assert costs == [2, 1]


def test_what_is_told_stays_and_what_was_reckoned_is_reckoned_anew() -> None:
    told = TokenUsage(1_000_000, cost_usd=7)
    assert PRICES.reckon(told, "m", DAY) is told
    first = PRICES.reckon(TokenUsage(1_000_000), "m", DAY)
    more = PRICES.reckon(first.and_then(TokenUsage(2_000_000)), "m", DAY)
    assert (more.cost_usd, more.cost_source) == (4, CostSource.RECKONED)
    later = more.and_then(TokenUsage(cost_usd=9))
    assert PRICES.reckon(later, "m", DAY) == later
    assert later.cost_source is CostSource.TOLD
    assert PRICES.reckon(first, "nobody-knows", DAY).cost_usd is None


@pytest.mark.parametrize(
    ("model", "dollars"),
    [
        ("gpt-4o-mini-2024-07-18", 0.75), ("openai/gpt-4o-mini", 0.75), ("claude-sonnet-4-5-20250929", 18),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", 18), ("models/gemini-2.5-flash", 2.8), ("o3", 10),
        ("gpt-4o-realtime-preview", None), ("gpt-4o-audio-preview-2024-12-17", None),
    ],
)  # fmt: skip
def test_models_of_our_list(model: str, dollars: float | None) -> None:
    cost = PRICES.reckon(TokenUsage(1_000_000, 1_000_000), model, DAY).cost_usd
    assert cost == (None if dollars is None else pytest.approx(dollars))


def test_our_list_says_where_its_prices_are_from() -> None:
    assert all(price.source.startswith("https://") and price.as_of is not None for price in ours())
    for price in ours():
        for name in price.models:
            assert name == name.lower()
