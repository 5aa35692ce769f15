"""The files of the console as a browser gets them, from a folder such as the build leaves."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from server.access.admission import Access
from server.http.console import PAGES, Console, console_documents

INDEX = '<!doctype html><head><base href="./"></head><script type="module" src="./assets/index-x.js"></script>'
SCRIPT = "export const answer = 42;" * 200


@pytest.fixture
def built(tmp_path: Path) -> Path:
    (tmp_path / "assets").mkdir()
    files = {"index.html": INDEX, "assets/index-x.js": SCRIPT, "documents.json": json.dumps({"id": "{ hello }"})}
    for name, text in files.items():
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(text.encode()))
    return tmp_path


@pytest.fixture
async def http(built: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with client(built) as opened:
        yield opened


def client(folder: Path, **access: bool) -> httpx.AsyncClient:
    app = Starlette(routes=Console(Access(None, None, **access), folder).routes())
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1")


@pytest.mark.parametrize("path", ["/", *(f"/{page}" for page in PAGES), "/sessions/ses_1", "/memories/mem_1/history"])
async def test_every_address_of_a_page_is_the_page_with_the_way_back(http: httpx.AsyncClient, path: str) -> None:
    """By which its files are found wherever a proxy has the server."""
    answer = await http.get(path)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"
    base = answer.text.partition('<base href="')[2].partition('"')[0]
    assert answer.url.join(base).path == "/"


async def test_scripts_run_from_here_alone(http: httpx.AsyncClient) -> None:
    policy = (await http.get("/")).headers["content-security-policy"]
    assert "default-src 'none'; script-src 'self';" in policy
    assert "unsafe" not in policy
    assert "//" not in policy


async def test_a_file_is_compressed_and_kept_for_ever(http: httpx.AsyncClient) -> None:
    answer = await http.get("/assets/index-x.js")
    assert answer.text == SCRIPT
    assert answer.headers["content-encoding"] == "gzip"
    assert int(answer.headers["content-length"]) < len(SCRIPT) / 10
    assert "immutable" in answer.headers["cache-control"]
    assert answer.headers["content-type"].startswith("text/javascript")
    plain = await http.get("/assets/index-x.js", headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.text == SCRIPT
    assert (await http.head("/assets/index-x.js")).content == b""


@pytest.mark.parametrize("path", ["/", "/sessions/ses_1", "/assets/index-x.js"])
async def test_what_a_browser_has_is_not_sent_again(http: httpx.AsyncClient, path: str) -> None:
    etag = (await http.get(path)).headers["etag"]
    again = await http.get(path, headers={"If-None-Match": f'"else", {etag}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)


@pytest.mark.parametrize(
    "path",
    ["/nowhere", "/assets/missing.js", "/assets/..%2Findex.html.gz", "/assets/", "/documents.json", "/sessionsx"],
)
async def test_nothing_else_is_there(http: httpx.AsyncClient, path: str) -> None:
    assert (await http.get(path)).status_code == 404


async def test_it_is_only_read(http: httpx.AsyncClient) -> None:
    answer = await http.post("/")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")


async def test_an_open_server_gives_it_to_this_machine_only(built: Path) -> None:
    async with client(built, guarded=True) as http:
        assert (await http.get("/")).status_code == 200
        refused = await http.get("/", headers={"Host": "evil.example"})
        assert refused.status_code == 403
        assert "names another" in refused.text


@pytest.mark.parametrize(
    ("told", "why"),
    [(None, "a copy of the sources"), ("npm could <not> fetch\nhash\n", "(npm could &lt;not&gt; fetch)")],
)
async def test_without_a_build_the_page_says_how_to_get_one(tmp_path: Path, told: str | None, why: str) -> None:
    if told is not None:
        (tmp_path / "not-built").write_text(told)
    async with client(tmp_path) as http:
        text = (await http.get("/sessions/ses_1")).text
    assert why in text
    assert "pip install -e ." in text


def test_its_documents_are_known(built: Path, tmp_path: Path) -> None:
    assert console_documents(built) == {"id": "{ hello }"}
    assert console_documents(tmp_path / "assets") == {}
