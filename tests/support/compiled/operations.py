"""Operations made from the schema by chance: valid ones, over every type, with everything GraphQL has to offer."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any, NamedTuple

from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    get_named_type,
    is_abstract_type,
    is_leaf_type,
    is_required_argument,
)


class Name(str):
    """A value that is written without quotes."""


class Operation(NamedTuple):
    """One operation to run: a document, the variables, and which of its operations."""

    query: str
    variables: dict[str, Any]
    name: str | None = None


class _Fragment(NamedTuple):
    name: str
    on: str
    depth: int
    text: str
    uses: frozenset[str]


class _Variable(NamedTuple):
    type: str
    default: str
    value: Any


_SMALL = {"first", "last", "limit", "depth", "maxDepth"}
_WORDS = ["tea", "order", "a", "demo", "tool", "the", "line 1", "none such", "", "ü"]
_TIMES = ["2026-01-01T00:00:00Z", "2020-02-29T23:59:59.123456+02:00", "2100-01-01T00:00:00Z"]


class Maker:
    """Makes documents. facts: ids and names of things that are there."""

    def __init__(self, schema: GraphQLSchema, facts: Mapping[str, Sequence[Any]], random: Random) -> None:
        self._schema, self._facts, self._random = schema, facts, random
        self._variables: dict[str, _Variable] = {}
        self._fragments: list[_Fragment] = []
        self._keys: dict[tuple[str, str, str, int], str] = {}
        self._ambiguous = _ambiguous(schema)

    def document(self, operations: int, depth: int, roots: int = 1) -> list[Operation]:
        """A document with some operations, each of which is run for itself."""
        self._variables, self._fragments, self._keys = {}, [], {}
        query = self._schema.query_type
        assert query is not None
        made: list[tuple[str | None, str, set[str]]] = []
        for number in range(operations):
            uses: set[str] = set()
            name = f"Q{number}" if operations > 1 or self._chance(0.3) else None
            body = " ".join(self._root(query, depth, uses) for _ in range(roots))
            made.append((name, f"{{ {body} }}", uses))
        texts = [f"fragment {f.name} on {f.on} {f.text}" for f in self._fragments]
        for name, body, uses in made:
            used = self._closed(uses)
            declared = [n for n in self._variables if n in used]
            self._random.shuffle(declared)
            variables = ", ".join(f"${n}: {self._variables[n].type}{self._variables[n].default}" for n in declared)
            head = f"query {name or ''}{f'({variables})' if variables else ''}" if name or variables else ""
            texts.append(f"{head} {body}")
        self._random.shuffle(texts)
        text = "\n".join(texts)
        return [Operation(text, self._given(self._closed(uses)), name) for name, _, uses in made]

    def _closed(self, uses: set[str]) -> set[str]:
        """Variables and fragments, with those that used fragments use."""
        by_name = {f.name: f for f in self._fragments}
        done: set[str] = set()
        todo = list(uses)
        while todo:
            if (one := todo.pop()) not in done:
                done.add(one)
                if one in by_name:
                    todo += by_name[one].uses
        return done

    def _given(self, used: set[str]) -> dict[str, Any]:
        given = {}
        for name, variable in self._variables.items():
            if name in used and not (variable.default and self._chance(0.5)):
                given[name] = variable.value
        return given

    def _chance(self, share: float) -> bool:
        return self._random.random() < share

    def _root(self, query: GraphQLObjectType, depth: int, uses: set[str]) -> str:
        name = self._random.choice(list(query.fields))
        return self._field(query, name, query.fields[name], depth, uses)

    def _selection(self, type_: Any, depth: int, uses: set[str]) -> str:
        """The selection set of an object, interface or union."""
        parts: list[str] = []
        if is_abstract_type(type_):
            possible = list(self._schema.get_possible_types(type_))
            chosen_types = self._random.sample(possible, min(len(possible), self._random.choice((1, 1, 2))))
            parts += [self._spread(one, depth, uses) for one in chosen_types]
            if type_.name == "Node" and self._chance(0.5):
                parts.append(self._spread(self._schema.type_map["Session"], depth, uses))
        elif self._chance(0.15):
            on = self._random.choice([type_, *type_.interfaces])
            parts.append(self._spread(on, depth, uses))
        if self._chance(0.3) or not (parts or hasattr(type_, "fields")):
            alias = self._random.choice(("", "", "t: ", "u: "))
            parts.append(f"{alias}__typename{self._directive(uses)}")
        if hasattr(type_, "fields"):
            leaves = [n for n, f in type_.fields.items() if is_leaf_type(get_named_type(f.type))]
            below = [n for n in type_.fields if n not in leaves] if depth > 0 else []
            chosen = self._random.sample(leaves, min(len(leaves), self._random.choice((1, 1, 2, 3, 6))))
            chosen += self._random.sample(below, min(len(below), self._random.choice((1, 1, 1, 1, 2, 3))))
            if chosen and self._chance(0.2):
                chosen.append(self._random.choice(chosen))
            parts += [self._field(type_, name, type_.fields[name], depth, uses) for name in chosen]
        self._random.shuffle(parts)
        return "{ " + " ".join(parts or ["__typename"]) + " }"

    def _spread(self, on: Any, depth: int, uses: set[str]) -> str:
        """An inline fragment or a named one."""
        directive = self._directive(uses)
        if self._chance(0.6):
            return f"... on {on.name}{directive} {self._selection(on, depth, uses)}"
        known = [f for f in self._fragments if f.on == on.name and f.depth <= depth]
        if known and self._chance(0.5):
            fragment = self._random.choice(known)
        else:
            inner: set[str] = set()
            text = self._selection(on, depth, inner)
            fragment = _Fragment(f"F{len(self._fragments)}", on.name, depth, text, frozenset(inner))
            self._fragments.append(fragment)
        uses.add(fragment.name)
        return f"...{fragment.name}{directive}"

    def _field(self, parent: Any, name: str, field: GraphQLField, depth: int, uses: set[str]) -> str:
        arguments = self._arguments(parent, field, name, uses)
        variant = self._random.choice((0, 0, 0, 0, 1, 2))
        key = (name, str(field.type), arguments, variant)
        if key not in self._keys:
            plain = not arguments and variant == 0 and name not in self._ambiguous
            self._keys[key] = name if plain else f"{name}_{len(self._keys)}"
        alias = self._keys[key]
        head = f"{'' if alias == name else f'{alias}: '}{name}{arguments}{self._directive(uses)}"
        inner = get_named_type(field.type)
        return head if is_leaf_type(inner) else f"{head} {self._selection(inner, depth - 1, uses)}"

    def _directive(self, uses: set[str]) -> str:
        if not self._chance(0.12):
            return ""
        names = [self._random.choice(("skip", "include"))]
        if self._chance(0.15):
            names = ["skip", "include"]
        return "".join(f" @{name}(if: {self._flag(name, uses)})" for name in names)

    def _flag(self, directive: str, uses: set[str]) -> str:
        kept = directive == "include"
        if self._chance(0.3):
            return "true" if self._chance(0.75) is kept else "false"
        name = f"b{self._random.randrange(4)}"
        if name not in self._variables:
            value = self._chance(0.5)
            if self._chance(0.5):
                self._variables[name] = _Variable("Boolean!", "", value)
            else:
                self._variables[name] = _Variable("Boolean", " = true" if self._chance(0.5) else " = false", value)
                if self._chance(0.05):
                    self._variables[name] = self._variables[name]._replace(value=None)
        uses.add(name)
        return f"${name}"

    def _arguments(self, parent: Any, field: GraphQLField, field_name: str, uses: set[str]) -> str:
        given = []
        for name, argument in field.args.items():
            required = isinstance(argument.type, GraphQLNonNull) and argument.default is None
            small = name == "first"
            if not (required or (small and "last" not in "".join(given)) or self._chance(0.1)):
                continue
            if name == "last" and any(one.startswith("first") for one in given):
                continue
            if name in ("after", "before") and not self._chance(0.1):
                continue
            value = self._value(argument.type, name, f"{parent.name}.{field_name}")
            if self._chance(0.25):
                variable = f"v{len(self._variables)}"
                default = ""
                type_ = str(argument.type)
                if self._chance(0.2) and not isinstance(argument.type, GraphQLNonNull):
                    default = f" = {_literal(value)}"
                self._variables[variable] = _Variable(type_, default, _json(value))
                uses.add(variable)
                given.append(f"{name}: ${variable}")
            else:
                given.append(f"{name}: {_literal(value)}")
        return f"({', '.join(given)})" if given else ""

    def _value(self, type_: Any, name: str, where: str, depth: int = 2) -> Any:
        random = self._random
        if isinstance(type_, GraphQLNonNull):
            return self._value(type_.of_type, name, where, depth)
        if isinstance(type_, GraphQLList):
            if name == "ids":
                ids = [i for kind in ("session", "memory", "message", "user", "event", "span") for i in self._ids(kind)]
                return [*random.sample(ids, 4), "mem_none"]
            return [self._value(type_.of_type, name, where, depth) for _ in range(random.choice((0, 1, 1, 2)))]
        if isinstance(type_, GraphQLEnumType):
            return Name(random.choice(list(type_.values)))
        if isinstance(type_, GraphQLInputObjectType):
            return self._object(type_, name, where, depth)
        assert isinstance(type_, GraphQLScalarType)
        return self._scalar(type_.name, name, where)

    def _scalar(self, type_: str, name: str, where: str) -> Any:
        random = self._random
        if type_ == "Int":
            if name in _SMALL:
                return random.choice((0, 1, 1, 2, 2, 3, 4, 2000 if self._chance(0.1) else 2))
            return random.choice((0, 1, 5, 100))
        if type_ == "Float":
            return random.choice((0, 0.0, 0.25, 0.5, 1.0))
        if type_ == "Boolean":
            return self._chance(0.5)
        if type_ == "DateTime":
            return random.choice(_TIMES)
        if type_ == "JSON":
            return random.choice(({"demo": True}, {}, {"a": [1, {"b": None}]}))
        if type_ == "ID":
            kind = (
                "memory" if name in ("from", "to", "like") else random.choice(("session", "memory", "message", "user"))
            )
            return random.choice(self._ids(kind))
        if name in ("after", "before"):
            return random.choice([*self._facts["session cursor"][:3], *self._facts["message cursor"][:3], "x"])
        if name == "traceId":
            return random.choice(self._facts["span name"])
        if name == "namespace":
            return random.choice(("demo", "n", "none"))
        if name == "key":
            return random.choice(("k", "l", "filled"))
        return random.choice(_WORDS)

    def _ids(self, kind: str) -> list[Any]:
        return list(self._facts[kind])

    def _object(self, type_: GraphQLInputObjectType, name: str, where: str, depth: int) -> dict[str, Any]:
        random = self._random
        if type_.name == "Ref":
            kinds = {"Query.session": "session", "Query.user": "user", "Query.agent": "agent", "Query.memory": "memory"}
            kind = kinds.get(where) or {"owner": "user", "participant": "user", "sender": "user"}.get(name, name)
            if kind not in ("session", "user", "agent", "memory"):
                kind = "session"
            if self._chance(0.4):
                return {"externalId": random.choice([*self._facts[f"{kind} name"], "none such"])}
            return {"id": random.choice(self._ids(kind))}
        if type_.name == "MemoryQuery":
            return (
                {"text": random.choice(_WORDS[:6])}
                if self._chance(0.7)
                else {"like": random.choice(self._ids("memory"))}
            )
        fields = list(type_.fields)
        required = [n for n, f in type_.fields.items() if isinstance(f.type, GraphQLNonNull) and f.default is None]
        chosen = dict.fromkeys([*required, *random.sample(fields, min(len(fields), random.choice((0, 1, 1, 2))))])
        if depth == 0:
            chosen = {n: None for n in chosen if is_leaf_type(get_named_type(type_.fields[n].type))}
        return {n: self._value(type_.fields[n].type, n, where, depth - 1) for n in chosen}


def _ambiguous(schema: GraphQLSchema) -> set[str]:
    """The names of fields that have another type elsewhere."""
    types: dict[str, set[str]] = {}
    for type_ in schema.type_map.values():
        if isinstance(type_, GraphQLObjectType) and not type_.name.startswith("__"):
            for name, field in type_.fields.items():
                types.setdefault(name, set()).add(str(field.type))
    return {name for name, found in types.items() if len(found) > 1}


def _literal(value: Any) -> str:
    """A value as it stands in a document."""
    if isinstance(value, Name):
        return str(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {_literal(one)}" for name, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_literal, value)) + "]"
    return json.dumps(value)


def _json(value: Any) -> Any:
    """A value as it stands among variables."""
    return json.loads(json.dumps(value))


def whole(schema: GraphQLSchema, type_: Any, depth: int) -> str:
    """Everything there is of a type, and of what hangs on it so far down."""
    parts = ["__typename"]
    for possible in schema.get_possible_types(type_) if is_abstract_type(type_) else [type_]:
        inner = []
        for name, field in possible.fields.items():
            below = get_named_type(field.type)
            if any(is_required_argument(argument) for argument in field.args.values()):
                continue
            if is_leaf_type(below):
                inner.append(f"{name}_{possible.name}: {name}")
            elif depth > 0:
                inner.append(f"{name}_{possible.name}: {name} {whole(schema, below, depth - 1)}")
        parts.append(f"... on {possible.name} {{ {' '.join(inner)} }}" if inner else "")
    return f"{{ {' '.join(parts)} }}"
