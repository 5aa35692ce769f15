"""What corrections leave in the files: all of what was acknowledged, and nothing of what was redacted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from domain.caller import LOCAL
from domain.correction import MessageVersion
from domain.message import Message
from domain.session import Session
from domain.trace import TraceEvent
from resolvers.context import Context
from stores.embedded.engine import open_embedded
from stores.ports import Store
from tests.support.correcting import secret
from tests.support.graphql_client import Clock, Graph, Words
from tests.support.killing import contents, told_until_killed

SECRET = "harrow-7719 opens the gate"


@pytest.mark.parametrize("how", ["redactMessage", "deleteMessages", "deleteSession"])
async def test_what_is_gone_is_in_no_file_after_an_orderly_stop(tmp_path: Path, how: str) -> None:
    graph = Graph(tmp_path, Clock())
    s = {"session": {"externalId": "s"}}
    await graph.do("createSession", {"externalId": "s", "context": {"long": "x" * 9_000}})
    for name in "abm":
        text = SECRET if name == "m" else f"about {name} " * 900
        await graph.do("addMessage", {**s, "role": "user", "text": text, "externalId": name})
    ref = {"externalId": "m"}
    if how == "redactMessage":
        await graph.do("editMessage", {"message": ref, "text": f"{SECRET} now"})
        await graph.do("recall", {**s, "query": {"text": SECRET}, "message": ref})
    given: dict[str, Any] = {
        "redactMessage": {"message": ref},
        "deleteMessages": {"messages": [ref]},
        "deleteSession": s,
    }
    await graph.do(how, given[how])
    await graph.close()
    held = contents(tmp_path)
    assert [one for one in (SECRET, SECRET.split()[0], "harrow") if one.encode() in held] == []


async def check(store: Store, told: dict[str, str]) -> int:
    """That what was acknowledged is there and nothing is half there; how many messages there are."""
    everything = {one.external_id: one for one in await store.scan(Message, None, 1_000_000)}
    versions = {one.message_id: one for one in await store.scan(MessageVersion, None, 1_000_000)}
    notes = {one.external_id: one for one in await store.scan(TraceEvent, None, 1_000_000) if one.external_id}
    for name, what in told.items():
        one = everything.get(name)
        assert (one is not None) or what in ("redacted", "deleted")
        assert not (one is not None and what == "deleted")
        if one is None or one.is_redacted:
            assert what != "said" or one is None or one.id not in versions
            assert secret(name) not in bytes(notes[name].data).decode()
            assert one is None or (one.content, one.id in versions) == ([], False)
        elif one.version == 2:
            assert what in ("said", "edited")
            assert (one.text, versions[one.id].text) == (f"{secret(name)} edited", secret(name))
        else:
            assert (what, one.text, one.id in versions) == ("said", secret(name), False)
    [session] = await store.scan(Session, None, 9)
    assert session.messages_there == len(everything)
    assert max(one.place for one in everything.values()) <= session.message_count
    return len(everything)


@pytest.mark.slow
async def test_killed_at_any_moment_nothing_is_half_there(tmp_path: Path) -> None:
    told: dict[str, str] = {}
    for round in range(6):
        lines = told_until_killed("tests.support.correcting", tmp_path, round, lines=60 + 17 * round)
        told |= {name: what for what, name in lines}
        engine = open_embedded(tmp_path, Words.name, Words.dimension)
        await check(Context(engine, Words(), LOCAL).store, told)  # type: ignore[arg-type]
        await engine.close()
    gone = [name for name, what in told.items() if what in ("redacted", "deleted")]
    assert len(gone) > 20
    held = contents(tmp_path)
    assert [name for name in gone if secret(name).encode() in held] == []
