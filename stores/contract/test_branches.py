"""Branches of a session, and the lists of their messages."""

from __future__ import annotations

import random
from typing import Any

import pytest

from domain.errors import Rejected
from domain.message import Message, MessageFilter, MessageOrder, MessageOrderField
from domain.node import Id
from domain.page import OrderDirection, Slice
from domain.participant import Participant
from domain.session import Session
from stores.contract.making import cursors, delete, keep, message, page, participant, say, session, talk, thread
from stores.ports import Collection, Store

BRANCH = Collection.MESSAGE_BRANCH


class Tree:
    """A session whose messages are told apart by their texts."""

    def __init__(self, store: Store, where: Session, who: Participant) -> None:
        self._store, self.where, self._who = store, where, who
        self.said: dict[str, Message] = {}

    async def say(self, text: str, parent: str | None = None, thread_id: Id | None = None) -> Message:
        above = None if parent is None else self.said[parent].id
        draft = message(self._who, text=text, parent_id=above, thread_id=thread_id)
        [self.said[text]] = await say(self._store, self.where, draft)
        return self.said[text]

    async def path(self, end: str) -> list[str]:
        """The texts from the first message to one, which the places and the list agree on."""
        [places] = await self._store.branches([self.said[end].id])
        nodes = (await page(self._store, BRANCH, self.said[end], limit=1_000)).nodes
        assert [one.place for one in nodes] == places
        return [one.text for one in nodes]


@pytest.fixture
async def tree(store: Store) -> Tree:
    [where] = await keep(store, session())
    [who] = await keep(store, participant(where))
    return Tree(store, where, who)


async def test_each_branch_has_what_leads_to_its_end(tree: Tree) -> None:
    for text, parent in (("a", None), ("b", "a"), ("b2", "a"), ("c2", "b2"), ("c", "b"), ("d2", "c2")):
        await tree.say(text, parent)
    assert await tree.path("d2") == ["a", "b2", "c2", "d2"]
    assert await tree.path("c") == ["a", "b", "c"]
    assert await tree.path("b2") == ["a", "b2"]
    assert await tree.path("a") == ["a"]


async def test_without_parents_a_message_goes_on_from_the_one_before_it_in_its_thread(store: Store, tree: Tree) -> None:
    [aside] = await keep(store, thread(tree.where))
    for text, of in (("a", None), ("x", aside.id), ("b", None), ("y", aside.id), ("c", None)):
        await tree.say(text, thread_id=of)
    assert await tree.path("c") == ["a", "b", "c"]
    assert await tree.path("y") == ["x", "y"]


async def test_a_branch_that_is_taken_up_without_a_parent_goes_on_from_the_latest(tree: Tree) -> None:
    for text, parent in (("a", None), ("b", "a"), ("b2", "a"), ("c", None)):
        await tree.say(text, parent)
    assert await tree.path("c") == ["a", "b2", "c"]


async def test_a_message_with_replies_and_no_parent_begins_a_tree(tree: Tree) -> None:
    for text, parent in (("a", None), ("b", "a"), ("x", None), ("y", "x")):
        await tree.say(text, parent)
    assert await tree.path("y") == ["x", "y"]
    assert await tree.path("b") == ["a", "b"]


async def test_replies_of_a_deleted_message_go_on_from_the_one_before(store: Store, tree: Tree) -> None:
    for text, parent in (("a", None), ("b", "a"), ("c", "b")):
        await tree.say(text, parent)
    await delete(store, tree.said["b"])
    assert await tree.path("c") == ["a", "c"]


async def test_a_branch_that_was_read_before_follows_what_happens_to_its_session(store: Store, tree: Tree) -> None:
    for text in ("a", "b", "c"):
        await tree.say(text)
    assert await tree.path("c") == ["a", "b", "c"]
    await tree.say("reply", "b")  # now it begins a tree
    assert await tree.path("c") == ["b", "c"]
    await delete(store, tree.said["reply"])
    assert await tree.path("c") == ["a", "b", "c"]
    await delete(store, tree.said["b"])
    await tree.say("d")
    assert await tree.path("c") == ["a", "c"]
    assert await tree.path("d") == ["a", "c", "d"]


