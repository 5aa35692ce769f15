"""Metrics for Prometheus.

What is counted on the way is counted in plain Python; prometheus_client is asked only when somebody looks.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.metadata import version
from typing import Any, NamedTuple

from prometheus_client import CONTENT_TYPE_LATEST, ProcessCollector
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector, CollectorRegistry

from server.instrumentation import RequestRecord
from server.telemetry.store_calls import Timing
from stores.ports import FIGURES, Engine, Figure, StoreHealth

CONTENT_TYPE = CONTENT_TYPE_LATEST

MAX_NAMES = 100
MAX_NAME = 64
OTHER = "other"
"""How many names of operations are told apart, and how long they may be; names are the callers' own. The rest of them
is this one."""

ROUTES = ("/", "/graphql", "/v1/traces", "/v1/logs", "/v1/metrics", "/healthz", "/readyz", "/metrics")

OPERATION_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
LATENESS_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)

_LATENESS_EVERY_S = 0.25
_HEALTH_WITHIN_S = 5.0


class Reading(NamedTuple):
    """What the parts of a server say of themselves when they are asked."""

    subscribers: int
    groups: int
    live_bytes: int
    document_hits: int
    document_misses: int
    calls: dict[str, Timing]
    fallbacks: Mapping[str, int]
    masked: Mapping[str, int] = {}
    retired: Mapping[str, int] = {}


class _Operation:
    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        self.timing = Timing(OPERATION_BOUNDS)


class Metrics:
    """Counts what ends, and tells it together with what the engine and the executor have counted.

    sockets: how many are open.
    """

    def __init__(self, engine: Engine, read: Callable[[], Reading]) -> None:
        """read: asked for each answer."""
        self._engine, self._read = engine, read
        self._operations: dict[tuple[str, str], _Operation] = {}
        self._answers: Counter[tuple[str, int]] = Counter()
        self._lateness = Timing(LATENESS_BOUNDS)
        self._process = ProcessCollector(registry=None)
        self.sockets = 0

    def observe(self, request: RequestRecord) -> None:
        """Counts an operation. How long a subscription was followed is no latency."""
        found = self._operations.get((request.kind, request.name)) or self._operation(request)
        found.outcomes[request.outcome] += 1
        if request.kind != "subscription":
            found.timing.add(request.seconds)

    def _operation(self, request: RequestRecord) -> _Operation:
        name, names = request.name, {name for _, name in self._operations}
        if len(name) > MAX_NAME or (name not in names and len(names) >= MAX_NAMES):
            name = OTHER
        return self._operations.setdefault((request.kind, name), _Operation())

    def answered(self, route: str, status: int) -> None:
        self._answers[route if route in ROUTES else OTHER, status] += 1

    async def watch_lateness(self) -> None:
        """Measures for ever how late the event loop is: what it does in one go keeps all others waiting."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + _LATENESS_EVERY_S
            await asyncio.sleep(_LATENESS_EVERY_S)
            self._lateness.add(max(0.0, loop.time() - due))

    async def text(self) -> bytes:
        health: list[StoreHealth] = []
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_HEALTH_WITHIN_S):
                health = await self._engine.health()
        told = _Collected([*self._own(), *_of_engine(self._engine.figures()), *_of_parts(health)])
        return await asyncio.to_thread(_written, told, self._process)

    def _own(self) -> Iterator[Metric]:
        read = self._read()
        yield _gauge("build_info", "The running version.", ["version"], {(version("recollect"),): 1})
        known = self._operations.items()
        outcomes = {(*key, outcome): count for key, of in known for outcome, count in of.outcomes.items()}
        yield _counter("operations", "GraphQL operations and span exports.", ["kind", "name", "outcome"], outcomes)
        times = {key: of.timing for key, of in known}
        yield _histogram(
            "operation_seconds", "Duration of operations other than subscriptions.", ["kind", "name"], times
        )
        yield _counter(
            "http_responses",
            "Answers over HTTP.",
            ["route", "status"],
            {(route, str(status)): count for (route, status), count in self._answers.items()},
        )
        yield _gauge("sockets", "Open WebSockets.", [], {(): self.sockets})
        yield _gauge("subscribers", "Active subscriptions.", [], {(): read.subscribers})
        yield _gauge("live_groups", "Executions shared by subscribers.", [], {(): read.groups})
        yield _gauge("live_bytes", "Bytes kept for subscribers who are slightly behind.", [], {(): read.live_bytes})
        documents = {("documents", "hit"): read.document_hits, ("documents", "miss"): read.document_misses}
        yield _counter("cache_requests", "Cache lookups.", ["cache", "result"], documents)
        fallbacks = {(reason,): count for reason, count in read.fallbacks.items()}
        yield _counter(
            "fallbacks", "Selections executed by graphql-core instead of compiled code.", ["reason"], fallbacks
        )
        masked = {(kind,): count for kind, count in read.masked.items()}
        yield _counter("masked", "Secrets and personal data masked before they were stored.", ["kind"], masked)
        retired = {(kind,): count for kind, count in read.retired.items()}
        yield _counter("retired", "What retention has deleted.", ["kind"], retired)
        calls = {(name,): timing for name, timing in read.calls.items()}
        yield _histogram("store_call_seconds", "Duration of store calls.", ["call"], calls)
        failed = {key: timing.failed for key, timing in calls.items()}
        yield _counter("store_call_errors", "Failed store calls.", ["call"], failed)
        yield _histogram("loop_lateness_seconds", "Event loop lag.", [], {(): self._lateness})


