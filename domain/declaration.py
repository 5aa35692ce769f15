"""Marks that a record's fields carry, from which tables, indexes and references follow.

They say it once, as marks of `Annotated`; tables, indexes, deletes, checks and lists of every engine follow:

    class Note(Node, frozen=True, kw_only=True, gc=False):
        prefix: ClassVar[str] = "nte"
        noun: ClassVar[str] = "note"

        memory_id: Annotated[Id, refers("Memory", gone="cascade"), listed("created_at")]
        name: Annotated[str, NATURAL]
        created_at: Annotated[datetime, SORTED]
        pinned: bool = False

A field that is added later comes last and has a default: what was stored before it is read with that. An `Id` has to
say what it refers to. The record itself gets a line in stores/catalogue/kinds.py.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

if TYPE_CHECKING:
    from domain.node import Node

F = TypeVar("F", bound=Callable[..., Any])


def made_of(*fields: str) -> Callable[[F], F]:
    """Says of a property of a record that it looks at these fields alone; a record that is read for it need not have
    the others."""

    def said(function: F) -> F:
        function.made_of = frozenset(fields)  # type: ignore[attr-defined]
        return function

    return said


Gone = Literal["cascade", "null", "refuse", "keep"]


class Refers(NamedTuple):
    """The field names another record, by its id. See `refers`."""

    kinds: tuple[type[Node] | str, ...]
    gone: Gone
    edge: str = ""
    later: bool = False
    lives: bool = False


def refers(*kinds: type[Node] | str, gone: Gone, edge: str = "", later: bool = False, lives: bool = False) -> Refers:
    """The mark of a field that names a record of one of these kinds; a name in place of a class where modules would
    import each other.

    gone: what happens when that record is deleted. "cascade": this one is deleted too; "null": the field is emptied;
    "refuse": it cannot be deleted while this one is there; "keep": nothing, the field may name what is gone.
    edge: the type of the relationship, where a graph has one. later: in a file that record may stand behind this one.
    lives: this one counts as expired once that one is.
    """
    return Refers(kinds, gone, edge, later, lives)


class Natural(NamedTuple):
    """A part of the natural key, which is unique in a workspace. place: its place in the key, where that is not the
    order of the fields."""

    place: int = 99


NATURAL = Natural()


class Listed(NamedTuple):
    """Records with the same value here are listed in the order of these columns, and there is an index for it."""

    by: tuple[str, ...]


def listed(*by: str) -> Listed:
    """The mark of a field by which records are listed, in the order of these columns."""
    return Listed(by)


class Shown(NamedTuple):
    """Each record that is named shows those that name it, as a list under a name of its own."""

    name: str
    description: str


def shown(name: str, description: str) -> Shown:
    """The mark of a field by which records are `listed`, in the API too: as a field of what it names."""
    return Shown(name, description)


class Stored(NamedTuple):
    """How the column differs from the field: in its name, or in that an empty list is kept as NULL."""

    name: str = ""
    empty_is_null: bool = False


class Mark(enum.Enum):
    """Marks without a parameter."""

    SORTED = "a workspace's records can be listed in the order of this field"
    EXPIRES = "from this time on the record is not there any more"
    DUE = "at this time something is to be done with the record"
    PLACE = "the record's place in a log, given by the store"
    SPREAD = "each of the value's own fields has a column"


SORTED, EXPIRES, DUE, PLACE, SPREAD = Mark
