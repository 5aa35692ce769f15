"""The compiled executor answers what graphql-core alone answers, to the byte, over good and over broken data.

The exception is the errors of several root fields: which one is told first, or at all where one of them makes the whole
answer null, depends on time in both.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import shutil
import weakref
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from pathlib import Path
from random import Random
from typing import Any

import pytest
import pytest_asyncio
from graphql import DirectiveLocation, GraphQLDirective, GraphQLSchema, parse

import server.graphql.compiled
from domain.caller import LOCAL
from domain.errors import invalid
from domain.memory import Memory
from server.graphql.compiled import CompilingExecutor, Plan
from server.graphql.documents import BYTES_OF_TEXT, LEAST_TEXT, DocumentCache, Request
from server.graphql.executor import Executor
from stores.errors import Unavailable
from stores.ports import Log
from tests.support.compiled.corpus import MUTATIONS, QUERIES, SUBSCRIPTIONS
from tests.support.compiled.faults import WRONG, Faults, Telling
from tests.support.compiled.operations import Maker, Operation, whole
from tests.support.compiled.world import (
    BROAD,
    STOPPED,
    World,
    bugs_apart,
    fill_folder,
    open_world,
    record,
    watched,
    without_request_id,
)
from tests.support.graphql_client import anybody

# graphql-core drops what is still to come of a value that an error has made null.
pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

DEPTHS = (1, 2, 2, 3, 3, 4, 6)
LONGEST = 2_500


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A filled data folder, not open."""
    made = tmp_path_factory.mktemp("compiled")
    asyncio.run(fill_folder(made))
    return made


@pytest.fixture(scope="module", autouse=True)
def _stillness() -> Iterator[None]:
    """No clock in answers, and no log of the failures made on purpose."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("server.graphql.compiled.MAX_ALIVE", 10**9)  # other tests of this process have plans too
        patch.setattr("resolvers.search.time", STOPPED)
        patch.setattr("stores.embedded.engine.time", STOPPED)
        logging.disable(logging.CRITICAL)
        yield
        logging.disable(logging.NOTSET)
    gc.collect()  # what was dropped warns here, not in another module's tests


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """A world that is only read."""
    made = await open_world(Path(shutil.copytree(folder, tmp_path_factory.mktemp("read") / "data")))
    with watched(made):
        yield made
    await made.service.close()


@pytest_asyncio.fixture(loop_scope="module")
async def own(folder: Path, tmp_path: Path) -> AsyncIterator[World]:
    """A world that may be changed."""
    made = await open_world(Path(shutil.copytree(folder, tmp_path / "data")))
    yield made
    await made.service.close()


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often a value was left to graphql-core, since the test emptied it."""
    times: Counter[str] = Counter()

    def copy(executor: Any) -> Any:
        times["values"] += 1
        return original(executor)

    original = server.graphql.compiled.copy  # type: ignore[attr-defined]
    monkeypatch.setattr(server.graphql.compiled, "copy", copy)
    return times


def documents(world: World, seed: int, count: int, roots: int = 1) -> Iterator[list[Operation]]:
    """Documents by chance, known to the executors as valid ones; one in twenty is validated by them."""
    random = Random(seed)
    maker = Maker(world.schema, world.facts, random)
    while count:
        made = maker.document(random.choice((1, 1, 4)), random.choice(DEPTHS), roots)
        if len(made[0].query) > LONGEST:
            continue
        if count % 20:
            world.know(made[0].query)
        yield made
        count -= 1


def flipped(operation: Operation) -> list[Operation]:
    """The operation, and the same one with all its flags the other way round."""
    other = {name: not value if type(value) is bool else value for name, value in operation.variables.items()}
    return [operation] if other == operation.variables else [operation, operation._replace(variables=other)]


def plans(cache: DocumentCache, query: str) -> list[Plan | None]:
    """The plans of a document in the cache."""
    found = cache.get(query)
    assert found is not None
    return list(found.plans.values())


