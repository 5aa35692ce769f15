"""What documents are measured by, without a transport: each limit at its edge, and the cost of operations."""

from __future__ import annotations

import asyncio
import json
from functools import cache
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from graphql import get_introspection_query

from schema.build import build
from server.errors import OperationRefused
from server.graphql.documents import Request
from server.graphql.executor import Executor
from server.limits import Limits
from tests.support.attacks import ATTACKS, ODD
from tests.support.graphql_client import anybody
from tests.support.toy import BOARD, SCHEMA, eventually

STANDARD = get_introspection_query(
    specified_by_url=True, directive_is_repeatable=True, schema_description=True, input_value_deprecation=True
)


@cache
def executor(**limits: Any) -> Executor:
    """The executor of the real schema with these limits."""
    return Executor(build(), role=anybody, limits=Limits(**limits))


def refused(query: str, variables: dict[str, Any] | None = None, **limits: Any) -> dict[str, Any]:
    """The extensions of the one error that refuses a document."""
    with pytest.raises(OperationRefused) as caught:
        executor(**limits).prepare(Request(query, variables))
    [error] = caught.value.errors
    assert error["message"].endswith(".")
    return dict(error["extensions"])


def cost(query: str, variables: dict[str, Any] | None = None) -> int:
    """What an operation costs."""
    found = executor(max_cost=10**12).prepare(Request(query, variables)).cost
    assert found is not None
    return found


EDGES = [
    ("max_document_bytes", 20, "{ __typename }      ", "{ __typename }       "),
    ("max_document_bytes", 20, "{ __typename }#é12", "{ __typename }#éé123"),
    ("max_tokens", 4, "{ __typename __typename }", "{ __typename __typename __typename }"),
    ("max_depth", 2, "{ viewer { name } }", "{ memories { nodes { id } } }"),
    ("max_depth", 2, "{ ...A } fragment A on Query { viewer { name } }", "{ ...A } fragment A on Query { memories { nodes { id } } }"),
    ("max_selections", 3, "{ viewer { name workspace } }", "{ viewer { name workspace rights } }"),
    ("max_selections", 5, "{ ...A ...A } fragment A on Query { viewer { name } }", "{ ... { ...A } ... { viewer { name } } } fragment A on Query { viewer { name } }"),
    ("max_aliases", 1, "{ a: memoryCursor }", "{ a: memoryCursor b: memoryCursor }"),
    ("max_aliases", 1, "{ viewer { ...A } } fragment A on Viewer { a: name }", "{ viewer { ...A } health { stores { a: name } } } fragment A on Viewer { a: name }"),
    ("max_repeats", 2, "{ viewer { name name } }", "{ viewer { name name name } }"),
    ("max_repeats", 2, "{ viewer { name } viewer { name } }", "{ viewer { name name } viewer { name } }"),
    ("max_repeats", 1, "{ viewer { ...A } } fragment A on Viewer { name }", "{ viewer { ...A name } } fragment A on Viewer { name }"),
    ("max_directives", 1, "{ memoryCursor @include(if: true) }", "{ memoryCursor @include(if: true) @skip(if: false) }"),
    ("max_directives", 1, "{ ... @include(if: true) { memoryCursor } }", "{ ... @include(if: true) { ...A @skip(if: false) } } fragment A on Query { memoryCursor }"),
    ("max_fragments", 1, "{ ...A } fragment A on Query { memoryCursor }", "{ ...A ...B } fragment A on Query { memoryCursor } fragment B on Query { memoryCursor }"),
    ("max_variables", 1, "query ($a: ID!) { node(id: $a) { id } }", "query ($a: ID!, $b: Int) { node(id: $a) { id ... on Agent { sessions(first: $b) { nodes { id } } } } }"),
    ("max_introspection_depth", 1, "{ __schema { types { fields { name } } } }", "{ __schema { types { fields { type { fields { name } } } } } }"),
]  # fmt: skip


