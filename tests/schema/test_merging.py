"""One selection over different types: fields of one name must be mergeable wherever two types can meet."""

from __future__ import annotations

from itertools import combinations

import pytest
from graphql import (
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLUnionType,
    OverlappingFieldsCanBeMergedRule,
    get_named_type,
    is_composite_type,
    parse,
    validate,
)

from schema.build import build
from schema.enums import SHARED

SCHEMA = build()
ABSTRACT = [t for t in SCHEMA.type_map.values() if isinstance(t, GraphQLInterfaceType | GraphQLUnionType)]


def fields(of: GraphQLNamedType) -> dict[str, GraphQLField]:
    return of.fields if isinstance(of, GraphQLObjectType | GraphQLInterfaceType) else {}


def meeting() -> set[tuple[str, str]]:
    """The types that a selection can name side by side: those that one interface or union may be."""
    return {
        pair for one in ABSTRACT for pair in combinations(sorted(t.name for t in SCHEMA.get_possible_types(one)), 2)
    }


def selected(name: str, field: GraphQLField) -> str:
    return f"{name} {{ __typename }}" if is_composite_type(get_named_type(field.type)) else name


@pytest.mark.parametrize("pair", sorted(meeting()), ids=" ".join)
def test_fields_of_one_name_can_be_selected_together(pair: tuple[str, str]) -> None:
    one, other = (fields(SCHEMA.type_map[name]) for name in pair)
    conflicts = []
    for name in sorted(one.keys() & other.keys()):
        parts = [f"... on {of} {{ {selected(name, its[name])} }}" for of, its in zip(pair, (one, other), strict=True)]
        document = parse(f"fragment F on {ABSTRACT_OF[pair]} {{ {' '.join(parts)} }}")
        if validate(SCHEMA, document, [OverlappingFieldsCanBeMergedRule]):
            conflicts.append(f"{name}: {one[name].type} and {other[name].type}")
    assert conflicts == []


ABSTRACT_OF = {
    pair: one.name
    for one in ABSTRACT
    for pair in combinations(sorted(t.name for t in SCHEMA.get_possible_types(one)), 2)
}


def test_shared_enums_have_all_members_of_those_they_show() -> None:
    for shared, kinds in SHARED.items():
        assert {member.value for member in shared} == {member.value for kind in kinds for member in kind}
        assert all(member.name == member.value for kind in kinds for member in kind)
