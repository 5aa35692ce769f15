"""Walking the graph of memories."""

from __future__ import annotations

import asyncio
import random
from itertools import pairwise
from typing import Any, NamedTuple

import pytest
from msgspec.structs import replace

from domain.graph import Exploration, GraphEdgeKind, GraphInclude
from domain.link import MemoryLink, MemoryLinkKind
from domain.memory import Memory
from domain.message import MemoryRef
from domain.node import Id
from domain.values import EMPTY_OBJECT
from stores.contract.making import after, delete, entity, keep, link, memory, mention, remember, talk, user
from stores.past import PastStore
from stores.ports import Store, Transaction


async def _nothing(*_: Any) -> Any:
    """No search is made here."""


class Web(NamedTuple):
    """Memories and their links."""

    memories: list[Memory]
    links: list[MemoryLink]

    def weights(self, kinds: frozenset[MemoryLinkKind] | None = None, least: float = 0.0) -> dict[Id, dict[Id, float]]:
        """By each memory, the strongest link to each other one."""
        found: dict[Id, dict[Id, float]] = {one.id: {} for one in self.memories}
        for one in self.links:
            if (kinds is None or one.kind in kinds) and one.weight >= least:
                for a, b in ((one.source_id, one.target_id), (one.target_id, one.source_id)):
                    found[a][b] = max(found[a].get(b, 0.0), one.weight)
        return found


async def web(store: Store, count: int, links: int, seed: int) -> Web:
    """A random graph, in which all weights differ."""
    random_ = random.Random(seed)
    memories = await remember(store, *(memory(text=f"fact {n}") for n in range(count)))
    ends = [(a, b, kind) for a in memories for b in memories if a is not b for kind in MemoryLinkKind]
    weights = random_.sample(range(1, 1_000), links)
    picked = random_.sample(ends, links)
    made = await keep(
        store, *(link(a, b, kind=kind, weight=w / 1_000) for (a, b, kind), w in zip(picked, weights, strict=True))
    )
    return Web(memories, made)


def layers(weights: dict[Id, dict[Id, float]], center: Id, depth: int) -> list[dict[Id, float]]:
    """By distance, the memories that far away and the strength of the strongest of the shortest ways there."""
    found = [{center: 1.0}]
    seen = {center}
    for _ in range(depth):
        reached: dict[Id, float] = {}
        for node, strength in found[-1].items():
            for other, weight in weights[node].items():
                if other not in seen:
                    reached[other] = max(reached.get(other, 0.0), strength * weight)
        if not reached:
            break
        seen |= reached.keys()
        found.append(reached)
    return found


async def test_all_that_a_link_says_is_kept_and_may_be_taken_away_again(store: Store) -> None:
    a, b = await remember(store, memory(), memory())
    values = {"kind": MemoryLinkKind.SUPERSEDES, "weight": 0.25, "metadata": {"why": "newer"}, "ended": after(days=1)}
    [full] = await keep(store, link(a, b, **values))
    assert await store.get(MemoryLink, [full.id]) == [full]
    assert await store.links_between([(a.id, b.id)], None) == [full]
    bare = replace(full, ended=None, metadata=EMPTY_OBJECT, weight=1.0)
    await keep(store, lambda tx: bare)
    assert await store.get(MemoryLink, [full.id]) == [bare]