def settled(body: bytes) -> tuple[Any, Any]:
    """An answer without what time decides."""
    answer = json.loads(body, object_pairs_hook=lambda pairs: pairs)
    members = dict(answer)
    errors = sorted(map(repr, members.get("errors", [])))
    return repr(members["data"]), errors if members["data"] is not None else bool(errors)


ODD = 'session(by: {externalId: "odd"})'

NESTED = """{ session(by: {externalId: "odd"}) { title messages(first: 4) { totalCount nodes {
    id sender { name session { title } } parent { text sender { name } } } } } }"""

PLACES = [
    *(("ChatSession.messages", field) for field in ("id", "sender_type", "content", "metadata", "created_at")),
    *(("ChatSession.messages", field) for field in ("nodes", "marks", "has_next_page", "listing", "count_key", "")),
    *(("Message.sender", field) for field in ("name", "type", "left_at", "")),
    ("Message.parent", ""),
    ("Message.replies", ""),
    ("Message.memoryRefs", ""),
    ("MessageConnection.totalCount", ""),
]
"""Relations, and fields of what they answer; without one the answer itself."""


def once(schema: GraphQLSchema) -> dict[str, Any]:
    """Keeps what each mutation returns and returns it again. Gives what is kept, by response key."""
    kept: dict[str, Any] = {}

    def keeping(resolve: Any) -> Any:
        async def again(root: Any, info: Any, **given: Any) -> Any:
            key = str(info.path.key)
            if key not in kept:
                kept[key] = await resolve(root, info, **given)
            return kept[key]

        return again

    assert schema.mutation_type is not None
    for field in schema.mutation_type.fields.values():
        field.resolve = keeping(field.resolve)
    return kept


@pytest.mark.parametrize("seed", range(5))
async def test_operations_by_chance(world: World, slow: Counter[str], seed: int) -> None:
    """Some 400 runs of 120 operations: over good data with all flags both ways, and over broken data."""
    runs = failed = 0
    for number, operations in enumerate(documents(world, seed, 72)):
        for operation in operations:
            for flags in flipped(operation):
                slow.clear()
                answer = await world.same(*flags)
                assert "VALIDATION" not in str(answer.get("errors"))
                null = None in flags.variables.values()  # an error for a flag, told where it stands
                assert answer.get("errors") or null or not slow, f"left to graphql-core: {flags}"
                runs += 1
            for share in (0.05, 0.2):
                with world.spoiled(Faults(number, share)):
                    failed += "errors" in await world.same(*operation)
                runs += 1
    assert runs >= 350
    assert failed >= 10


class TestGoodData:
    @pytest.mark.parametrize("operation", QUERIES, ids=lambda o: f"{o.query[:40]} {o.variables} {o.name or ''}".strip())
    async def test_operations_by_hand(self, world: World, slow: Counter[str], operation: Operation) -> None:
        for _ in range(2):  # compiled, and found
            slow.clear()
            answer = await world.same(*operation)
            assert answer.get("errors") or not slow or "__type(" in operation.query or "__schema" in operation.query

    @pytest.mark.slow
    async def test_every_field_of_the_contract_is_compiled(self, world: World, slow: Counter[str]) -> None:
        kinds = ("session", "user", "agent", "memory", "message", "event", "span")
        ids = json.dumps([id for kind in kinds for id in world.facts[kind][:1]])
        for type_ in world.schema.get_possible_types(world.schema.type_map["Node"]):  # type: ignore[arg-type]
            world.calls.clear()
            query = f"{{ nodes(ids: {ids}) {{ __typename ... on {type_.name} {whole(world.schema, type_, 2)} }} }}"
            answer = await world.same(query)
            assert "errors" not in answer
            [plan] = plans(world.documents, query)
            assert plan is not None
        assert not slow

    async def test_a_relation_is_asked_once_for_a_level(self, world: World) -> None:
        query = """{ sessions(first: 20) { nodes { participants(first: 9) { nodes { actor { __typename } } }
            messages(first: 20) { totalCount nodes { sender { name session { title } }
            toolCalls { response { result } } } } } } }"""
        world.calls.clear()
        answer = json.loads(await world.answer(world.compiled, query))
        assert len(answer["data"]["sessions"]["nodes"]) > 10
        assert set(world.calls.values()) == {1}, world.calls


