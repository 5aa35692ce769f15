"""Erasures that are killed: what was told as done is done, and the rest goes on."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from domain.erasure import Erasure
from resolvers import erasure
from tests.resolvers.test_corrections_kept import ROOT, contents
from tests.resolvers.test_erasure import fill, ref, said
from tests.support.graphql_client import Clock, Graph

ROUNDS = 20


async def filled(folder: Path) -> None:
    graph = Graph(folder, Clock())
    await fill(graph)
    for part in range(3):
        memories = [{"owner": ref("ann"), "text": said("ann", f"{part} {i}")} for i in range(300)]
        await graph.do("createMemories", {"memories": memories})
    await graph.close()


def run_and_kill(folder: Path, seconds: float) -> bool:
    """Whether it was told as done before it was killed."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.support.erasing", str(folder)],
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == b"ready\n"
        time.sleep(seconds)
        program.kill()
        return program.stdout.read() == b"done 0\n"


@pytest.mark.slow
async def test_killed_at_any_moment_it_goes_on(tmp_path: Path) -> None:
    template = tmp_path / "template"
    await filled(template)
    told = []
    for round in range(ROUNDS):
        folder = tmp_path / "killed"
        shutil.copytree(template, folder)
        told.append(run_and_kill(folder, 0.04 * round))
        clock = Clock()
        clock.forward(days=4000)  # later than the program's own time
        graph = Graph(folder, clock)
        begun = await graph.context.store.scan(Erasure, None, 9)
        if told[-1]:
            assert [one.finished_at is not None for one in begun] == [True]
        elif begun:
            assert await erasure.go_on(graph.context) == (begun[0].finished_at is None)
        else:
            await graph.do("eraseUser", {"user": ref("ann")})
        assert (await graph.data('{ user(by: {externalId: "ann"}) { id } }'))["user"] is None
        held = contents(folder)
        assert [one for one in (b"ann says", b"ann-") if one in held] == []
        assert b"bob says" in held
        await graph.close()
        shutil.rmtree(folder)
    assert not all(told)
