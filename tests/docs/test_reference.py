"""What can be set, asked for and refused has its place in the reference."""

from __future__ import annotations

import re
from inspect import signature

import click
import pytest

from bench.__main__ import main as measure
from cli.main import cli
from domain import graph, page, values
from domain.errors import ErrorCode
from formats.registry import names
from resolvers import graph as exploring
from server import errors
from server.http.graphql import GraphQLHTTP
from server.presets import PRESETS
from server.settings import Settings
from server.websocket import protocol
from server.websocket.graphql import GraphQLWebSocket
from stores import budget, embedder
from stores.orders import ORDERS
from stores.ports import Collection
from tests.support.examples import HOME, blocks, pages

REFERENCE = (HOME / "docs" / "reference.md").read_text(encoding="utf-8")
LIVE = (HOME / "docs" / "live.md").read_text(encoding="utf-8")


def section(text: str, heading: str) -> str:
    """What stands under a heading, up to the next of its rank or above."""
    rank = heading.partition(" ")[0]
    found = re.search(rf"^{re.escape(heading)}$(.*?)(?=^#{{1,{len(rank)}}} |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"no heading {heading!r}"
    return found[1]


def rows(text: str) -> list[str]:
    """What stands in code marks at the start of the rows of its tables."""
    return re.findall(r"^\| `([^`]+)` ", text, re.MULTILINE)


def named(group: click.Group, before: str = "") -> dict[str, click.Command]:
    """The commands of a group and of those in it, by all their words."""
    found: dict[str, click.Command] = {}
    for name, one in group.commands.items():
        found |= named(one, f"{before}{name} ") if isinstance(one, click.Group) else {f"{before}{name}": one}
    return found


# `recollect bench` hands its arguments on.
COMMANDS: dict[str, click.Command] = {**named(cli), "bench": measure}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_is_told_and_no_other(name: str) -> None:
    options = {opt for one in COMMANDS[name].params if isinstance(one, click.Option) for opt in one.opts}
    told = section(REFERENCE, f"### recollect {name}")
    assert {row.split()[0] for row in rows(told)} == options


def test_no_other_command_is_told() -> None:
    assert set(re.findall(r"^### recollect ([\w ]+)$", REFERENCE, re.MULTILINE)) == set(COMMANDS)


def test_every_setting_is_told_and_no_other() -> None:
    own = {f"RECOLLECT_{name.upper()}" for name in Settings.__struct_fields__}
    options = [one for command in COMMANDS.values() for one in command.params if isinstance(one, click.Option)]
    assert set(rows(section(REFERENCE, "## Settings"))) == own | {str(one.envvar) for one in options if one.envvar}


def test_defaults_are_told() -> None:
    told = section(REFERENCE, "## Settings")
    for name in Settings.__struct_fields__:
        default = getattr(Settings(), name)
        shown = "none" if default == "" else f"`{default}`"
        assert re.search(rf"^\| `RECOLLECT_{name.upper()}` \|.*\| {re.escape(shown)} \|$", told, re.MULTILINE), name
    for command in cli.commands.values():
        for one in command.params:
            if isinstance(one, click.Option) and one.envvar:
                assert f"| `{one.default}` |" in told


def test_presets_are_told() -> None:
    names = [name for name in PRESETS if name != "none"]
    told = section(REFERENCE, "### Presets")
    shown = {
        (name, row[0].removeprefix("RECOLLECT_").lower(), value)
        for row in re.findall(r"^\| `(\w+)` \| (.*) \| (.*) \| (.*) \|$", told, re.MULTILINE)
        for name, value in zip(names, (cell.strip("`") for cell in row[1:]), strict=True)
        if value
    }
    assert shown == {(name, *one) for name in names for one in PRESETS[name].items()}


def test_every_error_code_is_told_and_no_other() -> None:
    constants = {
        value
        for name, value in vars(errors).items()
        if name.isupper() and not name.startswith("_") and isinstance(value, str)
    }
    assert rows(section(REFERENCE, "### In payloads")) == [code.value for code in ErrorCode]
    assert set(rows(section(REFERENCE, "### In `errors` of the response"))) == constants


def test_every_close_code_is_told() -> None:
    codes = {value for name, value in vars(protocol).items() if name.isupper() and isinstance(value, int)}
    told = {int(code) for code in re.findall(r"^\| (\d{4}) ", LIVE, re.MULTILINE)}
    assert codes - {protocol.MAX_REASON} <= told


def test_limits_are_told() -> None:
    told = section(REFERENCE, "## Limits")
    for limit in (
        *(page.DEFAULT_FIRST, page.MAX_FIRST, page.MAX_FIRST_LONG, values.MAX_TEXT, values.MAX_NAME),
        *(
            values.MAX_JSON,
            values.MAX_LONG_JSON,
            values.MAX_BATCH,
            graph.MAX_DEPTH,
            graph.MAX_NODES,
            exploring.MAX_PATHS,
        ),
        *(embedder.CHARACTERS, budget.MAX_CONDITIONS, budget.MAX_VALUES, budget.MAX_VALUES_IN_ALL),
    ):
        assert re.search(rf"(?<![\d,]){limit:,}(?![\d,])", told), f"{limit:,}"


def test_every_order_of_every_list_is_told_and_no_other() -> None:
    told = set(
        re.findall(r"\| `(\w+)` \| (\w+) (ASC|DESC) \| ([\w, ]*)\|$", section(REFERENCE, "## Filters and orders"), re.M)
    )
    known = set()
    for own in (own for of, own in ORDERS.items() if of is not Collection.TENANT_KEYS):  # which is no list of the API
        others = [field.value for field in type(own.field) if field is not own.field]
        known.add((type(own).__name__, own.field.value, own.direction.value, f"{', '.join(others)} ".lstrip()))
    assert told == known


def test_times_are_told() -> None:
    defaults = {name: one.default for name, one in signature(GraphQLWebSocket.__init__).parameters.items()}
    assert f"within {defaults['init_timeout']:.0f} seconds" in LIVE
    assert f"every {defaults['keep_alive']:.0f} seconds" in LIVE
    assert f"for {defaults['send_timeout']:.0f} seconds" in LIVE
    assert signature(GraphQLHTTP.__init__).parameters["keep_alive"].default == defaults["keep_alive"]


def test_every_format_has_its_section() -> None:
    text = (HOME / "docs" / "import.md").read_text(encoding="utf-8")
    for name in names():
        section(text, f"## {name}")


def commands() -> list[str]:
    """Every recollect command line of the documentation, in blocks and in running text."""
    found = []
    for one in pages():
        for block in blocks(one):
            if block.language == "sh":
                found += re.findall(r"^recollect .*$", block.text, re.MULTILINE)
        found += re.findall(r"`(recollect [^`\n]+)`", one.read_text(encoding="utf-8"))
    return sorted(set(found))


@pytest.mark.parametrize("line", commands())
def test_commands_that_are_shown_exist(line: str) -> None:
    _, name, *words = line.partition("#")[0].split()
    if name.startswith("--"):
        assert name in {option for one in cli.params for option in one.opts}
        return
    command: click.Command = measure if name == "bench" else cli.commands[name]
    if isinstance(command, click.Group) and words:
        command = command.commands[words[0]]
    given = {word for word in words if word.startswith("--")}
    known = {option for one in command.params for option in one.opts} | {"--help"}
    assert given <= known


def test_make_targets_that_are_shown_exist() -> None:
    makefile = (HOME / "Makefile").read_text(encoding="utf-8")
    for one in pages():
        text = one.read_text(encoding="utf-8")
        for target in re.findall(r"(?:^|`)make ([a-z]+)", text, re.MULTILINE):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"{one.name}: make {target}"
