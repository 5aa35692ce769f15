"""The bench itself: a small run gives a table, a result, a chart and a document, and leaves nothing running."""

from __future__ import annotations

import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from bench.__main__ import main
from bench.document import AGAINST_BEGIN, AGAINST_END, BEGIN, END, PEERS_BEGIN, PEERS_END, SERVICES_BEGIN, SERVICES_END
from bench.document import write as write_document
from bench.process import HOME
from bench.row import Machine, Outcome, Report, Row, at_least, at_most, times, within_times
from bench.rows import ROWS
from bench.rows.peers import ROWS as PEER_ROWS
from bench.rows.services import ROWS as SERVICES_ROWS
from bench.show import markdown, number
from tests.support.servers import SETTINGS
from tests.support.services import empty


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bench")


@pytest.fixture(scope="module")
def ran(folder: Path) -> Result:
    (folder / "doc.md").write_text(f"Before.\n\n{BEGIN}\nold\n{END}\n\nAfter.\n", encoding="utf-8")
    before = report(outcome("typename", 1e9, "requests/CPU-s"))
    (folder / "before.json").write_bytes(msgspec.json.encode(before))
    files = {"--json": "now.json", "--svg": "now.svg", "--doc": "doc.md", "--compare": "before.json"}
    options = [text for name, file in files.items() for text in (name, str(folder / file))]
    return CliRunner().invoke(
        main, ["--item-count", "40", "--only", "typename", "--only", "search-p95", "--only", "late-p99", *options]
    )


def outcome(name: str, value: float, unit: str = "ms", lower: bool = False) -> Outcome:
    return Outcome(name=name, title=name, unit=unit, value=value, lower=lower)


def report(*rows: Outcome) -> Report:
    machine = Machine("a processor", 2, 8.0, "Linux", "3.11")
    return Report(date="2026-11-21", machine=machine, item_count=1, seed=1, seconds=1, others=0, rows=list(rows))


def test_the_table_names_the_rows_and_what_became_slower(ran: Result) -> None:
    assert ran.exit_code == 0, ran.output
    assert "{ __typename }" in ran.output
    assert "Strawberry's ASGI view" in ran.output
    assert "searchMemories HYBRID over HTTP, p95" in ran.output
    assert "-100% slower" in ran.output


def test_the_result_is_complete(ran: Result, folder: Path) -> None:
    found = msgspec.json.decode((folder / "now.json").read_bytes(), type=Report)
    assert [row.name for row in found.rows] == ["typename", "search-p95", "late-p99"]
    first, second, _ = found.rows
    assert first.ratio is not None and first.ratio > 1
    assert first.wanted == times(8)
    assert second.value > 0 and second.baseline is None
    assert found.item_count == 40 and found.machine.cores >= 1


def test_the_chart_has_a_bar_for_each_row(ran: Result, folder: Path) -> None:
    drawing = ElementTree.fromstring((folder / "now.svg").read_text(encoding="utf-8"))
    bars = [part for part in drawing.iter() if part.get("class") in ("met", "missed")]
    assert len(bars) == 3


def test_the_document_keeps_what_is_around_the_table(ran: Result, folder: Path) -> None:
    text = (folder / "doc.md").read_text(encoding="utf-8")
    assert text.startswith("Before.\n\n") and text.endswith("\n\nAfter.\n")
    assert "old" not in text and "| { __typename } |" in text
    assert (folder / "doc.svg").exists()


def test_a_name_that_no_row_has_is_refused() -> None:
    refused = CliRunner().invoke(main, ["--only", "nothing"])
    assert refused.exit_code == 2 and "'nothing'" in refused.output


def test_rows_of_the_servers_are_not_measured_without_them() -> None:
    refused = CliRunner().invoke(main, ["--only", "services-get"])
    assert refused.exit_code == 2 and "'services-get'" in refused.output
    refused = CliRunner().invoke(main, ["--graph-url", "neo4j://localhost"], env=dict.fromkeys(SETTINGS))
    assert refused.exit_code == 2 and "no RECOLLECT_VECTORS_URL and no RECOLLECT_EVENTS_URL" in refused.output


