"""Domain commands as GraphQL inputs: what is published is read back into what it was published from."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import msgspec
import pytest
from graphql import GraphQLInputObjectType, GraphQLSchema, coerce_input_value, validate_input_value

from domain.blob import Upload
from domain.errors import Rejected
from domain.link import LinkInput
from domain.memory import CreateMemoryInput, MemoryFilter
from domain.message import AddMessagesInput, ToolCallInput
from domain.node import Id
from domain.state import SetStateInput
from domain.trace import TraceEventInput
from domain.values import MAX_JSON, MAX_LONG_JSON, Command
from schema.build import build
from schema.inputs import ONE_OF, Arguments, camel

FILE = Upload()


@cache
def schema() -> GraphQLSchema:
    return build()


def commands(of: type[Command] = Command) -> Iterator[type[Command]]:
    """All commands whose input is published."""
    for command in of.__subclasses__():
        if command.__module__.startswith("domain.") and command.__name__ in schema().type_map:
            yield command
        yield from commands(command)


COMMANDS = sorted(set(commands()), key=lambda command: command.__name__)


def example(annotation: Any, depth: int = 3) -> Any:
    """A value that is like no default."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        extra = (arguments[1].extra or {}) if isinstance(arguments[1], msgspec.Meta) else {}
        if "must" in extra:  # a JSON Pointer
            return "/a"
        return {"a": [1, 2.5, ""]} if extra.get("json") else example(arguments[0], depth)
    if origin in (Union, UnionType):
        return example(next(a for a in arguments if a is not type(None)), depth)
    if origin is list:
        return [example(arguments[0], depth)] * 2
    if annotation is Any:
        return [{"b": False}, 1.0]
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return list(annotation)[-1].value
    if isinstance(annotation, type) and issubclass(annotation, Command):
        return members(annotation, depth - 1)
    if annotation is Upload:
        return FILE
    return {str: "text", Id: "id", int: 7, float: 0.75, bool: True, datetime: "2026-01-31T12:00:00.000250Z"}[annotation]


def members(command: type[Command], depth: int = 3) -> dict[str, Any]:
    """All members of a command as a client would send them; below some depth only those that must be there."""
    hints = get_type_hints(command, include_extras=True)
    fields = [f for f in msgspec.structs.fields(command) if f.required or depth > 0]
    if command in ONE_OF:
        fields = list(msgspec.structs.fields(command))[:1]
    return {field.encode_name: example(hints[field.name], depth) for field in fields}


def read(command: type[Command], sent: dict[str, Any]) -> Any:
    """What becomes of it behind the schema."""
    type_ = schema().type_map[command.__name__]
    assert isinstance(type_, GraphQLInputObjectType)
    given = coerce_input_value(sent, type_)
    return Arguments("test", {"input": (command, msgspec.NODEFAULT)}, strip="input").convert({"input": given})["input"]


def shown(command: Any) -> Any:
    """As a client would have sent it, without the nulls."""
    return without_nulls(msgspec.json.decode(msgspec.json.encode(command, enc_hook=lambda _: FILE.digest)))


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: without_nulls(member) for name, member in value.items() if member is not None}
    return [without_nulls(item) for item in value] if isinstance(value, list) else value


def as_sent(found: Any, sent: Any) -> Any:
    """Without the members that were left out and have a default."""
    if isinstance(found, dict):
        return {name: as_sent(found[name], one) for name, one in sent.items()}
    if isinstance(found, list):
        return [as_sent(*pair) for pair in zip(found, sent, strict=True)]
    return found


def test_every_input_is_published_from_a_command() -> None:
    inputs = {name for name, type in schema().type_map.items() if isinstance(type, GraphQLInputObjectType)}
    assert {command.__name__ for command in COMMANDS} == inputs


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.__name__)
class TestRoundTrip:
    def test_all_members(self, command: type[Command]) -> None:
        sent = members(command)
        found = shown(read(command, sent))
        assert as_sent(found, sent) == {name: "" if one is FILE else one for name, one in sent.items()}

    def test_what_is_left_out_has_the_default_of_the_domain(self, command: type[Command]) -> None:
        sent = members(command, 0)
        assert shown(read(command, sent)) == shown(msgspec.convert(sent, command))

    def test_null_is_as_good_as_left_out(self, command: type[Command]) -> None:
        if command in ONE_OF:
            return
        sent = members(command, 0)
        hints = get_type_hints(command)
        nothing = {
            f.encode_name: None
            for f in msgspec.structs.fields(command)
            if f.default is None and (type(None) in get_args(hints[f.name]) or hints[f.name] is Any)
        }
        assert shown(read(command, {**nothing, **sent})) == shown(read(command, sent))

    def test_the_published_names_are_those_of_the_domain(self, command: type[Command]) -> None:
        fields = schema().type_map[command.__name__].fields  # type: ignore[union-attr]
        assert list(fields) == [field.encode_name for field in msgspec.structs.fields(command)]
        assert all(field.encode_name == camel(field.name) for field in msgspec.structs.fields(command))


