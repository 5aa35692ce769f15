"""What the code imports is declared; the clients of the servers are an extra, which an installation on a folder lacks."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import distribution, distributions
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from cli.packages import PACKAGES
from stores.services.opening import CLIENTS
from tests.support.running import MAIN, ROOT, Running, environment

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]

CONTRACT = ROOT / "stores" / "contract"
"""Tests, though they are shipped: who runs them has pytest."""

ELSEWHERE = ROOT / "bench" / "peers" / "scripts"
"""What runs in environments of its own."""

MODULES = sorted(
    path.relative_to(ROOT).as_posix()
    for room in (*PACKAGES, "bench")
    for path in (ROOT / room).rglob("*.py")
    if not path.is_relative_to(CONTRACT) and not path.is_relative_to(ELSEWHERE)
)

BLOCKED = f"""
import sys

class Missing:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] in {CLIENTS!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing)
"""


def declared(*extras: str) -> set[str]:
    """The names of the distributions that are declared."""
    told = [*PROJECT["dependencies"], *(one for extra in extras for one in EXTRAS[extra])]
    return {canonicalize_name(Requirement(one).name) for one in told}


def imports(module: str) -> set[str]:
    """The modules of others that a file imports, wherever it does."""
    tree = ast.parse((ROOT / module).read_bytes())
    named = {one.name for node in ast.walk(tree) if isinstance(node, ast.Import) for one in node.names}
    named |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
    ours = {*PACKAGES, "bench", "tests", *sys.stdlib_module_names}
    return {name for name in named if name.partition(".")[0] not in ours}


def files() -> dict[str, set[str]]:
    """The distributions that bring a module, by the module's path without its ending."""
    found: dict[str, set[str]] = {}
    for one in distributions():
        name = canonicalize_name(one.metadata["Name"])  # read anew each time it is asked for
        for file in one.files or ():
            path = re.sub(r"(/__init__)?(\.[^/.]+)?\.(py|so|pyd)$", "", file.as_posix())
            found.setdefault(path, set()).add(name)
    return found


EXTRAS_OF = {
    "stores/services": ["services"],
    "server/otlp/grpc.py": ["grpc"],
    "bench": ["services", "otel", "dev", "browser"],
    "stores/blobs": ["s3", "documents"],
    "server/telemetry/tracing.py": ["otel"],
    "stores/model_embedder.py": ["fastembed", "model2vec", "sentence-transformers"],
}


def test_what_a_module_imports_is_declared(subtests: pytest.Subtests) -> None:
    by_module = files()
    for module in MODULES:
        given = next((extra for start, extra in EXTRAS_OF.items() if module.startswith(start)), [])
        for name in imports(module):
            # Not all extras are installed; what is not has the name of its distribution.
            brought = by_module.get(name.replace(".", "/"), {canonicalize_name(name.partition(".")[0])})
            with subtests.test(module=module, name=name):
                assert brought & declared(*given), f"{brought or 'nothing'} brings it, which is not declared"


@pytest.mark.parametrize("name", ["graphql-core", "strawberry-graphql", "uvicorn", "websockets", "weaviate-client"])
def test_what_has_private_parts_in_use_has_an_upper_bound_that_holds(name: str) -> None:
    [line] = [one for one in (*PROJECT["dependencies"], *EXTRAS["services"]) if Requirement(one).name == name]
    assert any(one.operator == "<" for one in Requirement(line).specifier)
    assert Requirement(line).specifier.contains(distribution(name).version)
    written = next(one for one in (ROOT / "pyproject.toml").read_text(encoding="utf-8").splitlines() if line in one)
    assert "#" in written, "the comment names the private part"


@pytest.fixture
def without_clients(tmp_path: Path) -> dict[str, str]:
    """An environment in which the clients of the servers are not installed."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(BLOCKED, encoding="utf-8")
    return environment(PYTHONPATH=os.pathsep.join([str(tmp_path / "site"), str(ROOT)]))


def ended(environment: dict[str, str], *arguments: str) -> tuple[int, str, str]:
    """Runs the command line: exit status, standard output, standard error."""
    done = subprocess.run(
        [sys.executable, "-c", MAIN, *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.slow
def test_a_folder_needs_no_client_of_a_server(without_clients: dict[str, str], tmp_path: Path) -> None:
    talk, data, copied = tmp_path / "talk.json", str(tmp_path / "data"), str(tmp_path / "copied")
    talk.write_text('[{"role": "user", "content": "Black tea, please."}]', encoding="utf-8")
    for arguments in (
        ["import", str(talk), "--memories", "--data", data],
        ["search", "tea", "--data", data],
        ["stats", "--data", data],
        ["export", str(tmp_path / "all.jsonl"), "--data", data],
        ["copy", data, copied],
        ["keys", "create", "--data", copied],
        ["schema"],
        ["--help"],
    ):
        status, out, err = ended(without_clients, *arguments)
        assert status == 0, (arguments, out, err)
    running = Running(tmp_path / "served", PYTHONPATH=without_clients["PYTHONPATH"])
    running.start()
    running.stop()


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        ["serve", "--port", "0"],
        ["stats"],
        ["search", "tea"],
        ["copy", "here", "services"],
        ["copy", "services", "there"],
    ],
)
def test_the_servers_without_their_clients(
    without_clients: dict[str, str], tmp_path: Path, arguments: list[str]
) -> None:
    for name in ("here", "there", "recollect-data"):
        (tmp_path / name).mkdir()
    urls = {
        "RECOLLECT_GRAPH_URL": "neo4j://:7687",
        "RECOLLECT_VECTORS_URL": "weaviate://:8080",
        "RECOLLECT_EVENTS_URL": "redis://:6379",
    }
    done = subprocess.run(
        [sys.executable, "-c", MAIN, *arguments],
        cwd=tmp_path,
        env={**without_clients, **urls},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert (
        done.stderr == "recollect: Neo4j, Weaviate and Redis need their clients: pip install 'recollect[services]'.\n"
    )