class TestExplore:
    @pytest.mark.in_turn
    @pytest.mark.parametrize("seed", range(3))
    @pytest.mark.parametrize("depth", [0, 1, 2, 6])
    async def test_nearest_first_then_strongest(self, store: Store, seed: int, depth: int) -> None:
        graph = await web(store, 25, 40, seed)
        center = graph.memories[0].id
        expected = layers(graph.weights(), center, depth)
        explored = (await store.explore([center], Exploration(depth, 1_000)))[0]
        order = [id for layer in expected for id in sorted(layer, key=lambda node, of=layer: -of[node])]  # type: ignore[misc]
        assert explored.ids == order
        assert not explored.truncated

    async def test_a_limit_keeps_the_first_and_says_so(self, store: Store) -> None:
        graph = await web(store, 20, 40, 7)
        center = graph.memories[0].id
        whole = (await store.explore([center], Exploration(3, 1_000)))[0]
        for limit in (1, 2, 5, len(whole.ids) - 1):
            part = (await store.explore([center], Exploration(3, limit)))[0]
            assert (part.ids, part.truncated) == (whole.ids[:limit], True)
        exact = (await store.explore([center], Exploration(3, len(whole.ids))))[0]
        assert (exact.ids, exact.truncated) == (whole.ids, False)

    async def test_the_edges_are_all_links_among_what_was_found(self, store: Store) -> None:
        graph = await web(store, 20, 40, 9)
        for limit in (6, 1_000):
            explored = (await store.explore([graph.memories[0].id], Exploration(2, limit)))[0]
            ids = set(explored.ids)
            among = {one.id: one for one in graph.links if {one.source_id, one.target_id} <= ids}
            assert {edge.link.id for edge in explored.edges if edge.link} == among.keys()
            assert len(explored.edges) == len(among)
            for edge in explored.edges:
                assert edge.link is not None
                assert edge.link == among[edge.link.id]
                assert (edge.source, edge.target) == (edge.link.source_id, edge.link.target_id)
                assert (edge.kind.value, edge.weight) == (edge.link.kind.value, edge.link.weight)

    async def test_only_over_links_of_the_kinds_and_weights_asked_for(self, store: Store) -> None:
        graph = await web(store, 25, 80, 11)
        center = graph.memories[0].id
        kinds = frozenset([MemoryLinkKind.CAUSES, MemoryLinkKind.RELATED, MemoryLinkKind.SUPPORTS])
        for exploration in (
            Exploration(6, 1_000, kinds),
            Exploration(6, 1_000, None, 0.5),
            Exploration(6, 1_000, kinds, 0.4),
            Exploration(6, 1_000, frozenset()),
        ):
            explored = (await store.explore([center], exploration))[0]
            expected = layers(graph.weights(exploration.kinds, exploration.min_weight), center, 6)
            assert explored.ids == [
                id
                for layer in expected
                for id in sorted(layer, key=lambda node, of=layer: -of[node])  # type: ignore[misc]
            ]
            for edge in explored.edges:
                assert edge.weight >= exploration.min_weight
                assert exploration.kinds is None or MemoryLinkKind[edge.kind.value] in exploration.kinds

    async def test_the_least_weight_is_in_the_range(self, store: Store) -> None:
        a, b = await remember(store, memory(), memory())
        await keep(store, link(a, b, weight=0.5))
        assert len(((await store.explore([a.id], Exploration(min_weight=0.5)))[0]).ids) == 2
        assert len(((await store.explore([a.id], Exploration(min_weight=0.51)))[0]).ids) == 1

    async def test_a_memory_that_is_not_there_has_no_neighborhood(self, store: Store) -> None:
        explored = (await store.explore([Id("none")], Exploration()))[0]
        assert (explored.ids, explored.edges, explored.truncated) == ([], [], False)

    async def test_a_deleted_memory_is_not_stepped_on(self, store: Store) -> None:
        a, b, c = await remember(store, memory(), memory(), memory())
        await keep(store, link(a, b), link(b, c))
        await delete(store, b)
        assert ((await store.explore([a.id], Exploration()))[0]).ids == [a.id]

    async def test_links_both_ways_and_to_itself(self, store: Store) -> None:
        a, b = await remember(store, memory(), memory())
        made = await keep(store, link(a, b), link(b, a), link(a, a), link(a, b, kind=MemoryLinkKind.CAUSES))
        explored = (await store.explore([a.id], Exploration()))[0]
        assert explored.ids == [a.id, b.id]
        assert {edge.link.id for edge in explored.edges if edge.link} == {one.id for one in made}

    async def test_records_that_come_with_it_have_the_fields_that_are_asked_for(self, store: Store) -> None:
        a, b = await remember(store, memory(text="sky"), memory(text="sea"))
        await keep(store, link(a, b))
        whole = (await store.explore([a.id], Exploration()))[0]
        some = (await store.explore([a.id], Exploration(), frozenset({"text", "importance"})))[0]
        assert (some.ids, some.edges) == (whole.ids, whole.edges)
        for id, record in some.records.items():
            assert (record.id, record.text, record.importance) == (id, *([("sky", 0.5), ("sea", 0.5)][id == b.id]))

    async def test_messages_sessions_owners_and_entities_are_shown_when_asked_for(self, store: Store) -> None:
        [ada] = await keep(store, user())
        where, _, [said, heard] = await talk(store, "a", "b")
        fact, other = await remember(store, memory(ada, source_message_id=said.id, session_id=where.id), memory(ada))
        await keep(store, link(fact, other))

        async def script(tx: Transaction) -> None:
            await tx.reference(heard.id, [MemoryRef(other.id, 1.0, None)])

        await store.write(script)
        plain = (await store.explore([fact.id], Exploration()))[0]
        assert plain.ids == [fact.id, other.id]

        async def shown(*include: GraphInclude, limit: int = 100) -> Any:
            explored = (await store.explore([fact.id], Exploration(2, limit, include=frozenset(include))))[0]
            edges = {(e.source, e.target, e.kind) for e in explored.edges if e.link is None}
            return explored, set(explored.ids[2:]), edges

        _, ids, edges = await shown(GraphInclude.MESSAGES)
        assert ids == {said.id, heard.id}
        assert edges == {
            (fact.id, said.id, GraphEdgeKind.FORMED_FROM),
            (other.id, heard.id, GraphEdgeKind.REFERENCED_BY),
        }
        _, ids, edges = await shown(GraphInclude.SESSIONS)
        assert (ids, edges) == ({where.id}, {(fact.id, where.id, GraphEdgeKind.IN_SESSION)})
        _, ids, edges = await shown(GraphInclude.ACTORS)
        assert ids == {ada.id}
        assert edges == {(one.id, ada.id, GraphEdgeKind.OWNED_BY) for one in (fact, other)}
        [town, river] = await keep(store, entity(), entity(name="Aker"))
        await keep(store, *(mention(*ends) for ends in ((fact, river), (fact, town), (other, town), (said, river))))
        _, ids, edges = await shown(GraphInclude.ENTITIES)
        assert ids == {town.id, river.id}
        assert edges == {
            (one.id, of.id, GraphEdgeKind.MENTIONS) for one, of in ((fact, river), (fact, town), (other, town))
        }
        explored, ids, edges = await shown(*GraphInclude)
        assert ids == {said.id, heard.id, where.id, ada.id, town.id, river.id}
        assert len(explored.ids) == len(set(explored.ids))
        assert not explored.truncated
        explored, ids, edges = await shown(*GraphInclude, limit=4)
        assert len(explored.ids) == 4
        assert explored.truncated
        assert all(target in explored.ids for _, target, _ in edges)

    async def test_exploring_while_memories_are_deleted(self, store: Store) -> None:
        graph = await web(store, 60, 300, 13)
        center = graph.memories[0]

        async def explore() -> None:
            for _ in range(20):
                explored = (await store.explore([center.id], Exploration(3, 1_000)))[0]
                ids = set(explored.ids)
                assert center.id in ids
                assert all({edge.source, edge.target} <= ids for edge in explored.edges)
                await store.paths(center.id, graph.memories[1].id, None, 4, 3)
                (await store.shared([center.id], 10))[0]

        async def shrink() -> None:
            for one in graph.memories[2:]:
                await delete(store, one)

        await asyncio.gather(explore(), shrink(), explore())
        left = (await store.explore([center.id], Exploration(3, 1_000)))[0]
        assert set(left.ids) <= {center.id, graph.memories[1].id}