async def test_branches_are_read_together_each_once(store: Store, elsewhere: Store, tree: Tree) -> None:
    for text, parent in (("a", None), ("b", "a"), ("b2", "a")):
        await tree.say(text, parent)
    _, _, [other] = await talk(store, "hello")
    b, b2 = tree.said["b"].id, tree.said["b2"].id
    assert await store.branches([b2, other.id, b, Id("none"), b2]) == [[1, 3], [1], [1, 2], [], [1, 3]]
    assert await store.branches([]) == []
    assert await elsewhere.branches([b]) == [[]]
    assert (await page(elsewhere, BRANCH, b)).nodes == []
    assert (await page(store, BRANCH, "none")).nodes == []


@pytest.mark.parametrize("seed", range(3))
async def test_trees_that_grow_by_chance(store: Store, tree: Tree, seed: int) -> None:
    chance = random.Random(seed)
    threads: list[Any] = [
        None,
        *(one.id for one in await keep(store, thread(tree.where), thread(tree.where, name="2"))),
    ]
    above: dict[str, tuple[str | None, Id | None]] = {}
    for number in range(40):
        parent = chance.choice([*above]) if above and chance.random() < 0.6 else None
        above[f"m{number}"] = parent, chance.choice(threads)
        await tree.say(f"m{number}", *above[f"m{number}"])
    for end in above:
        assert await tree.path(end) == _path(end, above)


def _path(end: str | None, above: dict[str, tuple[str | None, Id | None]]) -> list[str]:
    """The same, told in other words: from the end up, each time to the parent or to the one before in the thread."""
    texts, found = list(above), list[str]()
    while end is not None:
        found.insert(0, end)
        parent, of = above[end]
        if parent is None and end not in [one for one, _ in above.values()]:
            parent = next((text for text in texts[: texts.index(end)][::-1] if above[text][1] == of), None)
        end = parent
    return found


async def test_pages_of_a_branch(store: Store, tree: Tree) -> None:
    await tree.say("0")
    for number in range(1, 12):
        await tree.say(f"no {number}", str(number - 1))
        await tree.say(str(number), str(number - 1))
    end, texts = tree.said["11"], [str(number) for number in range(12)]
    first = await page(store, BRANCH, end, limit=5)
    assert ([one.text for one in first.nodes], first.has_next_page, first.has_previous_page) == (texts[:5], True, False)
    after = first.page_info.end_cursor
    await tree.say("later", "11")  # moves nothing
    second = await page(store, BRANCH, end, limit=5, after=after)
    assert ([one.text for one in second.nodes], second.has_previous_page) == (texts[5:10], True)
    last = await page(store, BRANCH, end, limit=5, after=second.page_info.end_cursor)
    assert ([one.text for one in last.nodes], last.has_next_page) == (texts[10:], False)
    back = await page(store, BRANCH, end, limit=4, backward=True, before=cursors(last)[0])
    assert ([one.text for one in back.nodes], back.has_previous_page) == (texts[6:10], True)
    assert await store.counts([last.count_key]) == [12]
    with pytest.raises(Rejected):
        await page(store, BRANCH, tree.said["10"], limit=5, after=after)
    with pytest.raises(Rejected):
        await page(store, Collection.SESSION_MESSAGES, tree.where, limit=5, after=after)


async def test_a_branch_is_filtered_and_ordered_as_other_messages_are(store: Store, tree: Tree) -> None:
    for text, parent in (("a1", None), ("b", "a1"), ("a2", "a1"), ("a3", "b"), ("c", "a3")):
        await tree.say(text, parent)
    found = await page(store, BRANCH, tree.said["c"], MessageFilter(text="a"))
    assert [one.text for one in found.nodes] == ["a1", "a3"]
    assert await store.counts([found.count_key]) == [2]
    backward = MessageOrder(direction=OrderDirection.DESC)
    assert [one.text for one in (await page(store, BRANCH, tree.said["c"], None, backward)).nodes] == [
        "c",
        "a3",
        "b",
        "a1",
    ]
    earliest = MessageOrder(field=MessageOrderField.CREATED_AT)
    assert len((await page(store, BRANCH, tree.said["c"], None, earliest, limit=2)).nodes) == 2


async def test_pages_of_several_branches(store: Store, tree: Tree) -> None:
    for text, parent in (("a", None), ("b", "a"), ("b2", "a")):
        await tree.say(text, parent)
    _, _, [other, _] = await talk(store, "hello", "there")
    ends = [tree.said["b2"].id, other.id, Id("none"), tree.said["b"].id]
    pages = await store.pages(BRANCH, ends, Slice(10))
    assert [[one.text for one in found.nodes] for found in pages] == [["a", "b2"], ["hello"], [], ["a", "b"]]
    assert await store.counts([found.count_key for found in pages]) == [2, 1, 0, 2]
