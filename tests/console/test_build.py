"""What the install makes of web/."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

HOME = Path(__file__).parents[2]
WEB = HOME / "web"


def test_a_wheel_has_the_console_and_no_more_of_it(tmp_path: Path) -> None:
    """Compressed files and the documents; no sources, no packages of others; what it weighs."""
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path), str(HOME)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    [wheel] = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if name.startswith("server/console/")]
        assert {"server/console/index.html.gz", "server/console/documents.json.gz", "server/console/built-of"} <= {
            *names
        }
        assert all(name.endswith((".gz", "built-of")) for name in names)
        assert not [name for name in archive.namelist() if "node_modules" in name or name.startswith("web/")]
    assert wheel.stat().st_size < 1_500_000


def test_every_document_fits_the_schema() -> None:
    """As a program of TypeScript, and each field of each document."""
    node = shutil.which("node")
    assert node, "node is not on the path"
    tada, tsc = (WEB / "node_modules" / file for file in ("gql.tada/bin/cli.js", "typescript/bin/tsc"))
    for arguments in ([tada, "generate-output"], [tsc, "--noEmit"], [tada, "check"]):
        done = subprocess.run(
            [node, *map(str, arguments)], cwd=WEB, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
