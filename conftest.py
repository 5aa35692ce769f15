"""What a run collects, and a fresh graph for each test that asks for one.

Nothing is skipped for want of a server: a run without servers does not collect what needs them (see CONTRIBUTING.md,
"Tests").
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from server.graphql.fallbacks import FALLBACKS
from stores.contract import turns
from tests.support import certificates
from tests.support.families import FAMILIES, Opening
from tests.support.graphql_client import Clock, Graph, in_memory
from tests.support.servers import SETTINGS, running

HOME = Path(__file__).parent / "tests"
FOLDERS = {"faults": "faults", "clients": "node", "console": "browser"}
"""Folders whose tests all have a marker."""

EXAMPLES = {"dev": 8, "ci": 60, "search": 500}
"""What a change is judged by is the same each time; `search` tries others each time, to find what nobody thought of."""
collect_ignore = [] if find_spec("playwright") else ["tests/console"]
"""What a browser is driven by comes with `make test-all` alone."""

for profile, examples in EXAMPLES.items():
    settings.register_profile(
        profile,
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=profile != "search",
        suppress_health_check=list(HealthCheck),
    )
settings.load_profile("dev")

certificates.load_once()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--servers", action="store_true", help="start Neo4j, Weaviate and Redis, and test on them too")
    parser.addoption("--beside", type=float, default=10.0, help="how many seconds two processes write side by side")


def pytest_configure(config: pytest.Config) -> None:
    os.environ[turns.SETTING] = turns.turn()  # the same in all processes of a run, whatever day it becomes


def has_servers(config: pytest.Config) -> bool:
    """Whether this run has them: started by itself, or named by the environment."""
    return bool(config.getoption("--servers")) or all(os.environ.get(name) for name in SETTINGS)


def pytest_report_header(config: pytest.Config) -> str:
    sweep = f"turn {turns.turn()} of the sweeps on servers ({turns.SETTING}=all for the whole)"
    return (
        f"engines: {', '.join(FAMILIES)}; {sweep}"
        if has_servers(config)
        else "engines: embedded (--servers adds services)"
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """The contract runs on each family; what goes through GraphQL on the embedded one, where it is not marked."""
    if "family" not in metafunc.fixturenames:
        return
    marks = {mark.name for mark in metafunc.definition.iter_markers()}
    marked = "both_families" in marks and "one_family" not in marks
    both = has_servers(metafunc.config) and (marked or "opening" in metafunc.fixturenames)
    contract = "opening" in metafunc.fixturenames
    names = ["embedded", *(["dictionary"] if contract else []), *(["services"] if both else [])]
    families = [pytest.param(name, marks=pytest.mark.services) if name == "services" else name for name in names]
    metafunc.parametrize("family", families, indirect=True, scope="session")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HOME) and (marker := FOLDERS.get(item.path.relative_to(HOME).parts[0])):
            item.add_marker(marker)
        if "real_servers" in getattr(item, "fixturenames", ()):
            item.add_marker("services")
    sweeps: dict[str, list[pytest.Item]] = {}
    for item in items:
        if item.get_closest_marker("in_turn") and item.get_closest_marker("services"):
            sweeps.setdefault(item.nodeid.partition("[")[0], []).append(item)
    waiting = {item for cases in sweeps.values() for item in {*cases} - {*turns.in_turn(cases)}}
    items[:] = [item for item in items if item not in waiting]
    if not has_servers(config):
        items[:] = [
            item for item in items if not ({"services", "faults"} & {mark.name for mark in item.iter_markers()})
        ]


@pytest.fixture(scope="session")
def real_servers() -> Iterator[None]:
    """The servers of this process, where the environment does not name them."""
    if all(os.environ.get(name) for name in SETTINGS):
        yield
        return
    with running() as servers, pytest.MonkeyPatch.context() as patched:
        for name, value in servers.environment.items():
            patched.setenv(name, value)
        yield


@pytest.fixture(scope="session")
def family(request: pytest.FixtureRequest) -> str:
    """The engine family a test runs on."""
    if request.param == "services":
        request.getfixturevalue("real_servers")
    return str(request.param)


@pytest.fixture
def opening(family: str) -> Opening:
    """What opens an engine of the family."""
    return FAMILIES[family]


@pytest.fixture(autouse=True)
def no_bug_is_hidden() -> Iterator[None]:
    """graphql-core answers where compiled execution fails, ten times slower; in no test it is for a bug of ours."""
    before = FALLBACKS.counts["unexpected"]
    yield
    assert FALLBACKS.counts["unexpected"] == before


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder on no disk where there is such a thing: a test does not wait for it."""
    with in_memory() as folder:
        yield folder


@pytest.fixture
def clock() -> Clock:
    """The graph's time."""
    return Clock()


@pytest.fixture
async def graph(folder: Path, clock: Clock, family: str) -> AsyncIterator[Graph]:
    """An empty graph."""
    graph = Graph(folder, clock, family=family)
    await graph.begin()
    yield graph
    await graph.close()