class TestBrokenData:
    @pytest.mark.parametrize("seed", range(2))
    async def test_several_root_fields(self, world: World, seed: int) -> None:
        for number, operations in enumerate(documents(world, 200 + seed, 30, roots=3)):
            for operation in operations:
                with world.spoiled(Faults(number, 0.05)):
                    compiled, plain = await world.both(*operation)
                if compiled != plain:
                    assert settled(compiled) == settled(plain), operation

    async def test_operations_by_hand(self, world: World) -> None:
        for number, operation in enumerate(QUERIES):
            with world.spoiled(Faults(number, 0.15)):
                compiled, plain = await world.both(*operation)
            assert compiled == plain or settled(compiled) == settled(plain), operation

    @pytest.mark.parametrize("wrong", WRONG, ids=lambda value: repr(value).partition(" at 0x")[0])
    async def test_each_wrong_value_in_each_field(self, world: World, wrong: Any) -> None:
        """In place of every field of a message, its sender, its parts, and a page of it."""
        query = """{ session(by: {externalId: "odd"}) { title messages(first: 3) { nodes {
            id externalId senderType createdAt text metadata content { __typename ... on TextContent { text }
            ... on ToolCall { callId arguments } } sender { __typename name type leftAt } parent { __typename }
            replies(first: 1) { totalCount } memoryRefs { score } } edges { cursor node { id } }
            pageInfo { hasNextPage endCursor } totalCount } } }"""

        for relation, field in PLACES:

            def spoil(name: str, parents: Any, _: Any, results: Any, at: str = relation, field: str = field) -> Any:
                if name != at:
                    return results
                if not field:
                    return [*results[:-1], wrong]
                if name == "ChatSession.messages" and field in results[0].nodes[0].__struct_fields__:
                    [page] = results
                    nodes = [page.nodes[0], record(page.nodes[1], **{field: wrong}), *page.nodes[2:]]
                    return [record(page, nodes=nodes)]
                return [*results[:-1], record(results[-1], **{field: wrong})]

            with world.spoiled(spoil):
                await world.same(query)

    @pytest.mark.parametrize("wrong", WRONG, ids=lambda value: repr(value).partition(" at 0x")[0])
    async def test_each_wrong_value_in_each_scalar(self, world: World, wrong: Any) -> None:
        """A memory has all kinds; null among them only leaves a hole where null may be."""
        query = """{ nodes(ids: ["%s", "%s"]) { ... on Memory { id externalId type scope status text tags metadata
            importance decayFactor accessCount lastAccessedAt createdAt expiresAt version } } }"""
        query %= tuple(world.facts["memory"][:2])
        for field in Memory.__struct_fields__:

            def spoil(name: str, parents: Any, arguments: Any, results: Any, field: str = field) -> Any:
                return [results[0], record(results[1], **{field: wrong})]

            with world.spoiled(spoil):
                await world.same(query)

    @pytest.mark.parametrize(
        ("where", "place"),
        [
            ("Memory.owner", "memories(first: 3) { nodes { id owner { __typename ... on Node { id } } } }"),
            ("Memory.source", "memories(first: 3) { nodes { id source { __typename ... on Message { id } } } }"),
            ("Participant.actor", "%s { participants { nodes { actor { __typename ... on User { id } } } } }"),
            ("Message.session", "%s { messages(first: 3) { nodes { session { __typename id } } } }"),
            ("Message.sender", "%s { messages(first: 3) { nodes { sender { __typename id } } } }"),
        ],
    )
    async def test_a_record_of_another_type(self, world: World, where: str, place: str) -> None:
        """Each parent in place of what hangs on it: an interface or union refuses it, an object type reads it."""

        def spoil(name: str, parents: Any, arguments: Any, results: Any) -> Any:
            return parents if name == where else results

        with world.spoiled(spoil):
            answer = await world.same(f"{{ {place.replace('%s', ODD)} }}")
        assert ("errors" in answer) is (where != "Message.sender")

    @pytest.mark.parametrize(
        "where", ["Message.sender", "Message.parent", "Participant.session", "ChatSession.messages"]
    )
    @pytest.mark.parametrize(
        "error", [invalid("No."), Unavailable("down"), RuntimeError("a bug"), KeyError("a bug")], ids=repr
    )
    async def test_a_relation_that_raises(self, world: World, where: str, error: Exception) -> None:
        def spoil(name: str, parents: Any, arguments: Any, results: Any) -> Any:
            if name == where:
                raise error
            return results

        with world.spoiled(spoil):
            answer = await world.same(NESTED)
        assert answer["errors"]

    @pytest.mark.parametrize("results", [None, [], [None], 5, (), {}, "text"], ids=repr)
    async def test_a_relation_that_answers_for_others(self, world: World, results: Any) -> None:
        def spoil(name: str, parents: Any, arguments: Any, found: Any) -> Any:
            return results if name == "Message.sender" else found

        with world.spoiled(spoil):
            answer = await world.same(NESTED)
        assert answer["errors"]

    async def test_a_failure_stays_one_whatever_it_looks_like(self, world: World) -> None:
        def spoil(name: str, parents: Any, arguments: Any, results: Any) -> Any:
            return [Telling("x") for _ in results] if name == "Message.parent" else results

        query = """{ session(by: {externalId: "odd"}) { messages(first: 4) { nodes { id parent { %s } } } } }"""
        for selection in ("__typename", "id", "text", "session { id }", "__typename text sender { name }"):
            with world.spoiled(spoil):
                answer = await world.same(query % selection)
            assert len(answer["errors"]) == 4


