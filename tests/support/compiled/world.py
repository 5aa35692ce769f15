"""One service with a rich data set, and the two ways to run an operation on it: compiled, and graphql-core alone."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Executor as Pool
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
from apsw import Connection
from graphql import GraphQLObjectType, GraphQLSchema, parse
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from domain.caller import LOCAL, Role
from schema.build import build
from schema.fields import read_by
from schema.loading import Loading, Relation
from server.demo import Client, fill
from server.graphql.compiled import CompilingExecutor
from server.graphql.documents import DocumentCache, Parsed, Request
from server.graphql.executor import Executor
from server.graphql.fallbacks import FALLBACKS
from server.limits import Limits
from server.service import Service, open_service
from server.settings import Settings
from stores.embedded.readers import MUCH, Readers
from tests.support.graphql_client import anybody


class PlainExecutor(CompilingExecutor):
    """graphql-core's own way from the root on: it is given plans and never looks at them."""

    complete_value = StrawberryGraphQLCoreExecutionContext.complete_value

    def plan(self, return_type: Any, fields: Any) -> None:
        return None


class Here(Pool):
    """A pool without threads, so that both ways see things happen in one order."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        done: Future[Any] = Future()
        try:
            done.set_result(fn(*args, **kwargs))
        except Exception as error:
            done.set_exception(error)
        return done


def read_in_order(readers: Readers) -> None:
    """No thread and no budget decides any more when a read is done."""

    async def in_thread(read: Callable[[Connection], Any]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(Here(), lambda: read(readers.db))

    async def read(read: Callable[[Connection], Any], most: int = 0) -> Any:
        return read(readers.db) if most < MUCH else await in_thread(read)

    readers.read, readers.in_thread = read, in_thread  # type: ignore[method-assign]


BROAD = Limits(
    max_depth=60, max_aliases=5_000, max_repeats=5_000, max_selections=100_000, max_tokens=100_000, max_cost=10**40
)
"""Selections made by chance know no measure."""

STOPPED = SimpleNamespace(perf_counter=lambda: 0.0)
"""Stands for `time` where a response tells how long something took."""

Spoil = Callable[[str, list[Any], dict[str, Any], Any], Any]
"""What a test does to the results of a relation or a root field: (its name, parents, arguments, results) -> results."""


def relations(schema: GraphQLSchema) -> dict[Relation, str]:
    """Every relation with a name; types that inherit one share it."""
    found: dict[Relation, str] = {}
    for type_ in schema.type_map.values():
        if isinstance(type_, GraphQLObjectType):
            for name, field in type_.fields.items():
                how = read_by(field)
                if isinstance(how, Relation):
                    found.setdefault(how, f"{type_.name}.{name}")
    return found


class World:
    """An open service, the executors, and how often what was asked."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.schema = build.__wrapped__()  # of its own, for its resolvers are changed
        self.documents, self.plain_documents = (DocumentCache(20 << 20) for _ in range(2))
        self.compiled = Executor(self.schema, role=anybody, cache=self.documents, limits=BROAD)
        self.plain = Executor(
            self.schema, role=anybody, executor_class=PlainExecutor, cache=self.plain_documents, limits=BROAD
        )
        self.calls: Counter[str] = Counter()
        self.spoil: Spoil | None = None
        self.facts: dict[str, list[Any]] = {}

    def loading(self) -> Loading:
        return self.service.operation(LOCAL)

    def know(self, query: str) -> None:
        """Takes a document as valid, in both ways; they share nothing but its nodes."""
        document = parse(query)
        for cache in (self.documents, self.plain_documents):
            cache.put(query, Parsed(document, {}, {}, defaultdict(int), defaultdict(lambda: Role.READ)))

    async def answer(
        self, executor: Executor, query: str, variables: dict[str, Any] | None = None, name: str | None = None
    ) -> bytes:
        """One encoded response, as it goes out, without the ids of requests and the second that a link expires in."""
        body = await asyncio.wait_for(executor.execute(Request(query, variables, name), self.loading()), 10)
        return re.sub(rb"expires=\d+&signature=\w+", b"", without_request_id(body))

    async def both(
        self, query: str, variables: dict[str, Any] | None = None, name: str | None = None
    ) -> tuple[bytes, bytes]:
        """The compiled answer and the plain one."""
        compiled = await self.answer(self.compiled, query, variables, name)
        return compiled, await self.answer(self.plain, query, variables, name)

    async def same(self, query: str, variables: dict[str, Any] | None = None, name: str | None = None) -> Any:
        """The answer, which must be the same in both ways to the byte."""
        compiled, plain = await self.both(query, variables, name)
        assert compiled == plain, f"{query}\n{variables}\n{name}\ncompiled {compiled[:3000]!r}\nplain {plain[:3000]!r}"
        return json.loads(plain)

    @contextmanager
    def spoiled(self, spoil: Spoil) -> Iterator[Counter[str]]:
        """While it lasts, results are changed on their way. Gives the calls made since."""
        self.spoil, self.calls = spoil, Counter()
        try:
            with bugs_apart():
                yield self.calls
        finally:
            self.spoil = None