@pytest.mark.parametrize(("limit", "value", "allowed", "too_much"), EDGES)
def test_at_the_limit_and_beyond(limit: str, value: int, allowed: str, too_much: str) -> None:
    executor(**{limit: value}).prepare(Request(allowed))
    told = {"code": "LIMIT", "limit": f"RECOLLECT_{limit.upper()}", "value": value}
    assert refused(too_much, **{limit: value}) == told


@pytest.mark.parametrize(
    ("limit", "query"), [(limit, query) for limit, queries in ATTACKS.items() for query in queries]
)
def test_attacks_meet_the_limit_that_is_for_them(limit: str, query: str) -> None:
    told = refused(query)
    assert told["limit"] == limit
    assert told["code"] == ("QUERY_TOO_COSTLY" if limit == "RECOLLECT_MAX_COST" else "LIMIT")


@pytest.mark.parametrize(("code", "query"), [(code, query) for code, queries in ODD.items() for query in queries])
def test_what_is_wrong_otherwise_is_told_so(code: str, query: str) -> None:
    with pytest.raises(OperationRefused) as caught:
        executor().prepare(Request(query))
    assert {error["extensions"]["code"] for error in caught.value.errors} == {code}


def test_a_cycle_of_fragments_is_for_validation() -> None:
    cycle = "{ sessions { nodes { ...A } } } fragment A on Session { messages { nodes { session { ...A } } } }"
    with pytest.raises(OperationRefused, match="Cannot spread fragment 'A' within itself"):
        executor().prepare(Request(cycle))


def deleting(input: str, *variables: str) -> str:
    """A mutation whose answer has a list."""
    declared = f"({' '.join(variables)})" if variables else ""
    fields = "{ memories { links(first: 5) { nodes { id } } } }"
    return f"mutation {declared} {{ deleteMemories(input: {input}) {fields} }}"


FORTY = f"[{'{id: 5}' * 40}]"
REFS = [{"id": "a"}] * 40