class TestProblems:
    @pytest.mark.parametrize(
        ("command", "change", "path", "says"),
        [
            (CreateMemoryInput, {"importance": 1.2}, ["importance"], "between 0 and 1"),
            (CreateMemoryInput, {"importance": -0.1}, ["importance"], "between 0 and 1"),
            (CreateMemoryInput, {"text": "x" * 100_001}, ["text"], "at most 100000 characters"),
            (CreateMemoryInput, {"externalId": "x" * 1001}, ["externalId"], "1 to 1000 characters"),
            (CreateMemoryInput, {"externalId": ""}, ["externalId"], "1 to 1000 characters"),
            (CreateMemoryInput, {"tags": ["a", ""]}, ["tags", "1"], "1 to 1000 characters"),
            (CreateMemoryInput, {"ttlSeconds": 0}, ["ttlSeconds"], "at least 1"),
            (CreateMemoryInput, {"metadata": [1]}, ["metadata"], "a JSON object"),
            (CreateMemoryInput, {"metadata": {"a": "x" * MAX_JSON}}, ["metadata"], f"at most {MAX_JSON} bytes"),
            (
                CreateMemoryInput,
                {"links": [{"target": {"id": "x"}, "weight": 1.5}]},
                ["links", "0", "weight"],
                "0 and 1",
            ),
            (LinkInput, {"weight": -1e308}, ["weight"], "between 0 and 1"),
            (SetStateInput, {"value": "x" * MAX_LONG_JSON}, ["value"], f"at most {MAX_LONG_JSON} bytes"),
            (TraceEventInput, {"durationMs": -1}, ["durationMs"], "at least 0"),
            (
                AddMessagesInput,
                {"messages": [{}, {"content": [{"toolCall": {"callId": "c", "tool": "", "arguments": 1}}]}]},
                ["messages", "1", "content", "0", "toolCall", "tool"],
                "1 to 1000 characters",
            ),
            (
                AddMessagesInput,
                {"messages": [{}, {"metadata": "text"}]},
                ["messages", "1", "metadata"],
                "a JSON object",
            ),
            (AddMessagesInput, {"messages": [{}] * 1001}, ["messages"], "at most 1000 items"),
            (ToolCallInput, {"arguments": "x" * MAX_JSON}, ["arguments"], f"at most {MAX_JSON} bytes"),
            (
                MemoryFilter,
                {"and": [{}, {"not": {"metadata": 1}}]},
                ["and", "1", "not", "metadata"],
                "a JSON object",
            ),
        ],
    )
    def test_a_wrong_value_is_told_with_its_path_and_what_is_allowed(
        self, command: type[Command], change: dict[str, Any], path: list[str], says: str
    ) -> None:
        with pytest.raises(Rejected) as caught:
            read(command, {**members(command, 0), **change})
        [error] = caught.value.errors
        assert (error.code.name, error.path) == ("INVALID", path)
        assert says in error.message

    def test_a_number_that_is_none(self) -> None:
        arguments = Arguments("test", {"input": (TraceEventInput, msgspec.NODEFAULT)}, strip="input")
        with pytest.raises(Rejected) as caught:
            arguments.convert({"input": {"type": "x", "durationMs": float("inf")}})
        assert caught.value.errors[0].path == ["durationMs"]

    @pytest.mark.parametrize("length", [1, 1000])
    def test_what_is_just_allowed(self, length: int) -> None:
        read(CreateMemoryInput, {"text": "x" * 100_000, "externalId": "x" * length, "tags": ["x" * length]})
        read(SetStateInput, {"namespace": "n", "key": "x" * length, "value": "x" * (MAX_LONG_JSON - 2)})

    def test_length_is_counted_in_characters(self) -> None:
        read(CreateMemoryInput, {"text": "\U0001f343" * 100_000, "externalId": "é" * 1000})


class TestTimes:
    @pytest.mark.parametrize(
        ("sent", "meant"),
        [
            ("2026-01-31T12:00:00Z", datetime(2026, 1, 31, 12, tzinfo=UTC)),
            ("2026-01-31T13:00:00+01:00", datetime(2026, 1, 31, 12, tzinfo=UTC)),
            ("2026-01-31T12:00:00.000001Z", datetime(2026, 1, 31, 12, 0, 0, 1, tzinfo=UTC)),
            ("0001-01-01T00:00:00Z", datetime(1, 1, 1, tzinfo=UTC)),
            ("9999-12-31T23:59:59.999999Z", datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)),
        ],
    )
    def test_a_time(self, sent: str, meant: datetime) -> None:
        assert read(MemoryFilter, {"validAt": sent}).valid_at == meant

    @pytest.mark.parametrize(
        "sent",
        ["2026-01-31", "2026-01-31T12:00:00", "yesterday", "", 1_700_000_000, "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-01:00", "2026-02-30T12:00:00Z"],
    )  # fmt: skip
    def test_no_time(self, sent: Any) -> None:
        problems: list[str] = []
        type_ = schema().type_map["MemoryFilter"]
        assert isinstance(type_, GraphQLInputObjectType)
        validate_input_value({"validAt": sent}, type_, lambda error, _path: problems.append(error.message))
        [problem] = problems
        assert "RFC 3339" in problem or "as a string" in problem