@contextmanager
def bugs_apart() -> Iterator[None]:
    """What falls back meanwhile is not counted: a value of any type may stand anywhere, which no resolver of ours does."""
    before = FALLBACKS.counts.copy()
    yield
    FALLBACKS.counts = before


def without_request_id(body: bytes) -> bytes:
    """The response without what is random in it."""
    return re.sub(rb'"requestId":"[0-9a-f]{8}"', b'"requestId":"-"', body)


@contextmanager
def watched(world: World) -> Iterator[None]:
    """Counts the calls of relations and root queries, and lets `world.spoil` have their results."""

    def through(name: str, resolver: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def resolve(context: Any, parents: Any, **arguments: Any) -> Any:
            world.calls[name] += 1
            results = await resolver(context, parents, **arguments)
            arguments.pop("fields", None)  # which only the compiled way knows
            return results if world.spoil is None else world.spoil(name, parents, arguments, results)

        return resolve

    originals = {relation: relation.resolver for relation in relations(world.schema)}
    for relation, name in relations(world.schema).items():
        relation.resolver = through(name, relation.resolver)
    query = world.schema.query_type
    assert query is not None
    for name, field in query.fields.items():
        assert field.resolve is not None
        field.resolve = through(f"Query.{name}", field.resolve)
    try:
        yield
    finally:
        for relation, resolver in originals.items():
            relation.resolver = resolver


async def open_world(folder: Path) -> World:
    """A service on a filled folder."""
    service = open_service(folder, Settings())
    read_in_order(service.engine.readers)  # type: ignore[attr-defined]
    world = World(service)
    world.facts = await facts(world)
    return world


async def fill_folder(folder: Path) -> None:
    """The demo's story, and what it leaves out."""
    service = open_service(folder, Settings())
    try:
        await fill(Client(service))
        world = World(service)
        for document, variables in MORE:
            answer = json.loads(await world.answer(world.plain, document, variables))
            assert answer["data"], answer
            [payload] = answer["data"].values()
            assert not payload["errors"], answer
    finally:
        await service.close()


ODD = {"float": 2.50, "deep": [[], {}, [{"a": None}]], "text": "“ü\n\u2028🍵", "big": 12345678901234567890}

MORE: list[tuple[str, dict[str, Any] | None]] = [
    (
        'mutation($m: JSON){createSession(input:{title:"Odd", kind:PLAYGROUND, externalId:"odd", metadata:$m, '
        'context:{a:1}, participants:[{name:"Nobody"},{type:AGENT,actor:{externalId:"bot"}}]}){errors{message}}}',
        {"m": ODD},
    ),
    ('mutation{createSession(input:{title:"", kind:PANEL, externalId:"empty"}){errors{message}}}', None),
    (
        'mutation($m:[MessageInput!]!){addMessages(input:{session:{externalId:"odd"},messages:$m}){errors{message}}}',
        {
            "m": [
                {"role": "user", "text": "", "externalId": "o1", "thread": "aside"},
                {
                    "role": "assistant",
                    "externalId": "o2",
                    "parent": {"externalId": "o1"},
                    "thread": "aside",
                    "metadata": ODD,
                    "memoryRefs": [{"memory": {"externalId": "none-such"}}][:0],
                    "content": [
                        {"text": "one"},
                        {"toolCall": {"callId": "c1", "tool": "t", "arguments": {"x": 1}}},
                        {"toolCall": {"callId": "c2", "tool": "t", "arguments": []}},
                        {"text": "two"},
                    ],
                },
                {"role": "tool", "content": [{"toolResponse": {"callId": "c1", "result": None, "isError": True}}]},
                {"role": "system", "text": "system", "parent": {"externalId": "o2"}},
            ]
        },
    ),
    (
        'mutation($m:[MessageInput!]!){addMessages(input:{session:{externalId:"odd"},messages:$m}){errors{message}}}',
        {"m": [{"role": "user", "text": f"line {n}", "parent": {"externalId": "o1"}} for n in range(200)]},
    ),
    (
        'mutation{createMemories(input:{memories:[{text:"no owner",scope:GLOBAL,externalId:"m1"},{text:"of an agent",'
        'scope:AGENT,owner:{externalId:"bot"},externalId:"m2",sourceMessage:{externalId:"o2"},ttlSeconds:100000000,'
        'links:[{target:{externalId:"m1"},kind:SUPPORTS,weight:0.5}]}]}){errors{message}}}',
        None,
    ),
    ('mutation{updateMemory(input:{memory:{externalId:"m1"},text:"again",tags:["x"]}){errors{message}}}', None),
    ('mutation{updateMemory(input:{memory:{externalId:"m2"},status:ARCHIVED}){errors{message}}}', None),
    (
        'mutation{appendTraceEvents(input:{session:{externalId:"odd"},events:[{type:"a",externalId:"e1",'
        'user:{externalId:"ann"},agent:{externalId:"bot"},message:{externalId:"o2"},memories:[{externalId:"m1"}]},'
        '{type:"b",parent:{externalId:"e1"},durationMs:1.5,data:[1]},{type:"span_start",spanId:"AB",name:"root",'
        "kind:LLM,data:{inputTokens:3}}]}){errors{message}}}",
        None,
    ),
    ('mutation{setState(input:{namespace:"n",key:"k",value:"text",ttlSeconds:100000000}){errors{message}}}', None),
    ('mutation{setState(input:{namespace:"n",key:"l",value:[1,{a:2}],tags:["t"]}){errors{message}}}', None),
]


async def facts(world: World) -> dict[str, list[Any]]:
    """Names of things that are there, for operations to ask for."""
    lists = {
        "session": "sessions(first: 200)",
        "user": "users",
        "agent": "agents",
        "memory": "memories(first: 60)",
        "message": 'session(by: {externalId: "demo-teapot"}) { messages(first: 40)',
        "event": 'session(by: {externalId: "demo-teapot"}) { trace(first: 20)',
        "span": "spans(first: 20)",
    }
    found: dict[str, list[Any]] = {}
    for kind, of in lists.items():
        close = " }" if "{ " in of else ""
        answer = json.loads(
            await world.answer(world.plain, f"{{ a: {of} {{ edges {{ cursor node {{ id externalId }} }} }}{close} }}")
            if kind != "span"
            else await world.answer(
                world.plain, f"{{ a: {of} {{ edges {{ cursor node {{ id externalId: traceId }} }} }} }}"
            )
        )
        page = answer["data"]["a"]
        edges = (page if "edges" in page else next(iter(page.values())))["edges"]
        found[kind] = [edge["node"]["id"] for edge in edges]
        found[f"{kind} name"] = [edge["node"]["externalId"] for edge in edges if edge["node"]["externalId"]]
        found[f"{kind} cursor"] = [edge["cursor"] for edge in edges]
    return found


def record(value: Any, **changes: Any) -> Any:
    """A record with wrong values in it."""
    return msgspec.structs.replace(value, **changes)