class TestCost:
    @pytest.mark.parametrize(
        ("document", "variables", "size"),
        [
            (deleting("{memories: [{id: 5}]}"), {}, 10),
            (deleting(f"{{memories: {FORTY}}}"), {}, 40),
            (deleting("$i", "$i: DeleteMemoriesInput!"), {"i": {"memories": REFS}}, 40),
            (deleting("$i", "$i: DeleteMemoriesInput!"), {"i": 5}, 10),
            (deleting("{memories: $m}", "$m: [Ref!]!"), {"m": REFS}, 40),
            (deleting("$i", f"$i: DeleteMemoriesInput! = {{memories: {FORTY}}}"), {}, 40),
            (deleting("{memories: $m}", f"$m: [Ref!]! = {FORTY}"), {}, 40),
        ],
    )
    def test_a_mutation_answers_with_as_many_as_it_names(
        self, document: str, variables: dict[str, Any], size: int
    ) -> None:
        assert cost(document, variables) == 1 + 10 + size * (1 + 1 + 5)

    @pytest.mark.parametrize(
        ("query", "expected"),
        [
            ("{ __typename }", 1),
            ("{ memories(first: 20) { nodes { text links(first: 5) { nodes { weight } } } } }", 142),  # docs/reference.md
            ("{ memoryCursor }", 1),
            ("{ viewer { name } }", 2),
            ("{ memories(first: 3) { nodes { id } } }", 1 + 1 + 3),
            ("{ memories(last: 3) { edges { cursor node { id } } } }", 1 + 1 + 3 * 2),
            ("{ memories { nodes { id } pageInfo { hasNextPage } totalCount } }", 1 + 1 + 50 + 1),
            ("{ sessions(first: 2) { nodes { messages(first: 5) { nodes { sender { id } } } } } }", 2 + 2 * (1 + 1 + 5 * 2)),
            ('{ nodes(ids: ["a", "b", "c"]) { id } }', 1 + 3),
            ("{ searchMemories(query: {text: \"a\"}) { hits { memory { id } } } }", 1 + 1 + 10 * 2),
            ("{ health { stores { name } } }", 1 + 1 + 10),
            ("{ memories(first: 3) { nodes { id } } memories(first: 3) { nodes { text } } }", 1 + 1 + 3),
            ("{ ...A ...B } fragment A on Query { viewer { name } } fragment B on Query { viewer { rights } }", 2),
            ("{ memories(first: 2000000000) { nodes { id } } }", 1 + 1 + 1000),
            ("{ memories(first: -5) { nodes { id } } }", 1 + 1),
            ("mutation { a: decayMemories(input: {}) { count } b: decayMemories(input: {}) { errors { code } } }", 1 + 10 + 10 + 10),
            ("subscription { memoryChanges { memory { id } } }", 1 + 1 + 1),
        ],
    )  # fmt: skip
    def test_objects_that_may_come_back(self, query: str, expected: int) -> None:
        assert cost(query) == expected

    @pytest.mark.parametrize(
        ("declared", "variables", "size"),
        [
            ("$n: Int", {"n": 7}, 7),
            ("$n: Int", {}, 50),
            ("$n: Int", {"n": None}, 50),
            ("$n: Int = 4", {}, 4),
            ("$n: Int = 4", {"n": 9}, 9),
            ("$n: Int", {"n": "wrong"}, 50),
            ("$n: Int", {"n": True}, 50),
            ("$n: Int", {"n": 7.0}, 7),  # a whole number for GraphQL
            ("$n: Int", {"n": 1e3}, 1000),
            ("$n: Int", {"n": 7.5}, 50),
            ("$n: Int", {"n": 1e300}, 1000),
        ],
    )
    def test_variables_say_how_many(self, declared: str, variables: dict[str, Any], size: int) -> None:
        query = f"query ({declared}) {{ memories(first: $n) {{ nodes {{ links(first: $n) {{ nodes {{ id }} }} }} }} }}"
        assert cost(query, variables) == 1 + 1 + size * (1 + 1 + size)

    def test_ids_in_a_variable_count(self) -> None:
        assert cost("query ($ids: [ID!]!) { nodes(ids: $ids) { id } }", {"ids": ["a"] * 70}) == 71

    def test_the_largest_page_of_types_that_exclude_each_other_counts(self) -> None:
        """Both are one response key, with arguments of their own."""
        query = """{ sessions(first: 1) { nodes { ... on ChatSession { messages(first: 1) { nodes { id } } }
            ... on PanelSession { messages(first: 90) { nodes { id } } } } } }"""
        assert cost(query) == 1 + 1 + 1 + 1 + 90

    def test_each_operation_has_its_own(self) -> None:
        query = "query A { viewer { name } } query B { memories { nodes { id } } }"
        assert [executor().prepare(Request(query, None, name)).cost for name in "AB"] == [2, 52]

    def test_what_costs_too_much_names_its_cost(self) -> None:
        told = refused("query ($n: Int) { memories(first: $n) { nodes { id } } }", {"n": 60}, max_cost=60)
        assert told == {"code": "QUERY_TOO_COSTLY", "limit": "RECOLLECT_MAX_COST", "value": 60, "cost": 62}
        executor(max_cost=60).prepare(Request("query ($n: Int) { memories(first: $n) { nodes { id } } }", {"n": 58}))

    async def test_answers_report_it(self) -> None:
        body = await Executor(SCHEMA, role=anybody).execute(Request('mutation { write(key: "cost") }'), BOARD)
        assert json.loads(body)["extensions"] == {"cost": 11}


