"""Finding what was said by its words."""

from __future__ import annotations

from domain.message import MessageFilter, TextContent
from domain.node import Id
from domain.participant import SenderType
from domain.session import SessionFilter
from stores.contract.making import delete, page, replace, talk
from stores.ports import Collection, FoundMessages, MessageSearch, Store


def _text(found: FoundMessages) -> str:
    """The texts, best first, then those that have none of the words."""
    return " ".join(
        one.text.split()[0] for one in sorted(found.messages, key=lambda one: -found.ranks.get(one.id, 0.0))
    )


async def said(
    store: Store, words: str, limit: int = 10, others: tuple[Id, ...] = (), filter: MessageFilter | None = None
) -> str:
    found = await store.search_messages(MessageSearch(words, limit, filter, others))
    assert all(0 < rank <= 1 for rank in found.ranks.values())
    assert max(found.ranks.values(), default=1.0) == 1.0
    assert set(found.ranks) <= {one.id for one in found.messages}
    return _text(found)


class TestWhatWasSaid:
    async def test_the_best_by_words(self, store: Store, elsewhere: Store) -> None:
        await talk(store, "one harrow", "two harrow 7719 of the gate", "three ADR-0005", "four nothing")
        await talk(elsewhere, "other harrow")
        for text, found in (
            ("harrow 7719", "two one"),
            ("HARROWS", "one two"),
            ("adr0005", "three"),
            ("zzyzx", ""),
            ("?", ""),
        ):
            assert sorted((await said(store, text)).split()) == sorted(found.split()), text
        assert (await said(store, "harrow 7719")).startswith("two")
        assert await said(store, "harrow 7719", limit=1) == "two"
        assert await said(elsewhere, "harrow") == "other"

    async def test_with_others_and_a_filter(self, store: Store) -> None:
        _, _, told = await talk(store, "one harrow", "two harrow", "three", "four")
        others = told[0].id, told[2].id, Id("msg_none")
        assert sorted((await said(store, "harrow", others=others)).split()) == ["one", "three", "two"]
        assert await said(store, "?", others=others) in ("one three", "three one")
        assert await said(store, "harrow", others=others, filter=MessageFilter(text="two")) == "two"
        assert await said(store, "harrow", filter=MessageFilter(sender_types=[SenderType.AGENT])) == ""

    async def test_what_is_changed_and_deleted(self, store: Store) -> None:
        where, _, [first, second] = await talk(store, "one harrow", "two harrow")
        await replace(store, first, content=[TextContent("one tiller")])
        assert (await said(store, "harrow"), await said(store, "tiller")) == ("two", "one")
        await delete(store, second)
        assert await said(store, "harrow") == ""
        await delete(store, where)
        assert await said(store, "tiller") == ""

    async def test_more_than_are_looked_at_at_once(self, store: Store) -> None:
        """The filter lets few of them through."""
        await talk(store, *(f"{number:03} harrow {'deep' * (number == 3)}" for number in range(500)))
        assert await said(store, "harrow", limit=3, filter=MessageFilter(text="deep")) == "003"

    async def test_sessions_in_which_it_was_said(self, store: Store, elsewhere: Store) -> None:
        one, _, _ = await talk(store, "the gate code", "harrow of Zuerich")
        two, _, _ = await talk(store, "the gate", "code of Z\u00fcrich")
        await talk(elsewhere, "the gate code")
        for text, found in (
            ("gates", {one.id, two.id}),
            ("gate code", {one.id}),
            ("gate harrow", set()),
            ("%", set()),
            ("Zuerich", {one.id, two.id}),
            ("Z\u00fcrich", {one.id, two.id}),
            ("Zurich", {two.id}),
        ):
            there = await page(store, Collection.SESSIONS, "", SessionFilter(said=text))
            assert {session.id for session in there.nodes} == found, text
            others = await page(store, Collection.SESSIONS, "", SessionFilter(not_=SessionFilter(said=text)))
            assert {session.id for session in others.nodes} == {one.id, two.id} - found
