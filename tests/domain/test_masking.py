"""Masking: secrets are found, what looks like them is not, and no text takes long."""

from __future__ import annotations

import base64
import json
import string
import time
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from domain.masking import RULES, Masks, luhn, own

ALL = Masks([rule for rules in RULES.values() for rule in rules])


def masked(text: str) -> str:
    return ALL.text(text, Counter())


_WORDS = string.ascii_letters + string.digits


def _of(alphabet: str, least: int, most: int | None = None) -> st.SearchStrategy[str]:
    return st.text(alphabet, min_size=least, max_size=most or least)


def _with_digits(prefix: str, alphabet: str, length: int) -> st.SearchStrategy[str]:
    return _of(alphabet, length).map(lambda body: f"{prefix}7{body}3")


def _checked(begin: str, length: int) -> st.SearchStrategy[str]:
    """Numbers of cards."""

    def complete(middle: str) -> str:
        return next(whole for last in "0123456789" if luhn(whole := f"{begin}{middle}{last}"))

    return _of(string.digits, length - len(begin) - 1).map(complete)


def _spaced(number: str) -> str:
    return " ".join(number[at : at + 4] for at in range(0, len(number), 4))


_CARDS = st.one_of(
    _checked("4", 16), _checked("51", 16), _checked("37", 15), _checked("6011", 16), _checked("2221", 16)
)
_JWT = st.tuples(st.text(max_size=20), st.binary(min_size=20, max_size=40)).map(
    lambda parts: ".".join(
        base64.urlsafe_b64encode(part).decode().rstrip("=")
        for part in (b'{"alg":"RS256"}', json.dumps({"sub": parts[0]}).encode(), parts[1])
    )
)
_PEM = st.binary(min_size=64, max_size=200).map(
    lambda body: f"-----BEGIN RSA PRIVATE KEY-----\n{base64.encodebytes(body).decode()}-----END RSA PRIVATE KEY-----"
)
SECRETS = st.one_of(
    _with_digits("sk-proj-", _WORDS + "_-", 40),
    _with_digits("sk-ant-api03-", _WORDS + "_-", 60),
    _with_digits("sk_live_", _WORDS, 24),
    _with_digits("AKIA", string.ascii_uppercase + string.digits, 14),
    _with_digits("ghp_", _WORDS, 34),
    _with_digits("github_pat_", _WORDS, 60),
    _with_digits("glpat-", _WORDS, 20),
    _with_digits("AIza", _WORDS + "_-", 33),
    _with_digits("xoxb-", string.digits + "abc", 40),
    _with_digits("hf_", _WORDS, 34),
    _with_digits("npm_", _WORDS, 36),
    _JWT,
    _PEM,
    st.tuples(_of(_WORDS, 1, 20), _of(string.ascii_lowercase, 2, 10)).map(lambda p: f"{p[0]}@{p[1]}.example.com"),
    _CARDS,
    _CARDS.map(_spaced),
    _of(string.digits, 9).map(lambda digits: f"+49 30 {digits}"),
    _of(string.digits, 4).map(lambda digits: f"(212) 555-{digits}"),
)


@pytest.mark.hypothesis
@given(secret=SECRETS, before=st.sampled_from(["", "it is ", "key=", '"', "(", "\n", "über: "]), after=st.sampled_from(["", " ok", ".", ",", '"', ")", "\n"]))  # fmt: skip
def test_no_secret_is_left(secret: str, before: str, after: str) -> None:
    text = masked(f"{before}{secret}{after}")
    assert secret not in text
    assert text.startswith(before)
    assert text.endswith(after)
    held = Raw(json.dumps({"a": [{"b": f"{before}{secret}"}], "c": json.dumps({"d": secret})}).encode())
    assert json.dumps(secret)[1:-1] not in bytes(ALL.json(held, Counter())).decode()


