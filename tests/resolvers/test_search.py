"""Finding memories, and recalling them."""

# ruff: noqa: UP031 - the braces in these strings are GraphQL's

from __future__ import annotations

import itertools
from typing import Any

import pytest

from tests.support.graphql_client import Graph, direction, vector_of

SEARCH = """query ($q: MemoryQuery!, $f: MemoryFilter, $m: SearchMode! = HYBRID, $t: Float! = 0.5, $n: Int! = 10, $r: Ranking) {
  searchMemories(query: $q, filter: $f, mode: $m, threshold: $t, first: $n, ranking: $r) { mode degraded tookMs hits {
    score memory { externalId importance decayFactor } folded { externalId } parts { similarity textRank fusion
    importance decay neighbors reply session people links references time } } } }"""


async def memory(graph: Graph, name: str, **more: Any) -> None:
    await graph.do("createMemory", {"text": name, "scope": "GLOBAL", "externalId": name, **more})


async def search(graph: Graph, text: str | None = None, **arguments: Any) -> Any:
    query = {"text": text} if text is not None else arguments.pop("q")
    found = (await graph.data(SEARCH, q=query, **arguments))["searchMemories"]
    assert found["mode"] == arguments.get("m", "HYBRID")
    assert not found["degraded"]
    assert found["tookMs"] > 0
    scores = [hit["score"] for hit in found["hits"]]
    assert scores == sorted(scores, reverse=True), "best first"
    for hit in found["hits"]:
        parts = hit["parts"]
        relevance = {"HYBRID": parts["fusion"], "SEMANTIC": parts["similarity"], "TEXT": parts["textRank"]}[
            found["mode"]
        ]
        share = 1 if "PRODUCT" in (arguments.get("r"), found["mode"].replace("SEMANTIC", "PRODUCT")) else 0.1
        weight = parts["importance"] * parts["decay"]
        assert hit["score"] == pytest.approx(relevance * (1 - share * (1 - weight))), "the score is made of its parts"
        assert parts["importance"] == hit["memory"]["importance"]
        assert parts["decay"] == pytest.approx(hit["memory"]["decayFactor"])
        assert (parts["fusion"] is not None) == (found["mode"] == "HYBRID")
        assert all(0 <= part <= 1 for part in parts.values() if part is not None)
    return found["hits"]


def found(hits: Any) -> list[str]:
    return [hit["memory"]["externalId"] for hit in hits]


def similarity(one: str, other: str) -> float:
    """Of two words, as the embedder of these tests has it."""
    return (1 + float(direction(one) @ direction(other))) / 2


@pytest.mark.both_families
class TestModes:
    async def test_by_meaning(self, graph: Graph) -> None:
        for name in ("zebra", "walrus"):
            await memory(graph, name)
        hits = await search(graph, "zebra", m="SEMANTIC", t=0)
        assert found(hits)[0] == "zebra"
        assert hits[0]["parts"]["similarity"] == pytest.approx(1, abs=1e-3)
        assert hits[1]["parts"]["similarity"] == pytest.approx(similarity("zebra", "walrus"), abs=1e-3)
        assert hits[0]["parts"]["textRank"] is None

    async def test_by_words(self, graph: Graph) -> None:
        await memory(graph, "zebra in the rain")
        await memory(graph, "walrus in the rain")
        hits = await search(graph, "zebra", m="TEXT", t=1)
        assert found(hits) == ["zebra in the rain"], "the threshold is not about words"
        assert hits[0]["parts"]["similarity"] is None
        assert hits[0]["parts"]["textRank"] > 0
        assert await search(graph, "nothing like it", m="TEXT", t=0) == []

    async def test_by_both(self, graph: Graph) -> None:
        await memory(graph, "found by words", vector=vector_of("other"))
        await memory(graph, "near", vector=vector_of("words"))
        hits = await search(graph, "words", t=0.999)
        assert sorted(found(hits)) == ["found by words", "near"], "the threshold drops none that is found by its words"
        by_name = {hit["memory"]["externalId"]: hit["parts"] for hit in hits}
        assert by_name["near"]["textRank"] is None
        assert by_name["found by words"]["textRank"] > 0

    async def test_any_text_may_be_asked(self, graph: Graph) -> None:
        await memory(graph, "zebra")
        for text in ("", "   ", "?!", "\u0000", "\u200b", '"', "AND OR NOT NEAR(", "a" * 100_000, "*", "zebra*"):
            for mode in ("HYBRID", "SEMANTIC", "TEXT"):
                await search(graph, text, m=mode, t=0)

    async def test_a_text_without_words_finds_nothing(self, graph: Graph) -> None:
        await memory(graph, "zebra")
        assert await search(graph, "?!", t=0) == []


