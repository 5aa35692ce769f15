"""The published schema: in step with the code, described, and as clients rely on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from graphql import (
    EnumTypeDefinitionNode,
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    InputObjectTypeDefinitionNode,
    InputValueDefinitionNode,
    InterfaceTypeDefinitionNode,
    ObjectTypeDefinitionNode,
    ScalarTypeDefinitionNode,
    UnionTypeDefinitionNode,
    build_schema,
    parse,
    print_ast,
    specified_directives,
)

from schema.build import build, sdl

HERE = Path(__file__).parent
SETTLED = {node.name.value: node for node in parse((HERE / "settled.graphql").read_text()).definitions}  # type: ignore[attr-defined]
PUBLISHED: GraphQLSchema = build_schema(sdl())
OURS = {name: type for name, type in PUBLISHED.type_map.items() if not name.startswith("__")}
SPECIFIED = {"String", "Int", "Float", "Boolean", "ID"}
CONNECTIONS = sorted(name for name in OURS if name.endswith("Connection"))


def test_the_committed_schema_is_that_of_the_code() -> None:
    committed = (HERE.parents[1] / "schema" / "schema.graphql").read_text()
    assert committed == sdl(), "refresh it: recollect schema > schema/schema.graphql"


class TestDescriptions:
    @pytest.mark.parametrize("name", sorted(OURS.keys() - SPECIFIED))
    def test_each_type_has_one(self, name: str) -> None:
        description = OURS[name].description
        assert description and description.endswith("."), "a description is at least one sentence"

    @pytest.mark.parametrize("root", ["Mutation", "Subscription"])
    def test_each_way_to_write_or_follow_has_one(self, root: str) -> None:
        fields = OURS[root].fields  # type: ignore[union-attr]
        assert [name for name, field in fields.items() if not field.description] == []

    def test_each_query_that_its_name_does_not_explain_has_one(self) -> None:
        plain = {"session", "user", "agent", "memory", "state", "health"}
        fields = OURS["Query"].fields  # type: ignore[union-attr]
        assert {name for name, field in fields.items() if not field.description} <= plain

    def test_each_list_but_those_named_after_what_is_in_them_has_one(self) -> None:
        bare = {
            f"{type.name}.{name}"
            for type in OURS.values()
            if isinstance(type, GraphQLObjectType)
            for name, field in type.fields.items()
            if str(field.type).rstrip("!") in CONNECTIONS and not field.description
        }
        assert bare <= {"Message.replies", "Span.events", "Thread.messages"}


def shape(arguments: Any) -> dict[str, tuple[str, Any]]:
    """Type and default of arguments or input fields, of a built type."""
    return {
        name: (str(argument.type), number(print_ast(argument.ast_node.default_value)) if argument.ast_node.default_value else None)
        for name, argument in arguments.items()
    }  # fmt: skip


def settled_shape(nodes: tuple[InputValueDefinitionNode, ...] | None) -> dict[str, tuple[str, Any]]:
    return {
        node.name.value: (
            print_ast(node.type),
            number(print_ast(node.default_value)) if node.default_value else None,
        )
        for node in nodes or ()
    }


def number(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return text


def named(*kinds: type) -> list[str]:
    return sorted(name for name, node in SETTLED.items() if isinstance(node, kinds))


class TestSettled:
    @pytest.mark.parametrize("name", named(ObjectTypeDefinitionNode, InterfaceTypeDefinitionNode))
    def test_an_output_type(self, name: str) -> None:
        node: Any = SETTLED[name]
        ours: Any = OURS[name]
        kind = GraphQLObjectType if isinstance(node, ObjectTypeDefinitionNode) else GraphQLInterfaceType
        assert isinstance(ours, kind)
        assert {interface.name.value for interface in node.interfaces or ()} <= {one.name for one in ours.interfaces}
        for field in node.fields:
            found = ours.fields.get(field.name.value)
            assert found is not None, f"{name}.{field.name.value} is missing"
            assert str(found.type) == print_ast(field.type), f"{name}.{field.name.value}"
            wanted, given = settled_shape(field.arguments), shape(found.args)
            assert {argument: given.get(argument) for argument in wanted} == wanted, f"{name}.{field.name.value}"
            extra = [argument for argument in given.keys() - wanted.keys() if given[argument][0].endswith("!")]
            assert extra == [], "an argument that callers do not know must not be required"

    @pytest.mark.parametrize("name", named(InputObjectTypeDefinitionNode))
    def test_an_input(self, name: str) -> None:
        node: Any = SETTLED[name]
        ours = OURS[name]
        assert isinstance(ours, GraphQLInputObjectType)
        wanted, given = settled_shape(node.fields), shape(ours.fields)
        assert {field: given.get(field) for field in wanted} == wanted
        assert ours.is_one_of == any(directive.name.value == "oneOf" for directive in node.directives or ())

    @pytest.mark.parametrize("name", named(EnumTypeDefinitionNode))
    def test_an_enum(self, name: str) -> None:
        ours = OURS[name]
        assert isinstance(ours, GraphQLEnumType)
        assert list(ours.values) == [value.name.value for value in SETTLED[name].values]  # type: ignore[attr-defined]

    @pytest.mark.parametrize("name", named(UnionTypeDefinitionNode))
    def test_a_union(self, name: str) -> None:
        ours = OURS[name]
        assert isinstance(ours, GraphQLUnionType)
        assert {type.name.value for type in SETTLED[name].types} == {type.name for type in ours.types}  # type: ignore[attr-defined]

    def test_the_scalars(self) -> None:
        scalars = {name for name in OURS if print_kind(name) == "GraphQLScalarType"} - SPECIFIED
        assert scalars == set(named(ScalarTypeDefinitionNode))

    def test_one_directive_of_our_own(self) -> None:
        assert {one.name for one in PUBLISHED.directives} - {one.name for one in specified_directives} == {
            "consistency"
        }


def print_kind(name: str) -> str:
    return type(OURS[name]).__name__


class TestPattern:
    """What all types of a sort have in common."""

    @pytest.mark.parametrize("name", CONNECTIONS)
    def test_a_connection(self, name: str) -> None:
        connection, edge = OURS[name], OURS[name.removesuffix("Connection") + "Edge"]
        assert isinstance(connection, GraphQLObjectType)
        assert isinstance(edge, GraphQLObjectType)
        node = str(edge.fields["node"].type)
        fields = {field: str(found.type) for field, found in connection.fields.items()}
        assert (
            fields.items()
            >= {
                "edges": f"[{edge.name}!]!",
                "nodes": f"[{node}]!",
                "pageInfo": "PageInfo!",
                "totalCount": "Int",
            }.items()
        )
        assert str(edge.fields["cursor"].type) == "String!"
        within = OURS[node.rstrip("!")]
        assert "Node" in {interface.name for interface in within.interfaces}  # type: ignore[union-attr]

    def test_each_field_with_a_connection_takes_the_arguments_of_a_page(self) -> None:
        page = {"first": "Int", "after": "String", "last": "Int", "before": "String"}
        for type in OURS.values():
            for name, field in getattr(type, "fields", {}).items():
                if str(field.type).rstrip("!") in CONNECTIONS:
                    given = {argument: str(one.type) for argument, one in field.args.items()}
                    assert given.items() >= page.items(), f"{type.name}.{name}"

    def test_each_list_takes_an_order(self) -> None:
        for type in OURS.values():
            for name, field in getattr(type, "fields", {}).items():
                if str(field.type).rstrip("!") in CONNECTIONS:
                    order: Any = field.args["orderBy"].type
                    given = {member: str(one.type) for member, one in order.fields.items()}
                    assert given == {"field": f"{order.name}Field!", "direction": "OrderDirection!"}, (
                        f"{type.name}.{name}"
                    )

    @pytest.mark.parametrize("name", sorted(name for name in OURS if name.endswith("Filter")))
    def test_each_filter_takes_and_or_and_not(self, name: str) -> None:
        fields: Any = OURS[name].fields  # type: ignore[union-attr]
        logic = {member: str(fields[member].type) for member in ("and", "or", "not")}
        assert logic == {"and": f"[{name}!]", "or": f"[{name}!]", "not": name}

    @pytest.mark.parametrize("mutation", sorted(OURS["Mutation"].fields))  # type: ignore[union-attr]
    def test_a_mutation_takes_one_input_and_gives_one_payload(self, mutation: str) -> None:
        field = OURS["Mutation"].fields[mutation]  # type: ignore[union-attr]
        assert {name: str(one.type) for name, one in field.args.items()} == {
            "input": f"{mutation[0].upper()}{mutation[1:]}Input!"
        }
        payload: Any = OURS[str(field.type).rstrip("!")]
        assert payload.name.endswith("Payload")
        assert str(payload.fields["errors"].type) == "[UserError!]!"
        assert not any(str(one.type).endswith("!") for name, one in payload.fields.items() if name != "errors"), (
            "all is null where there are errors"
        )

    def test_every_create_takes_an_idempotency_key(self) -> None:
        creates = ("create", "add", "upsert", "link", "append", "start", "set")
        for name in OURS["Mutation"].fields:  # type: ignore[union-attr]
            if name.startswith(creates):
                input: Any = OURS[f"{name[0].upper()}{name[1:]}Input"]
                assert str(input.fields["idempotencyKey"].type) == "String", name

    def test_no_name_of_python_shows(self) -> None:
        names = {
            f"{type.name}.{name}"
            for type in OURS.values()
            for name in getattr(type, "fields", {})
            if "_" in name
        }  # fmt: skip
        assert names == set()

    def test_the_executable_schema_is_the_published_one(self) -> None:
        executable = build()
        assert set(executable.type_map) == set(PUBLISHED.type_map)
        for name, type in OURS.items():
            assert set(getattr(executable.type_map[name], "fields", {})) == set(getattr(type, "fields", {}))
