"""Files read an item at a time: lists, JSON Lines, single values, broken ones, and those with halves of emojis."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from formats import chatgpt, openai_messages
from formats.conversation import FormatError
from formats.file import _PIECE, File
from formats.registry import open_file
from tests.support.running import ROOT

ASK = {"role": "user", "content": "Where is it?"}


def file(folder: Path, data: bytes | str) -> File:
    path = folder / "f.json"
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return File(path)


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize(
    ("text", "items", "sample"),
    [
        ("[]", [], []),
        (' [1, {"a": [2]},\n"x"] \n', [1, {"a": [2]}, "x"], [1]),
        ('{"a": 1}', [{"a": 1}], {"a": 1}),
        ('{\n"a":\n1}\n', [{"a": 1}], {"a": 1}),
        ('{"a": 1}\n\n{"a": 2}\r\n', [{"a": 1}, {"a": 2}], [{"a": 1}]),
        ("[1]\n[2, 3]", [[1], [2, 3]], [[1]]),
    ],
)
def test_items(mark: str, text: str, items: list[Any], sample: Any, tmp_path: Path) -> None:
    found = file(tmp_path, mark + text)
    assert list(found.items) == items
    assert list(found.items) == items
    assert found.sample == sample
    assert found.replaced == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        (" \n", "the file is empty"),
        ("\ufeff", "the file is empty"),
        ('[{"a": 1},\n{"b" 2}]', "line 2, column 6: not JSON: Expecting ':' delimiter"),
        ('{"a": 1}\n{"a": }\n', "line 2, column 7: not JSON: Expecting value"),
        ('{"a": 1}\n\n{"a": 1} x\n', "line 3, column 10: not JSON: Extra data"),
        ('{"a": 1', "line 1, column 8: not JSON: Expecting ',' delimiter"),
        ('{"a": 1} {"a": 2}', "line 1, column 10: not JSON: Extra data"),
        ("[" * 100_000, "the JSON is nested too deeply"),
    ],
)
def test_what_is_broken_is_told_with_its_place(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(FormatError) as error:
        list(file(tmp_path, text).items)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"PK\x03\x04rest", "a ZIP archive: unpack it"),
        (b"\x1f\x8b\x08\x00rest", "compressed by gzip: unpack it"),
        (b"SQLite format 3\x00rest", "an SQLite database"),
        ("[]".encode("utf-16"), "text in UTF-16: save it in UTF-8"),
    ],
    ids=["ZIP", "gzip", "SQLite", "UTF-16"],
)
def test_what_is_no_text_is_called_by_its_name(data: bytes, what: str, tmp_path: Path) -> None:
    for format in (None, "chatgpt"):
        path = tmp_path / "given"
        path.write_bytes(data)
        with pytest.raises(FormatError, match=f"^not JSON: this is {what}"):
            open_file(path, format)


@pytest.mark.parametrize("broken", [b"\xf0\x9f\x98", b"\xff", b"\\ud83d", b"\xed\xa0\xbd"])
@pytest.mark.parametrize("shift", range(-3, 4))
def test_halves_of_letters_are_replaced_wherever_the_file_is_cut_into_pieces(
    broken: bytes, shift: int, tmp_path: Path
) -> None:
    """Whole letters and escapes at the same places stay."""
    fill = b"x" * (_PIECE - 8 + shift)
    whole = "🎈".encode() + b"\\ud83c\\udf88"
    for letters, text in ((broken, None), (whole, "🎈🎈")):
        found = file(tmp_path, b'["' + fill + letters + b' ", "' + letters + b'"]')
        first, last = found.items
        assert last == (text or "\ufffd" * last.count("\ufffd"))
        assert first == fill.decode() + last + " "
        assert found.replaced == (0 if text else 2 * last.count("\ufffd"))


def test_chat_messages_may_stand_in_lines(tmp_path: Path) -> None:
    """As logs and fine-tuning files have them: a run a line, or a message a line."""
    runs = file(tmp_path, "".join(json.dumps({"id": f"r{place}", "messages": [ASK]}) + "\n" for place in range(3)))
    assert openai_messages.recognizes(runs.sample)
    assert [run.key for run in openai_messages.read(runs)] == ["openai:r0", "openai:r1", "openai:r2"]
    said = file(tmp_path, "".join(json.dumps({**ASK, "content": f"{place}"}) + "\n" for place in range(3)))
    assert openai_messages.recognizes(said.sample)
    assert [len(run.messages) for run in openai_messages.read(said)] == [3]
    assert not chatgpt.recognizes(said.sample)


@pytest.mark.slow
def test_a_large_file_is_never_whole_in_memory(tmp_path: Path) -> None:
    """Reads 64 MB in a process that may take half of that above what it starts with; the file itself is mapped."""
    path = tmp_path / "runs.jsonl"
    with path.open("w") as lines:
        for place in range(640):
            lines.write(json.dumps({"id": f"r{place}", "messages": [{**ASK, "content": "word " * 20_000}]}) + "\n")
    program = f"""
import pathlib, re
from formats.registry import open_file

def anonymous(name):  # bytes, without the pages of mapped files
    return int(re.search(name + r":\\s+(\\d+)", pathlib.Path("/proc/self/status").read_text())[1]) * 1024

before = anonymous("RssAnon")
found = open_file(pathlib.Path({str(path)!r}), "openai-messages")
assert len(found.content) == 640
most = max(anonymous("RssAnon") for _ in found.content) - before
assert most < 32 * 2**20, most
"""
    if sys.platform == "linux":
        subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, timeout=100)