def ways(weights: dict[Id, dict[Id, float]], start: Id, goal: Id, most: int) -> list[tuple[int, float, list[Id]]]:
    """All ways without a loop, the shortest first, then the strongest."""
    found: list[tuple[int, float, list[Id]]] = []

    def walk(path: list[Id], weight: float) -> None:
        if path[-1] == goal:
            found.append((len(path) - 1, -weight, path))
        elif len(path) <= most:
            for other, strength in weights[path[-1]].items():
                if other not in path:
                    walk([*path, other], weight * strength)

    walk([start], 1.0)
    return sorted(found, key=lambda way: way[:2])


class TestPaths:
    @pytest.mark.in_turn
    @pytest.mark.parametrize("seed", range(6))
    async def test_are_the_shortest_and_strongest_there_are(self, store: Store, seed: int) -> None:
        graph = await web(store, 12, 18 + 4 * seed, seed)
        weights = graph.weights()
        start, goal = graph.memories[0].id, graph.memories[1].id
        for most, first in ((6, 3), (6, 1), (3, 20), (1, 3), (0, 3), (6, 20)):
            expected = ways(weights, start, goal, most)[:first]
            found = await store.paths(start, goal, None, most, first)
            assert [len(path) - 1 for path in found] == [length for length, _, _ in expected]
            strengths = [-weight for _, weight, _ in expected]
            assert [strength(weights, path) for path in found] == pytest.approx(strengths)
            assert all(len(set(path)) == len(path) for path in found)
            assert len({tuple(path) for path in found}) == len(found)

    async def test_ties_are_broken_by_the_ids_on_the_way(self, store: Store) -> None:
        start, goal, *rest = await remember(store, *(memory() for _ in range(42)))
        ends = [(start, one) for one in rest] + [(one, goal) for one in rest]
        await keep(store, *(link(a, b) for a, b in reversed(ends)))
        ids = sorted(one.id for one in rest)
        assert await store.paths(start.id, goal.id, None, 2, 20) == [[start.id, id, goal.id] for id in ids[:20]]
        best = rest[30]
        await keep(store, link(goal, start, weight=0.1), link(start, best, kind=MemoryLinkKind.CAUSES, weight=0.5))
        found = await store.paths(start.id, goal.id, None, 2, 3)
        assert found == [[start.id, goal.id], *([start.id, id, goal.id] for id in ids[:2])]
        assert ((await store.explore([start.id], Exploration(1, 1_000)))[0]).ids == [start.id, *ids, goal.id]

    async def test_through_memories_with_many_links(self, store: Store) -> None:
        start, hub, other, goal, *leaves = await remember(store, *(memory() for _ in range(304)))
        await keep(store, *(link(hub, one, weight=0.9) for one in leaves))
        await keep(store, *(link(one, other, weight=(n + 1) / 400) for n, one in enumerate(leaves)))
        await keep(store, link(start, hub, weight=0.5), link(other, goal, weight=0.5))
        found = await store.paths(start.id, goal.id, None, 6, 20)
        assert found == [[start.id, hub.id, one.id, other.id, goal.id] for one in leaves[:-21:-1]]
        assert await store.paths(start.id, goal.id, None, 3, 20) == []

    async def test_only_over_links_of_the_kinds_asked_for(self, store: Store) -> None:
        graph = await web(store, 12, 60, 17)
        kinds = [MemoryLinkKind.CAUSES, MemoryLinkKind.PRECEDES]
        weights = graph.weights(frozenset(kinds))
        for goal in graph.memories[1:]:
            expected = ways(weights, graph.memories[0].id, goal.id, 5)[:4]
            found = await store.paths(graph.memories[0].id, goal.id, kinds, 5, 4)
            assert [len(path) - 1 for path in found] == [length for length, _, _ in expected]
        assert await store.paths(graph.memories[0].id, graph.memories[1].id, [], 5, 4) == []

    async def test_from_a_memory_to_itself_there_is_nothing_to_walk(self, store: Store) -> None:
        [a, b] = await remember(store, memory(), memory())
        await keep(store, link(a, b))
        assert await store.paths(a.id, a.id, None, 6, 3) == [[a.id]]

    async def test_over_entities_where_that_is_asked_for(self, store: Store) -> None:
        a, b, c, d = await remember(store, *(memory() for _ in range(4)))
        [town, river] = await keep(store, entity(), entity(name="Aker"))
        _, _, [said, _] = await talk(store, "a", "b")
        await keep(store, *(mention(*ends) for ends in ((a, town), (b, town), (b, river), (c, river), (said, river))))
        await keep(store, link(c, d, weight=0.5))
        assert await store.paths(a.id, d.id, None, 6, 3) == []
        way = [a.id, town.id, b.id, river.id, c.id, d.id]
        assert await store.paths(a.id, d.id, None, 6, 3, entities=True) == [way]
        assert await store.paths(d.id, a.id, None, 5, 3, entities=True) == [way[::-1]]
        assert await store.paths(a.id, d.id, None, 4, 3, entities=True) == []
        await keep(store, link(b, c, weight=0.5), mention(a, river))
        near = [a.id, river.id, c.id, d.id]
        assert (await store.paths(a.id, d.id, None, 6, 2, entities=True)) == [near, [*way[:3], c.id, d.id]]
        await delete(store, b)
        await delete(store, river)
        assert await store.paths(a.id, d.id, None, 6, 3, entities=True) == []

    async def test_as_they_were_known(self, store: Store) -> None:
        """Ways of the past are read off lists and versions, so any engine has them."""
        a, b, c = await remember(store, *(memory() for _ in range(3)))
        [town] = await keep(store, entity())
        await keep(store, link(a, b, weight=0.5), link(b, c, weight=0.25), mention(a, town), mention(c, town))
        ways = [[a.id, town.id, c.id], [a.id, b.id, c.id]]
        assert await store.paths(a.id, c.id, None, 6, 3, entities=True) == ways
        later, earlier = (PastStore(store, after(days=days), _nothing) for days in (1, -1))
        assert await later.paths(a.id, c.id, None, 6, 3, entities=True) == ways
        assert await later.paths(a.id, c.id, [MemoryLinkKind.CAUSES], 6, 3) == []
        assert [one.weight for one in await later.links_between([(b.id, a.id), (c.id, b.id)], None)] == [0.5, 0.25]
        assert await earlier.paths(a.id, c.id, None, 6, 3, entities=True) == []

    async def test_of_equal_links_the_first_made_is_told_now_and_as_of_then(self, store: Store) -> None:
        kinds = [MemoryLinkKind.SUPERSEDES, MemoryLinkKind.RELATED, MemoryLinkKind.CAUSES]
        for weight in (0.0, 0.5, 1.0):
            a, b = await remember(store, memory(), memory())
            first, second, third = await keep(
                store,
                *(
                    link(*ends, kind=kind, weight=weight)
                    for ends, kind in zip(((a, b), (b, a), (a, b)), kinds, strict=True)
                ),
            )
            for one in (store, PastStore(store, after(days=1), _nothing)):
                assert await one.links_between([(a.id, b.id), (b.id, a.id)], None) == [first, first]
                assert await one.links_between([(a.id, b.id)], kinds[1:]) == [second]
                assert await one.links_between([(b.id, a.id)], kinds[2:]) == [third]

    async def test_none_where_an_end_is_not_there(self, store: Store) -> None:
        [a, b] = await remember(store, memory(), memory())
        assert await store.paths(a.id, b.id, None, 6, 3) == []
        assert await store.paths(a.id, Id("none"), None, 6, 3) == []
        assert await store.paths(Id("none"), a.id, None, 6, 3) == []