class TestFallback:
    """A value that was given up costs each relation one call more, whatever is below it."""

    @pytest.mark.parametrize("wrong", [None, ValueError("x")], ids=repr)
    @pytest.mark.parametrize("where", ["Message.sender", "Message.thread", "Participant.session", "ToolCall.response"])
    async def test_one_bad_item_of_200(self, world: World, where: str, wrong: Any) -> None:
        query = """{ session(by: {externalId: "odd"}) { messages(first: 200) { nodes {
            id sender { id name session { title } } thread { name } replies(first: 1) { totalCount }
            toolCalls { response { result } } parent { text } } } } }"""

        def spoil(name: str, parents: Any, arguments: Any, results: Any) -> Any:
            return [wrong, *results[1:]] if name == where else results

        with world.spoiled(spoil) as calls:
            compiled = await world.answer(world.compiled, query)
        assert calls[where] == 2 or b"errors" not in compiled
        assert max(calls.values()) <= 2
        with world.spoiled(spoil):
            assert compiled == await world.answer(world.plain, query)

    @pytest.mark.parametrize("depth", [1, 4, 8])
    async def test_an_error_far_down(self, world: World, depth: int) -> None:
        inner = "replies(first: -1) { totalCount }"
        for _ in range(depth):
            inner = f"session {{ messages(first: 1) {{ nodes {{ {inner} }} }} }}"
        query = f"{{ memories(first: 3) {{ nodes {{ source {{ ... on Message {{ {inner} }} }} }} }} }}"
        world.calls.clear()
        answer = json.loads(await world.answer(world.compiled, query))
        assert answer["errors"]
        assert sum(world.calls.values()) <= 2 * (2 * depth + 3)
        assert await world.answer(world.plain, query) == await world.answer(world.compiled, query)


