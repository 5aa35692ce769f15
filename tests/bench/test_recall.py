"""The measure of recall: its samples, and a run over one of them."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from bench.recall.__main__ import main
from bench.recall.samples import NAMES, locomo, ours


@pytest.mark.parametrize("name", NAMES)
def test_a_sample_asks_for_what_it_tells(name: str) -> None:
    [conversation] = ours(name).conversations
    turns = {turn.id: turn.text for session in conversation.sessions for turn in session.turns}
    questions = conversation.questions
    assert len(questions) >= (60 if name == "agents" else 30)
    assert len({question.text for question in questions}) == len(questions)
    assert len(turns) == len(set(turns.values())) > 40
    for question in questions:
        [evidence] = question.evidence
        assert question.text.strip(" ?؟") not in turns[evidence]


def test_what_a_tool_said_keeps_its_lines() -> None:
    turns = [turn for session in ours("agents").conversations[0].sessions for turn in session.turns]
    said = next(turn for turn in turns if "OperationalError" in turn.text)
    assert (said.speaker, said.role) == ("tool read_log", "tool")
    assert said.text.count("\n") == 1


def test_a_run_prints_a_table_and_fails_below_a_bar(tmp_path: Path) -> None:
    turns = [{"id": "t1", "speaker": "Ann", "text": "I keep bees"}, {"id": "t2", "speaker": "Bo", "text": "Nice!"}]
    asked = [
        {"text": "What does Ann keep?", "category": 1, "evidence": ["t1"]},
        {"text": "?", "category": 5, "evidence": []},
    ]
    sessions = [{"id": "s1", "at": "2026-01-01T00:00:00Z", "turns": turns}]
    file = tmp_path / "conversations.json"
    file.write_bytes(msgspec.json.encode({"conversations": [{"id": "c1", "sessions": sessions, "questions": asked}]}))
    assert len(locomo(file).conversations[0].questions) == 1

    done = CliRunner().invoke(main, ["--locomo", str(file), "--only", "th", "--no-signals", "--bar", "1"])
    lines = [line.split(" | ") for line in done.output.splitlines() if line.startswith("|")]
    assert [line[0] for line in lines[2:]] == ["| questions", "| TEXT", "| SEMANTIC", "| HYBRID"]
    assert lines[2][1:] == ["1", "33 |"]
    assert lines[5][1] == "1.000 1.000"
    assert done.exit_code == 1 and "R@10 of HYBRID is below 1.0 on th." in done.output
    assert CliRunner().invoke(main, ["--only", "klingon"]).exit_code == 2