class _Collected(Collector):
    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics


def _written(*collectors: Collector) -> bytes:
    registry = CollectorRegistry(auto_describe=False)
    for collector in collectors:
        registry.register(collector)
    return generate_latest(registry)


def _of_engine(figures: list[Figure]) -> Iterator[Metric]:
    for name, (help, is_counter) in FIGURES.items():
        values = {(figure.of,): figure.value for figure in figures if figure.name == name}
        make = _counter if is_counter else _gauge
        yield make(f"store_{name}", help, ["part"], values)


def _of_parts(parts: list[StoreHealth]) -> Iterator[Metric]:
    breakers = [part for part in parts if part.circuit is not None]
    for name, help, values in (
        ("store_up", "Whether a part of the store is reachable.", {p.name: _is_up(p) for p in parts}),
        (
            "store_latency_seconds",
            "Current latency of a trivial call.",
            {p.name: p.latency_ms / 1000 for p in parts if _is_up(p)},
        ),
        (
            "store_circuit_open",
            "Whether the circuit breaker of a part is open after repeated failures.",
            {p.name: int(p.circuit != "closed") for p in breakers},
        ),
        ("store_backlog", "Changes waiting to be sent to a part.", {p.name: p.backlog for p in breakers}),
    ):
        yield _gauge(name, help, ["part"], {(part,): value for part, value in values.items()})


def _is_up(part: StoreHealth) -> int:
    return int(part.status == "healthy")


def _counter(name: str, help: str, labels: list[str], values: Mapping[Any, float]) -> Metric:
    family = CounterMetricFamily(f"recollect_{name}", help, labels=labels)
    for key, value in values.items():
        family.add_metric(list(key), value)
    return family


def _gauge(name: str, help: str, labels: list[str], values: Mapping[Any, float]) -> Metric:
    family = GaugeMetricFamily(f"recollect_{name}", help, labels=labels)
    for key, value in values.items():
        family.add_metric(list(key), value)
    return family


def _histogram(name: str, help: str, labels: list[str], values: Mapping[Any, Timing]) -> Metric:
    family = HistogramMetricFamily(f"recollect_{name}", help, labels=labels)
    for key, timing in values.items():
        within, buckets = 0, []
        for bound, count in zip([*map(str, timing.bounds), "+Inf"], timing.counts, strict=True):
            within += count
            buckets.append((bound, float(within)))
        if within:
            family.add_metric(list(key), buckets, timing.total)
    return family
