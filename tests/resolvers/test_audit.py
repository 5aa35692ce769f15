"""The audit log: who did what, in the same transaction as what was done."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cli.exporter import export_file
from domain.caller import DEFAULT_WORKSPACE, LOCAL, Caller, Role
from resolvers.context import Context
from schema.build import build
from server.settings import Settings
from tests.support.graphql_client import Graph, Words, ids

LOG = "{ auditLog%s { nodes { time caller callerName action outcome targets } } }"
MUTATIONS = sorted(build().mutation_type.fields)  # type: ignore[union-attr]


async def log(graph: Graph, arguments: str = "") -> list[Any]:
    """The entries, the newest first."""
    found: list[Any] = (await graph.data(LOG % arguments))["auditLog"]["nodes"]
    return found


async def test_who_did_what_and_to_what(graph: Graph) -> None:
    graph.context = Context(
        graph.engine, Words(), Caller(DEFAULT_WORKSPACE, Role.ADMIN, "key_1", "laptop"), clock=graph.clock
    )
    made = await graph.do("createSession", {"externalId": "s"}, "session { id }")
    [entry] = await log(graph)
    assert entry.pop("time") > "2026"
    assert entry == {
        "caller": "key_1",
        "callerName": "laptop",
        "action": "createSession",
        "outcome": "OK",
        "targets": [made["session"]["id"]],
    }


async def test_what_was_refused_too(graph: Graph) -> None:
    await graph.fails("endSession", {"session": {"externalId": "none"}})
    await graph.do("createSession", {"externalId": "s"})
    await graph.fails("createSession", {"externalId": "s"})
    assert [(one["action"], one["outcome"], bool(one["targets"])) for one in await log(graph)] == [
        ("createSession", "DUPLICATE", False),
        ("createSession", "OK", True),
        ("endSession", "NOT_FOUND", False),
    ]


async def test_never_what_was_written(graph: Graph) -> None:
    await graph.do("upsertUser", {"externalId": "swordfish", "name": "swordfish", "profile": {"swordfish": 1}})
    await graph.do("setState", {"namespace": "swordfish", "key": "swordfish", "value": "swordfish"})
    await graph.fails("endSession", {"session": {"externalId": "swordfish"}})
    assert "swordfish" not in json.dumps(await log(graph))


async def test_of_many_targets_the_first_twenty(graph: Graph) -> None:
    memories = [{"text": str(i), "scope": "GLOBAL"} for i in range(25)]
    made = await graph.do("createMemories", {"memories": memories}, "memories { id }")
    assert (await log(graph))[0]["targets"] == ids(made["memories"])[:20]


async def test_what_writes_nothing_is_not_noted(graph: Graph) -> None:
    """A dry run, and a write that is sent again with its idempotency key."""
    await graph.do("createMemory", {"text": "t", "scope": "GLOBAL", "externalId": "m", "idempotencyKey": "k"})
    await graph.do("createMemory", {"text": "t", "scope": "GLOBAL", "externalId": "m", "idempotencyKey": "k"})
    await graph.do("deleteMemories", {"memories": [{"externalId": "m"}], "dryRun": True})
    await graph.do("decayMemories", {"rate": 0.1, "dryRun": True, "filter": {"scopes": ["USER", "AGENT", "GLOBAL"]}})
    assert [one["action"] for one in await log(graph)] == ["createMemory"]


async def test_filters(graph: Graph) -> None:
    made = await graph.do("createSession", {"externalId": "s"}, "session { id }")
    await graph.do("setState", {"namespace": "n", "key": "k", "value": 1})
    await graph.fails("endSession", {"session": {"externalId": "none"}})
    time = (await log(graph))[1]["time"]
    for filter, actions in {
        '{actions: ["setState", "endSession"]}': ["endSession", "setState"],
        '{outcomes: ["NOT_FOUND"]}': ["endSession"],
        '{callers: ["local"]}': ["endSession", "setState", "createSession"],
        '{callers: ["key_2"]}': [],
        f'{{target: "{made["session"]["id"]}"}}': ["createSession"],
        f'{{time: {{from: "{time}"}}}}': ["endSession", "setState"],
        f'{{time: {{until: "{time}"}}}}': ["createSession"],
    }.items():
        assert [one["action"] for one in await log(graph, f"(filter: {filter})")] == actions, filter


async def test_an_entry_and_what_it_tells_of_are_one_write(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    from resolvers import context

    def broken(*_: object) -> Any:
        raise RuntimeError

    monkeypatch.setattr(context, "entry", broken)
    with graph.untouched():
        answer = await graph.ask(
            'mutation { setState(input: {namespace: "n", key: "k", value: 1}) { errors { code } } }'
        )
        assert answer["errors"][0]["extensions"]["code"] == "INTERNAL"


def test_entries_cannot_be_changed() -> None:
    assert [name for name in MUTATIONS if "audit" in name.lower()] == []


async def test_an_export_is_noted(tmp_path: Path) -> None:
    from server.service import open_service

    service = open_service(tmp_path / "data", Settings())
    await service.close()
    await export_file(tmp_path / "all.jsonl", tmp_path / "data", Settings())
    service = open_service(tmp_path / "data", Settings())
    graph: Any = Graph.__new__(Graph)
    graph.context = service.context(LOCAL)
    assert [(one["action"], one["caller"]) for one in await log(graph)] == [("export", "local")]
    await service.close()
