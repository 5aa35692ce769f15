"""Chunks of what documents say: cut in the transaction, found by words and by meaning, gone with the document."""

from __future__ import annotations

from typing import Any

from domain.blob import Attachment, Blob, BlobFilter, MediaKind
from domain.document import DocumentChunk
from domain.values import EMPTY_OBJECT, Ref
from stores.contract import making as m
from stores.documents import packed
from stores.ports import ChunkSearch, FoundChunks, Records, Store

OURS = "test 16"


def blob(name: str, text: str) -> m.Draft[Blob]:
    return lambda tx: Blob(
        id=tx.new_id(Blob), sha256=(digest := name.encode().hex().ljust(64, "0")), media_type="text/plain", filename=name,
        size_bytes=len(text), width=None, height=None, text=text, metadata=EMPTY_OBJECT, stored_as=f"{digest}-0",
        created_at=tx.now, used_at=tx.now,
    )  # fmt: skip


def shows(of: Any, file: Blob) -> m.Draft[Attachment]:
    return lambda tx: Attachment(
        id=tx.new_id(Attachment), target_id=of.id, blob_id=file.id, session_id=of.session_id, kind=MediaKind.DOCUMENT,
        created_at=tx.now,
    )  # fmt: skip


async def chunks_of(store: Store, *files: Blob) -> list[list[DocumentChunk]]:
    return [(await m.page(store, Records(DocumentChunk, "blob"), one.id)).nodes for one in files]


def words(found: FoundChunks, by: Any) -> str:
    """The first words of chunks, the best first."""
    return " ".join(
        one.text.split()[0] for one in sorted(found.chunks, key=lambda one: -by.get(one.id, 0.0)) if one.id in by
    )


async def test_chunks_of_documents(store: Store, elsewhere: Store) -> None:
    said, _, [told] = await m.talk(store, "see this")
    long = "one harrow. " + "so it goes. " * 100 + "three gates."
    files = await m.keep(
        store, blob("a", long), blob("b", "two harrow 7719 of the gate"), blob("c", ""), blob("d", " \n")
    )
    await m.keep(store, shows(told, files[1]))
    [other] = await m.keep(elsewhere, blob("a", "other harrow"))
    cut, [short], nothing, blank = await chunks_of(store, *files)
    assert (len(cut), nothing, blank, [one.place for one in cut]) == (2, [], [], [0, 1])
    assert all(files[0].text[one.offset :].startswith(one.text) for one in cut)
    assert await store.get(DocumentChunk, [short.id]) == [short] != await elsewhere.get(DocumentChunk, [short.id])

    async def found(text: str, on: Store = store, **more: Any) -> FoundChunks:
        return await on.search_chunks(ChunkSearch(text, 10, embedder=OURS, **more))

    by_words = await found("harrow 7719")
    assert words(by_words, by_words.ranks) == "two one"
    assert max(by_words.ranks.values()) == 1.0
    assert (by_words.covered, by_words.cosines, by_words.waiting) == (1.0, {}, 0)
    assert {one.text for one in (await found("harrow", elsewhere)).chunks} == {"other harrow"}
    assert (await found("zzyzx")).chunks == (await found("?")).chunks == []

    assert (await found("?", vector=m.axis(0))).waiting == 3
    for index, one in enumerate([short, *cut]):
        [vector] = packed(m.axis(index)[None, :])
        await m.replace(store, one, vector=vector, embedder="another 16" if one is cut[1] else OURS, due_at=None)
    near = await found("three", vector=(m.axis(1) * 0.8 + m.axis(0) * 0.6))
    assert words(near, near.cosines) == "one two", "one of another embedder is found by words alone"
    assert (words(near, near.ranks), near.waiting) == (cut[1].text.split()[0], 0)
    assert abs(near.cosines[short.id] - 0.6) < 1e-3 and abs(near.cosines[cut[0].id] - 0.8) < 1e-3
    assert len((await store.search_chunks(ChunkSearch("?", 1, None, m.axis(0), OURS))).chunks) == 1
    for filter, there in (
        (BlobFilter(text="a"), "one"),
        (BlobFilter(session=Ref(id=said.id)), "two"),
        (BlobFilter(not_=BlobFilter(session=Ref(id=said.id))), "one"),
        (BlobFilter(media_types=["text/csv"]), ""),
    ):
        by = await found("harrow", vector=m.axis(0), filter=filter)
        assert words(by, by.ranks) == there, filter
        assert set(by.cosines) <= {one.id for one in by.chunks}

    same = await m.replace(store, files[0], filename="z")
    assert [one.id for one in (await chunks_of(store, same))[0]] == [one.id for one in cut]
    await m.replace(store, same, text="now a tiller")
    assert [one.text for one in (await found("harrow tiller", filter=BlobFilter(text="z"))).chunks] == ["now a tiller"]
    assert await store.get(DocumentChunk, [one.id for one in cut]) == [None, None]
    await m.delete(store, *await store.scan(Attachment, None, 10))
    await m.delete(store, *await store.get(Blob, [one.id for one in files]))
    assert (await found("harrow tiller", vector=m.axis(0))).chunks == await store.scan(DocumentChunk, None, 10) == []
    assert [one.text for [one] in await chunks_of(elsewhere, other)] == ["other harrow"]
