"""Formats that other packages bring: found by their entry points, and told in one sentence where they are broken."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.running import ROOT

NOTES = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "import.md").read_text(encoding="utf-8"), re.DOTALL)[0]
"""The module that the documentation shows."""

Folder = Path


@pytest.fixture
def installed(tmp_path: Path) -> Folder:
    """A folder of packages with one that brings formats: one that works, and four that are broken in their ways."""
    site = tmp_path / "site"
    info = site / "notebook-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: notebook\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[recollect.formats]\nnotes = notes\nchatgpt = notes\nabsent = no_such_module\nraising = raising\n"
        "clumsy = clumsy\nempty = empty\n"
    )
    (site / "notes.py").write_text(NOTES)
    (site / "raising.py").write_text("raise RuntimeError('no licence\\nfound')")
    (site / "clumsy.py").write_text("def begins(head): return 1 / 0\ndef read(file): return {}['x']\n")
    (site / "empty.py").write_text("")
    return site


def run(site: Folder, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), str(ROOT)]), "COLUMNS": "200"}
    return subprocess.run(
        [sys.executable, "-c", "from cli.main import main; main()", *arguments],
        cwd=site, env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def notes(site: Folder, text: str = "#notes\nBlack tea, please.\nThanks.") -> Path:
    path = site / "my.notes"
    path.write_text(text)
    return path


def test_a_format_of_another_package_is_listed_chosen_and_recognized(installed: Folder) -> None:
    listed = run(installed, "import", "--help")
    assert "notes, a line each" in listed.stdout
    assert listed.returncode == 0
    for given in ((), ("--format", "notes")):
        done = run(installed, "import", str(notes(installed)), *given, "--data", str(installed / "data"))
        assert done.returncode == 0, done.stderr
        assert "my.notes (notes): sessions" in done.stdout


def test_what_its_reader_refuses_is_told_like_any_other_refusal(installed: Folder) -> None:
    done = run(installed, "import", str(notes(installed, "#notes")), "--data", str(installed / "data"))
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith("my.notes: line 2: no notes in it")


@pytest.mark.parametrize(
    ("format", "sentence"),
    [
        (
            "absent",
            "the format 'absent' of the package notebook cannot be loaded: ModuleNotFoundError: No module named",
        ),
        ("raising", "the format 'raising' of the package notebook cannot be loaded: RuntimeError: no licence found"),
        ("clumsy", "the format 'clumsy' of the package notebook fails: KeyError: 'x'"),
        ("empty", "the format 'empty' of the package notebook fails: AttributeError: module 'empty' has no attribute"),
    ],
)
def test_a_broken_format_is_told_in_one_sentence(installed: Folder, format: str, sentence: str) -> None:
    done = run(installed, "import", str(notes(installed)), "--format", format, "--data", str(installed / "data"))
    assert (done.returncode, done.stdout) == (1, "")
    [line] = done.stderr.splitlines()
    assert sentence in line
    assert not (installed / "data").exists()


def test_broken_formats_keep_no_file_from_being_read(installed: Folder) -> None:
    done = run(installed, "import", str(notes(installed)), "--data", str(installed / "data"))
    assert done.returncode == 0
    told = [line for line in done.stderr.splitlines() if "WARNING" in line]
    assert [line.split("'")[1] for line in told] == ["absent", "clumsy"]  # asked before the one that knows the file
    assert "cannot be loaded" in run(installed, "import", "--help").stdout


def test_nobody_takes_the_name_of_ours(installed: Folder) -> None:
    assert "conversations.json of a ChatGPT data export" in run(installed, "import", "--help").stdout


def test_an_unknown_name_is_told_with_those_there_are(installed: Folder) -> None:
    done = run(installed, "import", str(notes(installed)), "--format", "csv", "--data", str(installed / "data"))
    assert done.returncode == 2
    assert "'notes'" in done.stderr
    assert "'recollect-jsonl'" in done.stderr
