"""Measures Recollect on this machine, row by row, each beside what it should be compared with."""

from __future__ import annotations

import asyncio
import contextlib
import os
import platform
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from datetime import date
from fnmatch import fnmatchcase
from pathlib import Path

import click
import msgspec
import uvloop
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from bench.chart import chart
from bench.document import write as write_document
from bench.lab import Lab
from bench.older import built
from bench.process import BenchError, Others
from bench.row import SLOWER, Machine, Outcome, Report, Row
from bench.rows import ROWS
from bench.rows.peers import ROWS as PEER_ROWS
from bench.rows.servers import ROWS as SERVERS_ROWS
from bench.rows.services import ROWS as OF_SERVICES
from bench.show import changes, print_tables

SERVICES_ROWS = [*OF_SERVICES, *SERVERS_ROWS]
_DISTURBED = 0.03

_URLS = ("RECOLLECT_GRAPH_URL", "RECOLLECT_VECTORS_URL", "RECOLLECT_EVENTS_URL")

_file = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.option("--item-count", type=click.IntRange(20), default=10_000, show_default=True,
              help="How many memories; the rest of the data scales with it.")  # fmt: skip
@click.option("--only", multiple=True, metavar="NAME", help="Only this row, or these: 'search-*'. May be repeated.")
@click.option("--seed", type=int, default=1, show_default=True, help="What the data is made from.")
@click.option(
    "--million",
    is_flag=True,
    help="Also 1,000,000 vectors in one scope, and on servers as many messages: minutes and 2 GB more.",
)
@click.option(
    "--services",
    is_flag=True,
    help="Also on Neo4j, Weaviate and Redis at the RECOLLECT_..._URL of the environment, which are empty.",
)
@click.option(
    "--peers",
    is_flag=True,
    help="Only beside what people would pick instead; the first time each is installed, 2 GB and some minutes.",
)
@click.option("--against", metavar="GIT_REV", default="",
              help="Only processor times, or searches if named, in turns with an older build.")  # fmt: skip
@click.option("--graph-url", default="", help="Also on this Neo4j, which is empty, and on the two others.")
@click.option("--vectors-url", default="", help="That Weaviate.")
@click.option("--events-url", default="", help="That Redis.")
@click.option("--json", "json_file", type=_file, help="Write the result to a file.")
@click.option("--svg", "svg_file", type=_file, help="Write the chart to a file.")
@click.option("--doc", "document", type=_file, help="Put the table and the chart into this document.")
@click.option("--compare", type=click.Path(path_type=Path, dir_okay=False, exists=True),
              help="An earlier result: marks what has become more than 10 % slower.")  # fmt: skip
@click.option("--list", "list_", is_flag=True, help="Show the names of the rows and measure nothing.")
def main(  # noqa: PLR0913 - one for each option
    item_count: int,
    only: Sequence[str],
    seed: int,
    million: bool,
    services: bool,
    peers: bool,
    against: str,
    graph_url: str,
    vectors_url: str,
    events_url: str,
    json_file: Path | None,
    svg_file: Path | None,
    document: Path | None,
    compare: Path | None,
    list_: bool,
) -> None:
    """Measure the speed on this machine.

    Everything is measured on a temporary folder and over the loopback interface, each row beside its baseline in the
    same run. It takes some minutes, and means little while the machine does something else.
    """
    if list_:
        click.echo("\n".join(f"{row.name:24} {row.title}" for row in [*ROWS, *SERVICES_ROWS, *PEER_ROWS]))
        return
    if not sys.platform.startswith("linux"):
        raise click.ClickException("The bench reads processor times from Linux; it does not run elsewhere.")
    servers = _servers(services, (graph_url, vectors_url, events_url))
    rows = _chosen(only, million, services=bool(servers), peers=peers, against=against)
    before = None if compare is None else _read(compare)
    try:
        report, failed = uvloop.run(_run(rows, item_count, seed, servers, against))
        if json_file is not None:
            json_file.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2))
        if svg_file is not None:
            svg_file.write_text(chart(report), encoding="utf-8")
        if document is not None:
            write_document(report, document)
    except BenchError as error:
        raise click.ClickException(str(error)) from None
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.exit(130)
    print_tables(report, before, _console())
    for failure in failed:
        click.echo(f"Not measured: {failure}", err=True)
    if report.others > _DISTURBED and not servers:  # these are others too
        click.echo(f"Other programs took {report.others:.0%} of the processors meanwhile: run it again.", err=True)
    if before is not None and any(change < -SLOWER for *_, change in changes(report, before)):
        click.echo("Something became slower by more than 10 %.", err=True)
    if failed:
        sys.exit(1)


