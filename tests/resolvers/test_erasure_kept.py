"""Erasures that are killed: what was told as done is done, and the rest goes on."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from domain.erasure import Erasure
from resolvers import erasure
from tests.resolvers.test_erasure import fill, ref, said
from tests.support.graphql_client import Clock, Graph
from tests.support.killing import contents, told_until_killed

ROUNDS = 20


async def filled(folder: Path) -> None:
    graph = Graph(folder, Clock())
    await fill(graph)
    for part in range(3):
        memories = [{"owner": ref("ann"), "text": said("ann", f"{part} {i}")} for i in range(300)]
        await graph.do("createMemories", {"memories": memories})
    await graph.close()


@pytest.mark.slow
async def test_killed_at_any_moment_it_goes_on(tmp_path: Path) -> None:
    template = tmp_path / "template"
    await filled(template)
    told = []
    for round in range(ROUNDS):
        folder = tmp_path / "killed"
        shutil.copytree(template, folder)
        told.append(told_until_killed("tests.support.erasing", folder, seconds=0.04 * round) == [["done", "0"]])
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
