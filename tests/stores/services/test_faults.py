"""Where a server does not answer: how soon that is known, and what it costs the others."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest

from domain.message import Message
from stores import breaker as breaking
from stores.breaker import Breaker
from stores.contract.making import DIMENSION, Clock, follow, message, say, talk
from stores.errors import StoreError, Unavailable
from stores.open import open_engine
from stores.ports import Log, Opening
from stores.services import neo4j_client
from stores.services.engine import ServicesEngine
from stores.services.followers import Followers
from stores.services.liveness import Liveness
from stores.services.neo4j_client import CALL_SECONDS, Address, Neo4jClient
from tests.support.services import empty, run, urls


class Wire:
    """A server that answers, or not."""

    def __init__(self) -> None:
        self.there = True
        self.lost = self.asked = 0

    async def ask(self) -> None:
        self.asked += 1
        if not self.there:
            await asyncio.sleep(60)

    def lose(self) -> None:
        self.lost += 1


async def took(call: Any) -> float:
    """The seconds until a call ends, which must be by TimeoutError."""
    begun = asyncio.get_running_loop().time()
    with pytest.raises(TimeoutError):
        await call
    return asyncio.get_running_loop().time() - begun


class TestPulse:
    @staticmethod
    async def call(pulse: Liveness, seconds: float) -> None:
        async with pulse.waiting(10):
            await asyncio.sleep(seconds)

    async def test_a_server_that_is_there_may_take_its_time(self) -> None:
        wire = Wire()
        pulse = Liveness(wire.ask, wire.lose)
        await self.call(pulse, 1.2)
        assert wire.asked >= 1
        assert wire.lost == 0
        await pulse.close()

    async def test_one_that_hangs_ends_all_calls_in_under_two_seconds(self) -> None:
        wire = Wire()
        wire.there = False
        pulse = Liveness(wire.ask, wire.lose)
        assert all(1 < seconds < 2 for seconds in await asyncio.gather(*(took(self.call(pulse, 9)) for _ in range(3))))
        assert (wire.asked, wire.lost) == (1, 1)
        wire.there = True
        await self.call(pulse, 0.01)
        await pulse.close()

    async def test_while_others_are_answered_nothing_is_asked(self) -> None:
        wire = Wire()
        pulse = Liveness(wire.ask, wire.lose)
        slow = asyncio.ensure_future(self.call(pulse, 0.8))
        while not slow.done():
            await self.call(pulse, 0.1)
        assert wire.asked == 0
        await pulse.close()


class TestBreaker:
    def test_it_opens_after_three_failures_and_says_so_once(
        self, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(breaking, "_REST_SECONDS", 0.0)
        breaker = Breaker("neo4j")
        with caplog.at_level(logging.WARNING):
            for _ in range(5):
                breaker.enter()
                breaker.failed("refused")
            assert breaker.state == "half-open"
            breaker.enter()
            breaker.succeeded()
        assert [record.getMessage() for record in caplog.records] == ["neo4j does not answer: refused", "neo4j answers again"]  # fmt: skip
        assert not any(record.exc_info for record in caplog.records)
        assert breaker.state == "closed"

    def test_half_open_lets_one_through(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(breaking, "_REST_SECONDS", 0.0)
        breaker = Breaker("neo4j")
        breaker.trip("hangs")
        breaker.enter()
        with pytest.raises(Unavailable) as caught:
            breaker.enter()
        assert caught.value.known, "the log need not tell of it again"
        breaker.left()
        breaker.enter()

    def test_open_refuses_and_says_when_to_come_back(self) -> None:
        breaker = Breaker("neo4j")
        breaker.trip("hangs")
        assert breaker.state == "open"
        with pytest.raises(Unavailable) as caught:
            breaker.enter()
        assert 100 <= caught.value.retry_after_ms <= 1_200

    def test_what_callers_are_told_to_wait_grows_with_the_outage_up_to_a_bound(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        now = 1_000.0
        monkeypatch.setattr(breaking.time, "monotonic", lambda: now)
        breaker = Breaker("neo4j")
        breaker.trip("hangs")
        told = []
        for after in (0, 4, 20, 40, 3_600):
            now = 1_000.0 + after
            breaker.failed("hangs")
            told.append(breaker.retry_after_ms)
        assert told == sorted(told)
        assert told[0] <= 1_200
        assert 8_000 <= told[2] <= 12_000
        assert 24_000 <= told[-1] <= 36_000
        breaker.succeeded()
        assert breaker.retry_after_ms <= 1_200


@pytest.fixture
async def graph(real_servers: None) -> AsyncIterator[Neo4jClient]:
    """A pool of its own."""
    graph = Neo4jClient(Address(urls()["graph_url"]))
    yield graph
    await graph.close()


class TestNeo4j:
    async def test_what_is_wrong_is_no_outage(self, graph: Neo4jClient) -> None:
        for _ in range(4):
            with pytest.raises(StoreError) as caught:
                await graph.read("RETURN nothing")
            assert not isinstance(caught.value, Unavailable)
        assert graph.breaker.state == "closed"

    @pytest.mark.usefixtures("real_servers")
    async def test_a_wrong_password_is_unavailable_and_not_tried_for_ever(self) -> None:
        address = Address(urls()["graph_url"])
        address.auth = ("nobody", "another")  # the real user would be locked out for a while
        graph = Neo4jClient(address)
        for _ in range(4):
            with pytest.raises(Unavailable):
                await graph.read("RETURN 1")
        assert graph.breaker.state == "open"
        await graph.close()

    async def test_nobody_there(self) -> None:
        graph = Neo4jClient(Address("neo4j://neo4j:secret@127.0.0.1:1/neo4j"))
        begun = asyncio.get_running_loop().time()
        for _ in range(4):
            with pytest.raises(Unavailable):
                await graph.read("RETURN 1")
        assert asyncio.get_running_loop().time() - begun < 2
        assert graph.breaker.state == "open"
        await graph.close()

    async def test_a_hard_statement_may_take_longer_than_a_hang(self, graph: Neo4jClient) -> None:
        [total] = await graph.read("UNWIND range(1, 2000000) AS x RETURN sum(x % 7 * x % 11)")
        assert total > 0
        assert CALL_SECONDS > 2

    async def test_after_an_outage_it_is_well_once_what_is_run_most_is_planned(
        self, graph: Neo4jClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As Neo4j was restarted and has forgotten all plans, which take up to a second each."""
        for bound in ("_WARM_SECONDS", "_WARM_AT_MOST_SECONDS"):  # on a busy machine five plans take longer
            monkeypatch.setattr(neo4j_client, bound, 60.0)
        for number in range(5):
            await graph.read(
                f"UNWIND $names AS name MATCH (w:Workspace {{name: name}}) RETURN count(w) + {number}", names=["a"]
            )
        planned: dict[bool, int] = {}
        for cold in (False, True):
            graph.plans.cold = cold
            run("CALL db.clearQueryCaches()")
            await graph.latency_ms()
            [[said]] = run("CALL db.clearQueryCaches()")
            planned[cold] = int("".join(filter(str.isdigit, said)))
        assert planned[True] >= planned[False] + 5
        assert not graph.plans.cold

    async def test_an_outage_makes_plans_doubtful(self, graph: Neo4jClient, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(breaking, "_REST_SECONDS", 0.0)
        await graph.read("RETURN 1")
        assert not graph.plans.cold
        graph.breaker.trip("hangs")
        await graph.read("RETURN 1")
        assert graph.plans.cold
        assert await graph.latency_ms() > 0
        assert not graph.plans.cold

    async def test_many_more_calls_than_connections(self, graph: Neo4jClient) -> None:
        found = await asyncio.gather(*(graph.read("RETURN $n", n=n) for n in range(200)))
        assert [record[0] for record in found] == list(range(200))


class TestNews:
    async def test_a_log_reaches_as_far_as_was_told(self) -> None:
        news = Followers()
        with news.following("w/changes") as heard, news.following("v/changes") as other:
            assert heard.unsure, "nothing is known at first"
            heard.unsure = False
            news.tell({"w/changes": 7, "w/trace": 9})
            news.tell({"w/changes": 5})
            await heard.wait()
            assert (heard.end, heard.unsure) == (7, False)
            news.doubt("w")
            assert heard.unsure
            other.unsure = False
            news.doubt()
            assert other.unsure
        assert news.workspaces == []


@pytest.fixture
async def engine(real_servers: None, tmp_path: Any) -> AsyncIterator[ServicesEngine]:
    """One engine over empty servers."""
    empty()
    engine = open_engine(Opening(data=str(tmp_path), embedder="test", dimension=DIMENSION, clock=Clock(), **urls()))
    assert isinstance(engine, ServicesEngine)
    yield engine
    await engine.close()


async def test_a_follower_in_doubt_misses_nothing_of_a_commit_that_others_see_in_part(engine: ServicesEngine) -> None:
    """While Neo4j applies a transaction, readers see how far a log shall reach and not yet all that is before that."""
    store = engine.workspace("w")
    where, who, _ = await talk(store)
    follower = follow(store, Log("messages", where.id))

    async def write() -> None:
        for _ in range(15):
            await say(store, where, *(message(who) for _ in range(150)))

    async def doubt() -> None:
        while True:
            engine.followers.doubt("w")
            await asyncio.sleep(0.001)

    doubting = asyncio.ensure_future(doubt())
    writing = asyncio.ensure_future(write())
    seen: list[Message] = await follower.take(15 * 150)
    await writing
    doubting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await doubting
    assert [message.place for message in seen] == list(range(1, 15 * 150 + 1))
    await follower.close()