class TestQueries:
    async def test_a_vector_at_any_length(self, graph: Graph) -> None:
        for name in ("zebra", "walrus"):
            await memory(graph, name)
        for factor in (1e-20, 1, 1e20):
            hits = await search(graph, q={"vector": [factor * number for number in vector_of("walrus")]}, t=0.9)
            assert found(hits) == ["walrus"]
        assert await graph.refusal(SEARCH, q={"vector": vector_of("walrus")}, m="TEXT") == ("INVALID", ["mode"])

    async def test_what_is_like_another_memory(self, graph: Graph) -> None:
        for name in ("zebra stripes", "zebra", "walrus"):
            await memory(graph, name)
        id = (await graph.data('{ memory(by: {externalId: "zebra"}) { id } }'))["memory"]["id"]
        for mode in ("HYBRID", "SEMANTIC", "TEXT"):
            hits = await search(graph, q={"like": id}, m=mode, t=0.6)
            assert found(hits)[0] == "zebra stripes"
            assert "zebra" not in found(hits), "not itself"
        query = (
            'query ($t: Float!, $n: Int!) { memory(by: {externalId: "zebra"}) { similar(first: $n, threshold: '
            "$t) { score memory { externalId } } } }"
        )
        similar = (await graph.data(query, t=0.6, n=10))["memory"]["similar"]
        assert found(similar)[0] == "zebra stripes"
        assert len((await graph.data(query, t=0.0, n=1))["memory"]["similar"]) == 1

    async def test_like_an_archived_one(self, graph: Graph) -> None:
        for name in ("zebra stripes", "zebra"):
            await memory(graph, name)
        await graph.do("archiveMemories", {"memories": [{"externalId": "zebra"}]})
        id = (await graph.data('{ memory(by: {externalId: "zebra"}) { id } }'))["memory"]["id"]
        assert found(await search(graph, q={"like": id}, t=0.6)) == ["zebra stripes"]

    @pytest.mark.parametrize("id", ["mem_" + "0" * 32, "mem_" + "z" * 32, "garbage", ""])
    async def test_like_nothing(self, graph: Graph, id: str) -> None:
        assert await graph.refusal(SEARCH, q={"like": id}) == ("NOT_FOUND", ["query", "like"])

    @pytest.mark.parametrize(
        ("arguments", "path"),
        [
            ({"q": {"vector": [1.0]}}, ["query", "vector"]),
            ({"q": {"vector": [0.0] * 16}}, ["query", "vector"]),
            ({"q": {"vector": []}}, ["query", "vector"]),
            ({"q": {"vector": [1.0] * 10_000}}, ["query", "vector"]),
            ({"q": {"text": "x" * 100_001}}, ["query", "text"]),
            ({"q": {"text": "x"}, "t": 1.1}, ["threshold"]),
            ({"q": {"text": "x"}, "t": -0.1}, ["threshold"]),
            ({"q": {"text": "x"}, "n": -1}, ["first"]),
            ({"q": {"text": "x"}, "n": 201}, ["first"]),
        ],
    )
    async def test_arguments_that_cannot_be(self, graph: Graph, arguments: Any, path: list[str]) -> None:
        assert await graph.refusal(SEARCH, **arguments) == ("INVALID", path)

    @pytest.mark.parametrize("query", [{}, {"text": "x", "like": "y"}, {"text": None}])
    async def test_exactly_one_is_given(self, graph: Graph, query: Any) -> None:
        code, _ = await graph.refusal(SEARCH, q=query)
        assert code == "BAD_USER_INPUT"

    @pytest.mark.parametrize(("argument", "value"), [("first", -1), ("first", 201), ("threshold", 2)])
    async def test_similar_with_arguments_that_cannot_be(self, graph: Graph, argument: str, value: float) -> None:
        await memory(graph, "zebra")
        query = '{ memory(by: {externalId: "zebra"}) { similar(%s: %s) { score } } }' % (argument, value)
        assert await graph.refusal(query) == ("INVALID", [argument])


