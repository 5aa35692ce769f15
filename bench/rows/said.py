"""What was said is searched, traces are listed with their sums, and many writes are one, in process."""

from __future__ import annotations

import statistics
import time
from collections.abc import Awaitable, Callable
from itertools import islice
from typing import Any

from bench import queries
from bench.in_process import answer
from bench.lab import Lab, parts
from bench.load import Load
from bench.row import Measure, Row, at_most, times, within_times
from bench.vectors import sentences
from server.service import Service, open_service
from server.settings import Settings

_TRACES, _SPANS, _OPERATIONS, _ROUNDS = 60, 5, 100, 30

_SEARCH = """query ($text: String!) { searchMessages(text: $text, first: 10) {
    edges { score snippet node { id text session { id } } } } }"""
_LISTED = """{ traces(first: 50) { nodes { traceId startedAt durationMs runningSpans
    usage { inputTokens outputTokens totalTokens costUsd } } } }"""
_PAGE = """{ session(by: {externalId: "said"}) { messages(last: 50) {
    nodes { id text createdAt content { __typename } sender { name } } } } }"""
_SPAN = "mutation ($input: StartSpanInput!) { startSpan(input: $input) { errors { message } } }"
_SET = "mutation ($input: SetStateInput!) { setState(input: $input) { errors { message } } }"
_TOGETHER = "mutation ($input: TransactionInput!) { transaction(input: $input) { errors { message } } }"


async def _filled(lab: Lab) -> Service:
    """A session with ten times as many messages as the bench has items, and some traces."""
    service = open_service(lab.folder / "said", Settings())
    await answer(service, queries.CREATE_SESSION, input={"externalId": "said"})
    for part in parts(sentences(10 * lab.size, lab.seed)):
        messages = [{"role": "user", "text": text} for text in part]
        await answer(service, queries.ADD_MESSAGES, input={"session": {"externalId": "said"}, "messages": messages})
    for trace in range(_TRACES):
        for number in range(_SPANS):
            told = {"gen_ai.request.model": "m", "gen_ai.usage.input_tokens": number, "gen_ai.usage.output_tokens": 7}
            span = {"traceId": f"{trace + 1:032x}", "name": "chat", "kind": "LLM", "attributes": told}
            await answer(service, _SPAN, input=span)
    return service


async def _milliseconds(asked: Awaitable[Any]) -> float:
    begun = time.perf_counter()
    await asked
    return (time.perf_counter() - begun) * 1000


async def _measured(lab: Lab) -> dict[str, float]:
    """Milliseconds: p95 of a search; of a page of traces, one of messages, a transaction and as many mutations, these
    in turns, the medians."""
    service = await _filled(lab)
    done = Load()
    taken: dict[str, list[float]] = {}
    try:
        for text in islice(lab.data.questions(), 4 * _ROUNDS):
            done.waits.append(await _milliseconds(answer(service, _SEARCH, text=text)) / 1000)

        def entries(name: str) -> list[dict[str, Any]]:
            return [{"namespace": name, "key": f"{number}", "value": number} for number in range(_OPERATIONS)]

        async def apart(name: str) -> None:
            for entry in entries(name):
                await answer(service, _SET, input=entry)

        async def together(name: str) -> None:
            await answer(service, _TOGETHER, input={"operations": [{"setState": one} for one in entries(name)]})

        for turn in range(_ROUNDS):
            for name, asked in {
                "traces": answer(service, _LISTED),
                "page": answer(service, _PAGE),
                "apart": apart(f"apart {turn}"),
                "together": together(f"together {turn}"),
            }.items():
                taken.setdefault(name, []).append(await _milliseconds(asked))
    finally:
        await service.close()
    return {name: statistics.median(some) for name, some in taken.items()} | {"search": done.wait_ms(0.95)}


def _of(name: str, make: Callable[[float], float] = lambda value: value) -> Measure:
    async def measure(lab: Lab) -> float:
        return make((await lab.once("said", lambda: _measured(lab)))[name])

    return measure


def _rate(milliseconds: float) -> float:
    return _OPERATIONS * 1000 / milliseconds


ROWS = [
    Row(
        name="said-p95",
        title="searchMessages HYBRID among ten times the messages, in process, p95",
        unit="ms",
        measure=_of("search"),
        wanted=at_most(15),
        lower=True,
        rounds=1,
    ),
    Row(
        name="traces-page",
        title="Page of 50 traces with their sums, in process",
        unit="ms",
        measure=_of("traces"),
        baseline=_of("page"),
        against="a page of 50 messages",
        wanted=within_times(1),
        lower=True,
        rounds=1,
    ),
    Row(
        name="transaction",
        title="transaction of 100 operations, in process",
        unit="operations/s",
        measure=_of("together", _rate),
        baseline=_of("apart", _rate),
        against="as many mutations",
        wanted=times(5),
        rounds=1,
    ),
]
