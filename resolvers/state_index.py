"""Search state by meaning, and keep the index of it."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from functools import partial
from typing import Annotated

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from domain.errors import invalid
from domain.node import Id
from domain.search import similarity
from domain.state import SEPARATOR, StateEntry, StateFilter, StateInput
from domain.state_index import Indexing, StateQuery, StateVector, above
from domain.state_schema import StateSchema
from domain.values import NULL, Key
from resolvers.context import Context, each, embedding, present
from resolvers.search import directed
from stores import state_index
from stores.errors import NoEmbedder, StoreError
from stores.ports import Collection, StateSearch, Transaction, label_of

MOST = 200
"""How many entries a search finds."""

_TOGETHER = 100
"""So many entries are looked at in one write when an index is declared."""


class StateHit(msgspec.Struct, frozen=True):
    """An entry that was found, and its score between 0 and 1."""

    entry: StateEntry
    score: float


class StateHits(msgspec.Struct, frozen=True):
    """What was found, the best first. complete: whether all entries were looked at: none waits for its vector."""

    hits: list[StateHit]
    complete: bool


@embedding
async def search(
    context: Context,
    namespace: Key,
    query: StateQuery,
    filter: StateFilter | None = None,
    first: Annotated[int, Meta(ge=1, le=MOST)] = 10,
    skip: Annotated[int, Meta(ge=0, le=10_000)] = 0,
) -> StateHits:
    """The entries of a namespace, and of those below it, that are nearest in meaning to a text. Raises Rejected:
    INVALID where nothing there is indexed; LIMIT where there is too much to compare."""
    vector = directed((await context.embedder.embed([query.text]))[0])
    if vector is None:
        raise invalid("The embedder knows no word of the text.", ["query", "text"])
    how = StateSearch(namespace, vector, label_of(context.embedder), skip + first, filter)
    found = await context.store.search_states(how)
    held = await context.store.find(StateSchema, [(name,) for name in above(namespace)])
    if not found.entries and not any(one is not None and one.index for one in held):
        await _require_index_below(context, namespace)
    pairs = list(zip(found.entries, found.cosines, strict=True))[skip:]
    waiting = bool(found.waiting) or any(one is not None and one.due_at is not None for one in held)
    return StateHits([StateHit(entry, similarity(cosine)) for entry, cosine in pairs], not waiting)


async def _require_index_below(context: Context, namespace: str) -> None:
    last: Id | None = None
    while some := await context.store.scan(StateSchema, last, _TOGETHER):
        last = some[-1].id
        if any(one.index and one.namespace.startswith(namespace + SEPARATOR) for one in some):
            return
    message = (
        f"Nothing of the namespace {namespace!r} is indexed: say which members of its values are searched by "
        'setStateSchema(input: {namespace, index: ["/title"]}), or ["$"] for whole values.'
    )
    raise invalid(message, ["namespace"])


class Prepared(msgspec.Struct, frozen=True):
    """Vectors of what is about to be written, by the digests of the texts, and whose they are."""

    made: state_index.Made
    label: str


async def prepared(context: Context, inputs: Sequence[StateInput]) -> Prepared:
    """Embeds what values of a write say, before it: where that cannot be, or what is written turns out to be something
    else, the sweeper does it."""
    texts: set[str] = set()
    for namespace in dict.fromkeys(one.namespace for one in inputs):
        of = await state_index.indexing_of(context.store, namespace)
        if of.members:
            here = (one for one in inputs if one.namespace == namespace and one.indexed is not False)
            texts.update(text for one in here for text in _said(of, one))
    try:
        return Prepared(await state_index.made_of(context.embedder, texts), label_of(context.embedder))
    except NoEmbedder:
        return Prepared({}, "")


def _said(of: Indexing, input: StateInput) -> list[str]:
    return [text for _, text in of.texts_of(NULL if input.value is None else input.value)]


async def embed_all(context: Context) -> None:
    """Has the workspace's indexes hold for all entries that wait for that, and gives these their vectors."""
    while some := await context.store.write(_due):
        for schema in some:
            await cover(context, schema.namespace, schema)
    await _embed(context)


async def _due(tx: Transaction) -> list[StateSchema]:
    return await tx.expired(StateSchema, _TOGETHER)


async def waits(tx: Transaction) -> bool:
    """Whether there is something for embed_all to do."""
    return bool(await tx.expired(StateVector, 1) or await tx.expired(StateSchema, 1))


async def cover(context: Context, namespace: str, schema: StateSchema | None = None) -> None:
    """Has the entries of a namespace and those below it have the vectors that they ought to, some at a time; then the
    schema does not wait for that any more, if it is the same."""
    below = [name for name, _ in await context.store.namespaces(namespace + SEPARATOR)]
    for name in (namespace, *below):
        ids: list[Id] = []
        async for one in each(context, Collection.STATES, Id(name)):
            ids.append(one.id)
            if len(ids) == _TOGETHER:
                await context.store.write(partial(_sync, ids))
                ids = []
        if ids:
            await context.store.write(partial(_sync, ids))
    if schema is not None:
        await context.store.write(partial(_covered, schema))


async def covered(context: Context, namespace: str, schema: StateSchema | None = None) -> None:
    """The same, and the vectors too, where the embedder is at hand; else the sweeper makes them."""
    with contextlib.suppress(StoreError):  # what is declared is stored; the sweeper goes on
        await cover(context, namespace, schema)
        if context.embedder.is_at_hand:
            await _embed(context)


async def _embed(context: Context) -> None:
    with contextlib.suppress(NoEmbedder):  # they wait on
        while await state_index.embed_due(context.store, context.embedder):
            pass


async def _sync(ids: Sequence[Id], tx: Transaction) -> None:
    if there := await present(tx, StateEntry, ids):
        await state_index.sync(tx, there)


async def _covered(schema: StateSchema, tx: Transaction) -> None:
    [now] = await tx.get(StateSchema, [schema.id])
    if now is not None and now.due_at == schema.due_at:
        await tx.put([replace(now, due_at=None)])
