"""The questions that docs/recall.md asks find what it says."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from cli.main import main
from tests.support.examples import HOME, blocks


def test_the_questions_of_the_page_find_what_it_says(
    filled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = blocks(HOME / "docs" / "recall.md")
    [commands] = [
        block.text.splitlines() for block in page if block.language == "sh" and "recollect eval" in block.text
    ]
    [questions] = [block.text for block in page if block.language == "json" and '"expected"' in block.text]
    [shown] = [block.text for block in page if block.language == "text" and "recall@" in block.text]
    (tmp_path / "questions.jsonl").write_text(questions)
    (tmp_path / "recollect-data").symlink_to(filled)
    monkeypatch.chdir(tmp_path)
    for command in commands:
        words, _, target = command.partition(" > ")
        with pytest.raises(SystemExit) as ended:
            main(shlex.split(words)[1:])
        assert not ended.value.code, command
        out = capsys.readouterr().out
        if target:
            Path(target).write_text(out)
    assert out == shown
