"""What memories were formed from: chunks and origins, listed from either end, and what becomes of them."""

from __future__ import annotations

from domain.chunk import Chunk, Formation
from domain.formation import Origin
from domain.memory import Memory, MemoryFilter
from domain.message import Message
from domain.page import Slice
from domain.session import Session
from domain.values import encode_json
from stores.contract.making import NOON, after, chunk, delete, keep, memory, names, origin, replace, talk
from stores.ports import Collection, Records, Store


async def test_a_formed_memory(store: Store) -> None:
    where, _, said = await talk(store, "a", "b", "c")
    [part] = await keep(store, chunk(where, *said[:2], settings={"maxMessages": 2}))
    how = Formation("EXTRACTIVE", encode_json({"maxSentences": 5}), NOON)
    [made, other] = await keep(store, memory(chunk_id=part.id, formation=how, session_id=where.id), memory())
    edges = await keep(store, *(origin(made, one, place) for place, one in enumerate([said[1], said[0]])))
    edges += await keep(store, origin(other, said[0]))
    assert await store.get(Chunk, [part.id]) == [part]
    assert await store.get(Memory, [made.id]) == [made]
    of_memory = await store.pages(Records(Origin, "memory"), [made.id, other.id], Slice(10))
    assert [page.nodes for page in of_memory] == [edges[:2], edges[2:]]
    of_source = await store.pages(Records(Origin, "source"), [one.id for one in said], Slice(10))
    assert [{one.id for one in page.nodes} for page in of_source] == [
        {edges[1].id, edges[2].id},
        {edges[0].id},
        set(),
    ]
    chunks = await store.pages(Records(Chunk, "session"), [where.id], Slice(10))
    assert chunks[0].nodes == [part]
    formed = await store.pages(Records(Memory, "chunk"), [part.id], Slice(10), MemoryFilter())
    assert [one.id for one in formed[0].nodes] == [made.id]


async def test_what_goes_with_what(store: Store) -> None:
    """A message leaves its origins, a memory takes them along, a session its chunks."""
    where, _, said = await talk(store, "a", "b")
    [part] = await keep(store, chunk(where, *said))
    [made, other] = await keep(store, memory(chunk_id=part.id), memory())
    kept = await keep(store, origin(made, said[0]), origin(other, said[1]))
    await delete(store, said[0])
    assert await store.get(Origin, [one.id for one in kept]) == kept
    await delete(store, made)
    assert await store.get(Origin, [one.id for one in kept]) == [None, kept[1]]
    [late] = await keep(store, memory(chunk_id=part.id))
    await delete(store, where)
    assert await store.get(Chunk, [part.id]) == [None]
    assert [one and one.chunk_id for one in await store.get(Memory, [late.id])] == [None]
    assert await store.get(Message, [said[1].id]) == [None]
    assert await store.get(Session, [where.id]) == [None]


async def test_origins_of_what_has_expired(store: Store, clock: object) -> None:
    _, _, said = await talk(store, "a")
    [made] = await keep(store, memory(expires_at=after(hours=1)))
    [edge] = await keep(store, origin(made, said[0]))
    assert await store.get(Origin, [edge.id]) == [edge]
    clock.advance(hours=2)  # type: ignore[attr-defined]
    assert await store.get(Origin, [edge.id]) == [None]
    [page] = await store.pages(Records(Origin, "source"), [said[0].id], Slice(10))
    assert page.nodes == []


async def test_stale_ones_are_listed(store: Store) -> None:
    [fresh, old] = await keep(store, memory(text="fresh"), memory(text="old"))
    await replace(store, old, stale=True)
    assert await names(store, Collection.MEMORIES, filter=MemoryFilter(stale=True), by="text") == ["old"]
    assert await names(store, Collection.MEMORIES, filter=MemoryFilter(stale=False), by="text") == ["fresh"]
    assert fresh.stale is False
