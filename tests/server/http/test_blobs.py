"""Files in requests, and their bytes over HTTP, by a real client and a server of its own."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from resolvers.blobs import signature
from tests.support.media import SAMPLES, UPLOAD, image, multipart, noise, wav, zipped
from tests.support.running import Running

OURS, READS, THEIRS = "ours-is-a-secret", "reads-is-a-secret", "theirs-is-a-secret"
IMAGE_BYTES = 200_000


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    keys = f"{OURS},{READS}=default:read,{THEIRS}=theirs:admin"
    limits = {"RECOLLECT_MEDIA_IMAGE_BYTES": str(IMAGE_BYTES), "RECOLLECT_RATE_LIMIT": "off"}
    running = Running(tmp_path_factory.mktemp("blobs") / "data", RECOLLECT_API_KEYS=keys, **limits)
    running.start()
    yield running
    running.end()


@pytest.fixture
def http(running: Running) -> Iterator[httpx.Client]:
    with client(running, OURS) as http:
        yield http


@pytest.fixture
def theirs(running: Running) -> Iterator[httpx.Client]:
    with client(running, THEIRS) as http:
        yield http


def client(running: Running, key: str) -> httpx.Client:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return httpx.Client(base_url=f"http://{running.address}", headers=headers, trust_env=False, timeout=60)


def upload(http: httpx.Client, data: bytes, name: str, claimed: str = "", **input: Any) -> dict[str, Any]:
    response = http.post("/graphql", **multipart(data, name, claimed, **input))
    assert response.status_code == 200, response.text
    return response.json()["data"]["uploadBlob"]  # type: ignore[no-any-return]


def kept(http: httpx.Client, data: bytes, name: str, claimed: str = "", **input: Any) -> dict[str, Any]:
    payload = upload(http, data, name, claimed, **input)
    assert payload["errors"] == []
    return payload["blob"]  # type: ignore[no-any-return]


def refused(http: httpx.Client, data: bytes, name: str, claimed: str = "") -> tuple[str, str]:
    """Code and message of what is not taken, of which nothing is left."""
    payload = upload(http, data, name, claimed)
    assert payload["blob"] is None
    [error] = payload["errors"]
    assert error["path"] == ["file"]
    asked = {"query": "{ blobs { nodes { filename } } }"}
    assert name not in str(http.post("/graphql", json=asked).json())
    return error["code"], error["message"]


def files(running: Running) -> list[Path]:
    return [path for path in (running.data / "blobs").rglob("*") if path.is_file() and path.name != "secret"]


class TestUpload:
    @pytest.mark.parametrize("name", SAMPLES)
    @pytest.mark.parametrize("told", [True, False])
    def test_each_format_comes_back_as_it_was(self, http: httpx.Client, name: str, told: bool) -> None:
        data, media_type = SAMPLES[name]
        blob = kept(http, data, name, media_type if told else "", metadata={"n": 1})
        assert (blob["mediaType"], blob["filename"], blob["sizeBytes"]) == (media_type, name, len(data))
        assert blob["sha256"] == hashlib.sha256(data).hexdigest()
        assert blob["metadata"] == {"n": 1}
        if media_type.startswith("image/"):
            assert (blob["width"], blob["height"]) == ((8, 8) if name == "photo.jpeg" else (40, 30))
        answer = http.get(blob["url"])
        assert (answer.status_code, answer.content) == (200, data)
        assert answer.headers["content-type"].partition(";")[0] == media_type
        assert answer.headers["x-content-type-options"] == "nosniff"

    def test_the_same_bytes_are_one_blob_and_one_file(self, running: Running, http: httpx.Client) -> None:
        data = image(color=(1, 2, 3))
        first = kept(http, data, "one.png", metadata={"a": 1})
        second = kept(http, data, "two.png")
        assert (second["id"], second["filename"], second["metadata"]) == (first["id"], "two.png", {"a": 1})
        assert [path.read_bytes() for path in files(running)].count(data) == 1

    def test_the_same_key_is_the_same_upload(self, http: httpx.Client) -> None:
        data = image(color=(1, 2, 4))
        first = kept(http, data, "key.png", idempotencyKey="k")
        again = kept(http, data, "key.png", idempotencyKey="k")
        assert again == first | {"signedUrl": again["signedUrl"]}, "a link expires by when it was asked for"
        other = upload(http, image(color=(1, 2, 5)), "key.png", idempotencyKey="k")
        assert [error["code"] for error in other["errors"]] == ["CONFLICT"]

    @pytest.mark.parametrize(
        ("sent", "kept_as"),
        [
            ("../../etc/passwd.txt", "passwd.txt"),
            ("C:\\dir\\x.txt", "x.txt"),
            ("/a/b", "b"),
            ("a\nb\u202e.txt", "ab.txt"),
        ],
    )
    def test_a_path_in_a_filename_is_left_out(self, http: httpx.Client, sent: str, kept_as: str) -> None:
        assert kept(http, f"path {sent!r}".encode(), "x.txt", filename=sent)["filename"] == kept_as

    def test_several_files_in_one_request(self, http: httpx.Client) -> None:
        query = "mutation ($a: UploadBlobInput!, $b: UploadBlobInput!) { a: uploadBlob(input: $a) { blob { filename } } b: uploadBlob(input: $b) { errors { code } } }"
        operations = {"query": query, "variables": {"a": {"file": None}, "b": {"file": None}}}
        answer = http.post(
            "/graphql",
            data={
                "operations": json.dumps(operations),
                "map": json.dumps({"x": ["variables.a.file"], "y": ["variables.b.file"]}),
            },
            files={"x": ("good.txt", b"several"), "y": ("bad.png", b"several")},
        )
        found = answer.json()["data"]
        assert found == {"a": {"blob": {"filename": "good.txt"}}, "b": {"errors": [{"code": "INVALID"}]}}


class TestNotTaken:
    @pytest.mark.parametrize(
        ("data", "name", "claimed"),
        [
            (zipped("a.txt"), "zip.png", "image/png"),
            (zipped("a.txt"), "zip.zip", "application/zip"),
            (b"", "empty.txt", ""),
            (image("JPEG"), "jpeg.png", ""),
            (image("PNG"), "png.txt", "text/plain"),
            (image("PNG"), "untold", "audio/mpeg"),
            (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "drawing.svg", "image/svg+xml"),
            (b"<!doctype html><script>alert(1)</script>", "page.html", "text/html"),
            (b"MZ" + bytes(200), "program.exe", ""),
            (b"\xff\xfe\0h\0i", "utf16.txt", "text/plain"),
            (b'{"a": ', "half.json", ""),
            (b"text with a \0 in it", "nul.txt", ""),
        ],
    )
    def test_what_is_not_what_it_is_said_to_be(self, http: httpx.Client, data: bytes, name: str, claimed: str) -> None:
        code, message = refused(http, data, name, claimed)
        assert code == "INVALID" and message.endswith(".")

    @pytest.mark.parametrize("format", ["JPEG", "PNG", "GIF", "WEBP"])
    def test_a_broken_image(self, http: httpx.Client, format: str) -> None:
        whole = image(format, (300, 200), (7, 8, 9))
        code, message = refused(http, whole[: len(whole) * 2 // 3], f"broken.{format.lower()}")
        assert (code, "broken" in message) == ("INVALID", True)

    def test_what_is_too_long(self, running: Running, http: httpx.Client) -> None:
        noisy = image("PNG") + bytes(IMAGE_BYTES)
        code, message = refused(http, noisy, "long.png")
        assert (code, "RECOLLECT_MEDIA_IMAGE_BYTES" in message, f"{IMAGE_BYTES:,}" in message) == ("LIMIT", True, True)
        assert kept(http, noise(IMAGE_BYTES * 2), "long.wav"), "a sound may be longer"
        assert not list((running.data / "blobs" / "incoming").glob("*"))

    def test_a_format_that_is_switched_off(self, tmp_path: Path) -> None:
        running = Running(tmp_path / "data", RECOLLECT_MEDIA_FORMATS="png, pdf")
        running.start()
        with client(running, "") as http:
            assert refused(http, wav(), "voice.wav")[0] == "INVALID"
            assert kept(http, image(), "a.png")
        running.end()

    def test_one_who_may_not_write(self, running: Running) -> None:
        with client(running, READS) as http:
            answer = http.post("/graphql", **multipart(b"not mine to write"))
            assert (answer.status_code, answer.json()["errors"][0]["extensions"]["code"]) == (403, "FORBIDDEN")
        with client(running, "") as http:
            assert http.post("/graphql", **multipart(b"x")).status_code == 401
        assert not list((running.data / "blobs" / "incoming").glob("*"))

    async def test_an_upload_that_is_cut_off(self, running: Running) -> None:
        with client(running, OURS) as http:
            request = http.build_request("POST", "/graphql", **multipart(noise(100_000), "cut.wav"))
        body = request.read()
        raw = b"".join(b"%s: %s\r\n" % header for header in request.headers.raw)
        _reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
        writer.write(b"POST /graphql HTTP/1.1\r\n" + raw + b"\r\n" + body[: len(body) // 2])
        await writer.drain()
        writer.close()
        with client(running, OURS) as http:
            short = {"Content-Type": request.headers["content-type"], "Content-Length": str(len(body) - 30)}
            answer = http.post("/graphql", content=body[:-30], headers=short)
            assert (answer.status_code, "last boundary" in answer.text) == (400, True)
            assert "cut.wav" not in http.post("/graphql", json={"query": "{ blobs { nodes { filename } } }"}).text
        async with asyncio.timeout(10):
            while list((running.data / "blobs" / "incoming").glob("*")):  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.02)

    @pytest.mark.parametrize(
        ("operations", "map"),
        [
            ("{", '{"0": ["variables.input.file"]}'),
            (None, "[]"),
            (None, '{"0": "variables.input.file"}'),
            (None, '{"0": ["variables.input.nothing"]}'),
            (None, '{"0": ["variables.input.metadata"]}'),
            (None, '{"0": ["variables"]}'),
            (None, '{"1": ["variables.input.file"]}'),
            (None, '{"0": ["variables.input.file"], "1": ["variables.input.file"]}'),
            ("[]", '{"0": ["0.variables.input.file"]}'),
        ],
    )
    def test_a_form_that_is_none(self, http: httpx.Client, operations: str | None, map: str) -> None:
        usual = json.dumps({"query": UPLOAD, "variables": {"input": {"file": None, "metadata": {}}}})
        form = {"operations": usual if operations is None else operations, "map": map}
        files = {name: ("a.txt", b"a") for name in ("0", "1") if name == "0" or ('"0"' in map and '"1"' in map)}
        answer = http.post("/graphql", data=form, files=files)
        assert (answer.status_code, answer.json()["errors"][0]["extensions"]["code"]) == (400, "BAD_REQUEST")

    @pytest.mark.parametrize("type_", ["multipart/form-data", "multipart/form-data; boundary=" + "x" * 300])
    def test_no_boundary(self, http: httpx.Client, type_: str) -> None:
        answer = http.post("/graphql", content=b"--x--", headers={"Content-Type": type_})
        assert answer.status_code == 400

    def test_a_file_that_is_none(self, http: httpx.Client) -> None:
        answer = http.post("/graphql", json={"query": UPLOAD, "variables": {"input": {"file": "text"}}})
        assert answer.json()["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"


DATA = bytes(range(256)) * 4


class TestDownload:
    @pytest.fixture
    def blob(self, http: httpx.Client) -> dict[str, Any]:
        return kept(http, base64.b64encode(DATA), "range.txt")

    @pytest.mark.parametrize(
        ("range", "start", "end"),
        [("bytes=0-9", 0, 10), ("bytes=10-", 10, None), ("bytes=-5", -5, None), ("bytes=5-99999", 5, None), ("bytes=-99999", 0, None), ("bytes=0-0", 0, 1)],
    )  # fmt: skip
    def test_a_range(self, http: httpx.Client, blob: dict[str, Any], range: str, start: int, end: int | None) -> None:
        data = base64.b64encode(DATA)
        answer = http.get(blob["url"], headers={"Range": range})
        assert (answer.status_code, answer.content) == (206, data[start:end])
        first = start if start >= 0 else len(data) + start
        assert answer.headers["content-range"] == f"bytes {first}-{first + len(answer.content) - 1}/{len(data)}"

    @pytest.mark.parametrize("range", ["bytes=1368-", "bytes=99999-", "bytes=-0"])
    def test_a_range_beyond_the_end(self, http: httpx.Client, blob: dict[str, Any], range: str) -> None:
        answer = http.get(blob["url"], headers={"Range": range})
        assert (answer.status_code, answer.content) == (416, b"")
        assert answer.headers["content-range"] == "bytes */1368"

    @pytest.mark.parametrize("range", ["bytes=5-1", "bytes=-", "bytes=a-b", "items=0-1", "bytes=0-1,3-4", "bytes=²-"])
    def test_a_range_that_is_none(self, http: httpx.Client, blob: dict[str, Any], range: str) -> None:
        answer = http.get(blob["url"], headers={"Range": range.encode()})
        assert (answer.status_code, len(answer.content)) == (200, 1368)

    def test_what_is_known_already(self, http: httpx.Client, blob: dict[str, Any]) -> None:
        etag = http.get(blob["url"]).headers["etag"]
        assert etag == f'"{blob["sha256"]}"'
        again = http.get(blob["url"], headers={"If-None-Match": f'"x", W/{etag}'})
        assert (again.status_code, again.content) == (304, b"")
        other = http.get(blob["url"], headers={"If-Range": '"x"', "Range": "bytes=0-1"})
        assert other.status_code == 200

    def test_the_head_alone(self, http: httpx.Client, blob: dict[str, Any]) -> None:
        whole, head = http.get(blob["url"]), http.head(blob["url"])
        assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", "1368")
        assert head.headers["content-type"] == whole.headers["content-type"] == "text/plain; charset=utf-8"
        assert http.post(blob["url"]).status_code == 405

    @pytest.mark.parametrize(("name", "how"), [("notes.md", "attachment"), ("data.json", "attachment"), ("letter.docx", "attachment"), ("screen.png", "inline")])  # fmt: skip
    def test_what_may_be_shown_in_a_page(self, http: httpx.Client, name: str, how: str) -> None:
        told = http.get(kept(http, SAMPLES[name][0], f"ü {name}")["url"]).headers
        assert told["content-disposition"] == f"{how}; filename*=UTF-8''%C3%BC%20{name}"
        assert "default-src 'none'" in told["content-security-policy"]

    def test_a_page_said_to_be_text_is_text(self, http: httpx.Client) -> None:
        told = http.get(kept(http, b"<!doctype html><script>alert(1)</script>", "x.txt")["url"]).headers
        assert (told["content-type"], told["x-content-type-options"]) == ("text/plain; charset=utf-8", "nosniff")

    def test_nobody_else_sees_it(
        self, running: Running, http: httpx.Client, theirs: httpx.Client, blob: dict[str, Any]
    ) -> None:
        missing = [theirs.get(url) for url in (blob["url"], f"/blobs/blb_{'0' * 32}", "/blobs/nothing")]
        assert {(one.status_code, one.text) for one in missing} == {(404, missing[0].text)}
        with client(running, "") as nobody:
            assert nobody.get(blob["url"]).status_code == 401
        asked = {
            "query": "query ($by: Ref!) { blob(by: $by) { id } }",
            "variables": {"by": {"externalId": blob["sha256"]}},
        }
        assert theirs.post("/graphql", json=asked).json()["data"] == {"blob": None}
        assert http.post("/graphql", json=asked).json()["data"] == {"blob": {"id": blob["id"]}}
        mine = kept(theirs, base64.b64encode(DATA), "range.txt")
        assert mine["id"] != blob["id"], "what they have is not told by what is sent"

    def test_a_signed_link_needs_no_credentials(self, running: Running, blob: dict[str, Any]) -> None:
        with client(running, "") as nobody:
            assert nobody.get(blob["signedUrl"]).content == base64.b64encode(DATA)
            for old, new in (("signature=", "signature=0"), ("expires=", "expires=1"), ("=default", "=theirs"), (blob["id"], f"blb_{'0' * 32}")):  # fmt: skip
                assert nobody.get(blob["signedUrl"].replace(old, new)).status_code == 403

    def test_a_signed_link_expires(self, running: Running, http: httpx.Client, blob: dict[str, Any]) -> None:
        asked = {"query": "query ($id: ID!) { node(id: $id) { ... on Blob { signedUrl(seconds: 60) } } }", "variables": {"id": blob["id"]}}  # fmt: skip
        url = http.post("/graphql", json=asked).json()["data"]["node"]["signedUrl"]
        assert abs(int(parse_qs(urlsplit(url).query)["expires"][0]) - time.time() - 60) < 30
        secret = (running.data / "blobs" / "secret").read_bytes()
        over = int(time.time())
        with client(running, "") as nobody:
            signed = signature(secret, "default", blob["id"], over)
            answer = nobody.get(f"{blob['url']}?workspace=default&expires={over}&signature={signed}")
            assert (answer.status_code, "expired" in answer.text) == (403, True)