@pytest.mark.both_families
class TestRanking:
    async def test_importance_and_decay_count(self, graph: Graph) -> None:
        for i, importance in enumerate((0.1, 0.9, 0.5)):
            await memory(graph, f"zebra {i}", importance=importance, tags=[str(i)], vector=vector_of("zebra"))
        await graph.do("decayMemories", {"rate": 0.8, "filter": {"tags": ["1"]}})
        assert found(await search(graph, "zebra", m="SEMANTIC")) == ["zebra 2", "zebra 1", "zebra 0"]

    @pytest.mark.parametrize("mode", ["HYBRID", "TEXT"])
    @pytest.mark.parametrize(
        ("text", "twin"),
        [
            ("Release 1.2.3", "Release 3.2.1"),
            ("due 2026-03-04", "due 2026-04-03"),
            ("at 7.1", "at 1.7"),
            ("会议 2026年3月4日", "会议 2026年4月3日"),
            ("이사 3월4일", "이사 4월3일"),
            ("mail a.berg@x.org", "mail a@berg.x.org"),
        ],
    )
    async def test_a_number_comes_before_its_twin(self, graph: Graph, mode: str, text: str, twin: str) -> None:
        await memory(graph, text, importance=0.1)
        await memory(graph, twin, importance=1.0)
        assert found(await search(graph, text.split()[1], m=mode))[0] == text

    async def test_an_identifier_comes_before_what_is_important(self, graph: Graph) -> None:
        await memory(graph, "Ticket INC-88213 was closed", importance=0.1)
        for i in range(15):
            await memory(graph, f"important note {i} about the garden", importance=0.95)
        assert found(await search(graph, "INC-88213"))[0] == "Ticket INC-88213 was closed"

    async def test_what_says_the_same_takes_one_place(self, graph: Graph) -> None:
        for i, text in enumerate(("Likes tea.", "likes  the tea", "Does not like tea", "Likes tea?", "likes 2 teas")):
            await memory(graph, text, vector=vector_of("tea"), importance=(9 - i) / 10)
        hits = await search(graph, "tea", t=0)
        assert len(hits) == 4
        folded = {hit["memory"]["externalId"]: [one["externalId"] for one in hit["folded"]] for hit in hits}
        assert sorted([len(some) for some in folded.values()]) == [0, 0, 0, 1]
        assert {"Likes tea.", "likes  the tea"} in [{name, *some} for name, some in folded.items()]

    async def test_first(self, graph: Graph) -> None:
        for i in range(15):
            await memory(graph, f"zebra {i}", importance=i / 20, vector=vector_of("zebra"))
        assert len(await search(graph, "zebra", t=0)) == 10
        assert found(await search(graph, "zebra", t=0, n=2)) == ["zebra 14", "zebra 13"]
        assert await search(graph, "zebra", t=0, n=0) == []
        assert len(await search(graph, "zebra", t=0, n=200)) == 15

    async def test_threshold(self, graph: Graph) -> None:
        await memory(graph, "walrus")
        edge = similarity("zebra", "walrus")
        assert found(await search(graph, "zebra", m="SEMANTIC", t=edge - 0.01)) == ["walrus"]
        assert found(await search(graph, "zebra", m="SEMANTIC", t=edge + 0.01)) == []
        assert found(await search(graph, "zebra", t=edge - 0.01)) == ["walrus"]
        assert found(await search(graph, "zebra", t=edge + 0.01)) == []