class TestWrites:
    async def test_payloads(self, own: World) -> None:
        """Each mutation runs once; both ways complete what it returned, over the same store."""
        kept = once(own.schema)
        for operation in MUTATIONS:
            kept.clear()
            await own.same(*operation)

    async def test_broken_payloads(self, own: World) -> None:
        kept = once(own.schema)
        for number, operation in enumerate(MUTATIONS):
            kept.clear()
            await own.answer(own.plain, *operation)
            faults = Faults(number, 0.5)
            for key, payload in kept.items():
                for name in vars(payload):
                    setattr(payload, name, faults(f"Query.{key}", None, {}, getattr(payload, name)))
            with bugs_apart():
                await own.same(*operation)

    @pytest.mark.parametrize("log", list(SUBSCRIPTIONS))
    async def test_events(self, own: World, log: str) -> None:
        """Replayed from the beginning; and resumed in the middle."""
        kind = log.split()[0]
        session = json.loads(await own.answer(own.plain, '{ session(by: {externalId: "odd"}) { id } }'))
        where = Log(kind, "" if kind == "changes" else session["data"]["session"]["id"])
        store = own.service.context(LOCAL).store
        listing, [end] = store.listing(where), await store.ends([where])
        assert end > 3
        told = []
        for executor in (own.compiled, own.plain):
            events: list[tuple[bytes, str | None]] = []
            operation = executor.prepare(Request(SUBSCRIPTIONS[log], {"after": listing.cursor((0,))}))
            for _ in range(2):
                async with asyncio.timeout(10), aclosing(executor.stream(operation, own.loading())) as stream:
                    async for event in stream:
                        events.append((without_request_id(event.body), event.cursor))
                        if event.cursor == listing.cursor((end,)) or len(events) % 20 == 0:
                            break
                assert events[0][1] is not None
                operation = executor.resume(operation, events[0][1])
            told.append(events)
        assert told[0] == told[1]
        assert len(told[0]) >= 5


