"""Embedders and engines that other packages bring: chosen by a setting, told in one sentence where they are broken."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.running import ROOT

LETTERS = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "operating.md").read_text(encoding="utf-8"), re.DOTALL)[0]
"""The module that the documentation shows."""

ENGINE = """
from stores.embedded.engine import open_folder
import msgspec

def opened(opening):
    folder = opening.graph_url.partition("://")[2]
    return open_folder(msgspec.structs.replace(opening, data=folder))

def broken(opening):
    raise OSError("no\\nway")
"""

Folder = Path


@pytest.fixture
def installed(tmp_path: Path) -> Folder:
    """A folder of packages with one that brings embedders and engines, and tries to stand in for ours."""
    site = tmp_path / "site"
    info = site / "alphabet-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: alphabet\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[recollect.embedders]\nletters = alphabet:Letters\nabsent = no_such_module\nmisspelt = alphabet:Leters\n"
        "picky = alphabet:picky\nwordllama = alphabet:Letters\n"
        "[recollect.engines]\nmine = shelf:opened\nbroken = shelf:broken\nabsent = no_such_module\nfile = shelf:broken\n"
    )
    (site / "alphabet.py").write_text(LETTERS + "\ndef picky(model):\n    return {}[model]\n")
    (site / "shelf.py").write_text(ENGINE)
    return site


def run(site: Folder, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), str(ROOT)]), "COLUMNS": "200"}
    environment |= {f"RECOLLECT_{name.upper()}": value for name, value in settings.items()}
    return subprocess.run(
        [sys.executable, "-c", "from cli.main import main; main()", *arguments],
        cwd=site, env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_an_embedder_of_another_package_is_chosen_by_its_name(installed: Folder) -> None:
    data = str(installed / "data")
    chat = [
        {"role": "user", "content": "I collect saxophones."},
        {"role": "assistant", "content": "Good to know."},
        {"role": "user", "content": "Zzz."},
    ]
    (installed / "chat.json").write_text(json.dumps({"messages": chat}))
    letters = {"embedder": "letters:small"}
    imported = run(installed, "import", "chat.json", "--memories", "--data", data, **letters)
    assert imported.returncode == 0, imported.stderr
    found = run(installed, "search", "sax phones", "--mode", "SEMANTIC", "--data", data, **letters)
    assert found.returncode == 0, found.stderr
    assert "saxophones" in found.stdout
    other = run(installed, "stats", "--data", data)
    told = "were made with the embedder letters:small 26, not with wordllama:l2_supercat_256 256"
    assert told in other.stderr.splitlines()[-1]


def test_an_engine_of_another_package_is_chosen_by_the_scheme_of_its_url(installed: Folder) -> None:
    shelf = installed / "shelf"
    done = run(installed, "stats", graph_url=f"mine://{shelf}")
    assert done.returncode == 0, done.stderr
    assert (shelf / "recollect.db").exists()
    assert not (installed / "recollect-data").exists()
    assert run(installed, "stats", graph_url=f"MINE+s://{shelf}").returncode == 0


def test_ours_come_before_others_of_the_same_name(installed: Folder) -> None:
    (installed / "data").mkdir()
    done = run(installed, "stats", "--data", str(installed / "data"))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (
            {"embedder": "nonsense"},
            "RECOLLECT_EMBEDDER: unknown embedder 'nonsense'; "
            "expected one of absent, fastembed, letters, misspelt, model2vec, openai, picky, "
            "sentence-transformers, wordllama.",
        ),
        (
            {"embedder": "wordllama:huge"},
            "RECOLLECT_EMBEDDER: wordllama has no model 'huge' here, only 'wordllama:l2_supercat_256'.",
        ),
        (
            {"embedder": "absent"},
            "RECOLLECT_EMBEDDER: the embedder 'absent' of the package alphabet cannot be loaded: "
            "ModuleNotFoundError: No module named 'no_such_module'.",
        ),
        (
            {"embedder": "misspelt"},
            "RECOLLECT_EMBEDDER: the embedder 'misspelt' of the package alphabet cannot be loaded: "
            "AttributeError: module 'alphabet' has no attribute 'Leters'.",
        ),
        (
            {"embedder": "picky:x"},
            "RECOLLECT_EMBEDDER: the embedder 'picky' of the package alphabet cannot be opened: KeyError: 'x'.",
        ),
        (
            {"graph_url": "postgres://host/db"},
            "RECOLLECT_GRAPH_URL: unknown engine 'postgres'; expected one of absent, bolt, broken, file, mine, neo4j.",
        ),
        (
            {"graph_url": "broken://"},
            "RECOLLECT_GRAPH_URL: the engine 'broken' of the package alphabet cannot be opened: OSError: no way.",
        ),
        (
            {"graph_url": "absent://"},
            "RECOLLECT_GRAPH_URL: the engine 'absent' of the package alphabet cannot be loaded: "
            "ModuleNotFoundError: No module named 'no_such_module'.",
        ),
    ],
)
def test_what_cannot_be_used_is_told_in_one_sentence(
    installed: Folder, settings: dict[str, str], sentence: str
) -> None:
    (installed / "data").mkdir()
    done = run(installed, "stats", "--data", str(installed / "data"), **settings)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.splitlines() == [f"recollect: {sentence}"]