class TestIntrospection:
    @pytest.mark.parametrize("limits", [{}, {"max_depth": 1, "max_introspection_depth": 1}])
    def test_the_standard_query_passes(self, limits: dict[str, Any]) -> None:
        executor(**limits).prepare(Request(STANDARD))

    @pytest.mark.parametrize("query", [STANDARD, "{ __schema { description } }", '{ __type(name: "Memory") { name } }'])
    def test_it_can_be_off(self, query: str) -> None:
        with pytest.raises(OperationRefused, match="introspection has been disabled"):
            executor(introspection="off").prepare(Request(query))

    @pytest.mark.parametrize(
        ("query", "variables"),
        [
            ("{ memorys { nodes { id } } }", None),
            ("{ memories { nods { id } } }", None),
            ("{ memories(frist: 1) { nodes { id } } }", None),
            ("{ memories(filter: {scops: [USER]}) { nodes { id } } }", None),
            ("{ memories(filter: {scopes: [USR]}) { nodes { id } } }", None),
            ("query ($f: MemoryFiltr) { memories(filter: $f) { nodes { id } } }", None),
            ("{ ... on Memry { id } }", None),
            ("query ($f: MemoryFilter) { memories(filter: $f) { nodes { id } } }", {"f": {"scops": ["USER"]}}),
            ("query ($f: MemoryFilter) { memories(filter: $f) { nodes { id } } }", {"f": {"scopes": ["USR"]}}),
        ],
    )
    async def test_suggestions_go_with_it(self, query: str, variables: Any) -> None:
        def answer(introspection: str) -> Any:
            return executor(introspection=introspection).execute(Request(query, variables), None)

        assert b"Did you mean" in await answer("on")
        quiet = await answer("off")
        assert b"errors" in quiet
        assert b"did you mean" not in quiet.lower()

    async def test_type_names_stay(self) -> None:
        body = await Executor(SCHEMA, role=anybody, limits=Limits(introspection="off")).execute(
            Request("{ __typename }"), BOARD
        )
        assert json.loads(body)["data"] == {"__typename": "Query"}


class TestRunning:
    async def test_time(self, key: str) -> None:
        slow = Executor(SCHEMA, role=anybody, limits=Limits(max_seconds=0.05))
        body = await slow.execute(Request("query ($k: String!) { waits(key: $k) }", {"k": key}), BOARD)
        answer = json.loads(body)
        assert answer["data"] is None
        told = {"code": "TIMEOUT", "limit": "RECOLLECT_MAX_SECONDS", "value": 0.05}
        assert [error["extensions"] for error in answer["errors"]] == [told]
        await eventually(lambda: BOARD.closed[key] == 1)

    async def test_operations_of_one_caller_at_once(self, key: str) -> None:
        busy = Executor(SCHEMA, role=anybody, limits=Limits(max_concurrent=2), caller=lambda context: context.name)
        request = Request("query ($k: String!) { waits(key: $k) }", {"k": key})

        ada, ben = (SimpleNamespace(name=name, opened=BOARD.opened, closed=BOARD.closed) for name in ("ada", "ben"))
        running = [asyncio.ensure_future(busy.execute(request, ada)) for _ in range(2)]
        await eventually(lambda: BOARD.opened[key] == 2)
        refusal = json.loads(await busy.execute(Request("{ hello }"), ada))["errors"][0]["extensions"]
        assert refusal == {"code": "LIMIT", "limit": "RECOLLECT_MAX_CONCURRENT", "value": 2}
        assert json.loads(await busy.execute(Request("{ hello }"), ben))["data"]
        for one in running:
            one.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        assert json.loads(await busy.execute(Request("{ hello }"), ada))["data"]
        assert len(busy._running) == 0

    async def test_subscriptions_of_one_caller_at_once(self, key: str) -> None:
        follower = Executor(SCHEMA, role=anybody, limits=Limits(max_subscriptions=1))
        operation = follower.prepare(Request("subscription ($k: String!) { ticks(key: $k) { number } }", {"k": key}))
        first = follower.stream(operation, BOARD)
        await anext(first)
        with pytest.raises(OperationRefused) as refusal:
            await anext(follower.stream(operation, BOARD))
        assert refusal.value.errors[0]["extensions"]["limit"] == "RECOLLECT_MAX_SUBSCRIPTIONS"
        assert refusal.value.status == 429
        await first.aclose()
        again = follower.stream(operation, BOARD)
        await anext(again)
        await again.aclose()


def test_every_limit_is_at_least_one() -> None:
    for field in msgspec.structs.fields(Limits):
        if field.name != "introspection":
            with pytest.raises(msgspec.ValidationError):
                msgspec.convert({field.name: 0}, Limits)
