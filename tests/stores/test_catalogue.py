"""What follows from the declarations of records, and what a declaration must say."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar

import apsw
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.declaration import EXPIRES, SORTED, Natural, Stored, listed, refers
from domain.node import Id, Node
from domain.values import EMPTY_OBJECT, Json
from stores.catalogue.column import Column
from stores.catalogue.kind import Kind
from stores.catalogue.kinds import KINDS
from stores.catalogue.references import checked, export_order, gone_with
from stores.contract.making import Clock
from stores.embedded.tables import create_indexes, create_table, create_triggers


class Note(Node, frozen=True, kw_only=True, gc=False):
    """What somebody says of a record: a kind with all that a declaration can say."""

    prefix: ClassVar[str] = "nte"
    noun: ClassVar[str] = "note"

    target_id: Annotated[Id, refers("Message", "Memory", gone="cascade", edge="ON"), Natural(1), listed("created_at")]
    name: Annotated[str, Natural(0)]
    author_id: Annotated[Id | None, refers("User", "Agent", gone="null")]
    session_id: Annotated[Id | None, refers("Session", gone="null")]
    seen: bool
    value: float | None
    created_at: Annotated[datetime, SORTED]
    expires_at: Annotated[datetime | None, EXPIRES]
    mentions: Annotated[list[Id], refers(Node, gone="keep"), Stored("named", empty_is_null=True)]
    labels: list[str] = []
    rank: int = 7
    metadata: Json = EMPTY_OBJECT
    pinned: bool = True


NOTE = Kind(Note, "note", derived={"by": lambda one: one.author_id or ""}, replaces=True)


def note(**values: Any) -> Note:
    defaults: dict[str, Any] = {
        "id": Id("nte_1"), "target_id": Id("msg_1"), "name": "clear", "author_id": None, "session_id": None,
        "seen": False, "value": None, "created_at": datetime(2026, 1, 1, tzinfo=UTC), "expires_at": None,
        "mentions": [],
    }  # fmt: skip
    return Note(**{**defaults, **values})


TIMES = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))
TEXTS = st.text(max_size=20)


def values(column: Column) -> st.SearchStrategy[Any]:
    """Values that a field may have."""
    if column.form == "json":
        made: st.SearchStrategy[Any] = st.builds(
            lambda one: msgspec.Raw(msgspec.json.encode(one)), st.dictionaries(TEXTS, TEXTS)
        )
    elif column.form == "time":
        made = TIMES
    elif column.form == "strings":
        made = st.lists(TEXTS, max_size=3)
    elif column.form == "enum":
        made = st.sampled_from(list(column.type))
    elif column.form == "struct":
        made = st.from_type(column.type)
    else:
        made = {int: st.integers(-(2**53), 2**53), float: st.floats(allow_nan=False), bool: st.booleans()}.get(
            column.type, TEXTS
        )
    return st.none() | made if column.optional else made


FLAT = [
    one for one in KINDS if all(c.form != "struct" and c.field and "." not in c.field for c in one.columns.values())
]


@pytest.mark.parametrize("of", [*FLAT, NOTE], ids=lambda of: of.name)
@given(data=st.data())
def test_records_become_rows_and_records_again(of: Kind[Any], data: st.DataObject) -> None:
    fields = {one.field: data.draw(values(one)) for one in of.columns.values() if one.field}
    cls = of.variants[fields["kind"]] if of.variants else of.record
    record = cls(**fields)
    row = of.encode(record)
    assert len(row) == len(of.columns)
    assert {type(value) for value in row} <= {str, int, float, bool, type(None)}
    again = of.decode(row)
    assert again == record
    assert type(again) is type(record)


def test_a_row_of_before_a_field_is_read_with_its_default() -> None:
    row = dict(zip(NOTE.columns, NOTE.encode(note(labels=["a"], rank=1, pinned=False)), strict=True))
    row.update(labels=None, rank=None, metadata=None, pinned=None)
    assert NOTE.decode(tuple(row.values())) == note()


def test_records_are_made_by_keyword_but_for_generated_code() -> None:
    assert Note("nte_1", "msg_1", "clear", None, None, False, None, note().created_at, None, []) == note()  # type: ignore[call-arg, misc]
    with pytest.raises(TypeError):
        Note(id=Id("nte_1"))  # type: ignore[call-arg]


class TestADeclarationMustSay:
    def test_what_an_id_refers_to(self) -> None:
        class Loose(Node, frozen=True, kw_only=True, gc=False):
            target_id: Id | None

        with pytest.raises(TypeError, match=r"Loose\.target_id .* refers to"):
            Kind(Loose, "loose")

    def test_what_ids_in_a_list_refer_to(self) -> None:
        class Loose(Node, frozen=True, kw_only=True, gc=False):
            target_ids: list[Id]

        with pytest.raises(TypeError, match="refers to"):
            Kind(Loose, "loose")

    def test_what_ids_refer_to_in_whatever_they_are_held(self) -> None:
        class Loose(Node, frozen=True, kw_only=True, gc=False):
            target_ids: tuple[Id, ...] | None

        with pytest.raises(TypeError, match="refers to"):
            Kind(Loose, "loose")

    def test_a_default_that_older_records_can_be_given(self) -> None:
        class Odd(Node, frozen=True, kw_only=True, gc=False):
            size: int | None = 3

        with pytest.raises(TypeError, match="default"):
            Kind(Odd, "odd")


def test_every_registered_record_stands_in_the_catalogue() -> None:
    assert set(Node.kinds.values()) <= {one.record for one in KINDS}


def test_lines_of_a_file_stand_behind_what_they_refer_to() -> None:
    order = export_order()
    for index, of in enumerate(order):
        for others in checked(of).values():
            assert all(other in order[: index + 1] for other in others)
    assert [one.line for one in order][:7] == ["user", "agent", "blob", "session", "participant", "thread", "message"]


def test_what_goes_with_a_record_is_told_from_the_farthest_on() -> None:
    for of in KINDS:
        steps = [(step.gone, len(step.way)) for step in gone_with(of)]
        assert steps == sorted(steps, key=lambda step: (step[0] == "cascade", -step[1]))


@pytest.fixture
def db() -> Any:
    """A database with the note's table beside all others."""
    opened = apsw.Connection(":memory:")
    opened.create_scalar_function("now_us", lambda: int(Clock()().timestamp() * 1e6), 0)
    for of in (*KINDS, NOTE):
        opened.execute(create_table(of))
    for of in (*KINDS, NOTE):
        for statement in (*create_indexes(of), *create_triggers(of)):
            opened.execute(statement)
    yield opened
    opened.close()


