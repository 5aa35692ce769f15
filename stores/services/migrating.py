"""How a graph that an older program wrote becomes a current one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec

from stores import sums
from stores.ids import Ids
from stores.rows import text
from stores.services.labels import SPAN, TALLY, TRACE
from stores.services.properties import sortable


def sum_up(run: Callable[..., list[Any]]) -> None:
    """Gives traces the sums of their spans, one trace in one transaction, so that it can be broken off."""
    ids = Ids(lambda: datetime.now(UTC))
    run("MATCH (n:Trace) WHERE n.span_count IS NULL SET n.span_count = 0, n.status_code = 'UNSET'")
    for workspace, trace_id in run("MATCH (n:Span) RETURN DISTINCT n.workspace, n.trace_id"):
        of = {"workspace": workspace, "trace_id": trace_id}
        same = "n.workspace = $workspace AND n.trace_id = $trace_id"
        if run(f"MATCH (n:Tally) WHERE {same} AND n.span_id = '' RETURN n.id", **of):
            continue
        [[found]] = run(f"MATCH (n:Span) WHERE {same} WITH collect(n) AS ns RETURN {SPAN.lists()}", **of)
        tallies, top = sums.summed_up(SPAN.records(found), lambda kind: kind.make_id(ids.next()))
        [[found]] = run(f"MATCH (n:Trace) WHERE {same} WITH collect(n) AS ns RETURN {TRACE.lists()}", **of)
        traces = [sums.summed(trace, top) for trace in TRACE.records(found)]
        run(
            "CALL () { UNWIND $traces AS r MATCH (n:Trace {id: r.id}) SET n += r } "
            "CALL () { UNWIND $rows AS r CREATE (t:Tally) SET t = r, t.workspace = $workspace }",
            workspace=workspace,
            traces=[dict(zip(TRACE.columns, TRACE.encode(trace), strict=True)) for trace in traces],
            rows=[dict(zip(TALLY.columns, TALLY.encode(tally), strict=True)) for tally in tallies],
        )


def forget_texts(run: Callable[..., list[Any]]) -> None:
    """Takes the texts of deleted memories out of the log."""
    read = "MATCH (n:Change) WHERE n.memory IS NOT NULL AND elementId(n) > $after RETURN elementId(n) AS id, n.memory"
    after = ""
    while lines := run(f"{read} ORDER BY id LIMIT 1000", after=after):
        rows = [[id, text({**msgspec.json.decode(memory), "text": ""})] for id, memory in lines]
        run("UNWIND $rows AS r MATCH (n:Change) WHERE elementId(n) = r[0] SET n.memory = r[1]", rows=rows)
        after = rows[-1][0]


def add_name_keys(run: Callable[..., list[Any]]) -> None:
    """Gives nodes of before version 7 the form of their names that lists are sorted by."""
    for label in ("User", "Agent", "Participant", "Thread"):
        nameless = f"MATCH (n:{label}) WHERE n.name_key IS NULL RETURN n.id, n.name LIMIT 10000"
        while found := run(nameless):
            rows = [[id, sortable(name)] for id, name in found]
            run(f"UNWIND $rows AS row MATCH (n:{label} {{id: row[0]}}) SET n.name_key = row[1]", rows=rows)