def _servers(services: bool, urls: Sequence[str]) -> dict[str, str]:
    """The settings that lead to the servers, none where they are not to be measured."""
    if not services and not any(urls):
        return {}
    found = {name: url or os.environ.get(name, "") for name, url in zip(_URLS, urls, strict=True)}
    if missing := [name for name, url in found.items() if not url]:
        raise click.UsageError(f"The three servers work together, but there is no {' and no '.join(missing)}.")
    return found


def _chosen(only: Sequence[str], million: bool, services: bool, peers: bool, against: str) -> list[Row]:
    """The rows to measure. Raises click.UsageError for a name that none has."""
    rows = PEER_ROWS if peers else [*ROWS, *(SERVICES_ROWS if services else ())]
    if against:
        rows = [row for row in rows if row.older]
    for name in only:
        if not any(fnmatchcase(row.name, name) for row in rows):
            raise click.UsageError(f"There is no row {name!r}; --list shows their names.")
    if only:
        return [row for row in rows if any(fnmatchcase(row.name, name) for name in only)]
    return [row for row in rows if million or not row.opt_in]


def _read(file: Path) -> Report:
    try:
        return msgspec.json.decode(file.read_bytes(), type=Report)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise click.UsageError(f"{file} is no result of the bench.") from None


async def _run(
    rows: list[Row], item_count: int, seed: int, servers: Mapping[str, str], against: str
) -> tuple[Report, list[str]]:
    """Measures the rows one after the other, in turns with an older build where one is named, and tells what went wrong
    with others; raises BenchError if all did.

    What was started is stopped, however this ends.
    """
    running = asyncio.current_task()
    assert running is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.cancel)
    _allow_sockets()
    begun, others = time.perf_counter(), Others()
    outcomes: list[Outcome] = []
    services: list[Outcome] = []
    peers: list[Outcome] = []
    failed: list[str] = []
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="recollect-bench-")))
        progress = stack.enter_context(_progress())
        lab = Lab(folder, item_count, seed)
        elsewhere = Lab(_made(folder / "services"), item_count, seed, servers)
        stack.push_async_callback(lab.close)
        stack.push_async_callback(elsewhere.close)
        older = None
        if against:
            progress.console.print(f"Building {against}.")
            program = await stack.enter_async_context(built(against, _made(folder / "older")))
            older = Lab(_made(folder / "of older"), item_count, seed, program=program)
            stack.push_async_callback(older.close)
        task = progress.add_task("", total=len(rows))
        for row in rows:
            progress.update(task, description=row.title, refresh=True)
            try:
                if row in SERVICES_ROWS:
                    services.append(await row.run(elsewhere, embedded=None if row.opt_in else lab))
                elif row in PEER_ROWS:
                    peers.append(await row.run(lab))
                else:
                    outcomes.append(await row.run(lab, older=older))
            except BenchError as error:  # the others took minutes
                failed.append(f"{row.name}: {error}")
            progress.advance(task)
    if failed and not outcomes and not services and not peers:
        raise BenchError(failed[0])
    report = Report(
        date=date.today().isoformat(),
        machine=_machine(),
        item_count=item_count,
        seed=seed,
        seconds=time.perf_counter() - begun,
        others=others.share(),
        rows=outcomes,
        services=services,
        peers=peers,
        against=against,
    )
    return report, failed


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _allow_sockets() -> None:
    """A socket is a file: as many as the system lets us have, here and in the servers."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _progress() -> Progress:
    """A bar on the terminal, drawn between the rows only: while they run, it would be in their way."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console, transient=True, auto_refresh=False, disable=not console.is_terminal)


def _console() -> Console:
    console = Console()
    return console if console.is_terminal else Console(width=200)


def _machine() -> Machine:
    cpus = [line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
            if line.startswith("model name")]  # fmt: skip
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    name = cpus[0] if cpus else platform.machine()
    return Machine(name, os.cpu_count() or 1, memory, f"Linux {platform.release()}", platform.python_version())


if __name__ == "__main__":
    main()
