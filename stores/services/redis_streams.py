"""Notify every process through Redis Streams which logs have grown; never what is in them.

Redis is never the truth. A follower that is woken reads on from Neo4j, so an entry that is lost, doubled or late costs
nothing; and now and then (each second while Redis is down) Neo4j is asked whether anything was written at all.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import secrets
import time
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any
from urllib.parse import urlencode

import redis.asyncio as redis
from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from stores.breaker import Breaker
from stores.errors import CannotOpen, Unavailable
from stores.rates import MINUTE_US
from stores.services.server_url import Form, ServerURL, one_host, parse

SHARDS = 4
"""How many streams there are; each is read over a connection of its own."""

_KEPT = 10_000
"""About how many entries a stream keeps."""

_CALL_SECONDS = 1.0
_BLOCK_MS = 2_000


_SPEND = """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local ends = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now) + ARGV[1]
local wait = ends - now - ARGV[2]
if wait > 0 then return wait end
redis.call('SET', KEYS[1], string.format('%.0f', ends), 'PX', math.ceil((ends - now) / 1000))
return 0
"""
"""What stores.rates.Rates does, for all processes at once, by the clock of Redis; times are microseconds."""


_HIT = """
if redis.call('EXISTS', KEYS[1]) == 0 then return {} end
redis.call('HINCRBY', KEYS[1], 'hits', 1)
return redis.call('HGETALL', KEYS[1])
"""

_KEEP = """
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], unpack(ARGV, 2))
if ARGV[1] ~= '' then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
"""

_FORM = Form(
    "RECOLLECT_EVENTS_URL",
    "redis://:password@host:6379/0",
    [f"{scheme}{kind}" for scheme in ("redis", "rediss") for kind in ("", "+sentinel", "+cluster")],
    6379,
    options=None,
)
_SENTINELS = _FORM._replace(example="redis+sentinel://:password@host:26379,host:26379/service/0", port=26379)

PREFIX = "recollect:"
_PREFIX = re.compile(r"[\w:./-]{1,100}")
_OURS = ("prefix", "sentinel_user", "sentinel_password")


def prefix_of(url: str) -> str:
    """What the names of all keys begin with. Raises CannotOpen."""
    prefix = parse(url, _FORM).options.get("prefix", PREFIX)
    if not _PREFIX.fullmatch(prefix):
        raise CannotOpen(f"{_FORM.setting}: a prefix has 1 to 100 letters, digits and _:./- in it.")
    return prefix


def connect(url: str) -> Any:
    """A client for redis://, redis+cluster://host:port,host:port or redis+sentinel://host:port,host:port/service/0,
    each also as rediss for TLS. Raises CannotOpen for another URL.

    sentinel_user and sentinel_password are options for Sentinels that ask for them; options that are not ours are the
    client's, such as ssl_ca_certs.
    """
    scheme, _, kind = url.strip().partition("://")[0].partition("+")
    form = _SENTINELS if kind == "sentinel" else _FORM
    parts = parse(url, form)
    try:
        return _client(parts, form, kind, secure=scheme == "rediss")
    except (ValueError, TypeError, RedisError, OSError) as error:
        unknown = re.search(r"unexpected keyword argument ('.*')", str(error))
        said = f"there is no option {unknown[1]}" if unknown else str(error).rstrip(".")
        raise CannotOpen(f"{form.setting} cannot be used: {said}.") from None


def _client(parts: ServerURL, form: Form, kind: str, secure: bool) -> Any:
    service, database = "", parts.path or "0"
    if kind == "sentinel":
        service, _, database = parts.path.partition("/")
    if not (database or "0").isdecimal():
        raise ValueError("a database is a number")
    settings: dict[str, Any] = {
        "socket_timeout": _BLOCK_MS / 1000 + _CALL_SECONDS,
        "socket_connect_timeout": _CALL_SECONDS,
        **_options(parts),
        **({"ssl": True} if secure else {}),
    }
    # The client would try again for seconds, in which a caller could go on without Redis.
    once = {**settings, "retry": Retry(NoBackoff(), 0)}
    mine: dict[str, Any] = {"username": parts.user, "password": parts.password, "decode_responses": True}
    if kind == "cluster":
        nodes = [ClusterNode(host, port) for host, port in parts.hosts]
        return RedisCluster(startup_nodes=nodes, **settings, **mine)
    if kind == "sentinel":
        theirs = {name: parts.options.get(f"sentinel_{name}") for name in ("user", "password")}
        asked = {**once, "username": theirs["user"], "password": theirs["password"]}
        sentinel: Any = Sentinel(parts.hosts, sentinel_kwargs=asked)  # type: ignore[no-untyped-call]
        client = sentinel.master_for(service or "mymaster", db=int(database or 0), **once, **mine)
    else:
        host, port = one_host(parts, form)
        client = redis.Redis(host=host, port=port, db=int(database), **once, **mine)
    client.connection_pool.make_connection()  # which looks at the options
    return client


def _options(parts: ServerURL) -> dict[str, Any]:
    """The client's own options, as it reads them. Raises ValueError."""
    query = urlencode({name: value for name, value in parts.options.items() if name not in _OURS})
    return {**parse_url(f"redis://?{query}")}


