"""Engines of others: the page that says how one is written, with its example installed as a package of its own."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.support.examples import HOME

RECOLLECT = ("-c", "from cli.main import main; main()")

PAGE = (HOME / "docs" / "engines.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
"""The page's examples, by their language."""


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder of packages in which the example is installed as a package of its own."""
    (tmp_path / "dictionary_engine.py").write_text((HOME / "docs" / "dictionary_engine.py").read_text())
    (tmp_path / "dictionary_testing.py").write_text(BLOCKS["python"])
    info = tmp_path / "dictionary_engine-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: dictionary-engine\nVersion: 1.0\n")
    [(group, points)] = tomllib.loads(BLOCKS["toml"])["project"]["entry-points"].items()
    (info / "entry_points.txt").write_text(f"[{group}]\ndictionary = {points['dictionary']}\n")
    return tmp_path


def run(folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs Python where the packages of that folder are installed."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith("RECOLLECT_")}
    variables |= {"PYTHONPATH": str(folder), **environment}
    return subprocess.run(
        [sys.executable, *words], cwd=folder, env=variables, capture_output=True, text=True, timeout=300, check=False
    )


def test_it_is_opened_by_its_url(installed: Path) -> None:
    done = run(installed, *RECOLLECT, "stats", "--json", RECOLLECT_GRAPH_URL="dictionary://mine")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["records"]["memory"] == 0
    assert not (installed / "recollect-data").exists()


@pytest.mark.slow
def test_it_runs_the_contract_suite_without_this_repository(installed: Path) -> None:
    apart = ["-p", "no:cacheprovider", "-c", os.devnull, "--confcutdir", str(HOME / "stores" / "contract")]
    command = shlex.split(BLOCKS["sh"])
    done = run(
        installed,
        "-m",
        *command,
        *apart,
        "-k",
        "test_engine or test_references or TestHowMuchAFilterMayHold or garbage",
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    assert " passed" in done.stdout


def test_the_example_stays_short() -> None:
    assert len((HOME / "docs" / "dictionary_engine.py").read_text(encoding="utf-8").splitlines()) <= 700
