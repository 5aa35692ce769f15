"""The command line, as a person meets it: what it prints, and one line for what they did wrong."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import click
import pytest

from cli.main import cli, main
from cli.stats import show_stats
from stores.embedded.engine import open_embedded
from stores.errors import StoreError, Unavailable
from stores.ports import Stats
from tests.support.running import ROOT, environment
from tests.support.servers import SETTINGS

CHAT = [
    {"role": "user", "content": "Do you have black tea?"},
    {"role": "assistant", "content": "Yes: Assam and Darjeeling."},
]


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit status, standard output and standard error of a command."""
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


@pytest.fixture(autouse=True)
def a_folder_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands work on folders, also where the tests have servers."""
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    chat = tmp_path / "chat.json"
    chat.write_text(json.dumps(CHAT))
    folder = str(tmp_path / "data")
    assert run(capsys, "import", str(chat), "--data", folder, "--memories")[0] == 0
    return folder


def test_help_teaches_the_product(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "--help")
    assert status == 0
    for word in ("serve --demo", "import", "export", "search", "stats", "schema", "--data"):
        assert word in out
    for command in ("serve", "import", "export", "search", "stats", "schema"):
        assert run(capsys, command, "--help")[0] == 0


def test_saved_questions_are_asked_and_counted(data: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    _, out, _ = run(capsys, "search", "black tea", "--data", data, "--json", "--first", "1")
    [hit] = json.loads(out)["hits"]
    file = tmp_path / "questions.jsonl"
    good, lost = (
        {"text": "black tea", "expected": [hit["memory"]["id"]]},
        {"text": "black tea", "expected": ["nowhere"]},
    )
    file.write_text(json.dumps(good) + "\n\n" + json.dumps(lost) + "\n")
    status, out, _ = run(capsys, "eval", str(file), "--data", data, "--bar", "0.5")
    assert (status, "recall@10 0.500, MRR 0.500" in out, "nowhere" in out) == (0, True, True)
    assert run(capsys, "eval", str(file), "--data", data, "--bar", "0.6")[0] == 1
    status, out, _ = run(capsys, "eval", str(file), "--data", data, "--json")
    told = json.loads(out)
    assert [one["question"] for one in told["outcomes"] if one["missing"]] == [lost | {"owner": None}]
    assert (told["questions"], told["recall"], told["mode"]) == (2, 0.5, "HYBRID")
    for text, told in (
        ("{", "line 1"),
        ('{"text": "x"}', "line 1"),
        ('{"text": "x", "expected": []}', "line 1"),
        ("", "no question"),
    ):
        file.write_text(text)
        status, _, error = run(capsys, "eval", str(file), "--data", data)
        assert status == 1
        assert told in error


def test_an_earlier_result_is_what_a_later_one_is_held_against(
    data: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    _, out, _ = run(capsys, "search", "black tea", "--data", data, "--json", "--first", "1")
    [hit] = json.loads(out)["hits"]
    file, before = tmp_path / "questions.jsonl", tmp_path / "before.json"
    asked = ["eval", str(file), "--data", data, "--against", str(before)]
    file.write_text(json.dumps({"text": "black tea", "expected": [hit["memory"]["id"], "nowhere"]}))
    before.write_text(run(capsys, "eval", str(file), "--data", data, "--json")[1])
    status, out, _ = run(capsys, *asked)
    assert (status, "of 1 questions asked both times: recall@10 0.500" in out, "lost" in out) == (0, True, False)

    told = json.loads(before.read_text())
    told["outcomes"][0] |= {"recall": 1.0, "missing": []}
    before.write_text(json.dumps(told))
    status, out, error = run(capsys, *asked)
    assert (status, "lost: black tea (nowhere)" in out) == (1, True)
    assert error == "recollect: recall@10 0.500, MRR 1.000, where it was recall@10 1.000, MRR 1.000.\n"
    status, out, error = run(capsys, *asked, "--json")
    assert (status, json.loads(out)["recall"]) == (1, 0.5), "what is printed stays JSON"

    told["outcomes"][0] |= {"recall": 0.25, "reciprocal": 0.2}
    before.write_text(json.dumps(told))
    assert run(capsys, *asked)[0] == 0, "better is no failure"
    assert "--first 10" in run(capsys, *asked, "--first", "3")[2]
    assert "--mode hybrid" in run(capsys, *asked, "--mode", "text")[2]
    file.write_text(json.dumps({"text": "green tea", "expected": ["nowhere"]}))
    assert "None of these questions" in run(capsys, *asked)[2]
    for broken in ("{", "[]", '{"mode": "HYBRID"}'):
        before.write_text(broken)
        status, _, error = run(capsys, *asked)
        assert (status, "is not what" in error) == (1, True)


def test_search_shows_hits_with_the_parts_of_their_scores(data: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "search", "black tea", "--data", data)
    assert status == 0
    assert "Do you have black tea?" in out
    assert "similarity" in out
    assert "neighbors" not in out
    status, out, _ = run(capsys, "search", "black tea", "--data", data, "--explain", "--first", "2")
    assert status == 0
    status, out, _ = run(capsys, "search", "black tea", "--data", data, "--json", "--first", "1")
    [hit] = json.loads(out)["hits"]
    parts = hit["parts"]
    assert hit["score"] == pytest.approx(parts["fusion"] * (0.9 + 0.1 * parts["importance"] * parts["decay"]))


def test_search_of_an_owner_who_is_not_there_finds_nothing(data: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "search", "tea", "--data", data, "--owner", "nobody")[:2] == (0, "Nothing found.\n")


def test_stats_counts_what_is_there(data: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "stats", "--data", data, "--json")
    counted = json.loads(out)
    assert status == 0
    assert (counted["records"]["message"], counted["records"]["memory"], counted["records"]["link"]) == (2, 2, 1)
    assert counted["bytes"] > 0
    assert "message" in run(capsys, "stats", "--data", data)[1]


def test_retention_tells_what_would_go_and_why(data: str, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ("retention", "--data", data)
    keep = ("--keep", "messages=1,1kB memories=36500d")
    status, out, _ = run(capsys, *asked, "--dry-run", *keep)
    assert (status, [line.split()[:2] for line in out.splitlines()[1:]]) == (0, [["messages", "1"], ["memories", "0"]])
    assert "would go" in out
    assert "too many: 1, too many bytes: 0" in out
    assert "older: 0" in out
    status, out, _ = run(capsys, *asked, "--json", *keep)
    assert (status, [one["count"] for one in json.loads(out)]) == (0, [1, 0])
    assert json.loads(run(capsys, *asked, "--json", *keep)[1])[0]["count"] == 0
    assert "RECOLLECT_RETENTION" in run(capsys, *asked)[1]
    status, _, err = run(capsys, *asked, "--keep", "messages=1x")
    assert (status, err.count("\n")) == (1, 1)
    assert "messages=1x is no policy" in err


def test_an_export_reads_back_to_the_same_export(data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = tmp_path / "first.jsonl", tmp_path / "second.jsonl"
    assert run(capsys, "export", str(first), "--data", data)[0] == 0
    other = str(tmp_path / "other")
    assert run(capsys, "import", str(first), "--data", other)[0] == 0
    assert run(capsys, "export", str(second), "--data", other)[0] == 0
    assert first.read_bytes() == second.read_bytes()


def test_schema_is_the_committed_contract(capsys: pytest.CaptureFixture[str]) -> None:
    committed = Path(__file__).resolve().parents[2] / "schema" / "schema.graphql"
    assert run(capsys, "schema")[1] == committed.read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["import", "missing.json", "--data", "{data}"], "missing.json"),
        (["import", "{broken}", "--data", "{data}"], "line 1"),
        (["search", "tea", "--url", "http://127.0.0.1:1"], "does not answer"),
        (["stats", "--data", "{broken}"], "broken.json"),
        (["stats", "--data", ""], "empty"),
        (["import", "{talk}", "--data", "{data}", "--memories", "--owner", " "], "not only blanks"),
        (["import", "{other}", "--data", "{data}"], "(supported: chatgpt, openai-messages, otlp, recollect-jsonl);"),
    ],
)
def test_what_goes_wrong_is_one_line(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "broken.json"
    broken.write_text('{"a": [1, 2')
    files = {"broken": broken, "talk": tmp_path / "talk.json", "other": tmp_path / "other.json"}
    files["talk"].write_text('[{"role": "user", "content": "hello"}]')
    files["other"].write_text('[{"a": 1}]')
    filled = [word.format(data=tmp_path / "data", **files) for word in arguments]
    status, out, err = run(capsys, *filled)
    assert status != 0
    assert said in err
    assert err.count("\n") == 1
    assert "Traceback" not in err
    assert out == ""


def test_a_bad_setting_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in (("MEMORY_CAPACITY", "many"), ("MEMORY_CAPACITY", "0"), ("EMBEDDER", "nothing"), ("TRASH_DAYS", "inf"), ("AUDIT_DAYS", "1e30"), ("TOOL_SECONDS", "1e30")):  # fmt: skip
        with monkeypatch.context() as setting:
            setting.setenv(f"RECOLLECT_{name}", value)
            status, _, err = run(capsys, "stats", "--data", str(tmp_path))
        assert status == 1
        assert f"RECOLLECT_{name}" in err
        assert len(err.splitlines()) == 1


def test_a_wheel_says_where_the_benchmark_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "bench", None)  # as where it is not installed
    monkeypatch.delitem(sys.modules, "bench.__main__", raising=False)
    status, out, err = run(capsys, "bench", "--help")
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert "checkout" in err


FULL = """
import resource, signal, sys
from pathlib import Path
from cli.main import main
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
largest = max(path.stat().st_size for path in Path(sys.argv[1]).iterdir())
resource.setrlimit(resource.RLIMIT_FSIZE, (largest + 50_000, resource.RLIM_INFINITY))
main(["import", sys.argv[2], "--data", sys.argv[1]])
"""


def test_a_full_disk_is_told_as_one(data: str, tmp_path: Path) -> None:
    long = tmp_path / "long.json"
    long.write_text(json.dumps([{"role": "user", "content": f"{n} " + "x" * 50_000} for n in range(100)]))
    done = subprocess.run(
        [sys.executable, "-c", FULL, data, str(long)], cwd=ROOT, env=environment(), capture_output=True, text=True
    )
    assert done.returncode == 1
    said = done.stderr.splitlines()[-1]
    assert said.startswith("recollect: cannot write to the disk: free some space (")
    assert said.endswith("Try again; acknowledged writes are kept.")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            Unavailable("Neo4j: no answer in time"),
            "Neo4j: no answer in time. Try again; acknowledged writes are kept.",
        ),
        (Unavailable("Weaviate: it said no."), "Weaviate: it said no. Try again; acknowledged writes are kept."),
        (
            Unavailable("too many writes are waiting"),
            "too many writes are waiting. Try again; acknowledged writes are kept",
        ),
        (StoreError("no such index"), "the store failed: no such index"),
    ],
)
def test_each_absence_of_a_store_is_told_as_what_it_is(
    error: Exception, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails() -> None:
        raise error

    monkeypatch.setitem(cli.commands, "fails", click.command()(fails))
    status, out, err = run(capsys, "fails")
    assert (status, out) == (1, "")
    assert err.startswith(f"recollect: {said}")
    assert err.count("\n") == 1


@pytest.mark.parametrize("arguments", [["stats"], ["search", "tea"], ["export", "all.jsonl"], ["keys", "list"]])
def test_on_servers_no_folder_is_wanted(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neo4j is what is missing here, not a folder; none is made."""
    monkeypatch.chdir(tmp_path)
    for name, url in zip(
        SETTINGS, ("neo4j://127.0.0.1:1", "weaviate://127.0.0.1:1", "redis://127.0.0.1:1"), strict=True
    ):
        monkeypatch.setenv(name, url)
    status, _, err = run(capsys, *arguments)
    assert (status, err.count("\n")) == (1, 1)
    assert "Neo4j at 127.0.0.1:1" in err
    assert "folder" not in err
    assert list(tmp_path.iterdir()) == []