class TestPlans:
    async def test_the_plain_way_has_none(self, world: World) -> None:
        await world.same(NESTED)
        assert len(plans(world.documents, NESTED)) == 1
        assert plans(world.plain_documents, NESTED) == []

    async def test_they_die_with_their_document(self, world: World) -> None:
        cache = DocumentCache(2 * LEAST_TEXT * BYTES_OF_TEXT)
        executor = Executor(world.schema, role=anybody, cache=cache, limits=BROAD)
        gc.collect()
        before = Plan.alive
        await world.answer(executor, NESTED)
        assert Plan.alive > before
        [plan] = plans(cache, NESTED)
        assert plan is not None
        traces = [weakref.ref(plan), weakref.ref(plan._root)]
        del plan
        for name in ("first", "second"):
            await world.answer(executor, f"{{ {name}: viewer {{ name }} }}")
        gc.collect()
        assert [trace() for trace in traces] == [None, None]
        assert cache.get(NESTED) is None
        del cache, executor
        gc.collect()
        assert Plan.alive == before

    async def test_a_document_has_only_so_many(self, world: World) -> None:
        names = [f"b{number}" for number in range(6)]
        fields = ("id", "title", "kind", "status", "version", "createdAt")
        selection = " ".join(f"{field} @skip(if: ${name})" for field, name in zip(fields, names, strict=True))
        declared = ", ".join(f"${name}: Boolean!" for name in names)
        query = f'query({declared}) {{ session(by: {{externalId: "odd"}}) {{ {selection} }} }}'
        for number in range(64):
            await world.same(query, {name: bool(number >> place & 1) for place, name in enumerate(names)})
        assert len(plans(world.documents, query)) == server.graphql.compiled.MAX_PLANS == 50

    async def test_all_together_have_only_so_many_functions(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        query = "{ one: sessions(first: 1) { nodes { id } } }"
        with monkeypatch.context() as patch:
            patch.setattr(server.graphql.compiled, "MAX_ALIVE", 0)
            await world.same(query)
            assert plans(world.documents, query) == []
        await world.same(query)
        assert len(plans(world.documents, query)) == 1

    async def test_a_new_document_finds_room(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        """However many documents there were, the latest is compiled: those not used for longest went."""
        gc.collect()
        monkeypatch.setattr(server.graphql.compiled, "MAX_FUNCTIONS", 20)
        most = Plan.alive + 60
        monkeypatch.setattr(server.graphql.compiled, "MAX_ALIVE", most)
        cache = DocumentCache()
        executor = Executor(world.schema, role=anybody, cache=cache, limits=BROAD)
        queries = [f"{{ q{number}: sessions(first: 1) {{ nodes {{ id title }} }} }}" for number in range(40)]
        for query in queries:
            await world.answer(executor, query)
            await world.answer(executor, queries[0])
            assert None not in plans(cache, query)
            assert plans(cache, query)
            assert Plan.alive <= most
        assert cache.get(queries[1]) is None
        assert cache.get(queries[0]) is not None
        assert len(cache) > 3

    async def test_interfaces_in_interfaces_do_not_multiply(self, world: World) -> None:
        """Each level of four session types asks for the same; it is compiled once."""

        async def size(depth: int) -> int:
            inner = "id"
            for _ in range(depth):
                inner = f"session {{ messages(first: 1) {{ nodes {{ {inner} }} }} }}"
            query = f"{{ sessions(first: 1) {{ nodes {{ messages(first: 1) {{ nodes {{ {inner} }} }} }} }} }}"
            await world.same(query)
            [plan] = plans(world.documents, query)
            assert plan is not None
            return plan.size

        sizes = [await size(depth) for depth in (2, 3, 4, 10)]
        assert sizes[2] - sizes[1] == sizes[1] - sizes[0] <= 6
        assert sizes[3] - sizes[2] == 6 * (sizes[1] - sizes[0])

    async def test_a_selection_that_grows_without_end_is_left_to_graphql(self, world: World) -> None:
        """Each session type on the way to a level leads to a selection of its own there: 2 ** 12 of them."""
        next_ = "messages(first: 1) {{ nodes {{ session {{ ...{} }} }} }}"
        depth = 12
        parts = ["{ sessions(first: 1) { nodes { ...G0 } } }", f"fragment G{depth} on Session {{ id }}"]
        for level in range(depth):
            chat = f"... on ChatSession {{ {next_.format(f'P{level}x{level + 1}')} }}"
            parts.append(f"fragment G{level} on Session {{ {next_.format(f'G{level + 1}')} {chat} }}")
            parts += [
                f"fragment P{origin}x{level} on Session {{ {next_.format(f'P{origin}x{level + 1}')} }}"
                for origin in range(level)
            ]
        parts += [f"fragment P{origin}x{depth} on Session {{ c{origin}: id }}" for origin in range(depth)]
        query = " ".join(parts)
        await world.same(query)
        assert plans(world.documents, query) == [None]

    async def test_running_together_they_do_not_mix(self, world: World) -> None:
        query = """query($by: Ref!, $n: Int!, $x: Boolean!) { session(by: $by) {
            title @skip(if: $x) kind messages(first: $n) {
            totalCount nodes { id sender { name } replies(first: $n) { totalCount } } } } }"""
        asked = [
            {"by": {"id": world.facts["session"][number % 15]}, "n": number % 7, "x": number % 3 == 0}
            for number in range(50)
        ]
        together = await asyncio.gather(*(world.answer(world.compiled, query, given) for given in asked))
        assert len(set(together)) > 30
        assert together == [await world.answer(world.plain, query, given) for given in asked]
        assert len(plans(world.documents, query)) == 2

    async def test_an_executor_without_plans(self, world: World) -> None:
        for query in (NESTED, "{ viewer { name } }", "{ sessions(first: 2) { nodes { id } } }"):
            running: Any = CompilingExecutor.build(world.schema, parse(query), context_value=world.loading())
            result = await running.execute_operation()
            expected = json.loads(await world.answer(world.plain, query))
            assert result.errors is None
            assert result.data == expected["data"]

    async def test_a_directive_that_is_not_known(self, world: World) -> None:
        made = world.schema.to_kwargs()
        loud = GraphQLDirective("loud", [DirectiveLocation.FIELD])
        schema = GraphQLSchema(**{**made, "directives": (*made["directives"], loud)})
        cache = DocumentCache()
        for query in (
            "{ sessions(first: 2) { nodes { id title @loud messages(first: 1) { nodes { text } } } } }",
            "{ sessions(first: 2) { nodes { id messages(first: 1) @loud { nodes { text } } } } }",
        ):
            answer = await world.answer(Executor(schema, role=anybody, cache=cache, limits=BROAD), query)
            assert answer == await world.answer(world.plain, query.replace(" @loud", ""))
            assert plans(cache, query) == [None]
