"""Our package names are ours alone, and no file tells of the machine it was written on."""

from __future__ import annotations

import importlib.metadata
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.examples import HOME

PACKAGES = ("domain", "stores", "resolvers", "schema", "formats", "server", "cli")

_ELSEWHERE = re.compile(
    r"(?<![\w.~-])/(?:[w]ork|[r]oot|[h]ome/\w+)/|/tmp/[v]env|pypi\.org|pythonhosted\.org|npmjs\.(?:org|com)|"
    r"proxy\.golang\.org|repo1?\.maven"
)


def test_our_package_names_belong_to_no_other_distribution() -> None:
    owners = importlib.metadata.packages_distributions()
    for name in PACKAGES:
        assert set(owners.get(name, ())) <= {"recollect"}, name


def start(*path: Path) -> subprocess.CompletedProcess[str]:
    """Starts the program with these folders in front of its path."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path)), "PYTHONSAFEPATH": "1"}
    program = [sys.executable, "-c", "from cli.main import main; main(['schema'])"]
    return subprocess.run(
        program, env=environment, cwd=path[0], capture_output=True, text=True, timeout=30, check=False
    )


@pytest.mark.parametrize("name", PACKAGES[:-1])
def test_a_package_of_another_is_told_in_one_sentence(name: str, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").touch()
    done = start(tmp_path, HOME)
    assert done.returncode == 1
    assert done.stdout == ""
    [sentence] = done.stderr.splitlines()
    assert sentence.startswith(f"recollect: the package '{name}' comes from {tmp_path}")


def test_without_another_package_it_starts() -> None:
    done = start(HOME)
    assert done.returncode == 0
    assert done.stdout == (HOME / "schema" / "schema.graphql").read_text(encoding="utf-8")


def tracked() -> list[Path]:
    """The files of the repository; all files where there is no git."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=HOME, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    return [HOME / name for name in listed.stdout.split("\0") if name]


def test_no_file_tells_of_registries_or_of_one_machine() -> None:
    found = []
    for file in tracked():
        if not file.is_file():
            continue
        text = file.read_bytes().decode("utf-8", "replace")
        found += [f"{file.relative_to(HOME)}: {match[0]}" for match in _ELSEWHERE.finditer(text)]
    assert not found, "\n".join(found)