def test_stats_of_servers_tell_no_bytes(capsys: pytest.CaptureFixture[str]) -> None:
    show_stats(Stats({"message": 1_234}), as_json=False)
    assert capsys.readouterr().out.split() == ["message", "1,234"]
    show_stats(Stats({"message": 1_234}), as_json=True)
    assert json.loads(capsys.readouterr().out) == {"records": {"message": 1_234}}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nothing"], "No such command 'nothing'"),
        (["serve", "--prt", "1"], "No such option '--prt'"),
        (["serve", "--port", "many"], "'--port'"),
        (["serve", "--port", "65536"], "'--port'"),
        (["import"], "FILES"),
        (["search"], "QUERY"),
        (["search", "tea", "--mode", "best"], "'best' is not one of"),
        (["search", "tea", "--first", "0"], "'--first'"),
        (["search", "tea", "more"], "unexpected extra argument"),
        (["keys", "create", "--role", "god"], "'god'"),
        (["stats", "--url", "http://127.0.0.1:1"], "'--url'"),
        (["copy", "a"], "TO"),
        (["eval", __file__, "--bar", "nan"], "'--bar'"),
        (["bench", "--only", "nothing"], "There is no row 'nothing'"),
    ],
)
def test_wrong_arguments_are_one_line(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys, *arguments)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("recollect: ")
    assert said in err
    assert err.endswith(
        f"See recollect{''.join(f' {word}' for word in arguments if word in cli.commands or word == 'create')} --help.\n"
    )


