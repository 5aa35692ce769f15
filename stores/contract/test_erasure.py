"""What an erasure asks of a store: logs that forget, and to be searched."""

from __future__ import annotations

import msgspec

from domain.change import ChangeKind, MemoryChange, RecordChange, deletion
from domain.erasure import bare
from domain.memory import Memory
from domain.values import encode_json
from stores.contract.making import annotation, delete, follow, keep, link, memory, remember, user
from stores.journal import log as log_of
from stores.ports import Engine, Log, Store, Transaction

SECRET = "what nobody else may ever know, 7719"


async def test_logs_forget_what_was_erased_and_keep_their_lines(store: Store) -> None:
    [owner] = await keep(store, user())
    one, other = await remember(store, memory(owner, tags=[SECRET], metadata=encode_json({"m": SECRET})), memory(owner))
    [tie] = await keep(store, link(one, other, metadata=encode_json({"l": SECRET})))
    [said] = await keep(store, annotation(one, label=SECRET))

    async def script(tx: Transaction) -> None:
        later = msgspec.structs.replace(one, version=2)
        await tx.log([MemoryChange(ChangeKind.UPDATED, one.id, tx.now, later, before=one)])
        await tx.log([MemoryChange(ChangeKind.LINKED, one.id, tx.now, one, link=tie)])
        await tx.log([deletion(bare(one), tx.now)])
        await tx.delete(Memory, [one.id])
        await tx.forget([one.id, said.id], links=True)

    await store.write(script)
    follower = follow(store, Log("changes"))
    lines = await follower.take(3)
    await follower.close()
    assert [line.kind.name for line in lines] == ["UPDATED", "LINKED", "DELETED"]
    assert [SECRET in str(msgspec.json.encode(line)) for line in lines] == [False] * 3
    assert {line.subject.owner_id for line in lines} == {owner.id}
    follower = follow(store, log_of(type(said)))
    told: list[RecordChange] = await follower.take(2)
    await follower.close()
    assert [SECRET in str(msgspec.json.encode(line)) for line in told] == [False] * 2
    assert [line.kind.name for line in told] == ["CREATED", "DELETED"]


async def test_what_is_there_is_found_and_what_is_gone_is_not(engine: Engine, store: Store) -> None:
    [owner] = await keep(store, user(name=SECRET))
    texts = [SECRET, "a text that nobody has ever said", 'with "quotes" and\nlines of its own']
    [one] = await remember(store, memory(owner, text=texts[2]))

    async def found() -> set[int]:
        return set().union(*(part.texts for part in await engine.remains("main", texts)))

    assert await found() == {0, 2}
    await delete(store, one)
    assert await found() == {0}
    await delete(store, owner)
    assert await found() == set()