def test_a_reference_of_several_kinds_does_what_a_foreign_key_does(db: apsw.Connection) -> None:
    db.execute("INSERT INTO user (id, workspace, name, profile, created_at) VALUES ('usr_1', 1, '', '{}', 0)")
    columns = "id, workspace, target, name, author, seen, created_at, by"
    for id, target, author in (("nte_1", "usr_1", "usr_1"), ("nte_2", "msg_1", "usr_1"), ("nte_3", "msg_2", None)):
        db.execute(f"INSERT INTO note ({columns}) VALUES (?, 1, ?, 'n', ?, 0, 0, '')", (id, target, author))
    assert db.execute("SELECT DISTINCT rank, labels, pinned FROM note").fetchall() == [(7, "[]", 1)]
    db.execute("DELETE FROM user")
    assert db.execute("SELECT id, author FROM note").fetchall() == [("nte_1", None), ("nte_2", None), ("nte_3", None)]
    db.execute(
        "INSERT INTO memory (id, workspace, type, scope, status, text, tags, metadata, importance, decay_factor, "
        "access_count, created_at, updated_at, version, scope_key) "
        "VALUES ('msg_1', 1, '', '', '', '', '', '', 0, 0, 0, 0, 0, 0, 0)"
    )
    db.execute("DELETE FROM memory")
    assert db.execute("SELECT id FROM note").fetchall() == [("nte_1",), ("nte_3",)]


def test_the_natural_key_stands_in_its_own_order() -> None:
    assert NOTE.natural == ("name", "target", "by")
    assert NOTE.natural_key(note(author_id=Id("usr_1"))) == ("clear", "msg_1", "usr_1")
