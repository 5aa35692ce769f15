"""JSON Web Tokens: those of the issuer are taken, and no others."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from domain.caller import Role
from server.access import tokens
from server.access.admission import Access
from server.access.keys import BadCredential, Keys, given
from server.access.tokens import Tokens
from server.errors import OperationRefused
from server.settings import BadSetting, Settings
from stores.embedded.engine import open_embedded
from tests.server.access.test_access import ended, send, socket
from tests.support.running import Running, recollect

KEYS: dict[str, Any] = {
    "RS256": rsa.generate_private_key(65537, 2048),
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
}
_JWK: dict[str, Any] = {"RS256": RSAAlgorithm, "ES256": ECAlgorithm, "EdDSA": OKPAlgorithm}
ISSUER, AUDIENCE = "https://issuer.example", "recollect"


def public(key: Any) -> bytes:
    """The public key in PEM."""
    made: bytes = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return made


def jwk(algorithm: str, key: Any, id: str) -> dict[str, Any]:
    return {**_JWK[algorithm].to_jwk(key.public_key(), as_dict=True), "kid": id, "use": "sig"}


class Issuer:
    """Publishes keys, and counts how often it is asked."""

    def __init__(self) -> None:
        self.keys = [jwk(algorithm, key, algorithm) for algorithm, key in KEYS.items()]
        self.asked, self.body, self.status = 0, b"", 200
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.asked += 1
                body = issuer.body or json.dumps({"keys": issuer.keys}).encode()
                self.send_response(issuer.status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                with contextlib.suppress(OSError):
                    self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None: ...

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/keys"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    made = Issuer()
    yield made
    made.close()


def settings(**given: Any) -> Settings:
    return Settings(jwt_issuer=ISSUER, jwt_audience=AUDIENCE, **given)


def token(algorithm: str = "EdDSA", key: Any = None, headers: dict[str, Any] | None = None, **claims: Any) -> str:
    """A token that is good but for what is said."""
    all = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "ann",
        "exp": time.time() + 60,
        "workspace": "tea",
        "role": "write",
        **claims,
    }
    given = {name: value for name, value in all.items() if value is not None}
    return jwt.encode(given, key or KEYS[algorithm], algorithm, {"kid": algorithm} if headers is None else headers)


@pytest.fixture
def by_file(tmp_path: Path) -> Tokens:
    (tmp_path / "key.pem").write_bytes(public(KEYS["EdDSA"]))
    return Tokens(settings(jwt_public_key=str(tmp_path / "key.pem")))


@pytest.mark.parametrize("algorithm", KEYS)
async def test_a_token_of_the_issuer(algorithm: str, tmp_path: Path, issuer: Issuer) -> None:
    (tmp_path / "key.pem").write_bytes(public(KEYS[algorithm]))
    for found in (
        Tokens(settings(jwt_public_key=str(tmp_path / "key.pem"))),
        Tokens(settings(jwt_jwks_url=issuer.url)),
    ):
        caller = await found.find(token(algorithm))
        assert (caller.workspace, caller.role, caller.name) == ("tea", Role.WRITE, "ann")
        assert caller.expires_at is not None
        assert 80 < caller.expires_at.timestamp() - time.time() < 91, "its own time and the leeway"


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://other.example"},
        {"aud": "other"},
        {"iss": None},
        {"aud": None},
        {"exp": None},
        {"sub": None},
        {"exp": 0},
        {"exp": "soon"},
        {"exp": 10**30},
        {"nbf": 10**10},
        {"role": "owner"},
        {"role": None},
        {"role": ["admin"]},
        {"workspace": None},
        {"workspace": "/keys"},
        {"workspace": ""},
        {"workspace": 1},
        {"workspace": "a/b"},
    ],
    ids=str,
)
async def test_claims_that_do_not_do(by_file: Tokens, claims: dict[str, Any]) -> None:
    with pytest.raises(BadCredential):
        await by_file.find(token(**claims))


async def test_clocks_may_differ(by_file: Tokens) -> None:
    assert (await by_file.find(token(exp=time.time() - 20))).name == "ann"
    with pytest.raises(BadCredential):
        await by_file.find(token(exp=time.time() - 40))


async def test_other_claims_may_name_them(tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_bytes(public(KEYS["EdDSA"]))
    given = settings(
        jwt_public_key=str(tmp_path / "key.pem"), jwt_workspace_claim="org", jwt_role_claim="https://x/role"
    )
    caller = await Tokens(given).find(token(org="acme", **{"https://x/role": "ADMIN"}))
    assert (caller.workspace, caller.role) == ("acme", Role.ADMIN)


def forged() -> Iterator[tuple[str, str]]:
    good = token()
    head, claims, signature = good.split(".")
    other = ed25519.Ed25519PrivateKey.generate()
    yield "signed by another", token(key=other)
    yield "not signed", jwt.encode(jwt.decode(good, options={"verify_signature": False}), None, "none")
    yield "without its signature", f"{head}.{claims}."
    yield "with another signature", f"{head}.{claims}.{signature[::-1]}"
    yield "with a secret that is the public key", _with_secret(public(KEYS["EdDSA"]))
    yield "of another algorithm", token("RS256", headers={"kid": "EdDSA"})
    yield "no token", "a.b.c"
    yield "too long", token(padding="x" * tokens.MAX_TOKEN)
    yield "not ASCII", "\u00e9.\u00e9.\u00e9"


def _with_secret(secret: bytes) -> str:
    """HS256 with the bytes of the public key, which some verifiers took for a shared secret."""
    import base64
    import hashlib
    import hmac

    def part(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "eve",
        "exp": time.time() + 60,
        "workspace": "tea",
        "role": "admin",
    }
    text = f"{part(json.dumps({'alg': 'HS256', 'kid': 'EdDSA'}).encode())}.{part(json.dumps(claims).encode())}"
    return f"{text}.{part(hmac.new(secret, text.encode(), hashlib.sha256).digest())}"


@pytest.mark.parametrize(("how", "made"), list(forged()), ids=lambda value: value if " " in value else "")
async def test_a_forged_token(by_file: Tokens, issuer: Issuer, how: str, made: str) -> None:
    for found in (by_file, Tokens(settings(jwt_jwks_url=issuer.url))):
        with pytest.raises(BadCredential) as told:
            await found.find(made)
        assert made not in str(told.value)


class TestPublishedKeys:
    async def test_are_asked_for_once(self, issuer: Issuer) -> None:
        found = Tokens(settings(jwt_jwks_url=issuer.url))
        await asyncio.gather(*(found.find(token(algorithm)) for algorithm in [*KEYS] * 5))
        assert issuer.asked == 1

    async def test_a_new_one_is_asked_for_but_not_again_and_again(
        self, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        found = Tokens(settings(jwt_jwks_url=issuer.url))
        await found.find(token())
        new = ed25519.Ed25519PrivateKey.generate()
        issuer.keys.append(jwk("EdDSA", new, "new"))
        for _ in range(5):
            with pytest.raises(BadCredential):
                await found.find(token(key=new, headers={"kid": "new"}))
        assert issuer.asked == 1
        monkeypatch.setattr(tokens, "_AGAIN_S", 0.0)
        await found.find(token(key=new, headers={"kid": "new"}))
        assert issuer.asked == 2

    async def test_without_an_id_there_must_be_one_only(self, issuer: Issuer) -> None:
        with pytest.raises(BadCredential):
            await Tokens(settings(jwt_jwks_url=issuer.url)).find(token(headers={}))
        issuer.keys = issuer.keys[2:]
        assert (await Tokens(settings(jwt_jwks_url=issuer.url)).find(token(headers={}))).name == "ann"

    async def test_those_there_are_stay_while_the_issuer_is_away(
        self, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        found = Tokens(settings(jwt_jwks_url=issuer.url))
        await found.find(token())
        monkeypatch.setattr(tokens, "_KEEP_S", 0.0)
        for body in (b"{", b"[]", b'{"keys": []}', b'{"keys": [1]}', b"x" * (tokens._MAX_KEYS + 1)):
            issuer.body = body
            assert (await found.find(token())).name == "ann", body[:20]
        assert issuer.asked == 6

    async def test_an_issuer_that_is_not_there(self) -> None:
        with pytest.raises(BadCredential):
            await Tokens(settings(jwt_jwks_url="http://127.0.0.1:9/keys")).find(token())


class TestSettings:
    @pytest.mark.parametrize("missing", ["jwt_issuer", "jwt_audience"])
    def test_what_tokens_must_name(self, missing: str) -> None:
        given = {"jwt_issuer": ISSUER, "jwt_audience": AUDIENCE, "jwt_jwks_url": "http://x", missing: ""}
        with pytest.raises(BadSetting, match=f"^RECOLLECT_{missing.upper()} "):
            Tokens(Settings(**given))

    @pytest.mark.parametrize("content", [None, b"", b"x", "private", "DSA"])
    def test_a_file_without_a_public_key(self, tmp_path: Path, content: Any) -> None:
        file = tmp_path / "key.pem"
        if content == "private":
            content = KEYS["EdDSA"].private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        elif content == "DSA":
            content = public(ec.generate_private_key(ec.SECP384R1())).replace(b"PUBLIC", b"OTHER")
        if content is not None:
            file.write_bytes(content)
        with pytest.raises(BadSetting, match="RECOLLECT_JWT_PUBLIC_KEY"):
            Tokens(settings(jwt_public_key=str(file)))

    def test_in_one_sentence(self, tmp_path: Path) -> None:
        status, _, err = recollect(
            "serve", "--port", "0", "--data", str(tmp_path / "data"), RECOLLECT_JWT_PUBLIC_KEY="nowhere.pem"
        )
        assert status == 1
        [line] = err.splitlines()
        assert "RECOLLECT_JWT_ISSUER" in line


async def test_the_address_of_the_keys_is_not_logged(issuer: Issuer, caplog: pytest.LogCaptureFixture) -> None:
    tokens = Tokens(settings(jwt_jwks_url=f"{issuer.url.replace('//', '//me:swordfish@')}?key=swordfish"))
    issuer.status = 404
    with pytest.raises(BadCredential):
        await tokens.find(token())
    assert "HTTPStatusError 404" in caplog.text
    assert "swordfish" not in caplog.text


async def test_on_a_server(tmp_path: Path, issuer: Issuer) -> None:
    running = Running(
        tmp_path / "data", RECOLLECT_JWT_JWKS_URL=issuer.url, RECOLLECT_JWT_ISSUER=ISSUER,
        RECOLLECT_JWT_AUDIENCE=AUDIENCE, RECOLLECT_JWT_LEEWAY="0",
    )  # fmt: skip
    try:
        running.start()
        assert (await send(running, None)).status_code == 401
        assert (await send(running, token(exp=1))).status_code == 401
        answer = await send(running, token("RS256"), "{ viewer { name workspace rights } }")
        assert answer.json()["data"]["viewer"] == {"name": "ann", "workspace": "tea", "rights": ["READ", "WRITE"]}
        soon = token(exp=time.time() + 2)
        opened = await socket(running, "graphql-transport-ws", {"authorization": f"Bearer {soon}"})
        code, told = await ended(opened, 5)
        assert code == 4403
        assert [one["type"] for one in told] == ["connection_ack"]
        assert soon not in "".join(running.said())
    finally:
        running.end()


@pytest.mark.parametrize("key", ["aaaa.bbbb.cccc", "one.two.three-four", ".aaaaaaaaaa."])
async def test_a_key_of_the_settings_may_look_like_a_token(tmp_path: Path, by_file: Tokens, key: str) -> None:
    engine = open_embedded(tmp_path / "data", "test", 16)
    access = Access(Keys(engine, given(f"{key}=team:write")), by_file)
    caller = await access.identify(f"Bearer {key}")
    assert (caller.workspace, caller.role) == ("team", Role.WRITE)
    with pytest.raises(OperationRefused):
        await access.identify("Bearer x.y.z")
    assert (await access.identify(f"Bearer {token()}")).id.startswith("token ")
    await engine.close()
