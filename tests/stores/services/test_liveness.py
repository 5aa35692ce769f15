"""A bug in asking whether a server is there is not a server that is gone."""

from __future__ import annotations

import asyncio

import pytest

from stores.services import liveness
from stores.services.liveness import Liveness


@pytest.mark.parametrize(
    ("error", "gone"),
    [
        (KeyError("a bug"), False),
        (TypeError("a bug"), False),
        (ConnectionRefusedError(), True),
        (TimeoutError(), True),
        (asyncio.IncompleteReadError(b"", 4), True),
    ],
)
async def test_only_what_a_connection_raises_is_absence(
    error: Exception, gone: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(liveness, "_PATIENCE_SECONDS", 0.02)
    lost: list[bool] = []

    async def ask() -> None:
        raise error

    watched = Liveness(ask, lambda: lost.append(True))
    ended = False
    try:
        async with watched.waiting(5):
            await asyncio.sleep(0.1)
    except TimeoutError:
        ended = True
    await watched.close()
    assert (ended, bool(lost)) == (gone, gone)
    assert any(record.exc_info for record in caplog.records) is not gone
