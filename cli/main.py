"""The command line. What a command needs is imported when it runs, so that --help is quick."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Awaitable, Sequence
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click
from msgspec.structs import replace

from cli.packages import foreign_package

if TYPE_CHECKING:
    from server.settings import Settings

T = TypeVar("T")

DATA = "./recollect-data"


class Folder(click.Path):
    """A folder. One without a name is none: it is what a variable of a shell gives that is not set."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "":
            self.fail("The name of the folder is empty.", param, ctx)
        return super().convert(value, param, ctx)


class Share(click.FloatRange):
    """A number that nothing is neither above nor below (nan) is in no range."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        found = super().convert(value, param, ctx)
        return self.fail(f"{value!r} is no number.", param, ctx) if found != found else found


data_option = click.option(
    "--data",
    type=Folder(path_type=Path, file_okay=False),
    default=DATA,
    show_default=True,
    envvar="RECOLLECT_DATA",
    show_envvar=True,
    help="The data folder; created if missing.",
)
workspace_option = click.option("--workspace", help='The workspace in the folder (default: "default").')
url_option = click.option("--url", help="Use a running server instead of a folder, such as http://127.0.0.1:8000.")


class FormatChoice(click.Choice[str]):
    """The name of a format; they are looked for when they are needed."""

    def __init__(self) -> None:
        self.case_sensitive = True

    @property
    def choices(self) -> Sequence[str]:  # type: ignore[override]
        from formats.registry import names

        return names()


class ImportCommand(click.Command):
    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Each format with what it says of itself, or why it cannot be loaded."""
        from formats.registry import summaries

        with formatter.section("Formats"):
            formatter.write_dl(list(summaries().items()))


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="recollect", prog_name="recollect")
def cli() -> None:
    """Recollect keeps what AI agents say, remember and do as one graph and serves it over GraphQL.

    \b
    Try it:       recollect serve --demo        then open http://127.0.0.1:8000
    Bring data:   recollect import conversations.json
    Look around:  recollect search "black tea"  and  recollect stats
    Take it away: recollect export backup.jsonl

    All data is in one folder (--data), used by one server at a time.
    """


@cli.command()
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    envvar="RECOLLECT_HOST",
    show_envvar=True,
    help="The address to listen on.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8000,
    show_default=True,
    envvar="RECOLLECT_PORT",
    show_envvar=True,
    help="The port to listen on; 0 picks a free one.",
)
@data_option
@click.option("--demo", is_flag=True, help="Fill an empty folder with demo data and keep a simulated agent running.")
def serve(host: str, port: int, data: Path, demo: bool) -> None:
    """Start the server.

    \b /graphql GraphQL over HTTP, WebSocket and SSE; a page to try it in a browser /v1/traces spans from programs
    instrumented with OpenTelemetry /healthz the process answers /readyz the store answers /metrics figures for
    Prometheus
    """
    from server.serving import serve as run

    run(host, port, data, _settings(), demo)


@cli.command("import", cls=ImportCommand, short_help="Import conversations from other tools, or an export.")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, dir_okay=False))
@data_option
@url_option
@click.option(
    "--format",
    "format_",
    type=FormatChoice(),
    help="The format of the files; detected from their content if not given.",
)
@click.option(
    "--memories", is_flag=True, help="Also create an episodic memory for each message, linked to the next one."
)
@click.option("--owner", default="me", show_default=True, help="The user (externalId) who owns these memories.")
@workspace_option
def import_(
    files: Sequence[Path],
    data: Path,
    url: str | None,
    format_: str | None,
    memories: bool,
    owner: str,
    workspace: str | None,
) -> None:
    """Import conversations and traces from other tools, or an export.

    Importing the same file again adds nothing; a broken file changes nothing.
    """
    from cli.importer import import_files

    run(import_files(files, data, url, format_, memories, owner, _settings(), workspace))


@cli.command(short_help="Write everything to a JSON Lines file.")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True))
@data_option
@workspace_option
def export(file: Path, data: Path, workspace: str | None) -> None:
    """Write everything to FILE as JSON Lines; `recollect import` reads it back, including ids. Use - for standard
    output."""
    from cli.exporter import export_file

    run(export_file(file, data, _settings(), workspace))


@cli.command("copy", short_help="Copy everything between a folder and the database servers.")
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
def copy_(source: str, target: str) -> None:
    """Copy everything in FROM to TO, then compare the two. Each is a data folder or the word services.

    \b
    services          Neo4j, Weaviate and Redis at RECOLLECT_GRAPH_URL, RECOLLECT_VECTORS_URL
                      and RECOLLECT_EVENTS_URL

    Existing records in TO stay unchanged, so run an interrupted copy again to continue it. At the end it prints a table
    with the count and checksum of each kind of record and the result of some searches in both. If anything differs, the
    exit status is 1. Nothing else should write to either store meanwhile.
    """
    from cli.copy import copy

    run(copy(source, target, _settings()))


