"""Whatever fits the schema may be sent: it is written, or refused with a reason, and never breaks anything."""

# ruff: noqa: UP031 - the braces in these strings are GraphQL's

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLList,
    GraphQLNonNull,
    get_nullable_type,
    is_required_input_field,
)
from hypothesis import given
from hypothesis import strategies as st

from schema.build import build
from tests.support.graphql_client import Clock, Graph, Words

pytestmark = pytest.mark.hypothesis

SCHEMA = build()
MUTATIONS = sorted(SCHEMA.mutation_type.fields) if SCHEMA.mutation_type else []
TOLD = {"BAD_USER_INPUT", "INVALID", "NOT_FOUND"}
"""What may be told of a request as a whole; the rest is data in the payload."""

KNOWN = ["s", "m", "a", "b", "ann", "bot", "e", "t", "n", "k"]
"""The externalIds, keys and trace ids of what is there."""

strings = st.one_of(
    st.sampled_from([*KNOWN, "", " ", "\x00", "a\x00b", "\x1b[2J", "\u202egnp", "\ufeff", "\ufffe", "e\u0301", "\U0001f469\u200d\U0001f680"]),
    st.sampled_from(["user", "assistant", "tool", "span_start", "span_end", "recall", "'; DROP TABLE memory; --", '" OR 1', "%", "_", "\\"]),
    st.sampled_from(["x" * 1000, "x" * 1001, "\U0001f343" * 1000, "x" * 100_001]),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
)  # fmt: skip
integers = st.one_of(st.sampled_from([0, 1, -1, 2, 60, 2**31 - 1, -(2**31)]), st.integers(-(2**31), 2**31 - 1))
floats = st.one_of(
    st.sampled_from([0, 0.5, 1, -0.0, 1e308, -1e308, 5e-324, 1e16, 1.0000000000000002, 3]),
    st.floats(allow_nan=False, allow_infinity=False),
)
times = st.one_of(
    st.sampled_from(["0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z", "1969-12-31T23:59:59.999999Z", "2026-06-30T23:59:60Z"]),
    st.sampled_from(["0001-01-01T00:00:00-14:00", "2026-02-28T00:00:00.1234567+05:30", "2000-01-01t00:00:00z"]),
    st.datetimes().map(lambda time: f"{time.isoformat()}Z"),
)  # fmt: skip


def deep(levels: int) -> Any:
    value: Any = 1
    for level in range(levels):
        value = [value] if level % 2 else {"": value}
    return value


plain = st.one_of(st.none(), st.booleans(), floats, strings, st.integers(), st.sampled_from([2**63, -(2**64), 2**200]))
objects = st.one_of(
    st.sampled_from([{}, {"statusCode": "OK", "statusMessage": "\x00"}, {"a": deep(40)}, {str(i): i for i in range(500)}, {"\x00": "\x00", "a.b": 1}]),
    st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), plain, max_size=4),
)  # fmt: skip
json = st.one_of(plain, objects, st.lists(plain, max_size=4), st.just(deep(50)))
vectors = st.one_of(
    st.lists(floats, min_size=Words.dimension, max_size=Words.dimension),
    st.sampled_from(
        [[], [0.0] * Words.dimension, [1e308] * Words.dimension, [5e-324] * Words.dimension, [1.0] * 10_000]
    ),
)


class Values:
    """Strategies for the values of the schema's input types. ids: those of what is there."""

    def __init__(self, ids: list[str]) -> None:
        self.ids = st.one_of(
            st.sampled_from(ids), st.sampled_from(["", "x", "mem_", "mem_" + "z" * 32, "ses_" + "0" * 32]), strings
        )

    def of(self, type: GraphQLInputType, depth: int, name: str = "") -> st.SearchStrategy[Any]:
        """Values of a type, with inputs in it down to some depth."""
        type = get_nullable_type(type)  # type: ignore[assignment]
        if isinstance(type, GraphQLList):
            if name == "vector":
                return vectors
            items = self.of(type.of_type, depth)
            return st.one_of(st.lists(items, max_size=3), items.map(lambda item: [item, item]))
        if isinstance(type, GraphQLEnumType):
            return st.sampled_from(sorted(type.values))
        if isinstance(type, GraphQLInputObjectType):
            return self._input(type, depth)
        scalars = {
            "String": strings,
            "ID": self.ids,
            "Int": integers,
            "Float": floats,
            "Boolean": st.booleans(),
            "DateTime": times,
            "Upload": st.none() | strings,
        }
        if type.name == "JSON":
            return objects if name in ("metadata", "context", "set", "profile", "config", "attributes") else json
        return scalars[type.name]

    def _input(self, type: GraphQLInputObjectType, depth: int) -> st.SearchStrategy[Any]:
        if type.is_one_of:
            return st.one_of(
                [self._member(type, name, depth).map(lambda value, n=name: {n: value}) for name in type.fields]
            )
        required = {
            name: self._member(type, name, depth)
            for name, field in type.fields.items()
            if is_required_input_field(field)
        }
        more = {name: self._maybe(type, name, depth) for name in type.fields if name not in required}
        return st.fixed_dictionaries(required, optional=more if depth > 0 else {})

    def _maybe(self, type: GraphQLInputObjectType, name: str, depth: int) -> st.SearchStrategy[Any]:
        value = self._member(type, name, depth)
        return value if isinstance(type.fields[name].type, GraphQLNonNull) else st.one_of(value, st.none())

    def _member(self, type: GraphQLInputObjectType, name: str, depth: int) -> st.SearchStrategy[Any]:
        return st.deferred(lambda: self.of(type.fields[name].type, depth - 1, name))


