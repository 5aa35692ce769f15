"""A root field is asked once, whatever comes of it, and the answer is graphql-core's to the byte."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from graphql import GraphQLError

from domain.caller import LOCAL
from domain.errors import invalid
from schema.build import build
from schema.fields import is_root
from server.errors import TIMEOUT
from server.graphql.compiled import CompilingExecutor
from server.graphql.documents import Request
from server.graphql.executor import Executor
from server.graphql.root import Root
from server.limits import Limits
from server.service import Service, open_service
from server.settings import Settings
from stores.errors import Unavailable
from tests.support.compiled.world import PlainExecutor, bugs_apart, without_request_id
from tests.support.graphql_client import anybody

SESSION = 'session(by: {externalId: "s"})'
ADD = """mutation Add($input: AddMessageInput!) { addMessage(input: $input) {
  message { id text sender { name } replies { totalCount } } errors { message path } } }"""
INPUT = {"input": {"session": {"externalId": "s"}, "role": "user", "text": "hello"}}
NO_SESSION = {"input": {"session": {"externalId": "none"}, "role": "user", "text": "hello"}}


class Counted:
    """A service whose root fields are counted. change: what their values become; it may raise."""

    service: Service

    def __init__(self) -> None:
        self.schema = build.__wrapped__()  # of its own, for its resolvers are changed
        self.begin()
        for type_ in (self.schema.query_type, self.schema.mutation_type):
            assert type_ is not None
            for name, field in type_.fields.items():
                field.resolve = self._counting(name, field.resolve)

    def begin(self) -> None:
        """Forgets what was counted and changed."""
        self.calls: Counter[str] = Counter()
        self.change: Callable[[Any], Any] | None = None

    def _counting(self, name: str, resolve: Any) -> Any:
        async def counted(root: Any, info: Any, **given: Any) -> Any:
            self.calls[name] += 1
            value = await resolve(root, info, **given)
            if self.change is None:
                return value
            changed = self.change(value)
            return await changed if asyncio.iscoroutine(changed) else changed

        return counted

    async def answer(
        self,
        query: str,
        variables: dict[str, Any] | None = None,
        kind: type[CompilingExecutor] = CompilingExecutor,
        limits: Limits = Limits(),  # noqa: B008
    ) -> bytes:
        """An encoded answer, the roots that it was found by, and the calls made for it."""
        executor = Executor(self.schema, role=anybody, executor_class=kind, limits=limits)
        self.calls.clear()
        body = await executor.execute(Request(query, variables), self.service.operation(LOCAL))
        parsed = executor.documents.get(query)
        self.roots = [] if parsed is None else [root for one in parsed.built.values() for root in one.roots.values()]
        return without_request_id(body)

    async def same(self, query: str, variables: dict[str, Any] | None = None) -> Any:
        """The answer, which both ways give, each after having asked each field once."""
        ours = await self.answer(query, variables)
        calls, roots = dict(self.calls), self.roots
        assert ours == await self.answer(query, variables, PlainExecutor)
        assert calls == self.calls
        assert set(calls.values()) <= {1}
        self.calls, self.roots = Counter(calls), roots
        return json.loads(ours)


@pytest.fixture(scope="module")
def counted() -> Counted:
    """One for all tests: to build a schema takes longer than any of them."""
    return Counted()


@pytest.fixture
async def world(counted: Counted, tmp_path: Path) -> AsyncIterator[Counted]:
    counted.service = service = open_service(tmp_path, Settings())
    counted.begin()
    await counted.answer('mutation { createSession(input: {externalId: "s", title: "S"}) { errors { message } } }')
    for _ in range(3):
        await counted.answer(ADD, INPUT)
    with bugs_apart():
        yield counted
    await service.close()


@pytest.mark.parametrize(
    ("query", "variables"),
    [
        (f"{{ {SESSION} {{ title }} }}", None),
        (f"query Named {{ a: {SESSION} {{ t: title messages(first: 2) {{ nodes {{ text }} }} }} }}", None),
        ("query($by: Ref!) { session(by: $by) { title } }", {"by": {"externalId": "s"}}),
        ("query($by: Ref!) { session(by: $by) { title } }", {"by": {"externalId": "none"}}),
        ("query($by: Ref!) { ...F } fragment F on Query { session(by: $by) { title } }", {"by": {"externalId": "s"}}),
        ("query($x: String!) { session(by: {externalId: $x}) { title } }", {"x": "s"}),
        ("query($n: Int) { sessions(first: $n) { nodes { title } } }", None),
        ("query($n: Int) { sessions(first: $n) { nodes { title } } }", {"n": None}),
        ("query($n: Int) { sessions(first: $n) { nodes { title } } }", {"n": 1}),
        ("query($n: Int = 1) { sessions(first: $n) { nodes { title } } }", None),
        ("{ sessions(first: 1) { totalCount nodes { title } } }", None),
        ('{ searchMemories(query: {text: "tea"}) { hits { score } } }', None),
        ("{ memoryCursor }", None),
        ("{ viewer { name rights } }", None),
        ("query($on: Boolean!) { viewer @include(if: $on) { name } }", {"on": True}),
        ("query($on: Boolean! $off: Boolean!) { a: viewer @skip(if: $off) { name @include(if: $on) workspace } }",
         {"on": False, "off": False}),
        ("{ viewer { name } viewer { workspace } }", None),
    ],
)  # fmt: skip
async def test_it_is_answered_without_graphql_core(
    world: Counted, query: str, variables: dict[str, Any] | None
) -> None:
    answer = await world.same(query, variables)
    assert "errors" not in answer
    assert world.calls.total() == 1
    assert [type(root) for root in world.roots] == [Root]


@pytest.mark.parametrize(
    ("query", "variables"),
    [
        ("{ viewer { name } memoryCursor }", None),
        ("query($on: Boolean!) { viewer @include(if: $on) { name } memoryCursor }", {"on": True}),
        ("{ __schema { queryType { name } } }", None),
        ("query($on: Boolean!) { viewer @include(if: $on) { name } }", {"on": False}),
        ("query($on: Boolean = true) { viewer @include(if: $on) { name } }", {"on": None}),
        ("query($on: Boolean = true) { viewer { name @include(if: $on) } }", {"on": None}),
        ("query($on: Boolean = true) { memoryCursor @skip(if: $on) }", {"on": None}),
    ],
)
async def test_what_is_left_to_graphql_core(world: Counted, query: str, variables: dict[str, Any] | None) -> None:
    await world.same(query, variables)
    assert world.roots == [None]


@pytest.mark.parametrize("query", ["{ __typename }", "{ a: __typename }", "mutation { __typename }"])
async def test_the_name_of_a_root(world: Counted, query: str) -> None:
    assert "errors" not in await world.same(query)


async def test_a_flag_that_is_null_does_not_decide_for_those_that_are_not(world: Counted) -> None:
    query = "query($on: Boolean = true) { viewer @include(if: $on) { name } }"
    executor = Executor(world.schema, role=anybody)
    for given in ({"on": None}, {}, {"on": False}, {"on": True}, {"on": None}):
        body = await executor.execute(Request(query, given), world.service.operation(LOCAL))
        assert without_request_id(body) == await world.answer(query, given, PlainExecutor), given


class Other:
    """A value of no type that there is."""

    def __repr__(self) -> str:
        return "another"


def raising(error: Exception) -> Callable[[Any], Any]:
    def change(_value: Any) -> Any:
        raise error

    return change


def without_text(payload: Any) -> Any:
    payload.message = msgspec.structs.replace(payload.message, content=None)
    return payload


CHANGES: dict[str, Callable[[Any], Any]] = {
    "null": lambda _: None,
    "a list": lambda value: [value],
    "another type": lambda _: Other(),
    "an exception": lambda _: RuntimeError("told to nobody"),
    "raises": raising(RuntimeError("told to nobody")),
    "raises TimeoutError": raising(TimeoutError("of the store")),
    "raises GraphQLError": raising(GraphQLError("an argument", extensions={"code": "BAD_USER_INPUT"})),
    "rejects": raising(invalid("no", ["input"])),
    "is not there": raising(Unavailable("gone")),
}


@pytest.mark.parametrize("change", CHANGES)
class TestFailures:
    async def test_a_mutation_runs_once(self, world: Counted, change: str) -> None:
        before = await count(world)
        world.change = CHANGES[change]
        ours = await world.answer(ADD, INPUT)
        assert world.calls == {"addMessage": 1}
        world.change = None
        assert await count(world) == before + 1
        world.change = CHANGES[change]
        assert ours == await world.answer(ADD, INPUT, PlainExecutor)

    async def test_a_query_is_asked_once(self, world: Counted, change: str) -> None:
        world.change = CHANGES[change]
        for query in (f"{{ {SESSION} {{ title }} }}", "{ viewer { name } }", "{ memoryCursor }"):
            await world.same(query)


async def count(world: Counted) -> int:
    body = await world.answer(f"{{ {SESSION} {{ messageCount }} }}")
    found: int = json.loads(body)["data"]["session"]["messageCount"]
    return found


async def test_a_mutation_whose_payload_does_not_fit_runs_once(world: Counted) -> None:
    before = await count(world)
    world.change = without_text
    body = await world.answer(ADD, INPUT)
    assert world.calls == {"addMessage": 1}
    assert json.loads(body)["errors"]
    world.change = None
    assert await count(world) == before + 1


async def test_a_mutation_that_is_rejected_tells_it_as_data(world: Counted) -> None:
    answer = await world.same(ADD, NO_SESSION)
    assert answer["data"]["addMessage"]["errors"]
    assert [type(root) for root in world.roots] == [Root]


@pytest.mark.parametrize("query", [ADD, f"{{ {SESSION} {{ title }} }}"])
async def test_what_takes_too_long_is_told_once_and_not_tried_again(world: Counted, query: str) -> None:
    async def late(value: Any) -> Any:
        await asyncio.sleep(10)
        return value

    world.change = late
    answer = json.loads(await world.answer(query, INPUT if query == ADD else None, limits=Limits(max_seconds=0.1)))
    assert [error["extensions"]["code"] for error in answer["errors"]] == [TIMEOUT]
    assert answer["data"] is None
    assert world.calls.total() == 1
    world.change = None
    if query == ADD:
        assert await count(world) == 4


async def test_who_leaves_is_heard(world: Counted) -> None:
    begun = asyncio.Event()

    async def late(value: Any) -> Any:
        begun.set()
        await asyncio.sleep(10)
        return value

    world.change = late
    asked = asyncio.create_task(world.answer(ADD, INPUT))
    await begun.wait()
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert world.calls == {"addMessage": 1}


async def test_fields_of_the_contract_are_asked_without_graphql_core(world: Counted) -> None:
    """Each of both roots that has a resolver of ours."""
    fields = {**world.schema.query_type.fields, **world.schema.mutation_type.fields}  # type: ignore[union-attr]
    assert all(is_root(field) for field in fields.values())
