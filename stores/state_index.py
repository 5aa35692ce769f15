"""Vectors of state entries: kept beside each write of an entry whose namespace has an index, given to those that wait
for them later, and compared in a search."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial

from msgspec.structs import replace

from domain.errors import ErrorCode, reject
from domain.node import Id
from domain.state import StateEntry
from domain.state_index import Indexing, StateVector, above, digest_of, indexing
from domain.state_schema import StateSchema
from stores.documents import cosines, packed
from stores.embedder import Batching
from stores.ports import StateSearch, Store, Transaction, label_of

COMPARED = 50_000
"""So many vectors are compared in a search, each with each of them; more are refused."""

_BATCH = 250
_TOGETHER = 25
"""So many entries are read at once for their texts: values may have 8 MB."""

Made = Mapping[str, bytes]
"""Vectors of texts, by their digests."""


async def indexing_of(reads: Store | Transaction, namespace: str) -> Indexing:
    """What holds for a namespace."""
    return indexing(await reads.find(StateSchema, [(name,) for name in above(namespace)]))


async def sync(
    tx: Transaction,
    entries: Sequence[StateEntry],
    of: Indexing | None = None,
    made: Made | None = None,
    label: str = "",
) -> None:
    """Has entries that are stored have the vectors that they ought to: those of texts that are as they were stay, of
    others those made meanwhile are taken, by an embedder of that label, and the rest waits.

    of: what holds for them, if they are of one namespace and that is known.
    """
    made = made or {}
    of_names = {} if of is None else {entries[0].namespace: of}
    for name in {one.namespace for one in entries} - of_names.keys():
        of_names[name] = await indexing_of(tx, name)
    wanted = {
        (one.id, member): (one, digest_of(text))
        for one in entries
        for member, text in of_names[one.namespace].texts(one)
    }
    gone: list[Id] = []
    changed: list[StateVector] = []
    for had in await tx.along(StateEntry, [(StateVector, "entry")], [one.id for one in entries]):
        entry, digest = wanted.get((had.entry_id, had.member), (None, ""))
        if entry is None or digest != had.digest:
            gone.append(had.id)
            continue
        del wanted[had.entry_id, had.member]
        if had.embedder is not None and had.due_at != entry.expires_at:
            changed.append(replace(had, due_at=entry.expires_at))
    if gone:
        await tx.delete(StateVector, gone)
    changed += [
        StateVector(
            id=tx.new_id(StateVector), entry_id=id, member=member, namespace=entry.namespace, digest=digest,
            embedder=label if digest in made else None, vector=made.get(digest, b""),
            due_at=entry.expires_at if digest in made else tx.now,
        )
        for (id, member), (entry, digest) in wanted.items()
    ]  # fmt: skip
    if changed:
        await tx.put(changed)


async def made_of(embedder: Batching, texts: Iterable[str]) -> dict[str, bytes]:
    """Vectors of texts. Raises NoEmbedder."""
    by_digest = {digest_of(text): text for text in texts}
    return (
        dict(zip(by_digest, packed(await embedder.embed(list(by_digest.values()))), strict=True)) if by_digest else {}
    )


async def embed_due(store: Store, embedder: Batching) -> int:
    """Looks at some vectors that are due, and makes those that wait for it; how many were due. Raises NoEmbedder."""
    count, waiting = await store.write(_due)
    if waiting:
        made = await made_of(embedder, [text for text, _ in waiting.values()])
        await store.write(partial(_give, waiting, made, label_of(embedder)))
    return count


Waiting = Mapping[Id, tuple[str, datetime | None]]
"""Vectors to be made, by their ids: of which text, and when they are due again."""


async def _due(tx: Transaction) -> tuple[int, Waiting]:
    due = await tx.expired(StateVector, _BATCH)
    waiting: dict[Id, tuple[str, datetime | None]] = {}
    gone: list[Id] = []
    lasting: list[StateVector] = []
    of_names: dict[str, Indexing] = {}
    for start in range(0, len(due), _TOGETHER):
        some = due[start : start + _TOGETHER]
        for one, entry in zip(some, await tx.get(StateEntry, [one.entry_id for one in some]), strict=True):
            if one.namespace not in of_names:
                of_names[one.namespace] = await indexing_of(tx, one.namespace)
            text = "" if entry is None else dict(of_names[one.namespace].texts(entry)).get(one.member, "")
            if entry is None or digest_of(text) != one.digest:  # its time is over, or another index is about to hold
                gone.append(one.id)
            elif one.embedder is None:
                waiting[one.id] = text, entry.expires_at
            else:  # it has been given more time
                lasting.append(replace(one, due_at=entry.expires_at))
    if gone:
        await tx.delete(StateVector, gone)
    if lasting:
        await tx.put(lasting)
    return len(due), waiting


async def _give(waiting: Waiting, made: Made, label: str, tx: Transaction) -> None:
    fresh = [
        replace(one, vector=made[one.digest], embedder=label, due_at=waiting[one.id][1])
        for one in await tx.get(StateVector, list(waiting))
        if one is not None and one.embedder is None and one.digest in made
    ]
    if fresh:
        await tx.put(fresh)


def nearest(rows: Sequence[tuple[str, str | None, bytes]], search: StateSearch) -> tuple[list[tuple[str, float]], int]:
    """The ids of entries and their cosines, the nearest first, and how many vectors are not this embedder's.

    rows: entry, embedder and vector of all in the namespaces, up to one more than COMPARED. Raises Rejected (LIMIT).
    """
    if len(rows) > COMPARED:
        message = f"More than {COMPARED:,} vectors are in these namespaces: search one below, or index fewer members."
        raise reject(ErrorCode.LIMIT, message, ["namespace"])
    mine = [(entry, vector) for entry, embedder, vector in rows if embedder == search.embedder]
    best: dict[str, float] = {}
    for (entry, _), cosine in zip(mine, cosines((vector for _, vector in mine), search.vector), strict=True):
        best[entry] = max(cosine, best.get(entry, -1.0))
    ordered = sorted(best.items(), key=lambda one: (one[1], one[0]), reverse=True)
    return ordered, len(rows) - len(mine)