@pytest.mark.parametrize(
    "url", ["127.0.0.1:8000", "localhost", "ftp://host", "http://", "http://host:many", "http://a b", ""]
)
@pytest.mark.parametrize("command", [["search", "tea"], ["keys", "list"], ["import", "{file}"]])
def test_a_url_without_its_scheme(
    command: list[str], url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "chat.json"
    file.write_text(json.dumps(CHAT))
    status, out, err = run(capsys, *(word.format(file=file) for word in command), "--url", url)
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert "--url must be a URL such as http://127.0.0.1:8000" in err


def test_an_unknown_setting_is_told_and_no_more(
    data: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("RECOLLECT_MAX_DEPHT", "RECOLLECT_XYZZY", "RECOLLECT_PORT", "RECOLLECT_LOG_LEVEL"):
        monkeypatch.setenv(name, "8000" if name == "RECOLLECT_PORT" else "INFO")
    status, _, err = run(capsys, "stats", "--data", data)
    assert status == 0
    assert err.splitlines() == [
        "recollect: there is no setting RECOLLECT_MAX_DEPHT; is it RECOLLECT_MAX_DEPTH?",
        "recollect: there is no setting RECOLLECT_XYZZY",
    ]


@pytest.mark.parametrize(
    ("command", "points"),
    [
        (["stats"], False),
        (["export", "-"], False),
        (["search", "tea"], True),
        (["keys", "list"], True),
        (["import", "{file}"], True),
    ],
)
def test_only_commands_that_take_a_url_speak_of_one(
    command: list[str], points: bool, data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    held = open_embedded(Path(data), "wordllama:l2_supercat_256", 256)
    try:
        status, _, err = run(capsys, *(word.format(file=tmp_path / "chat.json") for word in command), "--data", data)
    finally:
        asyncio.run(held.close())
    assert (status, err.count("\n")) == (1, 1)
    assert "is in use by process" in err
    assert ("--url" in err) is points
