"""Documents by their hash: those that clients register, and a server that runs none but trusted ones."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest

from server.errors import OperationRefused
from server.graphql.documents import Request
from server.graphql.executor import Executor
from server.graphql.persisted import MAX_REGISTERED_BYTES, Persisted, read_trusted
from server.settings import BadSetting
from tests.support.graphql_client import anybody
from tests.support.running import Running, recollect
from tests.support.toy import BOARD, SCHEMA

HELLO = "query Hello($name: String!) { hello(name: $name) }"


def hashed(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def apollo(id: str) -> dict[str, Any]:
    """The extension that Apollo's clients send."""
    return {"persistedQuery": {"version": 1, "sha256Hash": id}}


async def post(http: httpx.AsyncClient, **body: Any) -> Any:
    return (await http.post("/graphql", json=body)).json()


def code(answer: Any) -> str:
    [error] = answer["errors"]
    return str(error["extensions"]["code"])


class TestAutomatic:
    async def test_by_post_and_get(self, http: httpx.AsyncClient, key: str) -> None:
        """As Apollo's clients do: the hash, then hash and text, then the hash again."""
        text = f"{HELLO} # {key}"
        asked = {"variables": {"name": "you"}, "extensions": apollo(hashed(text))}
        unknown = await post(http, **asked)
        assert code(unknown) == "PERSISTED_QUERY_NOT_FOUND"
        assert unknown["errors"][0]["message"] == "PersistedQueryNotFound"
        assert (await post(http, query=text, **asked))["data"] == {"hello": "hello you"}
        assert (await post(http, **asked))["data"] == {"hello": "hello you"}
        params = {name: json.dumps(value) for name, value in asked.items()}
        answer = await http.get("/graphql", params=params, headers={"Accept": "text/html, */*"})
        assert answer.json()["data"] == {"hello": "hello you"}
        by_id = await post(http, documentId=f"sha256:{hashed(text)}", variables={"name": "you"})
        assert by_id["data"] == {"hello": "hello you"}

    async def test_a_wrong_hash(self, http: httpx.AsyncClient) -> None:
        answer = await post(http, query="{ hello }", extensions=apollo(hashed("{ later }")))
        assert code(answer) == "BAD_USER_INPUT"
        assert answer["errors"][0]["message"] == "provided sha does not match query"
        assert code(await post(http, extensions=apollo(hashed("{ later }")))) == "PERSISTED_QUERY_NOT_FOUND"

    async def test_what_is_not_valid_is_not_kept(self, http: httpx.AsyncClient) -> None:
        text = "{ nothing }"
        assert code(await post(http, query=text, extensions=apollo(hashed(text)))) == "GRAPHQL_VALIDATION_FAILED"
        assert code(await post(http, extensions=apollo(hashed(text)))) == "PERSISTED_QUERY_NOT_FOUND"

    @pytest.mark.parametrize(
        "extensions", [{}, {"persistedQuery": 1}, {"persistedQuery": {"sha256Hash": 1}}, {"more": {}}]
    )
    async def test_no_hash_and_no_text(self, http: httpx.AsyncClient, extensions: Any) -> None:
        answer = await http.post("/graphql", json={"extensions": extensions})
        assert answer.status_code == 400
        assert code(answer.json()) == "BAD_REQUEST"

    def test_what_was_not_used_for_longest_goes(self) -> None:
        persisted = Persisted()
        texts = [f"{number} ".ljust(MAX_REGISTERED_BYTES // 5) for number in range(6)]
        for text in texts:
            persisted.keep(apollo(hashed(text)), text)
            persisted.text(None, hashed(texts[0]), None)
        kept = []
        for text in texts:
            try:
                kept.append(persisted.text(None, None, apollo(hashed(text))) == text)
            except OperationRefused:
                kept.append(False)
        assert kept == [True, False, False, True, True, True]


class TestTrusted:
    async def test_nothing_else_runs(self) -> None:
        executor = Executor(SCHEMA, role=anybody, persisted=Persisted({"h1": "{ hello }", "sha256:h2": "{ later }"}))

        async def answer(**request: Any) -> Any:
            return json.loads(await executor.execute(Request(**request), BOARD))

        for request in ({"query": "{ hello }"}, {"document_id": "h1"}, {"extensions": apollo("h1")}):
            assert (await answer(**request))["data"] == {"hello": "hello world"}
        assert (await answer(document_id="h2"))["data"] == {"later": "later"}
        foreign = "{ hello later }"
        for request in (
            {"query": foreign},
            {"query": foreign, "extensions": apollo(hashed(foreign))},
            {"query": foreign, "document_id": "h1"},
            {"document_id": "h3"},
            {"query": "{ __schema { types { name } } }"},
        ):
            assert code(await answer(**request)) == "DOCUMENT_NOT_TRUSTED"

    @pytest.mark.parametrize("how", ["folder", "relay", "apollo"])
    def test_where_they_come_from(self, tmp_path: Path, how: str) -> None:
        texts = ["{ viewer { name } }", "{ memoryCursor }"]
        by_id = {hashed(text): text for text in texts}
        place = tmp_path / "documents"
        if how == "folder":
            (place / "deep").mkdir(parents=True)
            (place / "a.graphql").write_text(texts[0])
            (place / "deep" / "b.graphql").write_text(texts[1])
        elif how == "relay":
            place.write_text(json.dumps(by_id))
        else:
            operations = [{"id": id, "name": "Q", "type": "query", "body": text} for id, text in by_id.items()]
            place.write_text(
                json.dumps({"format": "apollo-persisted-query-manifest", "version": 1, "operations": operations})
            )
        assert read_trusted(place) == by_id

    @pytest.mark.parametrize("body", [None, "", "[]", "{}", '{"a": 1}', "\x00"])
    def test_what_cannot_be_read(self, tmp_path: Path, body: str | None) -> None:
        if body is not None:
            (tmp_path / "file").write_text(body)
        with pytest.raises(BadSetting, match=r"^RECOLLECT_TRUSTED_DOCUMENTS: .*\.$"):
            read_trusted(tmp_path / "file")

    async def test_on_a_server(self, folder: Path) -> None:
        trusted = folder / "trusted.json"
        trusted.write_text(json.dumps({"viewer": "{ viewer { name } }"}))
        running = Running(folder / "data", RECOLLECT_TRUSTED_DOCUMENTS=str(trusted))
        try:
            running.start()
            async with httpx.AsyncClient(base_url=f"http://{running.address}", trust_env=False) as http:
                assert (await post(http, documentId="viewer"))["data"]["viewer"]["name"]
                assert code(await post(http, query="{ memoryCursor }")) == "DOCUMENT_NOT_TRUSTED"
        finally:
            running.end()

    def test_a_server_does_not_start_with_one_that_does_not_fit(self, folder: Path) -> None:
        trusted = folder / "trusted.json"
        trusted.write_text(json.dumps({"one": "{ nothing }"}))
        given = {"RECOLLECT_TRUSTED_DOCUMENTS": str(trusted)}
        status, _, complaint = recollect("serve", "--port", "0", "--data", str(folder / "data"), **given)
        assert status == 1
        assert complaint.startswith("recollect: RECOLLECT_TRUSTED_DOCUMENTS: one cannot run here: Cannot query field")
        assert complaint.count("\n") == 1
