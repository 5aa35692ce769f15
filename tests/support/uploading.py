"""A program that uploads and adds messages with bytes in them, and is killed at a chosen step, or whose disk takes no
more than so many bytes of a file: see tests/stores/test_uploads.py."""

from __future__ import annotations

import asyncio
import base64
import os
import resource
import signal
import sys
from pathlib import Path
from typing import Any

from domain.blob import MediaRules, UploadBlobInput
from domain.caller import LOCAL
from domain.message import AddMessageInput, ContentInput, MediaInput
from domain.session import CreateSessionInput
from domain.values import Ref
from resolvers import blobs, messages, sessions
from resolvers.context import Context
from stores.blobs.folder import FolderBlobs
from stores.blobs.staging import staged
from stores.embedded.engine import open_embedded
from stores.errors import Unavailable
from stores.ports import Intake
from tests.support.graphql_client import Words

COUNT = 5


def data_of(number: int) -> bytes:
    return f"the text of number {number} ".encode() * 5_000


class Killed(FolderBlobs):
    """Ends the process at the step of the last upload."""

    step, left = "", COUNT

    async def keep(self, workspace: str, key: str, file: Path) -> None:
        self.left -= 1
        if not self.left and self.step == "staged":
            os.kill(os.getpid(), signal.SIGKILL)
        await super().keep(workspace, key, file)
        if not self.left and self.step == "kept":
            os.kill(os.getpid(), signal.SIGKILL)


def say(*words: Any) -> None:
    os.write(1, " ".join(map(str, words)).encode() + b"\n")


async def main(folder: Path, step: str) -> None:
    engine = open_embedded(folder, Words.name, Words.dimension)
    kept = Killed(folder / "blobs")
    kept.step = step
    context = Context(engine, Words(), LOCAL, intake=Intake(kept, MediaRules()))  # type: ignore[arg-type]
    await sessions.create(context, CreateSessionInput(external_id="s"))
    if step == "full":
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
    for number in range(COUNT):
        try:
            if number % 2:
                part = ContentInput(document=MediaInput(data=base64.b64encode(data_of(number)).decode()))
                message = AddMessageInput(session=Ref(external_id="s"), role="user", content=[part])
                said = await messages.add(context, message)
                blob = next(iter(said.blobs))
            else:
                file = await asyncio.to_thread(staged, kept.staging, context.intake.rules, data_of(number), "", "")
                if file.problem is None and file.path.stat().st_size != file.size:
                    say("cut", number)
                blob = (await blobs.upload(context, UploadBlobInput(file=file))).id
        except Unavailable:
            say("refused", number)
            continue
        if number == COUNT - 1 and step == "written":
            os.kill(os.getpid(), signal.SIGKILL)
        say("kept", number, blob)
    if step == "full":
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        file = staged(kept.staging, context.intake.rules, data_of(99), "", "")
        say("kept", 99, (await blobs.upload(context, UploadBlobInput(file=file))).id)
    await engine.close()


if __name__ == "__main__":
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
