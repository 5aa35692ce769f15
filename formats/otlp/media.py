"""Takes images, sounds, films and documents out of what spans tell in base64, so that they can be stored as blobs.

What stands in their place is a data URL that tells the SHA-256 of the bytes in place of these:
`data:image/png;sha256,9f86d0...`.
"""

from __future__ import annotations

import binascii
import hashlib
import re
from typing import Any

import msgspec

from domain.blob import BY_EXTENSION
from domain.errors import Rejected
from domain.telemetry import MediaFile
from stores.blobs.recognition import HEAD, recognized

SHORTEST = 32
"""Characters of base64 from which on it is taken out."""

_URL = re.compile(
    r"data:((?:[\w.+/-]|\\/){0,80})(?:;[\w=.-]{1,80})*;base64,"  # the media type and its parameters
    rf"((?:[A-Za-z0-9+/_-]|\\/){{{SHORTEST},}}={{0,2}})"
)
_TYPES = ("mime_type", "media_type", "mimeType", "mediaType")
_DATA = ("data", "content", "file_data", "bytes")
_HINTS = (*_TYPES, "input_audio")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]+={0,2}")


class Taking:
    """What is taken out of one span or log record."""

    def __init__(self) -> None:
        self.files: dict[str, MediaFile] = {}

    def out_of(self, attributes: dict[str, Any]) -> dict[str, Any]:
        """The attributes without what was taken; the same ones where that is nothing."""
        changed = {name: new for name, value in attributes.items() if (new := self._value(value)) is not value}
        return {**attributes, **changed} if changed else attributes

    def _value(self, value: Any) -> Any:
        if isinstance(value, str):
            return value if len(value) < SHORTEST else self._text(value)
        if isinstance(value, dict):
            return self._members(self.out_of(value))
        if isinstance(value, list):
            found = [self._value(one) for one in value]
            return value if all(new is old for new, old in zip(found, value, strict=True)) else found
        return value

    def _text(self, text: str) -> str:
        if "base64," in text:
            text = _URL.sub(self._url, text)
        if text[:1] in "[{" and any(hint in text for hint in _HINTS):
            try:
                told = msgspec.json.decode(text)
            except (msgspec.DecodeError, RecursionError):
                return text
            if (found := self._value(told)) is not told:
                return msgspec.json.encode(found).decode()
        return text

    def _url(self, found: re.Match[str]) -> str:
        type_, data = (part.replace("\\/", "/") for part in found.groups())
        return self._taken(data, type_) or found[0]

    def _members(self, part: dict[str, Any]) -> dict[str, Any]:
        """A part with bytes beside their type, as OpenTelemetry, Anthropic and Google have it, or beside a format."""
        type_ = next((part[name] for name in _TYPES if isinstance(part.get(name), str)), None)
        if type_ is None and isinstance(part.get("format"), str):
            format = BY_EXTENSION.get(part["format"].lower())
            type_ = None if format is None else format.media_type
        for name in _DATA if type_ is not None else ():
            data = part.get(name)
            if not isinstance(data, str) or len(data) < SHORTEST or not _BASE64.fullmatch(data):
                continue
            if (url := self._taken(data, type_ or "")) is not None:
                return {**part, name: url}
        return part

    def _taken(self, text: str, type_: str) -> str | None:
        """What stands for a file; None for what is none that can be stored."""
        try:
            text = text.rstrip("=").replace("-", "+").replace("_", "/")
            data = binascii.a2b_base64(text + "=" * (-len(text) % 4), strict_mode=True)
            data[:HEAD].decode()
            is_text = True
        except UnicodeDecodeError:
            is_text = False
        except ValueError:
            return None
        try:
            format = recognized(data[:HEAD], is_text and "\0" not in data[:HEAD].decode(), "", type_)
        except Rejected:
            return None
        digest = hashlib.sha256(data).hexdigest()
        file = self.files[digest] = MediaFile(digest, data, format.media_type)
        return file.reference
