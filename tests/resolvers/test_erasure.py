"""Erase users, agents and sessions: what goes, what stays, and the search for what is left."""

from __future__ import annotations

import json
import random
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from domain.caller import LOCAL
from domain.erasure import Erasure
from formats.recollect import jsonl
from resolvers import erasure
from resolvers.erasing import Erasing
from tests.support.graphql_client import Clock, Graph
from tests.support.killing import contents

pytestmark = pytest.mark.both_families

REPORT = "report { dryRun searchedFor elsewhere found finishedAt stores { store removed blanked found } }"
SECRET = "the harrow gate opens at {} with 7719"


def ref(name: str) -> dict[str, str]:
    return {"externalId": name}


def said(who: str, what: object) -> str:
    """A text that only one person has."""
    return f'{who} says: "{SECRET.format(what)}" and\nnobody else knows {who}-{what}'


async def fill(graph: Graph, people: tuple[str, ...] = ("ann", "bob")) -> None:
    """Two people, an agent, a session of each and one of both; all there may be of each."""
    for name in people:
        await graph.do(
            "upsertUser",
            {"externalId": name, "name": f"{name} of the long name", "profile": {"is": said(name, "profile")}},
        )
    await graph.do("upsertAgent", {"externalId": "bot", "description": said("bot", "description")})
    for name in people:
        await talk(graph, f"of {name}", [name])
        await own(graph, name)
    await talk(graph, "of all", list(people))


async def talk(graph: Graph, session: str, people: list[str]) -> None:
    voices = [
        {"actor": ref(name), "name": f"{name} in {session}", "externalId": f"{name} {session}"} for name in people
    ]
    bot = {"type": "AGENT", "actor": ref("bot"), "name": "Bot"}
    await graph.do(
        "createSession", {"externalId": session, "participants": [*voices, bot], "title": f"{session} title"}
    )
    s = {"session": ref(session)}
    for name in people:
        text, voice = said(name, session), ref(f"{name} {session}")
        await graph.do(
            "addMessage", {**s, "sender": voice, "text": text + " once", "externalId": f"m {name} {session}"}
        )
        await graph.do("editMessage", {"message": ref(f"m {name} {session}"), "text": text})
        await graph.do("addMessage", {**s, "sender": ref("bot"), "text": f"the bot answers {name} in {session}"})
        await graph.do("recall", {**s, "query": {"text": text}, "message": ref(f"m {name} {session}"), "anyone": True})
        events = [
            {"type": "heard", "data": {"heard": [text]}},
            {"type": "did", "user": ref(name), "data": {"by": said(name, "event")}},
        ]
        await graph.do("appendTraceEvents", {**s, "events": events})
        made = {
            "owner": ref("bot"),
            "scope": "AGENT",
            "text": said(name, f"formed {session}"),
            "sourceMessage": ref(f"m {name} {session}"),
        }
        await graph.do("createMemory", {**made, "externalId": f"formed {name} {session}"})


async def own(graph: Graph, name: str) -> None:
    memories = [
        {
            "owner": ref(name),
            "text": said(name, f"memory {i}"),
            "externalId": f"{name}'s {i}",
            "tags": [f"{name}'s very own tag"],
            "metadata": {"m": said(name, "metadata")},
        }
        for i in range(4)
    ]
    await graph.do("createMemories", {"memories": memories})
    await graph.do("updateMemory", {"memory": ref(f"{name}'s 1"), "text": said(name, "another")})
    link = {"source": ref(f"{name}'s 0"), "target": ref(f"{name}'s 1"), "metadata": {"l": said(name, "link")}}
    await graph.do("linkMemories", {"links": [link]})
    await graph.do("setStateSchema", {"namespace": "n", "index": ["$"]})
    await graph.do("setState", {"namespace": "n", "key": name, "value": said(name, "state"), "tags": [f"user:{name}"]})
    [found] = (await graph.data("query ($m: Ref!) { memory(by: $m) { id } }", m=ref(f"{name}'s 2"))).values()
    note = {
        "target": found["id"],
        "name": "note",
        "comment": said(name, "comment"),
        "label": f"{name}'s own label, long",
        "by": ref(name),
    }
    await graph.do("annotate", note)


async def exported(graph: Graph) -> list[str]:
    return [line.decode() async for line in jsonl.export(graph.context)]


async def erase(graph: Graph, name: str, what: str = "user", **more: Any) -> Any:
    return (await graph.do(f"erase{what.capitalize()}", {what: ref(name), **more}, REPORT))["report"]


def counts(report: Any, what: str) -> Any:
    return report["stores"][0][what]


