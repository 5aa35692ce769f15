"""What hypothesis makes of GraphQL: requests and frames from nearly right to nothing of the kind."""

from __future__ import annotations

import json
from typing import Any

from graphql import (
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLSchema,
    get_named_type,
    is_composite_type,
    is_leaf_type,
    is_required_argument,
)
from hypothesis import strategies as st

TEXT = st.text(max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
NAMES = st.sampled_from(
    ["id", "__typename", "__schema", "__type", "nothing", "after", "first", "_", "on", "fragment", "é"]
)
DIRECTIVES = st.sampled_from(
    [""] * 20 + ["@include(if: true)", "@skip(if: $b)", "@skip", "@defer", "@oneOf", "@a(b: [{}])"]
)


@st.composite
def literals(draw: Any, depth: int = 2) -> str:
    """A value as a document has it."""
    kinds = ["null", "int", "float", "string", "block", "enum", "variable", "true"] + (
        ["list", "object"] if depth else []
    )
    kind = draw(st.sampled_from(kinds))
    if kind == "int":
        return str(draw(st.integers(-(2**40), 2**40)))
    if kind == "float":
        return draw(st.sampled_from(["1.5", "1e400", "-0.0", "1e-5"]))  # type: ignore[no-any-return]
    if kind == "string":
        return json.dumps(draw(TEXT))
    if kind == "block":
        return f'"""{draw(TEXT)}"""'
    if kind == "enum":
        return draw(NAMES)  # type: ignore[no-any-return]
    if kind == "variable":
        return f"${draw(NAMES)}"
    if kind == "list":
        return f"[{' '.join(draw(st.lists(literals(depth - 1), max_size=3)))}]"
    if kind == "object":
        members = draw(st.lists(st.tuples(NAMES, literals(depth - 1)), max_size=3))
        return f"{{{' '.join(f'{name}: {value}' for name, value in members)}}}"
    return kind  # type: ignore[no-any-return]


class Nonsense:
    """Strategies for one schema. sound: documents fit it, as far as that is easy to see to."""

    def __init__(self, schema: GraphQLSchema, sound: bool = False) -> None:
        self._schema, self._sound, self._aliases = schema, sound, 0
        self._composite = sorted(name for name, type_ in schema.type_map.items() if is_composite_type(type_))

    def documents(self) -> st.SearchStrategy[str]:
        """Documents, of which many fit the schema, and text."""
        sound = Nonsense(self._schema, sound=True)._document()
        return st.one_of(sound, sound, self._document(), self._broken(), TEXT)

    def requests(self) -> st.SearchStrategy[Any]:
        """What stands in a body."""
        return st.one_of(self._fitting(), self._odd(), JSON)

    def conversations(self, start: str, stop: str) -> st.SearchStrategy[Any]:
        """Messages of a client of a socket: those of operations, then whatever comes."""
        fitting = st.fixed_dictionaries({"type": st.just(start), "id": st.uuids().map(str), "payload": self._fitting()})
        message = st.fixed_dictionaries(
            {"type": st.sampled_from([start, start, stop, "ping", "pong", "connection_init", "nothing"])},
            optional={"id": st.sampled_from(["1", "2", "3"]) | TEXT, "payload": self.requests()},
        )
        anything = message.map(json.dumps) | JSON.map(json.dumps) | TEXT
        operations = st.lists(fitting.map(json.dumps), max_size=4)
        return st.tuples(operations, st.lists(anything, max_size=4))

    def _fitting(self) -> st.SearchStrategy[Any]:
        """Requests that are some, whatever their documents are."""
        variables = st.dictionaries(NAMES, JSON, max_size=4) | st.none()
        return st.fixed_dictionaries({"query": self.documents()}, optional={"variables": variables})

    def _odd(self) -> st.SearchStrategy[Any]:
        hashed = {"persistedQuery": {"version": 1, "sha256Hash": "0" * 64}}
        return st.fixed_dictionaries(
            {},
            optional={
                "query": self.documents() | JSON,
                "variables": JSON,
                "operationName": NAMES | JSON,
                "extensions": JSON | st.just(hashed),
                "documentId": TEXT,
            },
        )

    @st.composite
    @staticmethod
    def _document_of(draw: Any, self: Nonsense) -> str:
        kind = draw(st.sampled_from(["query", "query", "query", "mutation", "subscription"]))
        if self._sound:
            return f"{kind} {self._selected(draw, kind.capitalize(), 2, most=1)}"
        variables = draw(
            st.sampled_from([""] * 6 + ["($b: Boolean!)", "($first: Int, $id: ID)", "($b: Boolean = 5 $b: [Int])"])
        )
        fragments = draw(st.just([]) | st.lists(st.sampled_from(self._composite), max_size=2))
        parts = [f"{kind} {draw(st.sampled_from(['', 'Q']))} {variables} {self._selected(draw, kind.capitalize(), 2)}"]
        parts += [f"fragment F{n} on {name} {self._selected(draw, name, 2)}" for n, name in enumerate(fragments)]
        return " ".join(parts)

    def _document(self) -> st.SearchStrategy[str]:
        """One that makes no API key: the first closes the server to who asks it."""
        return Nonsense._document_of(self).filter(lambda text: "createApiKey" not in text)

    @st.composite
    @staticmethod
    def _broken_of(draw: Any, self: Nonsense) -> str:
        text = draw(self._document())
        at, cut = draw(st.integers(0, len(text))), draw(st.integers(0, 10))
        return text[:at] + draw(TEXT) + text[at + cut :]

    def _broken(self) -> st.SearchStrategy[str]:
        return Nonsense._broken_of(self)

    def _selected(self, draw: Any, name: str, depth: int, most: int = 3) -> str:
        fields: dict[str, GraphQLField] = getattr(self._schema.type_map[name], "fields", {})
        chosen = [self._field(draw, name, fields, depth) for _ in range(draw(st.integers(1, most)))]
        return f"{{ {' '.join(chosen)} }}"

    def _field(self, draw: Any, parent: str, fields: dict[str, GraphQLField], depth: int) -> str:
        how = 99 if self._sound else draw(st.integers(0, 30))
        if how == 0:
            return f"...F{draw(st.integers(0, 2))} {draw(DIRECTIVES)}"
        if how == 1 and depth:
            inner = draw(st.sampled_from(self._composite))
            return f"... on {inner} {draw(DIRECTIVES)} {self._selected(draw, inner, depth - 1)}"
        if not fields and self._sound:
            return "__typename"
        if how == 2 or not fields:
            return draw(NAMES)  # type: ignore[no-any-return]
        name = draw(st.sampled_from(sorted(fields)))
        field = fields[name]
        alias = draw(st.sampled_from([""] * 8 + ["a: "]))
        type_ = get_named_type(field.type)
        below = (
            "" if is_leaf_type(type_) else self._selected(draw, type_.name, depth - 1) if depth else "{ __typename }"
        )
        if self._sound:
            self._aliases += 1
            return f"a{self._aliases}: {name}{self._arguments(draw, field)} {below}"
        return f"{alias}{name}{self._arguments(draw, field)} {draw(DIRECTIVES)} {below}"

    def _arguments(self, draw: Any, field: GraphQLField) -> str:
        given = [
            f"{name}: {self._value(draw, argument.type, 2)}"
            for name, argument in field.args.items()
            if is_required_argument(argument) or draw(st.integers(0, 3)) == 0
        ]
        return f"({', '.join(given)})" if given else ""

    def _value(self, draw: Any, type_: Any, depth: int) -> str:
        """A value that may be right."""
        named = get_named_type(type_)
        if not self._sound and draw(st.integers(0, 30)) == 0:
            return draw(literals())  # type: ignore[no-any-return]
        right: str
        if isinstance(named, GraphQLInputObjectType):
            members = {
                name: self._value(draw, field.type, depth - 1)
                for name, field in named.fields.items()
                if depth and (str(field.type).endswith("!") or draw(st.integers(0, 3)) == 0)
            }
            if self._sound and named.extensions["strawberry-definition"].is_one_of:
                chosen = draw(st.sampled_from(sorted(named.fields)))
                members = {chosen: self._value(draw, named.fields[chosen].type, 1)}
            right = f"{{{', '.join(f'{name}: {value}' for name, value in members.items())}}}"
        elif hasattr(named, "values"):
            right = draw(st.sampled_from(sorted(named.values)))
        else:
            ready = {
                "Int": "3",
                "Float": "0.5",
                "Boolean": "true",
                "DateTime": '"2026-01-01T00:00:00Z"',
                "JSON": "{a: [1]}",
            }
            right = ready.get(named.name) or json.dumps(draw(st.sampled_from(["ada", "", "demo", "é\x00"])))
        return f"[{right}]" if "[" in str(type_) else right
