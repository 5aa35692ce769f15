"""The transcript is what a server answers today."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.examples import HOME
from tests.support.running import environment

_CURSOR = re.compile(r'((?:cursor|endCursor|after)\\?": ?\\?")[^"\\]+')


def settled(text: str) -> str:
    """A transcript without what differs each time."""
    return _CURSOR.sub(r"\1", text)


@pytest.mark.slow
def test_the_transcript_can_be_written_again(tmp_path: Path) -> None:
    target = tmp_path / "transcript.md"
    script = [sys.executable, str(HOME / "docs" / "transcript.py"), str(target)]
    done = subprocess.run(script, capture_output=True, text=True, timeout=60, check=False, env=environment())
    assert done.returncode == 0, done.stderr
    kept = (HOME / "docs" / "transcript.md").read_text(encoding="utf-8")
    assert settled(target.read_text(encoding="utf-8")) == settled(kept)
