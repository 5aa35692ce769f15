"""What rules find in texts, what they do not take for a name, and that no text takes long."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import entity_rules
from domain.entity_rules import ALL, LOOKED_THROUGH, MAX_FOUND, Person, Text

PEOPLE = [
    Person(["Ada Lovelace", "Ada"], "person", "ada-1"),
    Person(["mara"], "person"),
    Person(["小明"], "person"),
    Person(["will"], "person"),
    Person(["user"], "person"),
    Person(["Scout"], "agent"),
]
KNOWN = ["Node.js", "C++", "Dr. Who", "New York", "New York City", "City", "Будапешт", "The"]
MASKS = ["[secret]", "[email]", "[Employee Name]"]


def found(text: str) -> dict[str, str]:
    looked = Text(text, MASKS)
    looked.forms()
    looked.people(PEOPLE)
    looked.phrases()
    looked.known(KNOWN)
    return {one.name: one.type for one in looked.named()}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("See https://x.org/a_(b)?q=1#f. And (http://localhost:8000/).", {"https://x.org/a_(b)?q=1#f": "url", "http://localhost:8000": "url"}),
        ("看 https://x.org。", {"https://x.org": "url"}),
        ("ada.l@example.com, <mailto:bob@example.org>", {"ada.l@example.com": "email", "bob@example.org": "email"}),
        ("ask @octo-cat, or @søren!", {"@octo-cat": "handle", "@søren": "handle"}),
        ("@ADA-1 or @mara or @scout", {"Ada Lovelace": "person", "Mara": "person", "Scout": "agent"}),
        ("`src/app.py`: ~/notes ./run ../x/y.md .github/x.yml /etc/hosts /a/b.tar.gz", dict.fromkeys(["src/app.py", "~/notes", "./run", "../x/y.md", ".github/x.yml", "/etc/hosts", "/a/b.tar.gz"], "file")),
        (r"C:\Users\x\a.txt, d:\b.doc", {r"C:\Users\x\a.txt": "file", r"d:\b.doc": "file"}),
        ('"Project Nightingale" “The Lord of the Rings” „Der Alte Mann“ « Le Petit Prince » 《红楼梦》 『坊っちゃん』', dict.fromkeys(["Project Nightingale", "The Lord of the Rings", "Der Alte Mann", "Le Petit Prince", "红楼梦", "坊っちゃん"], "thing")),
        ("Ada likes snow; Mara's cat; 我和小明去了", {"Ada Lovelace": "person", "Mara": "person", "小明": "person"}),
        ("Node.js, C++ and Dr. Who in New York City; Будапешт", dict.fromkeys(["Node.js", "C++", "Dr. Who", "New York City", "Будапешт"], "")),
    ],
)  # fmt: skip
def test_what_is_found(text: str, wanted: dict[str, str]) -> None:
    assert found(text) == wanted


@pytest.mark.parametrize(
    "text",
    [
        "Yesterday Bob met Alice in Paris. However, Monday was fine.",
        "and/or 24/7 km/h he/she/they 2024/01/02 /api/v1/users github.com/a/b.py yes/no.maybe 1/2.5 </b></i>",
        "http://user:hunter2@x.org/a http://... https://x.orgü ftp:// ://x.org",
        "@param x @app.route('/x') @types/node a@b @1 @@x @media (x) @everyone\n@dataclasses\nclass X:\n@foo(bar)",
        '"Hello" "Hello there" “Yes, We Can” "DO NOT PANIC" "Some thing" "He Said. She" 5" x 3" "a" “ ” ""',
        "Will you? I will, said the user. Adam, Jean-Ada, Ada-Louise, #Ada, x.Ada, Ada.x, ada, Ada\u0301, Ада",
        "password [secret] https://x.org/[secret]/a [email]@x Ada[email] \"[Employee Name] Is Here\" src/[secret]/app.py",
        '```\n@foo "Big Thing" Ada New York\n``` and `@bar` `Ada`',
        "the city of new york; Cityscape, The end, NEW YORK",
    ],
)  # fmt: skip
def test_what_is_no_name(text: str) -> None:
    assert found(text) == {}


PIECES = st.sampled_from(
    ["https://", "http://a", "@", "@ab", "/", "/etc/", "a.py", "C:\\", '"', "“", "”", "《", "》", "[secret]", "[email]", "Ada", "小明", "Node.js",
     "Big Thing", "`", "```", "\n", " ", "\u0301", "\u200d", "\ufffc", "\0", "\ud800", "@x.org", ")", ".", "New York", "Ada Lovelace"]
)  # fmt: skip


@given(st.lists(st.one_of(PIECES, st.text(max_size=12)), max_size=40).map("".join))
def test_whatever_is_said(text: str) -> None:
    looked, read = Text(text, MASKS), text.replace("\0", " ")
    looked.forms()
    looked.people(PEOPLE)
    phrases = looked.phrases()
    looked.known(KNOWN)
    ends = 0
    for one in sorted(looked.found):
        assert ends <= one.start < one.end, "each stands in a place of its own"
        ends = one.end
    named = looked.named()
    assert looked.named(ALL[:2]) == [one for one in named if one.rule in ALL[:2]]
    for one in named:
        assert one.name.strip() == one.name != ""
        assert not any(mask in one.name for mask in MASKS)
        assert one.name in read or one.rule == "people" or one.type in ("person", "agent")
    assert all(phrase in read for phrase in phrases)


@given(st.sampled_from(["@ab-c ", "src/a.py ", '"Big Thing" ', "https://x.org/a ", "Ada ", "New York ", "a@b.org "]))
def test_however_much_is_said(piece: str) -> None:
    assert len(found("".join(f"{number} {piece.strip()}{number} " for number in range(2_000)))) <= MAX_FOUND
    assert found(" " * LOOKED_THROUGH + piece) == {}


def _repeats(parsed: Any) -> list[str]:
    """The repetitions without a bound that may go back."""
    found = []
    for op, argument in parsed:
        if str(op) in ("MAX_REPEAT", "MIN_REPEAT") and argument[1] > 1_000:
            found.append(str(op))
        for part in argument if isinstance(argument, list | tuple) else ():
            if isinstance(part, re._parser.SubPattern):  # type: ignore[attr-defined]
                found += _repeats(part)
            elif isinstance(part, list):
                found += [one for some in part for one in _repeats(some)]
    return found


def test_no_pattern_goes_back() -> None:
    patterns = [form.pattern for form in entity_rules._FORMS]
    patterns += [
        one for one in vars(entity_rules).values() if isinstance(one, re.Pattern) and one is not entity_rules._CODE
    ]
    for pattern in patterns:
        assert _repeats(re._parser.parse(pattern.pattern)) == [], pattern.pattern  # type: ignore[attr-defined]
    assert _repeats(re._parser.parse("a(b|(?=c*))+")) != []  # type: ignore[attr-defined]