@pytest.mark.both_families
class TestAmongWhat:
    async def test_active_ones_that_hold_now(self, graph: Graph) -> None:
        await memory(graph, "zebra active")
        await memory(graph, "zebra archived")
        await memory(graph, "zebra superseded")
        await memory(graph, "zebra past", validUntil="2020-01-01T00:00:00Z")
        await memory(graph, "zebra future", validFrom="2090-01-01T00:00:00Z")
        await graph.do("archiveMemories", {"memories": [{"externalId": "zebra archived"}]})
        await graph.do(
            "linkMemories",
            {
                "links": [
                    {
                        "source": {"externalId": "zebra active"},
                        "target": {"externalId": "zebra superseded"},
                        "kind": "SUPERSEDES",
                    }
                ]
            },
        )
        for mode in ("HYBRID", "SEMANTIC", "TEXT"):
            assert found(await search(graph, "zebra", m=mode, t=0)) == ["zebra active"]
            then = await search(graph, "zebra", m=mode, t=0, f={"validAt": "2019-01-01T00:00:00Z"})
            assert sorted(found(then)) == ["zebra active", "zebra past", "zebra superseded"]

    async def test_filters(self, graph: Graph, subtests: pytest.Subtests) -> None:
        await memory(graph, "zebra", importance=0.9)
        await memory(graph, "zebra ann", scope="USER", owner={"externalId": "ann"})
        await memory(graph, "zebra ann tagged", scope="USER", owner={"externalId": "ann"}, tags=["t"], type="WORKING")
        expected: list[tuple[dict[str, Any], list[str]]] = [
            ({"owner": {"externalId": "ann"}}, ["zebra ann", "zebra ann tagged"]),
            ({"owner": {"externalId": "nobody"}}, []),
            ({"scopes": ["GLOBAL"]}, ["zebra"]),
            ({"tags": ["t"]}, ["zebra ann tagged"]),
            ({"types": ["WORKING"]}, ["zebra ann tagged"]),
            ({"not": {"tags": ["t"]}}, ["zebra", "zebra ann"]),
            ({"text": "ANN"}, ["zebra ann", "zebra ann tagged"]),
            ({"importance": {"min": 0.8}}, ["zebra"]),
        ]
        for (filter, those), mode in itertools.product(expected, ("HYBRID", "SEMANTIC", "TEXT")):
            with subtests.test(mode=mode, filter=filter):
                assert sorted(found(await search(graph, "zebra", m=mode, t=0, f=filter))) == those

    async def test_it_only_reads(self, graph: Graph) -> None:
        await memory(graph, "zebra")
        with graph.untouched():
            await search(graph, "zebra", t=0)


PARTS = ("similarity", "textRank", "fusion", "importance", "decay")
RECALL = """search { mode degraded tookMs hits { score memory { id externalId accessCount decayFactor lastAccessedAt } parts { similarity textRank fusion importance decay } } }
  event { id type component durationMs data session { externalId } message { externalId } namedMemories { externalId } }"""