async def test_a_user_is_nowhere_any_more(graph: Graph) -> None:
    await fill(graph)
    before = await exported(graph)
    planned = await erase(graph, "ann", dryRun=True)
    assert await exported(graph) == before
    done = await erase(graph, "ann")
    assert planned["finishedAt"] is None
    assert (planned["dryRun"], done["dryRun"]) == (True, False)
    assert counts(planned, "removed") == counts(done, "removed")
    assert counts(planned, "blanked") == counts(done, "blanked")
    assert done["finishedAt"] is not None
    assert (done["found"], done["searchedFor"] > 20) == (0, True)
    assert [store["found"] for store in done["stores"]] == [0] * len(done["stores"])
    removed = counts(done, "removed")
    assert {name: removed[name] for name in ("user", "memory", "session", "annotation", "state")} == {
        "user": 1, "memory": 6, "session": 1, "annotation": 1, "state": 1
    }  # fmt: skip
    after = await exported(graph)
    assert not [
        line for line in after if "ann says" in line or "ann's" in line or "ann of" in line.replace("m ann of", "")
    ]


def hers(lines: list[str], id: str) -> set[str]:
    """The ids of all that has to do with somebody, by whatever way of references."""
    records = [json.loads(line).get("record", {}) for line in lines]
    talks = {one["session_id"] for one in records if one.get("actor_id") == id}
    ids, before = {id, "user:ann", *talks}, 0
    while len(ids) > before:
        before = len(ids)
        ids |= {one["id"] for one in records if "id" in one and any(each in json.dumps(one) for each in ids)}
    return ids


@pytest.mark.in_turn
@pytest.mark.parametrize("seed", range(3))
async def test_no_byte_of_the_person_and_every_byte_of_others(graph: Graph, seed: int) -> None:
    chance = random.Random(seed)
    people = ("ann", "bob", "eve")
    await fill(graph, people)
    for number in range(4):
        await talk(graph, f"some {number}", chance.sample(people, chance.randint(1, 3)))
    query = "query ($u: Ref!) { user(by: $u) { id } }"
    id = (await graph.data(query, u=ref("ann")))["user"]["id"]
    before = await exported(graph)
    all_said = (await graph.data(MESSAGES))["sessions"]["nodes"]
    assert (await erase(graph, "ann"))["found"] == 0
    after = await exported(graph)
    concerned = hers(before, id)
    others = [
        line for line in before if "id" in (one := json.loads(line).get("record", {})) and one["id"] not in concerned
    ]
    assert len(others) > 30
    assert [line for line in others if line not in after] == []
    assert not [line for line in after if "ann says" in line or "ann in" in line.replace("answers ann in", "")]
    now = {
        one["id"]: one
        for session in (await graph.data(MESSAGES))["sessions"]["nodes"]
        for one in session["messages"]["nodes"]
    }
    for session in all_said:
        stays = any("bob" in one["name"] or "eve" in one["name"] for one in session["participants"]["nodes"])
        for one in session["messages"]["nodes"]:
            blank = {**one, "text": "", "sender": {"name": "[redacted]"}}
            assert now.get(one["id"]) == (None if not stays else blank if "ann says" in one["text"] else one)


@pytest.mark.parametrize("long", [False, True])
@pytest.mark.slow
async def test_the_files_have_none_of_it_while_they_are_open(tmp_path: Path, long: bool) -> None:
    """Found by another way than the report's own search."""
    graph = Graph(tmp_path, Clock())
    for name in ("ann", "bob"):
        await graph.do("upsertUser", {"externalId": name})
        text = [f"{said(name, i)} {'and on it goes ' * 900 if long else ''}{name}-end-{i}" for i in range(60)]
        await graph.do("createMemories", {"memories": [{"owner": ref(name), "text": one} for one in text]})
        await talk(graph, name, [name]) if name == "ann" else None
    assert b"ann says" in contents(tmp_path)
    assert (await erase(graph, "ann"))["found"] == 0
    held = contents(tmp_path)
    assert [one for one in (b"ann says", b"ann-end", b"ann-4", b"ann 4") if one in held] == []
    assert b"bob says" in held
    await graph.close()


MESSAGES = "{ sessions { nodes { participants { nodes { name } } messages { nodes { id text sender { name } } } } } }"


@pytest.mark.parametrize("what", ["session", "agent"])
async def test_sessions_and_agents(graph: Graph, what: str) -> None:
    await fill(graph)
    name = "of ann" if what == "session" else "bot"
    planned = await erase(graph, name, what, dryRun=True)
    done = await erase(graph, name, what)
    assert (done["found"], counts(planned, "removed")) == (0, counts(done, "removed"))
    after = "".join(await exported(graph))
    assert (said("ann", "of ann") in after.encode().decode("unicode_escape")) is (what == "agent")
    assert ("the bot answers" in after) is (what == "session")
    assert counts(done, "removed")[what] == 1
    code, path = await graph.fails(f"erase{what.capitalize()}", {what: ref(name)})
    assert (code, path) == ("NOT_FOUND", [what])


async def test_what_others_say_too_stays_and_is_told(graph: Graph) -> None:
    both = "good morning to everybody in here"
    for name in ("ann", "bob"):
        await graph.do("upsertUser", {"externalId": name})
        await graph.do("createMemory", {"owner": ref(name), "text": both})
    report = await erase(graph, "ann")
    assert (report["searchedFor"], report["elsewhere"], report["found"]) == (1, 1, 0)
    assert both in "".join(await exported(graph))


