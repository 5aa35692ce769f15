"""Idempotent writes, by idempotency key."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, TypeVar, cast

import msgspec

from domain.errors import ErrorCode, reject
from domain.node import Id, Node, kind_of
from domain.values import Command
from resolvers.context import Context, Unchanged
from stores.ports import Script, Transaction

T = TypeVar("T")


_encode = msgspec.json.Encoder(enc_hook=lambda upload: upload.digest).encode
"""What an input says; of the bytes of an upload their digest."""


_decode = msgspec.json.Decoder(float_hook=lambda digits: int(n) if (n := float(digits)).is_integer() else n).decode


def _digest(input: Command, said: bytes) -> str:
    return hashlib.sha256(type(input).__name__.encode() + said).hexdigest()


async def write(context: Context, input: Command, script: Script[T], revive: type[T] | None = None) -> T:
    """Runs a write of a command, once: the same idempotency key again gives the first result and writes nothing.

    It is the same input too where members of JSON objects stand in another order, and where 1 is written as 1.0.
    The result is a record, a list of records, or a msgspec.Struct (`revive`, then) of such and of plain values.
    Raises Rejected (CONFLICT) where the key was used with another input.
    """
    key: str | None = getattr(input, "idempotency_key", None)
    if key is None:
        return await context.write(script)
    said = _encode(input)
    digest = _digest(input, msgspec.json.encode(_decode(said), order="deterministic"))

    async def once(tx: Transaction) -> T:
        if (noted := await tx.recalled(key)) is not None:
            if noted[0] not in (digest, _digest(input, said)):  # builds up to 0.1 noted what was said as it was
                message = "This idempotency key was already used with a different input."
                raise reject(ErrorCode.CONFLICT, message, ["idempotencyKey"])
            result: T = await _revived(tx, noted[1], revive)
            return result
        try:
            fresh = await context.audited(script)(tx)
        except Unchanged as unchanged:  # the key must be noted all the same
            fresh = cast(T, unchanged.result)
        await tx.note(key, digest, _noted(fresh))
        return fresh

    return await context.store.write(once)


def _noted(result: Any) -> Any:
    if isinstance(result, Node):
        return {"id": result.id}
    if isinstance(result, list):
        return [_noted(item) for item in result]
    if isinstance(result, msgspec.Struct):
        return {"fields": {name: _noted(getattr(result, name)) for name in result.__struct_fields__}}
    return {"value": result}


async def _revived(tx: Transaction, noted: Any, make: Callable[..., Any] | None) -> Any:
    if isinstance(noted, list):
        found = [await _revived(tx, item, make) for item in noted]
        return [record for record in found if record is not None]
    if "id" in noted:
        kind = kind_of(noted["id"])
        return None if kind is None else (await tx.get(kind, [Id(noted["id"])]))[0]
    if "fields" in noted:
        assert make is not None, "a structured result is revived by its type"
        return make(**{name: await _revived(tx, value, None) for name, value in noted["fields"].items()})
    return noted["value"]
