"""Operations without a transport: what is encoded, what is refused, and what an error tells."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from graphql import DocumentNode, GraphQLError, build_schema, located_error, parse

from server.errors import OperationRefused, formatted
from server.graphql.documents import BYTES_OF_TEXT, LEAST_TEXT, DocumentCache, Request
from server.graphql.encoding import encode_result
from server.graphql.executor import Executor
from server.limits import Limits
from tests.support.graphql_client import anybody
from tests.support.toy import BOARD, SCHEMA, SECRET


async def run(query: str, variables: dict[str, Any] | None = None, name: str | None = None) -> dict[str, Any]:
    """The answer, but for its cost."""
    answer: dict[str, Any] = json.loads(
        await Executor(SCHEMA, role=anybody).execute(Request(query, variables, name), BOARD)
    )
    answer.pop("extensions", None)
    return answer


async def error(query: str, variables: dict[str, Any] | None = None, name: str | None = None) -> dict[str, Any]:
    errors = (await run(query, variables, name))["errors"]
    assert len(errors) == 1
    return dict(errors[0])


class TestResults:
    async def test_fields_resolved_at_once_and_later(self) -> None:
        query = "query Q($name: String!) { hello(name: $name) later }"
        assert await run(query, {"name": "you"}) == {"data": {"hello": "hello you", "later": "later"}}

    async def test_values_that_scalars_hand_through_are_encoded_as_they_are(self) -> None:
        body = await Executor(SCHEMA, role=anybody).execute(Request("{ moment raw }"), BOARD)
        assert (
            body
            == b'{"data":{"moment":"2026-01-02T12:00:00.000250Z","raw":{"kept":\r\n [1, 2]}},"extensions":{"cost":1}}'
        )

    async def test_a_large_integer_keeps_its_value(self) -> None:
        query = "query Q($v: JSON!) { echo(value: $v) }"
        assert await run(query, {"v": {"n": 2**100}}) == {"data": {"echo": {"n": 2**100}}}

    def test_what_the_fast_encoder_refuses_is_encoded_by_the_slow_one(self) -> None:
        data = {"text": "\ud800", "raw": msgspec.Raw(b'{"a": 1}'), "at": datetime(2026, 1, 1, tzinfo=UTC)}
        answer = json.loads(encode_result(data, None))
        assert answer == {"data": {"text": "\ud800", "raw": {"a": 1}, "at": "2026-01-01T00:00:00Z"}}

    async def test_the_context_reaches_resolvers(self, key: str) -> None:
        assert await run("mutation M($k: String!) { write(key: $k) }", {"k": key}) == {"data": {"write": 1}}
        assert BOARD.produced[key] == 1

    async def test_an_operation_is_chosen_by_name(self) -> None:
        query = 'query A { hello } query B { hello(name: "b") }'
        assert await run(query, name="B") == {"data": {"hello": "hello b"}}

    async def test_data_beside_errors(self) -> None:
        answer = await run("{ hello fails }")
        assert answer["data"] == {"hello": "hello world", "fails": None}
        assert list(answer) == ["errors", "data"]

    def test_a_schema_with_incremental_delivery_is_refused(self) -> None:
        with pytest.raises(ValueError, match="@defer"):
            Executor(build_schema("type Query { a: Int } directive @defer on FIELD"), role=anybody)


class TestRefusals:
    async def test_syntax(self) -> None:
        refused = await error("{ hello")
        assert refused["extensions"] == {"code": "GRAPHQL_PARSE_FAILED"}
        assert refused["locations"] == [{"line": 1, "column": 8}]

    async def test_validation(self) -> None:
        refused = await error("{ nothing }")
        assert refused["message"] == "Cannot query field 'nothing' on type 'Query'."
        assert refused["extensions"] == {"code": "GRAPHQL_VALIDATION_FAILED"}

    async def test_too_many_tokens(self) -> None:
        for long in ("{" + " hello" * 50 + "}", "#\n" * 50 + "{ hello }"):
            body = await Executor(SCHEMA, role=anybody, limits=Limits(max_tokens=40)).execute(Request(long), BOARD)
            told = json.loads(body)["errors"][0]["extensions"]
            assert told == {"code": "LIMIT", "limit": "RECOLLECT_MAX_TOKENS", "value": 40}

    async def test_nesting_without_end(self) -> None:
        refused = await error("{ a " * 5000 + "}" * 5000)
        assert refused["extensions"] == {"code": "GRAPHQL_PARSE_FAILED"}

    async def test_variables_keep_the_message(self) -> None:
        refused = await error("query Q($name: String!) { hello(name: $name) }", {"name": 5})
        assert "String cannot represent a non string value: 5" in refused["message"]
        assert refused["extensions"] == {"code": "BAD_USER_INPUT"}

    @pytest.mark.parametrize("by", [{}, {"id": "1", "externalId": "2"}, {"id": None}])
    async def test_one_of_in_variables(self, by: dict[str, Any]) -> None:
        refused = await error("query Q($by: Ref!) { find(by: $by) }", {"by": by})
        assert refused["extensions"] == {"code": "BAD_USER_INPUT"}

    @pytest.mark.parametrize(
        "query",
        [
            '{ find(by: {id: "1", externalId: "2"}) }',
            "{ find(by: {}) }",
            "{ find(by: {id: null}) }",
            "query Q($id: ID) { find(by: {id: $id}) }",
            "query Q($id: ID = 5) { find(by: {id: $id}) }",
            "query Q($id: ID) { ...F } fragment F on Query { find(by: {id: $id}) }",
            "{ find(by: {id: $id}) }",
            "fragment F on Query { find(by: {id: $id}) } { ...F }",
        ],
    )
    async def test_one_of_in_the_document(self, query: str) -> None:
        refused = await error(query)
        assert refused["extensions"] == {"code": "GRAPHQL_VALIDATION_FAILED"}

    @pytest.mark.parametrize(
        "query",
        [
            "query Q($id: ID!) { find(by: {id: $id}) }",
            "fragment F on Query { find(by: {id: $id}) } query Q($id: ID!) { ...F }",
            "query P { __typename } fragment F on Query { find(by: {id: $id}) } query Q($id: ID!) { ...F }",
        ],
    )
    async def test_one_of_with_a_variable(self, query: str) -> None:
        assert await run(query, {"id": "7"}, "Q") == {"data": {"find": "7"}}

    @pytest.mark.parametrize(
        ("query", "name", "message"),
        [
            ("query A { hello } query B { hello }", None, "Must provide operation name"),
            ("query A { hello }", "C", "Unknown operation named 'C'."),
            ("subscription { breaks }", None, "needs a stream"),
        ],
    )
    async def test_no_operation_to_run(self, query: str, name: str | None, message: str) -> None:
        refused = await error(query, name=name)
        assert message in refused["message"]
        assert refused["extensions"] == {"code": "BAD_USER_INPUT"}


class TestErrors:
    async def test_each_error_of_a_rejection_with_its_own_path(self) -> None:
        answer = await run("{ alias: rejects }")
        assert answer["data"] == {"alias": None}
        assert [(e["message"], e["path"], e["extensions"]) for e in answer["errors"]] == [
            ("first is at most 1000.", ["alias"], {"code": "INVALID", "path": ["first"]}),
            ("No such session.", ["alias"], {"code": "NOT_FOUND", "path": ["filter", "0", "session"]}),
        ]

    async def test_an_expired_cursor(self) -> None:
        told = await error("{ expired }")
        assert told["extensions"] == {"code": "CURSOR_EXPIRED"}
        assert SECRET not in told["message"]

    async def test_an_unavailable_store(self, caplog: pytest.LogCaptureFixture) -> None:
        answer = await run("{ unavailable }")
        assert answer["data"] is None
        assert answer["errors"][0]["extensions"] == {"code": "UNAVAILABLE", "retryAfterMs": 250}
        assert SECRET not in json.dumps(answer)
        assert SECRET in caplog.text

    async def test_anything_else_is_told_by_id_only(self, caplog: pytest.LogCaptureFixture) -> None:
        answer = await run("{ a: fails b: fails }")
        ids = {e["extensions"]["requestId"] for e in answer["errors"]}
        assert len(ids) == 1
        assert all(e["message"] == "Internal error" and e["extensions"]["code"] == "INTERNAL" for e in answer["errors"])
        assert SECRET not in json.dumps(answer)
        records = [r for r in caplog.records if r.name == "recollect" and r.levelno == logging.ERROR]
        assert len(records) == 2
        assert ids.pop() in records[0].getMessage()
        assert SECRET in caplog.text

    @pytest.mark.parametrize("field", ["tooBig", "noJson"])
    async def test_a_value_of_ours_that_does_not_fit_is_not_shown(self, field: str) -> None:
        told = await error(f"{{ {field} }}")
        assert told["message"] == "Internal error"
        assert told["extensions"]["code"] == "INTERNAL"

    def test_a_graphql_error_is_told_if_it_has_a_code_or_a_place_in_the_document(self) -> None:
        coded = GraphQLError("No.", extensions={"code": "FORBIDDEN", "more": 1})
        placed = GraphQLError("Wrong argument.", parse("{ hello }"))
        told = formatted([located_error(coded, path=["a"]), placed, GraphQLError(SECRET)])
        assert told[0] == {"message": "No.", "path": ["a"], "extensions": {"code": "FORBIDDEN", "more": 1}}
        assert (told[1]["message"], told[1]["extensions"]) == ("Wrong argument.", {"code": "BAD_USER_INPUT"})
        assert told[2]["extensions"]["code"] == "INTERNAL"

    async def test_the_log_takes_the_first_of_many(self, caplog: pytest.LogCaptureFixture) -> None:
        answer = await run("{" + "".join(f" f{n}: fails" for n in range(50)) + "}")
        assert len(answer["errors"]) == 50
        assert len([r for r in caplog.records if r.levelno == logging.ERROR]) == 10


class TestDocumentCache:
    async def test_a_text_is_parsed_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        parsed: list[str] = []

        def noting(text: str, **options: Any) -> DocumentNode:
            parsed.append(text)
            return parse(text, **options)

        monkeypatch.setattr("server.graphql.documents.parse", noting)
        executor = Executor(SCHEMA, role=anybody)
        for query in ("{ hello }", "{ hello }", "{ wrong }", "{ wrong }"):
            await executor.execute(Request(query), BOARD)
        assert parsed == ["{ hello }", "{ wrong }", "{ wrong }"]

    def test_entries_are_bounded_and_the_oldest_goes(self) -> None:
        cache, document = DocumentCache(2 * LEAST_TEXT * BYTES_OF_TEXT), parse("{ hello }")
        cache.put("a", document)
        cache.put("b", document)
        assert cache.get("a") is document
        cache.put("c", document)
        assert [cache.get(text) for text in "abc"] == [document, None, document]

    def test_bytes_are_bounded(self) -> None:
        cache, document = DocumentCache(1_000 * BYTES_OF_TEXT), parse("{ hello }")
        cache.put("é" * 600, document)
        assert len(cache) == cache.bytes == 0
        for text in ("a" * 400, "b" * 400, "c" * 600):
            cache.put(text, document)
        assert [cache.get(text[0] * len(text)) for text in ("a" * 400, "b" * 400, "c" * 600)] == [None, None, document]
        assert cache.bytes == 600 * BYTES_OF_TEXT


async def test_what_is_waited_for_comes_before_each_operation_and_event(key: str) -> None:
    done: list[str] = []

    async def wait() -> None:
        done.append("waited")

    executor = Executor(SCHEMA, role=anybody, before=lambda context: wait() if context is BOARD else None)
    await executor.execute(Request("{ moment }"), BOARD)
    assert done == ["waited"]
    request = Request("subscription S($k: String!) { ticks(key: $k, to: 2) { number } }", {"k": key})
    async for _ in await executor.subscribe(request, BOARD):
        done.append("event")  # noqa: PERF401 - between what is waited for
    assert done == ["waited", "waited", "waited", "event", "waited", "event"]


class TestSubscriptions:
    async def test_events_with_their_cursors(self, key: str) -> None:
        request = Request("subscription S($k: String!) { ticks(key: $k, to: 2) { number odd } }", {"k": key})
        events = [event async for event in await Executor(SCHEMA, role=anybody).subscribe(request, BOARD)]
        assert [(json.loads(event.body), event.cursor) for event in events] == [
            ({"data": {"ticks": {"number": 1, "odd": True}}}, "1"),
            ({"data": {"ticks": {"number": 2, "odd": False}}}, "2"),
        ]
        assert BOARD.closed[key] == 1

    async def test_an_error_in_one_event_is_that_events(self, key: str) -> None:
        request = Request(f'subscription {{ ticks(key: "{key}", after: "12", to: 14) {{ odd }} }}')
        bodies = [
            json.loads(event.body) async for event in await Executor(SCHEMA, role=anybody).subscribe(request, BOARD)
        ]
        assert bodies[0]["errors"][0]["extensions"]["code"] == "INTERNAL"
        assert bodies[1] == {"data": {"ticks": {"odd": False}}}

    @pytest.mark.parametrize(
        ("query", "code"),
        [
            ("subscription { nothing }", "GRAPHQL_VALIDATION_FAILED"),
            ("subscription S($k: String!) { silent(key: $k) }", "BAD_USER_INPUT"),
            ("{ hello }", "BAD_USER_INPUT"),
        ],
    )
    async def test_refused_before_it_starts(self, query: str, code: str) -> None:
        with pytest.raises(OperationRefused) as refused:
            await Executor(SCHEMA, role=anybody).subscribe(Request(query), BOARD)
        assert refused.value.errors[0]["extensions"]["code"] == code

    async def test_a_source_that_fails_ends_the_stream(self) -> None:
        events = await Executor(SCHEMA, role=anybody).subscribe(Request("subscription { breaks }"), BOARD)
        assert json.loads((await anext(events)).body) == {"data": {"breaks": 1}}
        with pytest.raises(OperationRefused) as refused:
            await anext(events)
        assert refused.value.errors[0]["extensions"] == {"code": "CURSOR_EXPIRED"}
        with pytest.raises(StopAsyncIteration):
            await anext(events)

    async def test_a_source_that_rejects_at_once(self) -> None:
        events = await Executor(SCHEMA, role=anybody).subscribe(Request("subscription { absent }"), BOARD)
        with pytest.raises(OperationRefused) as refused:
            await anext(events)
        assert refused.value.errors[0]["extensions"] == {"code": "NOT_FOUND", "path": ["session"]}

    async def test_closing_early_closes_the_source(self, key: str) -> None:
        request = Request("subscription S($k: String!) { ticks(key: $k) { number } }", {"k": key})
        events = await Executor(SCHEMA, role=anybody).subscribe(request, BOARD)
        await anext(events)
        assert BOARD.closed[key] == 0
        await events.aclose()
        assert BOARD.closed[key] == 1

    async def test_closing_before_the_first_event_closes_any_source(self) -> None:
        closed = []

        class Source:
            def __aiter__(self) -> AsyncIterator[Any]:
                return self

            async def __anext__(self) -> Any:
                raise StopAsyncIteration

            async def aclose(self) -> None:
                closed.append(True)
                raise RuntimeError("already closed")

        schema = build_schema("type Query { a: Int } type Subscription { a: Int }")
        assert schema.subscription_type is not None
        schema.subscription_type.fields["a"].subscribe = lambda *_: Source()
        events = await Executor(schema, role=anybody).subscribe(Request("subscription { a }"), None)
        await events.aclose()
        assert closed == [True]

    async def test_a_stream_of_a_query_is_one_event_long(self) -> None:
        executor = Executor(SCHEMA, role=anybody)
        events = [e async for e in executor.stream(executor.prepare(Request("{ hello }")), BOARD)]
        assert [event.body for event in events] == [b'{"data":{"hello":"hello world"},"extensions":{"cost":1}}']


class TestResume:
    @pytest.mark.parametrize(
        ("signature", "field", "since"),
        [
            ("$k: String!, $from: String", "ticks(key: $k, to: 7, after: $from) { number }", "2"),
            ("$k: String!, $from: String", "ticks(key: $k, to: 7, after: $from) { number }", None),
            ("$k: String!", 'ticks(key: $k, after: "2", to: 7) { number }', "2"),
            ("$k: String!", "ticks(key: $k, to: 7) { number }", None),
            ("$k: String!", "...F", None),
        ],
    )
    async def test_the_cursor_replaces_after(self, signature: str, field: str, since: str | None, key: str) -> None:
        fragment = "fragment F on Subscription { ticks(key: $k, to: 7) { number } }" if field == "...F" else ""
        executor = Executor(SCHEMA, role=anybody)
        request = Request(f"subscription S({signature}) {{ {field} }} {fragment}", {"k": key, "from": since})
        operation = executor.prepare(request)
        resumed = executor.resume(operation, "5")
        for subscription, first in ((resumed, 6), (operation, int(since or 0) + 1)):
            bodies = [json.loads(event.body) async for event in executor.stream(subscription, BOARD)]
            assert [body["data"]["ticks"]["number"] for body in bodies] == list(range(first, 8))

    def test_what_takes_no_cursor_is_left_alone(self) -> None:
        executor = Executor(SCHEMA, role=anybody)
        for query in ("{ hello }", "subscription { breaks }"):
            operation = executor.prepare(Request(query))
            assert executor.resume(operation, "5").parsed is operation.parsed


def test_what_only_the_slower_encoder_takes_may_stand_in_a_compiled_object() -> None:
    made = msgspec.defstruct("Made", ["f0", "f1"], rename={"f0": "text", "f1": "more"})
    data = {"made": made("\ud800", msgspec.Raw(b'{"a":1}'))}
    assert json.loads(encode_result(data, None)) == {"data": {"made": {"text": "\ud800", "more": {"a": 1}}}}
