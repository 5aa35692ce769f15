"""Persisted documents: their texts by id.

Automatic ones are registered by callers, who send the text with its SHA-256 once and the hash alone from then on, as
Apollo's clients do. Trusted ones come from a file or folder, and then nothing else runs.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from server.errors import BAD_USER_INPUT, NOT_PERSISTED, NOT_TRUSTED, OperationRefused, plain
from server.settings import BadSetting
from stores.bounded import Bounded

MAX_REGISTERED_BYTES = 4 * 1024 * 1024
"""What the texts that callers register may take; those not used for longest go, and are sent again when asked for."""

_ENTRY_BYTES = 400
"""What one takes beside its text."""

_PREFIX = "sha256:"


class Persisted:
    """The texts that a request can name.

    trusted: the only texts that run, by id. None: every text does, and callers register theirs.
    """

    def __init__(self, trusted: Mapping[str, str] | None = None) -> None:
        self._trusted = None if trusted is None else {_bare(id): text for id, text in trusted.items()}
        self._texts = set((self._trusted or {}).values())
        self._registered: Bounded[str, str] = Bounded(MAX_REGISTERED_BYTES)

    def text(self, query: str | None, document_id: str | None, extensions: Mapping[str, Any] | None) -> str:
        """The text a request means. Raises OperationRefused."""
        if self._trusted is not None:
            return self._trusted_text(query, id_of(document_id, extensions))
        if query is None:
            id = id_of(document_id, extensions)
            found = self._registered.get(id or "")
            if found is None:
                raise OperationRefused([plain("PersistedQueryNotFound", NOT_PERSISTED)])
            return found
        if extensions and (id := id_of(None, extensions)) not in (None, _hash(query)):
            raise OperationRefused([plain("provided sha does not match query", BAD_USER_INPUT)])
        return query

    def _trusted_text(self, query: str | None, id: str | None) -> str:
        assert self._trusted is not None
        found = self._trusted.get(id or "") if query is None else query
        if found is None or found not in self._texts:
            raise OperationRefused([plain("This server runs only trusted documents.", NOT_TRUSTED)])
        return found

    def keep(self, extensions: Mapping[str, Any], text: str) -> None:
        """Registers a valid document under the hash that came with it, which `text` has compared."""
        id = id_of(None, extensions)
        if id is not None and self._trusted is None:
            self._registered.put(id, text, sys.getsizeof(text) + _ENTRY_BYTES)


def id_of(document_id: str | None, extensions: Mapping[str, Any] | None) -> str | None:
    """The id that a request names: its `documentId`, or Apollo's `extensions.persistedQuery.sha256Hash`."""
    if document_id is not None:
        return _bare(document_id)
    told = (extensions or {}).get("persistedQuery")
    id = told.get("sha256Hash") if isinstance(told, dict) else None
    return id if isinstance(id, str) else None


def _bare(id: str) -> str:
    return id.removeprefix(_PREFIX)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def read_trusted(path: Path) -> dict[str, str]:
    """The trusted documents by id. Raises BadSetting.

    path: a folder of .graphql files, one document each, whose ids are their hashes; or a JSON file, either an object of
    ids and texts, as Relay and GraphQL Code Generator write it, or a manifest of Apollo.
    """
    try:
        if path.is_dir():
            texts = [file.read_text(encoding="utf-8") for file in sorted(path.rglob("*.graphql"))]
            found = {_hash(text): text for text in texts}
        else:
            found = _from_json(path.read_bytes())
    except (OSError, UnicodeDecodeError, msgspec.MsgspecError) as error:
        raise BadSetting(f"RECOLLECT_TRUSTED_DOCUMENTS: {path} cannot be read: {error}.") from None
    if not found:
        raise BadSetting(f"RECOLLECT_TRUSTED_DOCUMENTS: there are no documents in {path}.")
    return found


class _Entry(msgspec.Struct):
    id: str
    body: str


class _Manifest(msgspec.Struct):
    operations: list[_Entry]


def _from_json(body: bytes) -> dict[str, str]:
    try:
        return {entry.id: entry.body for entry in msgspec.json.decode(body, type=_Manifest).operations}
    except msgspec.ValidationError:
        return msgspec.json.decode(body, type=dict[str, str])
