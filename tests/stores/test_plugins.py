"""Embedders and engines that other packages bring: chosen by a setting, told in one sentence where they are broken."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

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


COMMANDS = """
import contextlib, io, json, os, sys
from cli.main import main
plain, told = dict(os.environ), []
for arguments, settings in json.loads(sys.argv[1]):
    os.environ.clear()
    os.environ.update(plain | {f"RECOLLECT_{name.upper()}": value for name, value in settings.items()})
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        try:
            main(arguments)
            status = 0
        except SystemExit as ended:
            status = ended.code or 0
    told.append((status, out.getvalue(), err.getvalue()))
print(json.dumps(told))
"""


class Done(NamedTuple):
    status: int
    out: str
    err: str


def run(site: Folder, *commands: tuple[list[str], dict[str, str]]) -> list[Done]:
    """Runs commands, each with settings of its own, in one process that finds the packages of the folder."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), str(ROOT)]), "COLUMNS": "200"}
    done = subprocess.run(
        [sys.executable, "-c", COMMANDS, json.dumps(commands)],
        cwd=site, env=environment, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [Done(*told) for told in json.loads(done.stdout)]


def test_an_embedder_of_another_package_is_chosen_by_its_name(installed: Folder) -> None:
    data = str(installed / "data")
    chat = [
        {"role": "user", "content": "I collect saxophones."},
        {"role": "assistant", "content": "Good to know."},
        {"role": "user", "content": "Zzz."},
    ]
    (installed / "chat.json").write_text(json.dumps({"messages": chat}))
    letters = {"embedder": "letters:small"}
    imported, found, other = run(
        installed,
        (["import", "chat.json", "--memories", "--data", data], letters),
        (["search", "sax phones", "--mode", "SEMANTIC", "--data", data], letters),
        (["stats", "--data", data], {}),
    )
    assert imported.status == 0, imported.err
    assert found.status == 0, found.err
    assert "saxophones" in found.out
    told = "were made with the embedder letters:small 26, not with wordllama:l2_supercat_256 256"
    assert told in other.err.splitlines()[-1]


def test_an_engine_of_another_package_is_chosen_by_the_scheme_of_its_url(installed: Folder) -> None:
    shelf = installed / "shelf"
    stats = ["stats"]
    done, again, ours = run(
        installed,
        (stats, {"graph_url": f"mine://{shelf}"}),
        (stats, {"graph_url": f"MINE+s://{shelf}"}),
        (["stats", "--data", str(installed)], {}),
    )
    assert done.status == 0, done.err
    assert (shelf / "recollect.db").exists()
    assert not (installed / "recollect-data").exists()
    assert again.status == 0, again.err
    assert ours.status == 0, "ours come before others of the same name"


SENTENCES: list[tuple[dict[str, str], str]] = [
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
]


def test_what_cannot_be_used_is_told_in_one_sentence(installed: Folder, subtests: pytest.Subtests) -> None:
    (installed / "data").mkdir()
    command = ["stats", "--data", str(installed / "data")]
    for (settings, sentence), done in zip(
        SENTENCES, run(installed, *((command, one) for one, _ in SENTENCES)), strict=True
    ):
        with subtests.test(settings=settings):
            assert (done.status, done.out) == (1, "")
            assert done.err.splitlines() == [f"recollect: {sentence}"]
