"""Requests in JSON whose members are not all of the types that OTLP says: what can be read is, and the rest is told."""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import Any, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec.structs import fields

_NUMBERS = {
    f"SPAN_KIND_{name}": number
    for number, name in enumerate(("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"))
} | {f"STATUS_CODE_{name}": number for number, name in enumerate(("UNSET", "OK", "ERROR"))}
"""Enumerations by their names, which JSON of protobuf allows and OTLP does not."""


class Reader:
    """Reads JSON as messages, and leaves out what is of another type than declared.

    telling: by the type of a message one that has a list `lost` beside its members, for the places in it, and around
    it before it, that were left out.
    """

    def __init__(self, telling: Mapping[type[msgspec.Struct], type[msgspec.Struct]]) -> None:
        self._telling = telling

    def message(self, value: Any, kind: type[msgspec.Struct], lost: list[str], where: str = "") -> Any:
        """A message, or None for what is no object; `where` is then added to `lost`."""
        telling = self._telling.get(kind)
        if not isinstance(value, dict):
            if telling is not None:
                return telling()  # whoever counts messages counts it, and finds that it has no id
            lost.append(where)
            return None
        told, own = {}, lost
        if telling is not None:
            where, own = "", list(lost)
        hints = get_type_hints(kind)
        for field in fields(kind):
            if (given := value.get(field.encode_name)) is not None:
                place = f"{where}.{field.encode_name}".lstrip(".")
                told[field.name] = self._member(given, hints[field.name], own, place)
        told = {name: member for name, member in told.items() if member is not None}
        return kind(**told) if telling is None else telling(**told, lost=[*dict.fromkeys(own)])

    def _member(self, value: Any, hint: Any, lost: list[str], where: str) -> Any:
        kinds = get_args(hint) if get_origin(hint) in (types.UnionType, Union) else (hint,)
        for kind in kinds:
            if get_origin(kind) is list and isinstance(value, list):
                [of] = get_args(kind)
                return [one for one in (self._member(one, of, lost, where) for one in value) if one is not None]
            if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
                return self._struct(value, kind, lost, where)
        try:
            return msgspec.convert(value, hint)
        except msgspec.ValidationError:
            pass
        number = _NUMBERS.get(value) if isinstance(value, str) else _whole(value)
        if int in kinds and number is not None:
            return number
        if str in kinds and (text := _text(value)) is not None:
            return text
        lost.append(where)
        return None

    def _struct(self, value: Any, kind: type[msgspec.Struct], lost: list[str], where: str) -> Any:
        if "string_value" not in kind.__struct_fields__:
            return self.message(value, kind, lost, where)
        try:
            return msgspec.convert(value, kind)
        except msgspec.ValidationError:
            text = _text(value)
            return self.message(value, kind, lost, where) if text is None else kind(**{"string_value": text})


def _whole(value: Any) -> int | None:
    """1.8e18, say."""
    return int(value) if isinstance(value, float) and value.is_integer() else None


def _text(value: Any) -> str | None:
    """A scalar that is not of the type it is said to be, as it was written."""
    if isinstance(value, dict) and len(value) == 1:
        [value] = value.values()
    if isinstance(value, dict | list):
        return None
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