EVERYTHING = """{
  sessions(last: 200) { nodes { title context metadata createdAt lastActiveAt capabilities
    participants { nodes { name role joinedAt leftAt actor { __typename } } }
    messages(last: 100) { nodes { text createdAt metadata content { __typename ... on ToolCall { arguments response { result } } } thread { name } parent { id }
      sender { name } memoryRefs { score note memory { id } } formedMemories { id } trace { nodes { id } } } }
    trace(last: 100) { nodes { type time durationMs data externalId span { id } parent { id } namedMemories { id } user { name } agent { name } } }
    spans(last: 100) { nodes { startedAt endedAt durationMs attributes parent { id } children { nodes { id } } } }
    traces { nodes { startedAt durationMs statusCode root { id } } } } }
  users(last: 200) { nodes { name externalId profile memoryUsage { fullness } } }
  agents(last: 200) { nodes { name config capabilities } }
  memories(last: 200) { nodes { text tags metadata importance decayFactor createdAt expiresAt validFrom validUntil lastAccessedAt owner { __typename } source { __typename }
    links { nodes { weight metadata source { id } target { id } } } history { nodes { text } } recalls { nodes { score } } neighborhood { nodes { id } } sharedReferences { score } similar(threshold: 0) { score } } }
  spans(last: 200) { nodes { name startedAt endedAt durationMs attributes session { id } } }
  states(namespace: "n") { nodes { key value tags expiresAt } } }"""


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


async def fill(graph: Graph) -> None:
    session = {"session": {"externalId": "s"}}
    await graph.do("createSession", {"externalId": "s", "participants": [{"actor": {"externalId": "ann"}}]})
    await graph.do("addMessage", {**session, "role": "user", "text": "x", "externalId": "m", "thread": "t"})
    await graph.do(
        "createMemories",
        {"memories": [{"text": name, "owner": {"externalId": "ann"}, "externalId": name} for name in "ab"]},
    )
    await graph.do("linkMemories", {"links": [{"source": {"externalId": "a"}, "target": {"externalId": "b"}}]})
    await graph.do(
        "appendTraceEvents", {**session, "events": [{"type": "x", "externalId": "e", "agent": {"externalId": "bot"}}]}
    )
    await graph.do("startSpan", {**session, "name": "x", "traceId": "t", "spanId": "a"})
    await graph.do("setState", {"namespace": "n", "key": "k", "value": 1})


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory, runner: asyncio.Runner, family: str) -> Path:
    """A folder with one thing of each kind."""
    folder = tmp_path_factory.mktemp("filled")

    async def run() -> None:
        graph = Graph(folder, Clock(), family=family)
        await fill(graph)
        await graph.close()

    runner.run(run())
    return folder


@pytest.fixture
def filled(template: Path, folder: Path, runner: asyncio.Runner, family: str) -> Iterator[tuple[Graph, Values]]:
    """A copy of it (the servers have but one), and what may be sent to it."""
    mine = shutil.copytree(template, folder / "filled") if family == "embedded" else template

    async def begin() -> tuple[Graph, Values]:
        clock = Clock()
        clock.forward(hours=1)
        graph = Graph(mine, clock, family=family)
        data = await graph.data(
            '{ session(by: {externalId: "s"}) { id participants { nodes { id } } messages { nodes { id } } '
            "trace { nodes { id } } spans { nodes { id } } } "
            'memory(by: {externalId: "a"}) { id links { nodes { id } } } '
            'user(by: {externalId: "ann"}) { id } agent(by: {externalId: "bot"}) { id } }'
        )
        return graph, Values(list(ids_in(data)))

    graph, values = runner.run(begin())
    yield graph, values
    runner.run(graph.close())


