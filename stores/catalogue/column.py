"""The columns of a kind of record, read off the annotations of its fields."""

from __future__ import annotations

import enum
import types
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin, get_type_hints

import msgspec

from domain.declaration import DUE, EXPIRES, PLACE, SORTED, SPREAD, Listed, Natural, Refers, Shown, Stored
from domain.node import Id

NO_DEFAULT = msgspec.NODEFAULT


class Column(NamedTuple):
    """One column.

    field: the record's field, or one of its value's; None where a function makes the value of the record (derived).
    form: how a value is kept: plain, bool, time, enum, json, strings or struct. type: the field's, without None.
    optional: whether it may be None. default: what records of before the column have.
    """

    name: str
    field: str | None
    form: str = "plain"
    type: Any = str
    optional: bool = False
    refers: Refers | None = None
    marks: tuple[Any, ...] = ()
    default: Any = NO_DEFAULT
    derived: Callable[[Any], Any] | None = None

    @property
    def empty_is_null(self) -> bool:
        return any(mark.empty_is_null for mark in self.marks if isinstance(mark, Stored))

    @property
    def nullable(self) -> bool:
        return self.optional or self.empty_is_null

    @property
    def lists(self) -> list[Listed]:
        """The orders in which records with the same value here are listed."""
        return [mark for mark in self.marks if isinstance(mark, Listed)]

    @property
    def shown(self) -> Shown | None:
        """How what it names shows the records that name it."""
        return next((mark for mark in self.marks if isinstance(mark, Shown)), None)

    @property
    def sorted(self) -> bool:
        return SORTED in self.marks

    @property
    def expires(self) -> bool:
        return EXPIRES in self.marks

    @property
    def due(self) -> bool:
        return DUE in self.marks

    @property
    def place(self) -> bool:
        return PLACE in self.marks

    @property
    def natural(self) -> Natural | None:
        """Its part in the natural key."""
        return next((mark for mark in self.marks if isinstance(mark, Natural)), None)


class Spread(NamedTuple):
    """A field whose value, a struct, has a column for each field of its own."""

    type: type[Any]
    columns: tuple[Column, ...]


def read(cls: type[Any]) -> list[Column | Spread]:
    """What keeps each field of a record. Raises TypeError for a declaration that says too little."""
    hints = get_type_hints(cls, include_extras=True)
    return [_read(cls, field, hints[field.name]) for field in msgspec.structs.fields(cls)]


def _read(cls: type[Any], field: Any, hint: Any) -> Column | Spread:
    base, marks = (hint.__origin__, hint.__metadata__) if get_origin(hint) is Annotated else (hint, ())
    type_, optional = _without_none(base)
    refers = next((mark for mark in marks if isinstance(mark, Refers)), None)
    where = f"{cls.__name__}.{field.name}"
    if _is_id(type_) and refers is None and field.name != "id":
        raise TypeError(f"{where} is an id, and does not say what it refers to: Annotated[Id, refers(..., gone=...)].")
    if SPREAD in marks:
        columns = tuple(
            one._replace(field=f"{field.name}.{one.field}") for one in read(type_) if isinstance(one, Column)
        )
        return Spread(type_, columns)
    default = _default(field)
    if optional and default is not NO_DEFAULT and default is not None:
        raise TypeError(f"{where} may be None, so records of before it have None: its default cannot be another.")
    stored = next((mark for mark in marks if isinstance(mark, Stored)), Stored())
    name = stored.name or (field.name.removesuffix("_id") if refers is not None else field.name)
    return Column(name, field.name, _form(type_), type_, optional, refers, marks, default)


def _default(field: Any) -> Any:
    if field.default_factory is not msgspec.NODEFAULT:
        return field.default_factory()
    return field.default


def _without_none(hint: Any) -> tuple[Any, bool]:
    if get_origin(hint) in (Union, types.UnionType) and type(None) in get_args(hint):
        left = [arg for arg in get_args(hint) if arg is not type(None)]
        return (left[0] if len(left) == 1 else Union[tuple(left)]), True  # noqa: UP007 - of types known at run time
    return hint, False


def plain(hint: Any) -> Any:
    """A type without its marks and without None."""
    while get_origin(hint) in (Annotated, Union, types.UnionType):
        hint = get_args(hint)[0] if get_origin(hint) is Annotated else _without_none(hint)[0]
    return hint


def _is_id(type_: Any) -> bool:
    return Id in (type_, *get_args(type_))


def _form(type_: Any) -> str:
    if type_ in (str, int, float, bytes, Id):
        return "plain"
    if type_ is bool:
        return "bool"
    if type_ is datetime:
        return "time"
    if type_ is msgspec.Raw:
        return "json"
    if isinstance(type_, type) and issubclass(type_, enum.Enum):
        return "enum"
    if get_origin(type_) is list and get_args(type_)[0] in (str, Id):
        return "strings"
    return "struct"
