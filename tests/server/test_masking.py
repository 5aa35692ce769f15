"""With masking on, no way in leaves a secret in the folder's files or in answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from domain.caller import LOCAL
from server.app import create_app
from server.graphql.documents import Request
from server.service import Service, open_service
from server.settings import BadSetting, Settings
from tests.support.graphql_client import ANYONE
from tests.support.running import recollect

SECRETS = ["sk-proj-Zq8vN2mK4xT7pL9wR3sB6cD1", "ada.lovelace@example.org", "4111 1111 1111 1111", "+49 30 90182345", "hunter2hunter2", "MIIEowIBAAKCAQEA7bqZ"]  # fmt: skip
KEY, MAIL, CARD, PHONE, PASSWORD, PEM = SECRETS
TEXT = f"{KEY} of {MAIL}, {CARD}, {PHONE} -----BEGIN PRIVATE KEY-----\n{PEM}\n-----END PRIVATE KEY-----"
DATA = {"note": TEXT, "deep": [{"password": PASSWORD}], "json": json.dumps({"api_key": PASSWORD, "to": MAIL}), "n": 4111111111111111}  # fmt: skip
S = {"externalId": "s"}


async def do(service: Service, name: str, input: Any, selected: str = "") -> Any:
    kind = name[0].upper() + name[1:]
    query = f"mutation ($i: {kind}Input!) {{ {name}(input: $i) {{ {selected} errors {{ message }} }} }}"
    answer = json.loads(await service.executor.execute(Request(query, {"i": input}), service.operation(LOCAL)))
    assert not answer["data"][name]["errors"], answer
    return answer


async def write_all(service: Service) -> str:
    """Brings secrets in by every mutation that takes a text; what the answers show."""
    answers = [
        await do(service, "createSession", {**S, "title": TEXT, "context": DATA, "metadata": DATA}, "session { title context metadata }"),
        await do(service, "upsertUser", {**S, "name": TEXT, "profile": DATA}, "user { name profile }"),
        await do(service, "addMessage", {"session": S, "role": "user", "text": TEXT, "metadata": DATA, "externalId": "m"}, "message { text metadata }"),
        await do(service, "addMessage", {"session": S, "role": "assistant", "content": [{"toolCall": {"callId": "c", "tool": "t", "arguments": DATA}}, {"text": TEXT}]}, "message { text toolCalls { arguments } }"),
        await do(service, "editMessage", {"message": {"externalId": "m"}, "text": TEXT + "!"}, "message { text }"),
        await do(service, "createMemory", {"owner": S, "text": TEXT, "metadata": DATA, "tags": [MAIL], "externalSource": TEXT, "externalId": "mem"}, "memory { text metadata tags }"),
        await do(service, "updateMemory", {"memory": {"externalId": "mem"}, "text": f"now {TEXT}"}, "memory { text history { nodes { text } } }"),
        await do(service, "appendTraceEvents", {"session": S, "events": [{"type": "note", "data": DATA}]}),
        await do(service, "startSpan", {"session": S, "traceId": "0a", "spanId": "01", "name": TEXT[:60], "attributes": {"gen_ai.prompt": TEXT, **DATA}}, "span { name attributes }"),
        await do(service, "endSpan", {"traceId": "0a", "spanId": "01", "statusCode": "ERROR", "statusMessage": TEXT}, "span { statusMessage }"),
        await do(service, "startToolExecution", {"session": S, "tool": "t", "callId": "c", "arguments": DATA}, "toolExecution { arguments }"),
        await do(service, "finishToolExecution", {"session": S, "callId": "c", "result": DATA, "error": TEXT}, "toolExecution { result error }"),
        await do(service, "setState", {"namespace": "n", "key": "k", "value": DATA, "tags": [MAIL]}, "state { value tags }"),
        await do(service, "cacheGeneration", {"key": "k", "value": DATA}, "generation { value }"),
        await do(service, "recall", {"query": {"text": TEXT}, "session": S}, "event { data }"),
    ]  # fmt: skip
    return json.dumps(answers)


def otlp() -> dict[str, Any]:
    attributes = [{"key": "gen_ai.input.messages", "value": {"stringValue": json.dumps([{"role": "user", "parts": [{"type": "text", "content": TEXT}]}])}}, {"key": "http.request.header.authorization", "value": {"stringValue": PASSWORD}}]  # fmt: skip
    span = {"traceId": "0b" * 16, "spanId": "0c" * 8, "name": "call", "startTimeUnixNano": "1764000000000000000", "endTimeUnixNano": "1764000001000000000", "attributes": attributes, "events": [{"name": "e", "timeUnixNano": "1764000000500000000", "attributes": attributes}], "status": {"code": 2, "message": TEXT}}  # fmt: skip
    return {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}


def left(folder: Path) -> list[str]:
    found = b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())
    return [secret for secret in SECRETS if secret.encode() in found]


async def test_every_mutation(tmp_path: Path) -> None:
    service = open_service(tmp_path / "data", Settings(mask="all"))
    shown = await write_all(service)
    assert [secret for secret in SECRETS if secret in shown] == []
    assert "[secret] of [email], [card], [phone] [private key]" in shown
    assert '"n": 4111111111111111' in shown.replace('"n":', '"n": ').replace("  ", " "), "numbers stay"
    assert service.treatments.masked.keys() == {"secret", "email", "card", "phone", "private key"}
    audit = await service.executor.execute(Request("{ auditLog(filter: {actions: [\"mask\"]}) { nodes { outcome targets } } }"), service.operation(LOCAL))  # fmt: skip
    assert b"ses_" in audit
    assert b"mem_" in audit
    await service.close()
    assert left(tmp_path) == []


async def test_names_that_things_are_found_by_stay(tmp_path: Path) -> None:
    service = open_service(tmp_path / "data", Settings(mask="all", trash_days=1))
    ada, bob = {"externalId": "ada@example.org"}, {"externalId": "bob@example.org"}
    for session in (ada, bob):
        await do(service, "createSession", {**session, "participants": [ada, bob]})
        await do(service, "addMessage", {"session": session, "role": "user", "senderName": "eve@example.org", "text": "hi", **session})  # fmt: skip
        await do(service, "addMessage", {"session": session, "role": "user", "senderName": "eve@example.org", "text": "ho"})  # fmt: skip
        await do(service, "deleteSession", {"session": session})
    for session in (ada, bob):
        selected = "session { externalId participants { nodes { name externalId } } messages { nodes { externalId } } }"
        answer = (await do(service, "restoreSession", {"session": session}, selected))["data"]["restoreSession"][
            "session"
        ]
        assert answer["externalId"] == session["externalId"]
        assert [one["externalId"] for one in answer["messages"]["nodes"]] == [session["externalId"], None]
        voices = [(one["name"], one["externalId"]) for one in answer["participants"]["nodes"]]
        assert voices == [("user", ada["externalId"]), ("user", bob["externalId"]), ("[email]", None)]
    await do(service, "setState", {"namespace": "n", "key": "k", "value": 1, "tags": ["user:ada@example.org"]})
    await do(service, "upsertUser", ada)
    await do(service, "eraseUser", {"user": ada})
    found = await service.executor.execute(Request('{ state(namespace: "n", key: "k") { value } }'), service.operation(LOCAL))  # fmt: skip
    assert json.loads(found)["data"] == {"state": None}
    await service.close()


async def test_entities_by_masked_names_are_one(tmp_path: Path) -> None:
    service = open_service(tmp_path / "data", Settings(mask="all"))
    await do(service, "createSession", S)
    named = [{"name": MAIL, "type": "person", "externalId": "ada"}, {"name": "Bo", "aliases": ["bo@example.org"]}]
    said = {
        "session": S,
        "role": "user",
        "text": "hi",
        "entities": [*named, {"name": "eve@example.org", "type": "person"}],
    }
    for _ in range(2):
        answer = await do(service, "addMessage", said, "message { mentions { entity { name aliases externalId } } }")
        assert [one["entity"] for one in answer["data"]["addMessage"]["message"]["mentions"]] == [
            {"name": "[email]", "aliases": [], "externalId": "ada"},
            {"name": "Bo", "aliases": ["[email]"], "externalId": None},
        ]
    renamed = {"entity": {"externalId": "ada"}, "name": "eve@example.org", "aliases": ["Ada", MAIL]}
    answer = await do(service, "upsertEntity", renamed, "entity { name aliases }")
    assert answer["data"]["upsertEntity"]["entity"] == {"name": "[email]", "aliases": ["Ada"]}
    await service.close()
    assert left(tmp_path) == []


async def test_what_is_masked_again_changes_nothing(tmp_path: Path) -> None:
    service = open_service(tmp_path / "data", Settings(mask="all"))
    patch = {"set": {"ada@example.org": MAIL, "of": DATA}}
    changes = [
        ("setState", {"namespace": "n", "key": "k", "value": DATA, "tags": [MAIL]}, "state { version }"),
        ("updateSession", {"session": S, "title": TEXT, "contextPatch": patch}, "session { version context }"),
        ("editMessage", {"message": {"externalId": "m"}, "text": TEXT, "metadata": DATA}, "message { version }"),
        ("updateMemory", {"memory": {"externalId": "mem"}, "text": TEXT, "tags": [MAIL]}, "memory { version }"),
        ("upsertAgent", {"externalId": "a", "name": MAIL, "config": DATA}, "agent { name config }"),
    ]
    await do(service, "createSession", S)
    await do(service, "addMessage", {"session": S, "role": "user", "text": "hi", "externalId": "m"})
    await do(service, "createMemory", {"scope": "GLOBAL", "text": "hi", "externalId": "mem"})
    log = "query ($a: [String!]) { auditLog(filter: {actions: $a}) { totalCount } }"
    for name, input, selected in changes:
        first = await do(service, name, input, selected)
        assert (await do(service, name, input, selected))["data"] == first["data"], name
        noted = await service.executor.execute(Request(log, {"a": [name]}), service.operation(LOCAL))
        assert json.loads(noted)["data"]["auditLog"]["totalCount"] == 1, name
    await do(service, "updateSession", {"session": S, "contextPatch": {"remove": ["eve@example.org"]}})
    found = await service.executor.execute(Request('{ session(by: {externalId: "s"}) { context } }'), service.operation(LOCAL))  # fmt: skip
    assert json.loads(found)["data"]["session"]["context"].keys() == {"of"}
    await service.close()


async def test_what_says_where_to_go_stays(tmp_path: Path) -> None:
    service = open_service(tmp_path / "data", Settings(mask="all"))
    way = {"pattern": "sales@example.org", "keywords": ["shop@example.org"], "capabilities": ["post@example.org"]}
    await do(service, "upsertAgent", {"externalId": "a", "capabilities": way["capabilities"], "routes": [way]})
    asked = "query ($t: String!) { routeAgent(input: {text: $t}) { agent { externalId } } }"
    found = []
    for text in ("to sales@example.org", "to shop@example.org", "hello"):
        answer = await service.executor.execute(Request(asked, {"t": text}), service.operation(LOCAL))
        found.append(len(json.loads(answer)["data"]["routeAgent"]))
    assert found == [1, 1, 0]
    states = [{"name": "a@example.org", "description": MAIL}, {"name": "b@example.org"}]
    flow = {"states": states, "transitions": [{"from": "a@example.org", "to": "b@example.org"}]}
    await do(service, "createSession", {**S, "kind": "WORKFLOW", "workflow": flow})
    await do(service, "advanceWorkflow", {"session": S, "to": "b@example.org"})
    await service.close()
    assert left(tmp_path) == []


async def test_a_schema_of_state_stays_one(tmp_path: Path) -> None:
    service = open_service(tmp_path / "data", Settings(mask="all"))
    schema = {"properties": {"password": True}, "dependentRequired": {"password": ["user"]}}
    await do(service, "setStateSchema", {"namespace": "n", "schema": schema})
    given = {"namespace": "n", "key": "k", "value": {"password": "x", "user": "u"}}
    stored = await do(service, "setState", given, "state { value }")
    assert stored["data"]["setState"]["state"]["value"] == {"password": "[secret]", "user": "u"}
    await service.close()


async def test_without_it_all_is_kept(tmp_path: Path) -> None:
    """The test can fail."""
    service = open_service(tmp_path / "data", Settings())
    await write_all(service)
    await service.close()
    assert left(tmp_path) == SECRETS


def test_telemetry(tmp_path: Path) -> None:
    service = open_service(tmp_path / "data", Settings(mask="all"))
    with TestClient(create_app(service, ANYONE)) as client:
        assert client.post("/v1/traces", json=otlp()).status_code == 200
        record = {"traceId": "0b" * 16, "spanId": "0c" * 8, "timeUnixNano": "1764000000600000000", "body": {"stringValue": TEXT}}  # fmt: skip
        assert client.post("/v1/logs", json={"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}).status_code == 200  # fmt: skip
        assert 'recollect_masked_total{kind="email"}' in client.get("/metrics").text
    assert left(tmp_path) == []


def test_imports(tmp_path: Path) -> None:
    messages = [{"role": "user", "content": TEXT}, {"role": "assistant", "content": f"ok {MAIL}"}]
    (tmp_path / "in.json").write_text(json.dumps(messages))
    data = tmp_path / "data"
    given = ("import", str(tmp_path / "in.json"), "--data", str(data), "--memories")
    assert recollect(*given, RECOLLECT_MASK="all")[0] == 0
    assert left(data) == []


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"mask": "everything"}, "RECOLLECT_MASK: 'everything' is none of"),
        ({"mask_patterns": "nowhere.json"}, "RECOLLECT_MASK_PATTERNS: nowhere.json cannot be read"),
        ({"entities": "urls, names"}, "RECOLLECT_ENTITIES: 'names' is none of handles, emails"),
        ({"prices": "nowhere.json"}, "RECOLLECT_PRICES: nowhere.json cannot be read"),
    ],
)
def test_what_cannot_be_is_told_at_start(tmp_path: Path, settings: dict[str, str], says: str) -> None:
    with pytest.raises(BadSetting, match=says):
        open_service(tmp_path / "data", Settings(**settings))


async def test_costs_are_reckoned_by_ones_own_prices_first(tmp_path: Path) -> None:
    own = tmp_path / "prices.json"
    own.write_text('[{"models": ["gpt-4o-mini"], "input": 1000, "output": 0}]')
    service = open_service(tmp_path / "data", Settings(prices=str(own)))
    usage = "span { usage { costUsd costSource } }"
    costs = []
    for id, model in enumerate(["gpt-4o-mini", "gpt-4o", "unknown"]):
        used = {"gen_ai.request.model": model, "gen_ai.usage.input_tokens": 1000, "gen_ai.usage.output_tokens": 100}
        given = {
            "traceId": "0a",
            "spanId": f"0{id}",
            "name": "x",
            "attributes": used,
            "startedAt": "2026-01-01T00:00:00Z",
        }
        costs.append((await do(service, "startSpan", given, usage))["data"]["startSpan"]["span"]["usage"])
    assert costs == [
        {"costUsd": 1.0, "costSource": "RECKONED"},
        {"costUsd": 0.0035, "costSource": "RECKONED"},
        {"costUsd": None, "costSource": None},
    ]
    total = '{ traceStats { total { usage { costUsd costSource } } } trace(traceId: "0a") { usage { costUsd costSource } } }'
    found = json.loads(await service.executor.execute(Request(total), service.operation(LOCAL)))["data"]
    assert found["trace"]["usage"] == {"costUsd": 1.0035, "costSource": "RECKONED"}
    assert found["traceStats"]["total"]["usage"] == found["trace"]["usage"]
    await service.close()