def ids_in(data: Any) -> Iterator[str]:
    if isinstance(data, dict):
        for name, value in data.items():
            if name == "id":
                yield value
            yield from ids_in(value)
    elif isinstance(data, list):
        for item in data:
            yield from ids_in(item)


@pytest.mark.in_turn
@pytest.mark.parametrize("mutation", MUTATIONS)
def test_a_mutation(mutation: str, filled: tuple[Graph, Values], runner: asyncio.Runner) -> None:
    graph, values = filled
    type = f"{mutation[0].upper()}{mutation[1:]}Input"
    query = "mutation ($input: %s!) { %s(input: $input) { __typename errors { code message path } } }" % (
        type,
        mutation,
    )
    inputs = values.of(SCHEMA.type_map[type], 4)  # type: ignore[arg-type]

    async def send(input: Any) -> None:
        before = graph.rows()
        answer = await graph.ask(query, input=input)
        codes = {error["extensions"]["code"] for error in answer.get("errors", ())}
        assert codes <= TOLD, answer["errors"]
        refused = answer["data"][mutation]["errors"] if answer.get("data") else answer["errors"]
        for error in refused:
            assert error["message"]
            assert "Traceback" not in error["message"]
        if refused:
            assert graph.rows() == before, "something was written, though it was refused"

    @given(inputs)
    def run(input: Any) -> None:
        runner.run(send(input))

    run()
    everything = runner.run(graph.ask(EVERYTHING))
    assert "errors" not in everything, everything["errors"]


@pytest.mark.parametrize("name", ["sessions", "memories", "spans", "users", "states"])
def test_a_filter(name: str, filled: tuple[Graph, Values], runner: asyncio.Runner) -> None:
    graph, values = filled
    kind = {
        "sessions": "SessionFilter",
        "memories": "MemoryFilter",
        "spans": "SpanFilter",
        "users": "ActorFilter",
        "states": "StateFilter",
    }[name]
    more = 'namespace: "n", ' if name == "states" else ""
    query = "query ($f: %s) { %s(%sfilter: $f) { totalCount nodes { id } } }" % (kind, name, more)

    @given(values.of(SCHEMA.type_map[kind], 4))  # type: ignore[arg-type]
    def run(filter: Any) -> None:
        answer = runner.run(graph.ask(query, f=filter))
        assert {error["extensions"]["code"] for error in answer.get("errors", ())} <= TOLD, answer["errors"]

    run()


@pytest.mark.parametrize("name", ["trace", "messages", "memories", "spans"])
def test_a_filter_of_a_session(name: str, filled: tuple[Graph, Values], runner: asyncio.Runner) -> None:
    graph, values = filled
    kind = {"trace": "TraceFilter", "messages": "MessageFilter", "memories": "MemoryFilter", "spans": "SpanFilter"}[
        name
    ]
    query = 'query ($f: %s) { session(by: {externalId: "s"}) { %s(filter: $f) { totalCount nodes { id } } } }' % (
        kind,
        name,
    )

    @given(values.of(SCHEMA.type_map[kind], 4))  # type: ignore[arg-type]
    def run(filter: Any) -> None:
        answer = runner.run(graph.ask(query, f=filter))
        assert {error["extensions"]["code"] for error in answer.get("errors", ())} <= TOLD, answer["errors"]

    run()


def test_a_search(filled: tuple[Graph, Values], runner: asyncio.Runner) -> None:
    graph, values = filled
    query = (
        "query ($q: MemoryQuery!, $f: MemoryFilter, $t: Float!, $n: Int!, $m: SearchMode!) { "
        "searchMemories(query: $q, filter: $f, threshold: $t, first: $n, mode: $m) { hits { score memory { "
        "id } } } }"
    )

    @given(
        values.of(SCHEMA.type_map["MemoryQuery"], 3),  # type: ignore[arg-type]
        values.of(SCHEMA.type_map["MemoryFilter"], 3),  # type: ignore[arg-type]
        st.sampled_from([0.0, 0.5, 1.0, 7.0, -1.0]),
        st.sampled_from([0, 10, 200, 201, -1]),
        st.sampled_from(["HYBRID", "SEMANTIC", "TEXT"]),
    )
    def run(q: Any, f: Any, t: float, n: int, m: str) -> None:
        answer = runner.run(graph.ask(query, q=q, f=f, t=t, n=n, m=m))
        assert {error["extensions"]["code"] for error in answer.get("errors", ())} <= TOLD, answer["errors"]

    run()