def test_rows_of_the_servers_stand_beside_the_embedded_ones(tmp_path: Path) -> None:
    found = report(outcome("plain", 3.0))
    row = outcome("services-get", 2.0, lower=True)
    row = msgspec.structs.replace(row, embedded=0.5, baseline=1.0, against="the driver", wanted=within_times(1.7))
    document = tmp_path / "doc.md"
    document.write_text(f"{BEGIN}\nkept\n{END}\n{SERVICES_BEGIN}\nold\n{SERVICES_END}\n", encoding="utf-8")
    write_document(msgspec.structs.replace(found, rows=[], services=[row]), document)
    text = document.read_text(encoding="utf-8")
    assert "kept" in text and "old" not in text
    assert "| services-get | 2.00 | 0.50 | ms | 1.00 | the driver | 2.00x | ≤ 1.7x | 1.18x short |" in text


async def test_a_row_of_the_servers_is_measured_on_both_engines() -> None:
    labs: list[object] = []

    async def measure(lab: object) -> float:
        labs.append(lab)
        return float(len(labs))

    row = Row(name="r", title="r", unit="s", measure=measure, rounds=2)
    found = await row.run("services", embedded="embedded")  # type: ignore[arg-type]
    assert labs == ["services", "embedded"] * 2
    assert (found.value, found.embedded) == (2.0, 3.0)


@pytest.mark.usefixtures("real_servers")
def test_a_run_on_the_servers() -> None:
    empty()
    ran = CliRunner().invoke(main, ["--services", "--item-count", "40", "--only", "services-nested-50"])
    assert ran.exit_code == 0, ran.output
    assert "Nested page of 50" in ran.output and "one raw call of the driver" in ran.output
    refused = CliRunner().invoke(main, ["--services", "--item-count", "40", "--only", "services-get"])
    assert refused.exit_code == 1 and "wants empty ones" in refused.output
    empty()


def test_names_are_given_once() -> None:
    names = [row.name for row in [*ROWS, *SERVICES_ROWS]]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("wanted", "value", "baseline", "reached"),
    [
        (at_least(100), 150.0, None, 1.5),
        (at_most(10), 20.0, None, 0.5),
        (times(20), 300.0, 10.0, 1.5),
        (within_times(3), 6.0, 1.0, 0.5),
    ],
)
def test_what_is_wanted_is_compared_with_the_value_or_its_ratio(
    wanted: object, value: float, baseline: float | None, reached: float
) -> None:
    found = msgspec.structs.replace(outcome("row", value), wanted=wanted, baseline=baseline)
    assert found.reached == reached


def test_a_change_is_of_the_speed_whichever_way_is_better() -> None:
    assert outcome("row", 150).change(outcome("row", 100)) == 0.5
    assert outcome("row", 200, lower=True).change(outcome("row", 100, lower=True)) == -0.5
    assert outcome("row", 1).change(outcome("row", 1, "s")) is None


async def test_a_row_takes_the_median_of_rounds_in_turns() -> None:
    asked: list[str] = []
    values = iter([3.0, 1.0, 2.0])

    async def measure(_: object) -> float:
        asked.append("row")
        return next(values)

    async def baseline(_: object) -> float:
        asked.append("baseline")
        return 4.0

    found = await Row(name="r", title="r", unit="s", measure=measure, baseline=baseline).run(None)  # type: ignore[arg-type]
    assert asked == ["row", "baseline"] * 3
    assert (found.value, found.baseline, found.ratio) == (2.0, 4.0, 0.5)


def test_numbers_have_three_figures() -> None:
    assert [number(n) for n in (None, 0.123, 12.34, 1234.5)] == ["", "0.12", "12.3", "1,234"]


@pytest.mark.slow
def test_the_work_that_peers_are_given_is_done_here_too(tmp_path: Path) -> None:
    """Each row that stands beside a peer has its figure, where the count is small."""
    script = HOME / "bench" / "peers" / "scripts" / "ours.py"
    done = subprocess.run([sys.executable, script, "60", tmp_path, sys.executable], capture_output=True, text=True)
    assert not done.returncode, done.stderr
    told = [msgspec.json.decode(line) for line in done.stdout.splitlines()]
    assert {row.name.split("-", 2)[2] for row in PEER_ROWS} == {one["row"] for one in told}
    assert all(one["processor"] > 0 for one in told)