@pytest.mark.parametrize(
    "text",
    [
        "mem_0199f3b2c4d57e8a9b0c1d2e3f405162",
        "550e8400-e29b-41d4-a716-446655440000",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "4bf92f3577b34da6a3ce929d0e0e4736",
        "1764000000000000 and 1764460800123 and 20261130004500",
        "2026-11-30T00:45:00.123456+00:00",
        "192.168.100.200:8080, 10.0.0.1 and ::1",
        "version 4.11.1111.1111, build 411111111111111",
        "3.14159265358979323846, -4111111111111112, 4.111111111111111e15",
        "sk-learn-is-a-library-for-learning and sk-estimators-everywhere-else",
        "The bearer of this letter, basic understanding of things",
        "call me at noon, @ada said; me@home, a@b",
        "ISBN 978-3-16-148410-0, order 0800 4711, +1 or +2, 12-34-56",
        "https://example.com/a:b?c=d@e and postgres://localhost:5432/db",
        "gpt-4o-2024-08-06 claude-sonnet-4-5-20250929",
        "the password is a secret that nobody told",
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
        "日本語 und Ümläute 😀",
        "",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert masked(text) == text
    held = Raw(json.dumps({"text": text, "number": 4111111111111111, "tokens": 3}).encode())
    assert ALL.json(held, Counter()) is held


@pytest.mark.hypothesis
@given(st.text(max_size=200), st.lists(st.integers(), max_size=5))
def test_json_stays_what_it_is(text: str, numbers: list[int]) -> None:
    held = Raw(json.dumps([{"n": numbers}, {"t": text.replace("@", "")}]).encode())
    assert json.loads(bytes(ALL.json(held, Counter())))[0] == {"n": numbers}


def test_members_that_are_called_secrets_are_masked_whatever_they_hold() -> None:
    held = {"password": "x", "headers": {"Authorization": "y", "X-Api-Key": 7}, "http.request.header.cookie": "z", "passwords": "stays", "token_count": 3, "secret": None}  # fmt: skip
    count: Counter[str] = Counter()
    found = json.loads(bytes(ALL.json(Raw(json.dumps(held).encode()), count)))
    hidden = "[secret]"
    assert found == {**held, "password": hidden, "headers": {"Authorization": hidden, "X-Api-Key": hidden}, "http.request.header.cookie": hidden}  # fmt: skip
    assert count["secret"] == 4
    again = Raw(json.dumps(found).encode())
    assert ALL.json(again, count) is again, "what is masked stays so"


def json_masked(held: object) -> Any:
    return json.loads(bytes(ALL.json(Raw(json.dumps(held).encode()), Counter())))


def test_secrets_are_found_however_they_are_wrapped() -> None:
    secret, hidden = json.dumps({"api_key": "x"}), json.dumps({"api_key": "[secret]"}, separators=(",", ":"))
    assert json_masked({"authorization": ["x", ["y", None]], "password": {"type": "string"}, "secret": True}) == {
        "authorization": ["[secret]", ["[secret]", None]],
        "password": {"type": "string"},
        "secret": True,
    }
    assert json_masked([f"\n {secret}", json.dumps(secret)]) == [hidden, json.dumps(hidden)]
    assert ALL.value(secret, Counter()) == hidden, "a text by itself"
    assert json_masked(r'{"to": "ada\u0040example.org"}') == '{"to":"[email]"}'


def test_members_that_are_called_the_same_once_masked_are_kept_apart() -> None:
    held = {"[email] 2": 0, "ada@example.org": 1, "bob@example.org": 2, "eve@example.org": 3, "[email]": 4}
    assert sorted(json_masked(held).items()) == [(f"[email]{n}", v) for n, v in [("", 1), (" 2", 0), (" 3", 2), (" 4", 3), (" 5", 4)]]  # fmt: skip


def test_json_is_looked_into_however_deep_it_is() -> None:
    deep = "[" * 900 + '"ada@example.org"' + "]" * 900
    assert b"ada@" not in bytes(ALL.json(Raw(deep.encode()), Counter()))


@pytest.mark.timed
@pytest.mark.parametrize("unit", ["a", "1", "1 ", "a.", "a@", "@", "sk-", "sk-a1", "eyJ", "eyJaaaaaaaaaa.", "+1 ", "://a:", "-----BEGIN PRIVATE KEY-----", "a-", "(212) 555-", "Bearer ", "4111111111111111 "])  # fmt: skip
def test_time_grows_with_the_length_alone(unit: str) -> None:
    def seconds(length: int) -> float:
        text = unit * (length // len(unit))
        best = 9.0
        for _ in range(2):
            start = time.process_time()
            masked(text)
            best = min(best, time.process_time() - start)
        return best

    short, long = seconds(10_000), seconds(160_000)
    assert long < 0.02 + short * 16 * 4, f"16 times the text takes {long / max(short, 1e-6):.0f} times as long"


def test_patterns_of_ones_own() -> None:
    rule = own("iban", r"\b[A-Z]{2}[0-9]{2}(?: ?[0-9A-Z]{4}){3,7}\b")
    assert Masks([rule], frozenset(["birth-day"])).text("DE89 3704 0044 0532 0130 00", Counter()) == "[iban] 00"
    held = Raw(b'{"birthDay":"x","password":"stays"}')
    assert bytes(Masks([rule], frozenset(["birth-day"])).json(held, Counter())) == (
        b'{"birthDay":"[secret]","password":"stays"}'
    )


@pytest.mark.parametrize("pattern", ["(a+)+b", "a*", ".*x", r"(\w{1,50}){1,50}", r"\w{1,200}\w{1,200}x", "(", r"(a)\1", "x{0,3}", "(?:a|b)*c", r"a{1,99999}"])  # fmt: skip
def test_a_pattern_that_may_take_long_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError):
        own("x", pattern)