class Signals:
    """Sends and hears which logs have grown."""

    def __init__(
        self,
        url: str,
        heard: Callable[[Mapping[str, int] | None, str, list[str]], Awaitable[None]],
    ) -> None:
        """heard: takes how far logs reach by their names, or None where something may have been missed, the process
        that wrote, and what that has seen. Raises CannotOpen."""
        self._client, self._prefix = connect(url), prefix_of(url)
        self._heard = heard
        self._me = secrets.token_hex(4)
        self._readers: list[asyncio.Task[None]] = []
        self._deaf = set(range(SHARDS))
        self._closed = False
        self.breaker = Breaker("redis")

    def start(self) -> None:
        """Begins to listen; once is enough."""
        if not self._readers:
            self._readers = [asyncio.create_task(self._listen(shard)) for shard in range(SHARDS)]

    @property
    def listening(self) -> bool:
        """Whether all that others send is heard."""
        return not self._deaf

    async def send(self, workspace: str, ends: Mapping[str, int], bookmarks: list[str]) -> None:
        """Tells the other processes how far logs reach; where Redis is down they find out by themselves."""
        logs = "\n".join(f"{end} {name}" for name, end in ends.items())
        entry = {"by": self._me, "logs": logs, "seen": "\n".join(bookmarks)}
        with contextlib.suppress(Unavailable):
            await self._call(
                lambda: self._client.xadd(self._stream(_shard(workspace)), entry, maxlen=_KEPT, approximate=True)
            )

    async def spend(self, name: str, per_minute: int) -> float:
        """Spends one of what a name may have in a minute, as stores.rates.Rates. Raises Unavailable."""
        wait = await self._call(
            lambda: self._client.eval(_SPEND, 1, f"{self._prefix}rate:{name}", round(MINUTE_US / per_minute), MINUTE_US)
        )
        return float(wait) / 1_000_000

    async def texts(self) -> AsyncIterator[str]:
        """Everything under our keys. Raises Unavailable."""
        keys = await self._call(lambda: _listed(self._client.scan_iter(match=f"{self._prefix}*", count=1000)))
        for key in keys:
            kind = await self._call(partial(self._client.type, key))
            read = {"stream": self._client.xrange, "string": self._client.get, "hash": self._client.hgetall}.get(kind)
            yield key
            if read is not None:
                yield str(await self._call(partial(read, key)))

    async def hit(self, name: str) -> dict[str, str]:
        """The fields of a hash, one hit more; nothing where it is not there. Raises Unavailable."""
        found: Any = await self._call(lambda: self._client.eval(_HIT, 1, self._prefix + name))
        return dict(zip(found[::2], found[1::2], strict=True))

    async def keep(self, name: str, fields: Mapping[str, Any], lasts: timedelta | None) -> None:
        """Puts a hash in the place of what is there. Raises Unavailable."""
        ms = "" if lasts is None else max(1, round(lasts.total_seconds() * 1000))
        given = [one for pair in fields.items() for one in pair]
        await self._call(lambda: self._client.eval(_KEEP, 1, self._prefix + name, ms, *given))

    async def fields(self, names: Sequence[str], fields: Sequence[str]) -> list[list[str | None]]:
        """Some fields of hashes. Raises Unavailable."""
        asked = [self._call(partial(self._client.hmget, self._prefix + name, list(fields))) for name in names]
        return list(await asyncio.gather(*asked))

    async def drop(self, names: Sequence[str]) -> None:
        """Takes keys away. Raises Unavailable."""
        await asyncio.gather(*(self._call(partial(self._client.unlink, self._prefix + name)) for name in names))

    async def named(self, pattern: str) -> list[str]:
        """The keys that a pattern matches. Raises Unavailable."""
        found = await self._call(lambda: _listed(self._client.scan_iter(match=self._prefix + pattern, count=1000)))
        return [name.removeprefix(self._prefix) for name in found]

    def _stream(self, shard: int) -> str:
        """The braces keep a stream on one node of a cluster."""
        return f"{self._prefix}{{news-{shard}}}"

    async def _call(self, call: Callable[[], Any]) -> Any:
        self.breaker.enter()
        try:
            async with asyncio.timeout(_CALL_SECONDS):
                answer = await call()
        except (RedisError, OSError, TimeoutError) as error:
            self.breaker.failed(str(error) or type(error).__name__)
            raise Unavailable(f"Redis: {error}") from error
        except BaseException:
            self.breaker.left()
            raise
        self.breaker.succeeded()
        return answer

    async def _listen(self, shard: int) -> None:
        stream = self._stream(shard)
        while not self._closed:
            try:
                newest = await self._client.xrevrange(stream, count=1)
                last = newest[0][0] if newest else "0-0"
                self.breaker.succeeded()
                self._deaf.discard(shard)
                await self._heard(None, "", [])  # what came before this reader listened
                while not self._closed:
                    answer = await self._client.xread({stream: last}, count=1000, block=_BLOCK_MS)
                    for last, entry in _entries(answer):  # noqa: B007 - the last one's id is where to go on
                        if entry.get("by") != self._me:
                            await self._heard(_ends(entry["logs"]), entry["by"], entry["seen"].split("\n"))
            except (RedisError, OSError, TimeoutError) as error:
                self._deaf.add(shard)
                self.breaker.failed(str(error) or type(error).__name__)
                await asyncio.sleep(random.uniform(0.3, 0.7))

    async def latency_ms(self) -> float:
        """What a PING takes just now, in milliseconds. Raises Unavailable."""
        begun = time.perf_counter()
        await self._call(self._client.ping)
        return (time.perf_counter() - begun) * 1000

    async def close(self) -> None:
        """Stops listening and lets go of the connections."""
        self._closed = True
        running = set(self._readers)
        while running:  # the client takes a cancellation for a broken connection, and tries again
            for reader in running:
                reader.cancel()
            running = (await asyncio.wait(running, timeout=0.05))[1]
        pool = getattr(self._client, "connection_pool", None)
        for one in (self._client, getattr(pool, "sentinel_manager", None)):  # it does not close its Sentinels
            with contextlib.suppress(RedisError, OSError):
                if one is not None:
                    await one.aclose()


async def _listed(items: AsyncIterator[str]) -> list[str]:
    return [item async for item in items]


def _entries(answer: Any) -> list[tuple[str, dict[str, str]]]:
    """The entries of the one stream that was read; older and newer protocols put them differently."""
    streams = answer.values() if isinstance(answer, dict) else [entries for _, entries in answer or ()]
    found: list[tuple[str, dict[str, str]]] = []
    for entries in streams:
        found += entries[0] if entries and isinstance(entries[0], list) else entries
    return found


def _ends(logs: str) -> dict[str, int]:
    """How far logs reach, as it was sent."""
    ends = (line.partition(" ") for line in logs.split("\n") if line)
    return {name: int(end) for end, _, name in ends}


def _shard(workspace: str) -> int:
    return zlib.crc32(workspace.encode()) % SHARDS
