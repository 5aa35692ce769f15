"""Reads that wait for a store, and follow it, through an outage."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any, NamedTuple, cast

import pytest

from domain.session import Session
from stores import outage
from stores.errors import StoreError, TooLong, Unavailable
from stores.outage import PatientStore
from stores.ports import Log, Store


class Line(NamedTuple):
    place: int


class Flickering:
    """A store that fails so many times before it answers; each batch of a log too."""

    def __init__(self, failures: int, error: StoreError | None = None) -> None:
        self.failures, self.error = failures, error or Unavailable("gone", 1)
        self.asked = self.left = 0

    async def get(self, _kind: object, ids: list[str]) -> list[str]:
        self.asked += 1
        if self.asked <= self.failures:
            raise self.error
        return ids

    async def follow(self, _log: Log, after: int, _filter: Any = None) -> AsyncGenerator[list[Line]]:
        for place in range(after + 1, 6):
            self.asked += 1
            if self.asked % 2 and self.failures:
                raise self.error
            yield [Line(place)]

    async def write(self, _script: object) -> None:
        self.asked += 1
        raise self.error

    def __getattr__(self, name: str) -> Any:
        return getattr(Store, name)


def patient(store: Flickering, seconds: float) -> Any:
    return PatientStore(cast(Store, store), seconds)


async def test_a_read_is_tried_until_it_is_answered() -> None:
    store = Flickering(7)
    assert await patient(store, 10).get(Session, ["a"]) == ["a"]
    assert store.asked == 8


async def test_not_for_longer_than_that() -> None:
    with pytest.raises(Unavailable):
        await patient(Flickering(10**9), 0.05).get(Session, ["a"])


@pytest.mark.parametrize("error", [StoreError("a bug"), TooLong("it scans")])
async def test_what_is_no_outage_is_not_tried_again(error: StoreError) -> None:
    store = Flickering(5, error)
    with pytest.raises(type(error)):
        await patient(store, 10).get(Session, ["a"])
    assert store.asked == 1


async def test_a_write_is_not_tried_again() -> None:
    store = Flickering(5)
    with pytest.raises(Unavailable):
        await patient(store, 10).write(None)
    assert store.asked == 1


async def test_a_log_goes_on_after_the_last_line() -> None:
    found = [line.place async for batch in patient(Flickering(1), 10).follow(Log("changes"), 0) for line in batch]
    assert found == [1, 2, 3, 4, 5]


async def test_after_a_calm_another_outage_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outage, "_CALM_SECONDS", -1.0)
    waiting = outage.Outage(0.001)
    for _ in range(5):
        await waiting.wait(Unavailable("gone", 5))
