"""What an agent reads of a long session, in process: raw messages alone, and memories of the older ones with them."""

from __future__ import annotations

import statistics
import time

from bench.data import small_talk
from bench.in_process import answer
from bench.lab import Lab, parts
from bench.row import Measure, Row, at_most
from server.service import Service, open_service
from server.settings import Settings

_START = """mutation { createSession(input: {externalId: "s", participants: [{actor: {externalId: "u"}}]}) {
    errors { message } } }"""
_SAY = """mutation ($said: [MessageInput!]!) { addMessages(input: {session: {externalId: "s"}, messages: $said}) {
    errors { message } } }"""
_COMPRESS = 'mutation { compressSession(input: {session: {externalId: "s"}, scope: GLOBAL}) { errors { message } } }'
_WINDOW = """{ session(by: {externalId: "s"}) { window {
    tokens omitted memories { id text } messages { id text } reasons { id part tokens } modelMessages } } }"""


async def _median(service: Service) -> float:
    """Milliseconds of a window."""
    taken = []
    for _ in range(15):
        begun = time.perf_counter()
        await answer(service, _WINDOW)
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken) * 1000


async def _measured(lab: Lab) -> tuple[float, float]:
    """Before a session of as many messages as the bench has items is compressed, and after."""
    service = open_service(lab.folder / "window", Settings())
    try:
        await answer(service, _START)
        for part in parts(iter(small_talk(lab.size, lab.seed))):
            await answer(service, _SAY, said=part)
        raw = await _median(service)
        await answer(service, _COMPRESS)
        return raw, await _median(service)
    finally:
        await service.close()


def _side(index: int) -> Measure:
    async def measure(lab: Lab) -> float:
        return (await lab.once("window", lambda: _measured(lab)))[index]

    return measure


def _row(name: str, title: str, index: int) -> Row:
    return Row(name=name, title=title, unit="ms", measure=_side(index), wanted=at_most(20), lower=True, rounds=1)


ROWS = [
    _row("window-raw", "Session.window of 8,000 tokens, in process", 0),
    _row("window", "Session.window of 8,000 tokens, compressed, in process", 1),
]
