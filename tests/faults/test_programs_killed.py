"""Programs in front of the servers are killed amid transactions, compressions and erasures: what was acknowledged is
there, nothing is half there, and an erasure goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.resolvers import test_erasure_kept as erasures
from tests.resolvers import test_remade_kept as sessions
from tests.support import services
from tests.support.killing import rounds

pytestmark = pytest.mark.usefixtures("real_servers")


async def test_each_session_is_as_before_a_write_or_as_after_it(tmp_path: Path) -> None:
    due = await sessions.stages(tmp_path / "undisturbed", "embedded")
    services.hold(tmp_path / "killed")
    await sessions.killed(tmp_path / "killed", "services", due)


async def test_an_erasure_goes_on(tmp_path: Path) -> None:
    told = []
    for round in range(count := rounds("services")):
        folder = tmp_path / f"killed-{round}"
        await erasures.filled(folder, "services")
        told.append(await erasures.goes_on(folder, "services", 4 * round / count))
    assert not all(told)
