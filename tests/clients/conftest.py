"""A server, and a folder with the clients and the programs of the documentation."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.examples import HOME, blocks
from tests.support.graphql_client import in_memory
from tests.support.node_clients import HERE, installed
from tests.support.running import Running

PAGE = HOME / "docs" / "clients.md"


@pytest.fixture(scope="session")
def clients() -> Iterator[Path]:
    """A folder beside the packages with the scripts of this folder, and those of the documentation by their names."""
    packages = installed()
    with tempfile.TemporaryDirectory(dir=packages) as name:
        folder = Path(name)
        for script in HERE.glob("*.mjs"):
            shutil.copy(script, folder)
        shutil.copytree(HERE / "typescript", folder / "typescript")
        for block in blocks(PAGE):
            if named := re.match(r"// (\S+\.m?js)\n", block.text):
                (folder / named[1]).parent.mkdir(exist_ok=True)
                (folder / named[1]).write_text(block.text, encoding="utf-8")
        yield folder


@pytest.fixture(scope="session")
def server() -> Iterator[Running]:
    """A server of its own process."""
    with in_memory() as folder:
        running = Running(folder / "data")
        try:
            running.start()
            yield running
            assert "Traceback" not in running.stop()[1]
        finally:
            running.end()
