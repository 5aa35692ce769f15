"""Recollect's own command line on a disk that takes a millisecond more for each fsync: python -m bench.slow_disk serve

Group commit shows on disks that do about a thousand a second, as those in data centres do; this makes any disk one.
"""

from __future__ import annotations

import time

import apsw

from cli.main import main

PAUSE_S = 0.001


class _File(apsw.VFSFile):
    def xSync(self, flags: int) -> None:  # noqa: N802 - SQLite's name
        super().xSync(flags)
        time.sleep(PAUSE_S)


class _Disk(apsw.VFS):
    def __init__(self) -> None:
        super().__init__("slow", "unix", makedefault=True)

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> _File:  # noqa: N802
        return _File("unix", name, flags)


if __name__ == "__main__":
    disk = _Disk()
    main()