async def test_what_is_left_is_found(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where an engine forgets to take something out, the report says so."""
    await graph.do("upsertUser", {"externalId": "ann"})
    await graph.do("createMemory", {"owner": ref("ann"), "text": said("ann", "x"), "tags": [said("ann", "a tag")]})
    if graph.family == "embedded":
        monkeypatch.setattr("stores.embedded.transaction.forgotten", lambda about, memory, link: (memory, link))
        monkeypatch.setattr("resolvers.erasing.bare", lambda memory: memory)
    else:
        monkeypatch.setattr("stores.services.transaction.forgotten", lambda about, memory, link: (memory, link))
        monkeypatch.setattr("resolvers.erasing.bare", lambda memory: memory)
    report = await erase(graph, "ann")
    assert (report["found"], report["stores"][0]["found"]) == (1, 1)


async def test_what_comes_back_with_older_data_is_erased_again(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    await fill(graph)
    backup = await exported(graph)
    await erase(graph, "ann")
    with monkeypatch.context() as patched:
        patched.setattr(erasure, "again", nothing)
        await jsonl.load(lambda: (line.encode() for line in backup), graph.context)
    assert "ann says" in "".join(await exported(graph))
    await jsonl.load(lambda: (line.encode() for line in backup), graph.context)
    assert "ann says" not in "".join(await exported(graph))
    assert await erasure.again(graph.context) == 0


async def nothing(_: object) -> int:
    return 0


async def test_what_was_broken_off_goes_on(graph: Graph) -> None:
    """However far it had come; nothing is told as done before it is."""
    await fill(graph)
    steps = 0
    write = graph.context.store.write
    while True:
        left = steps

        async def breaks(script: Any) -> Any:
            nonlocal left
            left -= 1
            if left < 0:
                raise RuntimeError("the power went")
            return await write(script)

        graph.context.store.write = breaks  # type: ignore[method-assign]
        answer = await graph.ask(
            f"mutation ($i: EraseUserInput!) {{ eraseUser(input: $i) {{ {REPORT} }} }}", i={"user": ref("ann")}
        )
        graph.context.store.write = write  # type: ignore[method-assign]
        if "errors" not in answer:
            break
        steps += 1
        assert steps < 100
    assert (steps > 5, answer["data"]["eraseUser"]["report"]) == (True, None)  # gone already, and not found
    [one] = await graph.context.store.scan(Erasure, None, 9)
    assert one.finished_at is None
    graph.clock.forward(minutes=3)
    assert await erasure.go_on(graph.context) == 1
    assert "ann says" not in "".join(await exported(graph))


async def test_a_sweep_goes_on(graph: Graph) -> None:
    await fill(graph)
    query = "query ($u: Ref!) { user(by: $u) { id } }"
    user = (await graph.data(query, u=ref("ann")))["user"]
    await graph.context.store.write(lambda tx: erasure._begin(tx, user["id"]))
    assert await graph.engine.due() == []
    graph.clock.forward(minutes=3)
    assert await graph.engine.due() == [LOCAL.workspace]
    assert await erasure.go_on(graph.context) == 1
    assert (await graph.data(query, u=ref("ann")))["user"] is None
    assert "ann says" not in "".join(await exported(graph))
    assert await erasure.go_on(graph.context) == 0
    [one] = await graph.context.store.scan(Erasure, None, 9)
    assert (one.due_at, one.finished_at is not None) == (None, True)


async def test_files_that_nobody_else_shows_go(graph: Graph) -> None:
    for name in ("ann", "bob"):
        await graph.do("upsertUser", {"externalId": name})
        await graph.do("createSession", {"externalId": name, "participants": [{"actor": ref(name)}]})
    own, both = (
        {"document": {"data": encoded(said("ann", what)), "mediaType": "text/plain"}} for what in ("own", "both")
    )
    for name, shown in (("ann", [own, both]), ("bob", [both])):
        await graph.do("addMessage", {"session": ref(name), "role": "user", "content": shown})
    report = await erase(graph, "ann")
    assert [one for one in report["stores"] if one["store"] == "blobs"] == [
        {"store": "blobs", "removed": {"blob": 1}, "blanked": {}, "found": 0}
    ]
    assert (await graph.data("{ blobs { nodes { text } } }"))["blobs"]["nodes"] == [{"text": said("ann", "both")}]
    assert report["found"] == 0


def encoded(text: str) -> str:
    return b64encode(text.encode()).decode()


async def test_what_comes_meanwhile_is_erased_too(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    await graph.do("upsertUser", {"externalId": "ann"})
    original, more = Erasing._free_blobs, [{"owner": ref("ann"), "text": said("ann", "late")}]

    async def slow(erasing: Erasing) -> None:
        await original(erasing)
        while more:
            await graph.do("createMemory", more.pop())

    monkeypatch.setattr(Erasing, "_free_blobs", slow)
    if graph.family == "embedded":
        assert (await erase(graph, "ann"))["found"] == 0
        assert "ann says" not in "".join(await exported(graph))
