"""Every field of the roots declares the right it takes, and an operation takes the greatest of its fields'."""

from __future__ import annotations

import pytest
from graphql import parse

from domain.caller import LOCAL, Role, is_workspace
from schema.build import build
from schema.fields import right_of
from server.access.rights import rights

SCHEMA = build()
ROOTS = {root.name: root for root in (SCHEMA.query_type, SCHEMA.mutation_type, SCHEMA.subscription_type) if root}
FIELDS = [(name, field) for name, root in ROOTS.items() for field in root.fields]

READ, WRITE, ADMIN = Role


@pytest.mark.parametrize(("root", "field"), FIELDS)
def test_each_field_declares_its_right(root: str, field: str) -> None:
    right = right_of(ROOTS[root].fields[field])
    assert right is not None, "query(...), mutation(...) and subscription(...) take right="
    assert root != "Mutation" or right is not READ, "who may only read changes nothing"


def test_what_only_admins_may() -> None:
    found = {field for root, field in FIELDS if right_of(ROOTS[root].fields[field]) is ADMIN}
    assert found == {"apiKeys", "applyRetention", "auditLog", "createApiKey", "findEntities", "revokeApiKey"}


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("{ viewer { name } }", READ),
        ("{ __schema { types { name } } __typename }", READ),
        ("{ viewer { name } apiKeys { id } }", ADMIN),
        ("{ hidden: apiKeys { id } }", ADMIN),
        ("{ apiKeys @skip(if: true) { id } }", ADMIN),
        ("{ ...A } fragment A on Query { ... { ...B } } fragment B on Query { auditLog { nodes { id } } }", ADMIN),
        ('mutation { deleteState(input: {namespace: "n", key: "k"}) { errors { code } } }', WRITE),
        ("subscription { memoryChanges { cursor } }", READ),
    ],
)
def test_an_operation_takes_the_greatest(text: str, right: Role) -> None:
    assert rights(SCHEMA, parse(text)) == {None: right}


def test_each_operation_of_a_document_has_its_own() -> None:
    text = "query A { apiKeys { id } } query B { viewer { name } }"
    assert rights(SCHEMA, parse(text)) == {"A": ADMIN, "B": READ}


def test_a_role_includes_those_below() -> None:
    assert [[role.allows(right) for right in Role] for role in Role] == [
        [True, False, False],
        [True, True, False],
        [True, True, True],
    ]
    assert LOCAL.role.rights == ["READ", "WRITE", "ADMIN"]


@pytest.mark.parametrize("name", ["default", "a", "Team-1.x_y@z", "9", "x" * 100])
def test_a_name_of_a_workspace(name: str) -> None:
    assert is_workspace(name)


@pytest.mark.parametrize("name", ["", "/keys", "a/b", "-a", ".a", "a b", "a:b", "ä", "a\n", "x" * 101])
def test_no_name_of_a_workspace(name: str) -> None:
    assert not is_workspace(name)
