"""A program that erases the user `ann` of a folder, tells when it is done, and may be killed before: see
tests/resolvers/test_erasure_kept.py."""

from __future__ import annotations

import asyncio
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from domain.caller import LOCAL
from domain.erasure import EraseUserInput
from domain.values import Ref
from resolvers import erasure
from resolvers.context import Context
from tests.support import services
from tests.support.families import FAMILIES
from tests.support.graphql_client import Words


async def main(folder: Path, family: str) -> None:
    services.take_over(folder)
    engine = FAMILIES[family](folder, Words.name, Words.dimension, lambda: datetime.now(UTC))
    context = Context(engine, Words(), LOCAL)  # type: ignore[arg-type]
    os.write(1, b"ready\n")
    report = await erasure.erase_user(context, EraseUserInput(user=Ref(external_id="ann")))
    os.write(1, f"done {report.found}\n".encode())
    await asyncio.sleep(60)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
