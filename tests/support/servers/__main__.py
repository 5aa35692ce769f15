"""python -m tests.support.servers [install | [where-possible] -- COMMAND ...]"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

from tests.support.servers import SETTINGS, ServerFailed, install, missing, running

USAGE = """\
python -m tests.support.servers                 fetches and starts Neo4j, Weaviate and Redis, prints the settings
                                        that lead to them, and stops them at Ctrl-C
python -m tests.support.servers -- COMMAND ...  runs a command with these settings, stops them, exits as it did
python -m tests.support.servers where-possible -- COMMAND ...
                                        the same, but where they cannot run here it says why and runs the
                                        command without them; where the settings are given, with those
python -m tests.support.servers install         only fetches"""


def main(arguments: Sequence[str]) -> int:
    """Runs the command line and returns its exit code."""
    signal.signal(signal.SIGTERM, _end)
    os.environ.setdefault("TMPDIR", tempfile.gettempdir())  # data on a disk, as whoever measures wants it
    try:
        match arguments:
            case []:
                return serve()
            case ["install"]:
                install()
                return 0
            case ["--", *command] if command:
                return run(command)
            case ["where-possible", "--", *command] if command:
                return run_where_possible(command)
    except ServerFailed as failure:
        print(failure, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    print(USAGE, file=sys.stderr)
    return 0 if list(arguments) in (["-h"], ["--help"]) else 2


def serve() -> NoReturn:
    """Runs the servers until this process is told to end. Raises ServerFailed if one dies before."""
    with running() as servers:
        for name, value in servers.environment.items():
            print(f"{name}={value}", flush=True)
        while True:
            time.sleep(1)
            for server in servers.all:
                server.check()


def run(command: Sequence[str]) -> int:
    """Runs a command with the servers and returns its exit code; 128 and the signal's number where one ended it."""
    if not shutil.which(command[0]):
        print(f"There is no command {command[0]}.", file=sys.stderr)
        return 127
    with running() as servers:
        process = subprocess.Popen(command, env={**os.environ, **servers.environment})
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the command too, which decides what it means
        try:
            code = process.wait()
        except BaseException:
            process.terminate()
            process.wait()
            raise
    return code if code >= 0 else 128 - code


def run_where_possible(command: Sequence[str]) -> int:
    """Runs a command with the servers, with those the environment names, or without; returns its exit code."""
    if all(os.environ.get(name) for name in SETTINGS):
        return subprocess.call(command)
    if lacking := missing():
        print("Without Neo4j, Weaviate and Redis:", *lacking, sep="\n  ", file=sys.stderr)
        return subprocess.call(command)
    return run(command)


def _end(_number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