@cli.command("eval", short_help="Ask saved questions and count how often the expected memories are found.")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@data_option
@url_option
@click.option("--mode", type=click.Choice(["HYBRID", "SEMANTIC", "TEXT"], case_sensitive=False), default="HYBRID",
              show_default=True, help="Search by words and meaning, by meaning, or by words.")  # fmt: skip
@click.option("--first", type=click.IntRange(1, 200), default=10, show_default=True, help="How many hits count.")
@click.option("--bar", type=Share(0, 1), help="Fail where the recall is below it.")
@click.option("--against", type=click.Path(path_type=Path, dir_okay=False, exists=True),
              help="What --json printed earlier: fail where it was better.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
@workspace_option
def evaluate(  # noqa: PLR0913 - one for each option
    file: Path,
    data: Path,
    url: str | None,
    mode: str,
    first: int,
    bar: float | None,
    against: Path | None,
    as_json: bool,
    workspace: str | None,
) -> None:
    """Ask the questions of FILE and count how often the expected memories are found.

    A line of FILE is JSON: {"text": "...", "expected": ["externalId or id", ...], "owner": "externalId"};
    the owner may be left out.
    """
    from cli import evaluation
    from cli.client import Target

    asked = evaluation.questions(file)
    before = None if against is None else evaluation.earlier(against, mode.upper(), first)
    result = run(evaluation.evaluate(Target(data, url, _settings(), workspace), asked, mode.upper(), first))
    evaluation.show_result(result, before, bar, as_json)


@cli.command(short_help="Search memories and show the parts of each score.")
@click.argument("query")
@data_option
@url_option
@click.option("--owner", help="Only memories of this user or agent (externalId).")
@click.option("--mode", type=click.Choice(["HYBRID", "SEMANTIC", "TEXT"], case_sensitive=False), default="HYBRID",
              show_default=True, help="Search by words and meaning, by meaning, or by words.")  # fmt: skip
@click.option("--first", type=click.IntRange(1, 200), default=10, show_default=True, help="Number of results.")
@click.option("--explain", is_flag=True, help="Show everything that each score is made of.")
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
@workspace_option
def search(  # noqa: PLR0913 - one for each option
    query: str,
    data: Path,
    url: str | None,
    owner: str | None,
    mode: str,
    first: int,
    explain: bool,
    as_json: bool,
    workspace: str | None,
) -> None:
    """Search memories and show the parts of each score; what they are is told in docs/recall.md."""
    from cli.client import Target
    from cli.search import find, show_search

    found = run(find(Target(data, url, _settings(), workspace), query, owner, mode.upper(), first))
    show_search(found, as_json, explain)


@cli.command()
@data_option
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
def stats(data: Path, as_json: bool) -> None:
    """Show how many records the folder holds."""
    from cli.stats import count, show_stats

    show_stats(run(count(data, _settings())), as_json)


@cli.command(short_help="Delete what is older or more than is to be kept, or tell what that would be.")
@click.option("--dry-run", is_flag=True, help="Delete nothing, and tell what would be, and why.")
@click.option("--keep", help='What is kept, such as "sessions=90d traces=30d,100000 blobs=20GB"; RECOLLECT_RETENTION '
              "if not given.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
@workspace_option
@data_option
@url_option
def retention(
    dry_run: bool, keep: str | None, as_json: bool, workspace: str | None, data: Path, url: str | None
) -> None:
    """Delete what is older, or more, than is to be kept, the oldest first.

    \b
    KIND=DAYSd,COUNT,SIZE  of sessions, messages, memories, contexts, traces, blobs and audit, with blanks between;
                           one of the three is enough, and SIZE ends in kB, MB, GB or TB
    """
    from cli import retention as kept
    from cli.client import Target

    removed = run(kept.apply(Target(data, url, _settings(), workspace), keep, dry_run))
    kept.show_removed(removed, dry_run, as_json)


@cli.command(short_help="Make all vectors anew with another embedder.")
@click.argument("embedder", envvar="RECOLLECT_EMBEDDER")
@data_option
@url_option
def reembed(embedder: str, data: Path, url: str | None) -> None:
    """Make the vectors of all memories anew with EMBEDDER (default: RECOLLECT_EMBEDDER).

    The new vectors come into use at once when all are made. An interrupted run goes on where it stopped. A folder in
    use needs --url, so that its server does it; the database servers may be in use meanwhile.
    """
    from cli import reembedding

    settings = replace(_settings(), embedder=embedder)
    work = reembedding.in_store(data, settings) if url is None else reembedding.by_server(url, settings)
    click.echo(run(work))


@cli.command(short_help="Find entities in texts that are there already.")
@click.option("--after", metavar="CURSOR", help="Go on where a run was broken off, as that run has told.")
@workspace_option
@data_option
@url_option
def entities(after: str | None, workspace: str | None, data: Path, url: str | None) -> None:
    """Have the rules of RECOLLECT_ENTITIES look through the messages and memories that were written without them.

    What is found already is not found twice. With --url the server does it, by its own rules, while it is in use.
    """
    from cli import entities as found
    from cli.client import Target

    click.echo(run(found.find(Target(data, url, _settings(), workspace), after)))


@cli.group(short_help="Create, list and revoke API keys.")
def keys() -> None:
    """Create, list and revoke API keys in a folder, or through a running server with an admin key in RECOLLECT_KEY."""


@keys.command("create")
@click.option("--name", default="key", show_default=True, help="What the key is for.")
@click.option("--role", type=click.Choice(["READ", "WRITE", "ADMIN"], case_sensitive=False), default="READ",
              show_default=True, help="What the key allows.")  # fmt: skip
@click.option(
    "--days", type=click.IntRange(1, 36_500), help="Days until it expires; by default it is valid until revoked."
)
@workspace_option
@data_option
@url_option
def create_key(name: str, role: str, days: int | None, workspace: str | None, data: Path, url: str | None) -> None:
    """Create an API key and print it once; only its hash is stored."""
    from cli import keys as api_keys
    from cli.client import Target

    target = Target(data, url, _settings(), workspace, must_exist=False)
    run(api_keys.create(target, name, role.upper(), days))


@keys.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
@workspace_option
@data_option
@url_option
def list_keys(as_json: bool, workspace: str | None, data: Path, url: str | None) -> None:
    """List the API keys of a workspace, without their secrets."""
    from cli import keys as api_keys
    from cli.client import Target

    run(api_keys.show_keys(Target(data, url, _settings(), workspace), as_json))


@keys.command("revoke")
@click.argument("id")
@workspace_option
@data_option
@url_option
def revoke_key(id: str, workspace: str | None, data: Path, url: str | None) -> None:
    """Revoke the API key ID; it stops working within seconds and its open connections end."""
    from cli import keys as api_keys
    from cli.client import Target

    run(api_keys.revoke(Target(data, url, _settings(), workspace), id))


@cli.command("settings")
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
def settings_(as_json: bool) -> None:
    """Show every setting, its value, and whether the environment, the preset or nobody has said it."""
    from cli import show
    from server.settings import listed

    _settings()  # tells of what is no setting
    found = listed(os.environ)
    if as_json:
        show.as_json([one._asdict() for one in found])
    else:
        show.table(("setting", "value", "from"), found, width=show.WIDE)


@cli.command()
def schema() -> None:
    """Print the GraphQL schema (SDL)."""
    from schema.build import sdl

    click.echo(sdl(), nl=False)


@cli.command(
    "bench",
    short_help="Measure the speed on this machine.",
    add_help_option=False,
    context_settings={"ignore_unknown_options": True},
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def bench_(arguments: Sequence[str]) -> None:
    """Measure the speed on this machine and show each result next to its reference."""
    try:
        measure = import_module("bench.__main__").main  # it stands above the command line, and in no wheel
    except ModuleNotFoundError as missing:
        if not (missing.name or "").startswith("bench"):
            raise
        fail("the benchmark is not installed with the program; run `recollect bench` in a checkout of its repository.")
    measure.main(args=list(arguments), prog_name="recollect bench", standalone_mode=False)


def _settings() -> Settings:
    from server.settings import Settings

    options = [one for command in cli.commands.values() for one in command.params]
    known = {f"RECOLLECT_{name.upper()}" for name in Settings.__struct_fields__} | {str(one.envvar) for one in options}
    for name in sorted(name for name in os.environ if name.startswith("RECOLLECT_") and name not in known):
        close = get_close_matches(name, known, 1, cutoff=0.85)
        click.echo(f"recollect: there is no setting {name}{f'; is it {close[0]}?' if close else ''}", err=True)
    return Settings.read(os.environ)


def run(work: Awaitable[T]) -> T:

    async def wait() -> T:
        return await work

    return asyncio.run(wait())


def fail(message: str) -> NoReturn:
    """Ends the program with one line on standard error."""
    click.echo(f"recollect: {message}", err=True)
    sys.exit(1)


def main(arguments: Sequence[str] | None = None) -> None:
    """The console script. Whatever a person can do wrong ends in one line and a status above 0."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    if wrong := foreign_package():
        fail(wrong)
    from domain.errors import Rejected
    from domain.unicode import well_formed
    from server.settings import BadSetting
    from stores.errors import CannotOpen, StoreError, Unavailable

    try:
        given = sys.argv[1:] if arguments is None else arguments
        # A file may be called by bytes that are no UTF-8; no text may.
        texts = [one if os.path.lexists(one) else well_formed(one) for one in given]
        sys.exit(cli.main(args=texts, prog_name="recollect", standalone_mode=False))
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(error.exit_code)
    except click.UsageError as error:
        where = error.ctx.command_path if error.ctx else "recollect"
        click.echo(f"recollect: {' '.join(error.format_message().split())} See {where} --help.", err=True)
        sys.exit(2)
    except click.ClickException as error:
        fail(error.format_message())
    except click.Abort:
        sys.exit(130)
    except Rejected as error:
        fail("; ".join(f"{'.'.join(one.path)}: {one.message}" for one in error.errors))
    except (CannotOpen, BadSetting) as error:
        fail(str(error))
    except Unavailable as error:
        fail(f"{str(error).rstrip('.')}. Try again; acknowledged writes are kept.")
    except StoreError as error:
        fail(f"the store failed: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
