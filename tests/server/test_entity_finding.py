"""The rules that RECOLLECT_ENTITIES switches on find entities at every door, and nothing twice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from domain.caller import LOCAL
from server.graphql.documents import Request
from server.service import open_service
from server.settings import Settings
from tests.support.running import recollect

TEXT = 'Look at src/app.py, "Project Nightingale" and https://x.org'
ASKED = """{ entities(orderBy: {field: NAME, direction: ASC}) { nodes { id name type found
    messages { totalCount } memories { totalCount } } } }"""


async def entities(data: Path, settings: Settings) -> Any:
    service = open_service(data, settings)
    answer = json.loads(await service.executor.execute(Request(ASKED, {}), service.operation(LOCAL)))
    await service.close()
    return answer["data"]["entities"]["nodes"]


async def test_what_is_imported(tmp_path: Path) -> None:
    (tmp_path / "in.json").write_text(
        json.dumps([{"role": "user", "content": TEXT}, {"role": "assistant", "content": "ok"}])
    )
    one, other, file = tmp_path / "one", tmp_path / "other", str(tmp_path / "out.jsonl")
    given = ("import", str(tmp_path / "in.json"), "--memories", "--data", str(one))
    assert recollect(*given, RECOLLECT_ENTITIES="paths, urls")[0] == 0
    found = await entities(one, Settings())
    assert [(each["name"], each["type"], each["found"]) for each in found] == [
        ("https://x.org", "url", True),
        ("src/app.py", "file", True),
    ]
    assert all(each["messages"]["totalCount"] and each["memories"]["totalCount"] for each in found)
    assert recollect("export", file, "--data", str(one))[0] == 0
    assert recollect("import", file, "--data", str(other), RECOLLECT_ENTITIES="all")[0] == 0
    assert await entities(other, Settings()) == found, "a copy is as it was"


async def test_what_was_written_without_rules(tmp_path: Path) -> None:
    """By the command, which is restarted where it was broken off, or from the beginning."""
    data = str(tmp_path / "data")
    (tmp_path / "in.json").write_text(json.dumps([{"role": "user", "content": TEXT}] * 3))
    assert recollect("import", str(tmp_path / "in.json"), "--memories", "--data", data)[0] == 0
    status, _, error = recollect("entities", "--data", data)
    assert (status, "set RECOLLECT_ENTITIES" in error) == (1, True)
    assert await entities(tmp_path / "data", Settings()) == []
    for _ in range(2):
        status, out, error = recollect("entities", "--data", data, RECOLLECT_ENTITIES="paths")
        assert (status, "Looked through" in out, error) == (0, True, "")
        [found] = await entities(tmp_path / "data", Settings())
        assert (found["name"], found["messages"]["totalCount"]) == ("src/app.py", 3)
        assert found["memories"]["totalCount"]