@pytest.mark.parametrize(
    ("name", "kind", "filter"),
    [
        ("memories", "MemoryFilter", {"text": "x" * 100_000}),
        ("memories", "MemoryFilter", {"metadata": {str(i): i for i in range(1500)}}),
        ("memories", "MemoryFilter", {"owner": {"externalId": "x" * 100_000}}),
        ("spans", "SpanFilter", {"minDurationMs": 1e308}),
        ("memories", "MemoryFilter", {"tags": ["x"] * 2000}),
        ("memories", "MemoryFilter", {"and": [{"text": "x"}] * 2000}),
        ("memories", "MemoryFilter", {"or": [{"text": "x"}] * 2000}),
        ("memories", "MemoryFilter", {"or": [{}] * 2000}),
        ("memories", "MemoryFilter", {"types": ["WORKING"] * 40_000}),
        ("spans", "SpanFilter", {"names": ["x"] * 40_000}),
    ],
    ids=lambda value: f"{next(iter(value))}" if isinstance(value, dict) else "",
)
def test_a_filter_without_measure(
    name: str, kind: str, filter: Any, filled: tuple[Graph, Values], runner: asyncio.Runner
) -> None:
    query = "query ($f: %s) { %s(filter: $f) { nodes { id } } }" % (kind, name)
    answer = runner.run(filled[0].ask(query, f=filter))
    assert {error["extensions"]["code"] for error in answer.get("errors", ())} <= TOLD, answer["errors"]


BLANK = ["createSession", "upsertUser", "upsertAgent", "addMessage", "createMemory", "addParticipant", "owner", "actor"]


@pytest.mark.parametrize("blank", [" ", "   ", "\t\n", "\u2003"])
@pytest.mark.parametrize("way", BLANK)
async def test_nothing_is_called_by_blanks(graph: Graph, way: str, blank: str) -> None:
    await graph.do("createSession", {"externalId": "s"})
    s = {"session": {"externalId": "s"}}
    mutation, given, path = {
        "createSession": ("createSession", {"externalId": blank}, ["externalId"]),
        "upsertUser": ("upsertUser", {"externalId": blank}, ["externalId"]),
        "upsertAgent": ("upsertAgent", {"externalId": blank}, ["externalId"]),
        "addMessage": ("addMessage", {**s, "role": "user", "text": "x", "externalId": blank}, ["externalId"]),
        "createMemory": ("createMemory", {"text": "x", "scope": "GLOBAL", "externalId": blank}, ["externalId"]),
        "addParticipant": ("addParticipant", {**s, "externalId": blank}, ["externalId"]),
        "owner": ("createMemory", {"text": "x", "owner": {"externalId": blank}}, ["owner", "externalId"]),
        "actor": ("addParticipant", {**s, "actor": {"externalId": blank}}, ["actor", "externalId"]),
    }[way]
    with graph.untouched():
        assert await graph.fails(mutation, given) == ("INVALID", path)


@pytest.mark.parametrize(
    ("mutation", "given", "path"),
    [
        (
            "addMessage",
            {"session": {"externalId": "s"}, "role": "user", "senderName": "  ", "text": "x"},
            ["senderName"],
        ),
        ("addMessage", {"session": {"externalId": "s"}, "role": "user", "thread": "  ", "text": "x"}, ["thread"]),
        ("addParticipant", {"session": {"externalId": "s"}, "name": " "}, ["name"]),
        ("upsertUser", {"externalId": "u", "name": " "}, ["name"]),
        ("createMemory", {"text": "x", "scope": "GLOBAL", "tags": ["a", " "]}, ["tags", "1"]),
        ("setState", {"namespace": " ", "key": "k", "value": 1}, ["namespace"]),
    ],
)
async def test_no_name_is_blanks(graph: Graph, mutation: str, given: Any, path: list[str]) -> None:
    await graph.do("createSession", {"externalId": "s"})
    with graph.untouched():
        assert await graph.fails(mutation, given) == ("INVALID", path)


@pytest.mark.both_families
async def test_a_memory_of_a_time_to_come_is_of_now(graph: Graph) -> None:
    for name, at in (("later", "2099-01-01T00:00:00Z"), ("now", None), ("before", "2001-01-01T00:00:00Z")):
        given = {"text": name, "scope": "GLOBAL", "createdAt": at}
        made = await graph.do("createMemory", given, "memory { createdAt }")
        assert made["memory"]["createdAt"] < "2090" and (name != "before" or made["memory"]["createdAt"] == at)
        graph.clock.forward(seconds=1)
    found = (await graph.data("{ memories { nodes { text } } }"))["memories"]["nodes"]
    assert [one["text"] for one in found] == ["now", "later", "before"]
