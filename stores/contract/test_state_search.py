"""State by meaning: vectors that stay beside the entries they are of, compared within namespaces."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from domain.errors import Rejected
from domain.members import MemberTest
from domain.state import StateEntry, StateFilter
from domain.state_index import StateVector, digest_of
from domain.state_schema import StateSchema
from domain.values import EMPTY_OBJECT, encode_json
from stores import state_index
from stores.contract import making as m
from stores.documents import packed
from stores.ports import FoundStates, StateSearch, Store, Transaction

OURS = "test 16"
THREE = ["one", "two", "three"]


def schema(namespace: str, *index: str) -> m.Draft[StateSchema]:
    return lambda tx: StateSchema(
        id=tx.new_id(StateSchema), namespace=namespace, schema=EMPTY_OBJECT, version=1, migrations=encode_json([]),
        created_at=tx.now, updated_at=tx.now, index=list(index), due_at=tx.now,
    )  # fmt: skip


def entry(namespace: str, key: str, value: Any, **more: Any) -> m.Draft[StateEntry]:
    return lambda tx: replace(
        StateEntry(
            id=tx.new_id(StateEntry), namespace=namespace, key=key, value=encode_json(value), tags=[], version=1,
            updated_at=tx.now, expires_at=None,
        ),
        **more,
    )  # fmt: skip


async def synced(store: Store, *entries: StateEntry, **made: Any) -> None:
    vectors = {digest_of(text): packed(vector[None, :])[0] for text, vector in made.items()}

    async def script(tx: Transaction) -> None:
        await state_index.sync(tx, entries, made=vectors, label=OURS)

    await store.write(script)


async def found(store: Store, namespace: str, vector: Any, limit: int = 10, **filter: Any) -> FoundStates:
    asked = StateFilter(**filter) if filter else None
    return await store.search_states(StateSearch(namespace, vector, OURS, limit, asked))


def keys(found: FoundStates) -> str:
    return " ".join(one.key for one in found.entries)


async def test_state_by_meaning(store: Store, elsewhere: Store) -> None:
    near = m.axis(1) * 0.8 + m.axis(0) * 0.6
    [held] = await m.keep(store, schema("a", "/x", "/y"))
    await m.keep(store, schema("a/own", "$"))
    one, two, three, below, own, beside, left = await m.keep(
        store,
        entry("a", "one", {"x": "first", "n": 1}),
        entry("a", "two", {"x": "none", "y": "second", "n": 2}),
        entry("a", "three", {"x": "fresh"}),
        entry("a/b", "below", {"y": "second"}),
        entry("a/own", "own", "first"),
        entry("ab", "beside", {"x": "first"}),
        entry("a", "left", {"x": "first"}, indexed=False),
    )
    [other] = await m.keep(elsewhere, entry("a", "other", {"x": "first"}))
    assert keys(await found(store, "a", m.axis(0))) == ""
    made = {"first": m.axis(0), "second": m.axis(1), "none": m.axis(2)}
    await synced(store, one, two, three, below, own, beside, left, **made)
    await synced(elsewhere, other, **made)

    hits = await found(store, "a", near)
    assert (keys(hits), hits.waiting) == ("below two own one", 1), "of equals the one that came last is first"
    assert [round(cosine, 2) for cosine in hits.cosines] == [0.8, 0.8, 0.6, 0.6]
    assert keys(await found(store, "a", near, limit=1)) == "below"
    assert keys(await found(store, "a/b", near)) == "below"
    assert keys(await found(store, "ab", near)) == keys(await found(elsewhere, "a", near)) == ""
    assert keys(await found(store, "a", near, prefix="o")) == "own one"
    assert keys(await found(store, "a", near, members=[MemberTest(at="/n", range=None, exists=True)])) == "two one"
    assert keys(await store.search_states(StateSearch("a", near, "another 16", 10, None))) == ""

    before = {(vector.entry_id, vector.member): vector.id for vector in await store.scan(StateVector, None, 100)}
    one = await m.replace(store, one, value=encode_json({"x": "first", "n": 7}))
    two = await m.replace(store, two, value=encode_json({"x": "none", "y": "unheard"}))
    await synced(store, one, two)
    after = {(vector.entry_id, vector.member): vector for vector in await store.scan(StateVector, None, 100)}
    assert before.keys() == after.keys()
    assert {key for key, vector in after.items() if vector.id != before[key]} == {(two.id, "/y")}
    hits = await found(store, "a", near)
    assert (keys(hits), hits.waiting) == ("below own one two", 2)
    assert hits.entries[2] == one

    await m.delete(store, below)
    await m.replace(store, held, index=["/y"])
    await synced(store, one, two, three)
    assert {vector.entry_id for vector in await store.scan(StateVector, None, 100)} == {own.id, two.id}
    await m.delete(store, own, two)
    assert await store.scan(StateVector, None, 100) == []


async def test_state_that_has_expired_is_not_found(store: Store, clock: Any) -> None:
    await m.keep(store, schema("a", "/x"))
    some = await m.keep(store, entry("a", "one", {"x": "first"}), entry("a", "two", {"x": "first"}))
    await synced(store, *some, first=m.axis(0))
    await m.replace(store, some[0], expires_at=some[0].updated_at)
    assert keys(await found(store, "a", m.axis(0), limit=1)) == "two"


async def test_more_than_can_be_compared(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    await m.keep(store, schema("a", "/x", "/y"))
    [one] = await m.keep(store, entry("a", "one", {"x": "first", "y": "first"}))
    await synced(store, one, first=m.axis(0))
    assert keys(await found(store, "a", m.axis(0))) == "one"
    monkeypatch.setattr("stores.state_index.COMPARED", 1)
    with pytest.raises(Rejected, match="search one below"):
        await found(store, "a", m.axis(0))
