"""Erasures that are killed: what was told as done is done, and the rest goes on."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from domain.erasure import Erasure
from resolvers import erasure
from tests.resolvers.test_erasure import fill, ref, said
from tests.support import services
from tests.support.graphql_client import Clock, Graph
from tests.support.killing import contents, rounds, told_until_killed


async def filled(folder: Path, family: str) -> None:
    graph = Graph(folder, Clock(), family=family)
    await fill(graph)
    for part in range(3 if family == "embedded" else 1):
        memories = [{"owner": ref("ann"), "text": said("ann", f"{part} {i}")} for i in range(300)]
        await graph.do("createMemories", {"memories": memories})
    await graph.close()


@pytest.mark.slow
async def test_killed_at_any_moment_it_goes_on(tmp_path: Path) -> None:
    await filled(tmp_path / "template", "embedded")
    told = []
    for round in range(rounds("embedded")):
        folder = tmp_path / "killed"
        shutil.copytree(tmp_path / "template", folder)
        told.append(await goes_on(folder, "embedded", 0.04 * round))
        shutil.rmtree(folder)
    assert not all(told)


async def goes_on(folder: Path, family: str, seconds: float) -> bool:
    """Has an erasure begin, kills it after that time, and sees to it that it is ended; whether it was already."""
    told = told_until_killed("tests.support.erasing", folder, family, seconds=seconds) == [["done", "0"]]
    if family == "services":
        services.settle()
    clock = Clock()
    clock.forward(days=4000)  # later than the program's own time
    graph = Graph(folder, clock, family=family)
    begun = await graph.context.store.scan(Erasure, None, 9)
    if told:
        assert [one.finished_at is not None for one in begun] == [True]
    elif begun:
        assert await erasure.go_on(graph.context) == (begun[0].finished_at is None)
    else:
        await graph.do("eraseUser", {"user": ref("ann")})
    assert (await graph.data('{ user(by: {externalId: "ann"}) { id } }'))["user"] is None
    held = contents(folder) if family == "embedded" else repr(services.everything()).encode()
    assert [one for one in (b"ann says", b"ann-") if one in held] == []
    assert b"bob says" in held
    await graph.close()
    return told