@pytest.mark.both_families
class TestRecalling:
    @pytest.fixture(autouse=True)
    async def talk(self, graph: Graph) -> None:
        for name in ("s", "other"):
            await graph.do("createSession", {"externalId": name})
            await graph.do(
                "addMessage", {"session": {"externalId": name}, "role": "user", "text": "x", "externalId": f"{name} 1"}
            )
        for name in ("zebra", "walrus"):
            await memory(graph, name)
        await graph.do("decayMemories", {"rate": 0.5, "filter": {"scopes": ["USER", "AGENT", "GLOBAL"]}})

    async def test_it_counts_the_access_and_writes_down_why(self, graph: Graph) -> None:
        asked = {
            "query": {"text": "zebra"},
            "threshold": 0.0,
            "first": 2,
            "session": {"externalId": "s"},
            "message": {"externalId": "s 1"},
        }
        before = await search(graph, "zebra", t=0)
        done = await graph.do("recall", asked, RECALL)
        hits, event = done["search"]["hits"], done["event"]
        assert [(hit["score"], hit["parts"]) for hit in hits] == [
            (hit["score"], {name: hit["parts"][name] for name in PARTS}) for hit in before
        ], "found as by a search"
        for hit in hits:
            assert hit["memory"]["accessCount"] == 1
            assert hit["memory"]["decayFactor"] == pytest.approx(0.6)
            assert hit["parts"]["decay"] == pytest.approx(0.5), "the score is of before"
            assert hit["memory"]["lastAccessedAt"]
        assert (event["type"], event["session"], event["message"]) == (
            "recall",
            {"externalId": "s"},
            {"externalId": "s 1"},
        )
        assert [one["externalId"] for one in event["namedMemories"]] == found(hits)
        assert event["durationMs"] == done["search"]["tookMs"]
        assert event["data"] == {
            "query": {"text": "zebra"},
            "mode": "HYBRID",
            "threshold": 0.0,
            "hits": [{"memory": hit["memory"]["id"], "score": hit["score"], "parts": hit["parts"]} for hit in hits],
        }
        data = await graph.data(
            """{ memory(by: {externalId: "zebra"}) { recalls { totalCount nodes { score parts { similarity textRank fusion importance decay }
                recalledAt memory { externalId } session { externalId } message { externalId } event { id } } } referencedBy { nodes { externalId } } }
              session(by: {externalId: "s"}) { messages { nodes { memoryRefs { score memory { externalId } } } } trace { nodes { id type } } } }"""
        )
        [recall] = data["memory"]["recalls"]["nodes"]
        assert (recall["score"], recall["parts"]) == (hits[0]["score"], hits[0]["parts"])
        assert recall["event"] == {"id": event["id"]}
        assert (recall["session"], recall["message"], recall["memory"]) == (
            {"externalId": "s"},
            {"externalId": "s 1"},
            {"externalId": "zebra"},
        )
        assert data["memory"]["referencedBy"]["nodes"] == [{"externalId": "s 1"}]
        assert data["session"]["messages"]["nodes"][0]["memoryRefs"] == [
            {"score": hit["score"], "memory": {"externalId": hit["memory"]["externalId"]}} for hit in hits
        ]
        assert data["session"]["trace"]["nodes"] == [{"id": event["id"], "type": "recall"}]

    async def test_again_for_the_same_message(self, graph: Graph) -> None:
        asked = {"query": {"text": "zebra"}, "threshold": 0.9, "message": {"externalId": "s 1"}}
        for count in (1, 2):
            done = await graph.do("recall", asked, RECALL)
            assert done["search"]["hits"][0]["memory"]["accessCount"] == count
            assert done["event"]["session"] == {"externalId": "s"}, "the message's own"
        data = await graph.data(
            '{ memory(by: {externalId: "zebra"}) { recalls { totalCount } referencedBy { totalCount } } }'
        )
        assert data["memory"] == {"recalls": {"totalCount": 2}, "referencedBy": {"totalCount": 1}}

    async def test_without_a_session_there_is_no_event(self, graph: Graph) -> None:
        done = await graph.do("recall", {"query": {"text": "zebra"}, "threshold": 0.9}, RECALL)
        assert done["event"] is None
        assert found(done["search"]["hits"]) == ["zebra"]
        data = await graph.data(
            '{ memory(by: {externalId: "zebra"}) { accessCount recalls { nodes { session { id } message { id } '
            "event { id } } } } }"
        )
        assert data["memory"] == {
            "accessCount": 1,
            "recalls": {"nodes": [{"session": None, "message": None, "event": None}]},
        }

    async def test_what_finds_nothing_is_written_down_too(self, graph: Graph) -> None:
        asked = {"query": {"text": "zebra"}, "filter": {"tags": ["none"]}, "session": {"externalId": "s"}}
        done = await graph.do("recall", asked, RECALL)
        assert done["search"]["hits"] == done["event"]["namedMemories"] == done["event"]["data"]["hits"] == []

    async def test_by_vector_and_by_likeness(self, graph: Graph) -> None:
        id = (await graph.data('{ memory(by: {externalId: "walrus"}) { id } }'))["memory"]["id"]
        for query, noted in (({"vector": vector_of("zebra")}, {"vector": True}), ({"like": id}, {"like": id})):
            done = await graph.do(
                "recall", {"query": query, "threshold": 0.0, "mode": "SEMANTIC", "session": {"externalId": "s"}}, RECALL
            )
            assert done["event"]["data"]["query"] == noted

    @pytest.mark.one_family
    @pytest.mark.parametrize(
        ("change", "code", "path"),
        [
            ({"session": {"externalId": "nowhere"}}, "NOT_FOUND", ["session"]),
            ({"message": {"externalId": "nowhere"}}, "NOT_FOUND", ["message"]),
            ({"session": {"externalId": "s"}, "message": {"externalId": "other 1"}}, "NOT_FOUND", ["message"]),
            ({"query": {"like": "garbage"}}, "NOT_FOUND", ["query", "like"]),
            ({"query": {"vector": [1.0]}}, "INVALID", ["query", "vector"]),
            ({"query": {"vector": vector_of("x")}, "mode": "TEXT"}, "INVALID", ["mode"]),
            ({"threshold": 1.5}, "INVALID", ["threshold"]),
            ({"first": -1}, "INVALID", ["first"]),
            ({"first": 201}, "INVALID", ["first"]),
        ],
    )
    async def test_refusals(self, graph: Graph, change: Any, code: str, path: list[str]) -> None:
        assert await graph.fails("recall", {"query": {"text": "zebra"}, "threshold": 0, **change}) == (code, path)