def strength(weights: dict[Id, dict[Id, float]], path: list[Id]) -> float:
    product = 1.0
    for a, b in pairwise(path):
        product *= weights[a][b]
    return product


class TestShared:
    async def test_messages_count_one_neighbors_a_half_and_sessions_a_quarter(self, store: Store) -> None:
        where, _, [said, heard] = await talk(store, "a", "b")
        here: dict[str, Any] = {"session_id": where.id}
        a, by_session, by_message, by_neighbor, by_all, linked, hub = await remember(
            store,
            memory(source_message_id=said.id, **here),
            memory(**here),
            memory(source_message_id=said.id),
            memory(),
            memory(source_message_id=said.id, **here),
            memory(source_message_id=said.id, **here),
            memory(),
        )
        await keep(store, link(a, hub), link(hub, by_neighbor), link(by_all, hub), link(linked, a))

        async def script(tx: Transaction) -> None:
            await tx.reference(heard.id, [MemoryRef(one.id, None, None) for one in (a, by_all, by_message)])

        await store.write(script)
        found = {one.memory_id: one for one in (await store.shared([a.id], 10))[0]}
        assert found.keys() == {by_session.id, by_message.id, by_neighbor.id, by_all.id}
        assert {id: one.score for id, one in found.items()} == {
            by_session.id: 0.25,
            by_message.id: 2.0,
            by_neighbor.id: 0.5,
            by_all.id: 2.75,
        }
        everything = found[by_all.id]
        assert everything.message_ids == sorted([said.id, heard.id])
        assert (everything.session_ids, everything.neighbor_ids) == ([where.id], [hub.id])
        ordered = (await store.shared([a.id], 10))[0]
        assert [one.memory_id for one in ordered] == [by_all.id, by_message.id, by_neighbor.id, by_session.id]
        assert (await store.shared([a.id], 2))[0] == ordered[:2]
        assert (await store.shared([a.id], 0))[0] == []

    async def test_at_most_ten_of_each_are_named_and_all_count(self, store: Store) -> None:
        _, _, said = await talk(store, *("x" for _ in range(12)))
        a, b = await remember(store, memory(), memory())

        async def script(tx: Transaction) -> None:
            for one in said:
                await tx.reference(one.id, [MemoryRef(a.id, None, None), MemoryRef(b.id, None, None)])

        await store.write(script)
        [shared] = (await store.shared([a.id], 10))[0]
        assert shared.message_ids == [one.id for one in said[:10]]
        assert shared.score == 12.0

    async def test_nothing_is_shared_by_one_that_is_alone_or_not_there(self, store: Store) -> None:
        [a, _] = await remember(store, memory(), memory())
        assert (await store.shared([a.id], 10))[0] == []
        assert (await store.shared([Id("none")], 10))[0] == []