def test_an_older_build_has_its_place_in_the_document(tmp_path: Path) -> None:
    page = tmp_path / "doc.md"
    page.write_text(f"{BEGIN}\nkept\n{END}\n{AGAINST_BEGIN}\nold\n{AGAINST_END}\n", encoding="utf-8")
    row = msgspec.structs.replace(outcome("cpu-x", 2.0, lower=True), older=3.0, gains=[1.5])
    write_document(msgspec.structs.replace(report(row), against="v1"), page)
    text = page.read_text(encoding="utf-8")
    assert "kept" in text and "old\n" not in text
    assert "Beside v1, in turns:" in text and "| cpu-x | 2.00 | 3.00 | ms | 1.50x | 1.50x to 1.50x |" in text


def test_the_peers_have_their_place_in_the_document(tmp_path: Path) -> None:
    page = tmp_path / "doc.md"
    page.write_text(f"{PEERS_BEGIN}\n{PEERS_END}\n", encoding="utf-8")
    row = Outcome(name="peer-x", title="Spans", unit="/CPU-s", value=100, lower=False, against="X 1.0", baseline=2.0)
    worse = msgspec.structs.replace(row, title="Pages", value=1.0)
    write_document(msgspec.structs.replace(report(), peers=[worse, row]), page)
    text = page.read_text(encoding="utf-8")
    assert "| Spans | 100 | /CPU-s | 2.00 | X 1.0 | 50.0x |" in text and "](peers.svg)" in text
    drawing = ElementTree.fromstring((tmp_path / "peers.svg").read_text(encoding="utf-8"))
    assert [part.get("class") for part in drawing.iter() if part.tag.endswith("rect")] == ["back", "met"]


async def test_an_older_build_is_measured_in_turns() -> None:
    asked: list[object] = []

    async def measure(lab: object) -> float:
        asked.append(lab)
        return {"new": 2.0, "old": 3.0}[str(lab)]

    row = Row(name="r", title="r", unit="s", measure=measure, rounds=3, lower=True, older=True)
    found = await row.run("new", older="old")  # type: ignore[arg-type]
    assert asked == ["new", "old", "old", "new", "new", "old"]
    assert (found.value, found.older, found.gains) == (2.0, 3.0, [1.5] * 3)
    shown = markdown(msgspec.structs.replace(report(found), against="v1"))
    assert "Beside v1, in turns:" in shown and "| r | 2.00 | 3.00 | s | 1.50x | 1.50x to 1.50x |" in shown


def test_only_rows_that_take_turns_are_measured_against_an_older_build() -> None:
    refused = CliRunner().invoke(main, ["--against", "HEAD", "--only", "search-p95"])
    assert refused.exit_code == 2 and "'search-p95'" in refused.output


@pytest.mark.parametrize("revision", ["no-such-revision", "--help"])
def test_a_revision_that_is_not_there_is_one_sentence(revision: str) -> None:
    failed = CliRunner().invoke(main, ["--against", revision, "--item-count", "20", "--only", "cpu-typename"])
    assert failed.exit_code == 1 and failed.output.strip().splitlines()[-1].startswith("Error: "), failed.output


@pytest.mark.slow
def test_the_least_server_is_measured_beside_ours(tmp_path: Path) -> None:
    file = tmp_path / "now.json"
    names = ["cpu-typename", "cpu-add-1", "cpu-spans-json", "cpu-spans-protobuf", "cpu-memory"]
    options = [text for name in names for text in ("--only", name)]
    ran = CliRunner().invoke(main, ["--item-count", "40", *options, "--json", str(file)])
    assert ran.exit_code == 0, ran.output
    rows = {row.name: row for row in msgspec.json.decode(file.read_bytes(), type=Report).rows}
    assert all(0 < rows[name].value < 1e6 for name in names)
    assert 0 < (rows["cpu-typename"].baseline or 0) < rows["cpu-typename"].value
