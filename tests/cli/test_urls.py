"""A URL that cannot be is told in one line, which names the setting and shows no password."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stores.errors import CannotOpen
from stores.services import neo4j_client, redis_streams, weaviate_client
from stores.services.vector_set import VectorSet
from tests.cli.test_cli import run
from tests.support.servers import SETTINGS

GRAPH, VECTORS, EVENTS = SETTINGS
GOOD = {GRAPH: "neo4j://127.0.0.1:1", VECTORS: "weaviate://127.0.0.1:1", EVENTS: "redis://127.0.0.1:1"}
SECRET = "s3cr3t"

HOSTS = [
    f":{SECRET}@host:many/0",
    f":{SECRET}@host:0",
    f":{SECRET}@host:65536",
    f":{SECRET}@host:-1",
    f":{SECRET}@host: 80",
    f":{SECRET}@host:1:2",
    f":{SECRET}@host:",
    f":{SECRET}@",
    f":{SECRET}@/0",
    f":{SECRET}@host,",
    f":{SECRET}@,host",
    f":{SECRET}@a,,b",
    f":{SECRET}@a:1,b:x",
    f":{SECRET}@::1",
    f":{SECRET}@[::1",
    f":{SECRET}@[nothing]:80",
    f":{SECRET}@[::1]x:80",
    f":{SECRET}@ho st",
    f":{SECRET}@host\n",
    f":{SECRET}/@host",
    f":{SECRET}?@host",
    f":{SECRET}#@host",
    f":a@{SECRET}@ho[st",
    "",
]
BAD = {
    GRAPH: [
        *(f"neo4j://neo4j{rest}" for rest in HOSTS if rest not in ("", f":{SECRET}@host\n")),
        f"bolt://neo4j:{SECRET}@a,b",
        f"neo4j+tls://neo4j:{SECRET}@host",
        f"neo4j:{SECRET}@host",
        f"neo4j://neo4j:{SECRET}@host?database=x",
    ],
    VECTORS: [
        *(f"weaviate://{rest}" for rest in HOSTS if rest != f":{SECRET}@host\n"),
        f"http://:{SECRET}@host",
        f"weaviate://:{SECRET}@a,b",
        f"weaviate://:{SECRET}@host?grpc=many",
        f"weaviate://:{SECRET}@host?grpc=0",
        f"weaviate://:{SECRET}@host?grpc=",
        f"weaviate://:{SECRET}@host?replicas=0",
        f"weaviate://:{SECRET}@host?replicas=-3",
        f"weaviate://:{SECRET}@host?replicas=three",
        f"weaviate://:{SECRET}@host?replica=3",
    ],
    EVENTS: [
        *(
            f"{scheme}://{rest}"
            for scheme in ("redis", "rediss", "redis+cluster", "redis+sentinel", "rediss+sentinel")
            for rest in HOSTS
            if rest != f":{SECRET}@host\n"
        ),
        f"redis://:{SECRET}@a,b",
        f"redis://:{SECRET}@host/zero",
        f"redis+sentinel://:{SECRET}@host/service/zero",
        f"redis://:{SECRET}@host?no_such_option=1",
        f"redis+sentinel://:{SECRET}@host?no_such_option=1",
        f"redis+cluster://:{SECRET}@host?no_such_option=1",
        f"redis://:{SECRET}@host?socket_timeout=long",
        f"redis://:{SECRET}@host?prefix=",
        f"redis://:{SECRET}@host?prefix={{a}}",
        f"redis://:{SECRET}@host?prefix=a%20b",
        f"redis+other://:{SECRET}@host",
    ],
}


@pytest.fixture(autouse=True)
def no_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(("setting", "url"), [(setting, url) for setting, urls in BAD.items() for url in urls])
def test_a_url_that_cannot_be_is_told_in_one_line(
    setting: str, url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        "stores.services.engine.prepare", lambda *_: ("epoch", VectorSet("x"))
    )  # Neo4j would be asked first
    for name, value in {**GOOD, setting: url}.items():
        monkeypatch.setenv(name, value)
    status, out, err = run(capsys, "stats")
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert err.startswith(f"recollect: {setting}")
    assert SECRET not in err


@pytest.mark.parametrize(
    "url", ["issuer", "issuer.example.com/keys", "ftp://issuer", "http://", "http://issuer:many", "http://is suer"]
)
def test_an_issuer_that_cannot_be_is_told_in_one_line(
    url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: object, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in {"JWKS_URL": url, "ISSUER": "issuer", "AUDIENCE": "us"}.items():
        monkeypatch.setenv(f"RECOLLECT_JWT_{name}", value)
    status, _, err = run(capsys, "serve", "--port", "0", "--data", str(tmp_path))
    assert (status, err.count("\n")) == (1, 1)
    assert err.startswith("recollect: RECOLLECT_JWT_JWKS_URL must be a URL")


def test_what_urls_can_say() -> None:
    graph = neo4j_client.Address("neo4j+s://me:p%40ss%2F@a,[::1]:7,b:8/graph")
    assert graph.auth == ("me", "p@ss/")
    assert graph.hosts == [("a", 7687), ("::1", 7), ("b", 8)]
    assert (graph.uri, graph.database, graph.place) == ("neo4j+s://a:7687", "graph", "a:7687,[::1]:7,b:8")
    assert neo4j_client.Address("bolt://a").database == "neo4j"
    vectors = weaviate_client.Address("weaviates://:k%20y@host?grpc=443&replicas=3")
    assert (vectors.key, vectors.secure, vectors.port, vectors.grpc, vectors.replicas) == ("k y", True, 8080, 443, 3)
    assert weaviate_client.Address("weaviate://host").replicas is None
    assert redis_streams.prefix_of("redis://host") == "recollect:"
    assert redis_streams.prefix_of("redis+cluster://a,b?prefix=staging:") == "staging:"


@pytest.mark.hypothesis
@given(
    st.sampled_from(["neo4j", "bolt+s", "weaviate", "redis", "rediss+cluster", "redis+sentinel", "x"]),
    st.text("ab:/@?#[],%= 1._\x00é", max_size=30),
)
def test_whatever_is_given_it_is_a_sentence(scheme: str, rest: str) -> None:
    for take in (neo4j_client.Address, weaviate_client.Address, redis_streams.connect, redis_streams.prefix_of):
        try:
            take(f"{scheme}://{rest}")
        except CannotOpen as error:
            assert "\n" not in str(error)
