"""What Neo4j's own driver takes for the same, used as its manual shows it: one call that returns one record.

An index of several columns is used only where each of them has a condition, so the places are asked to be there.
"""

from __future__ import annotations

from typing import Any, LiteralString

from neo4j import AsyncGraphDatabase

from bench.process import BenchError
from stores.services.neo4j_client import Address

SESSION: LiteralString = """
MATCH (s:Session {workspace: 'default', external_id: $key})
RETURN {id: s.id, kind: s.kind, title: s.title, status: s.status, createdAt: s.created_at,
        messageCount: s.message_count} AS session"""

HISTORY: LiteralString = """
MATCH (s:Session {workspace: 'default', external_id: $key}) MATCH (m:Message {session: s.id}) WHERE m.place IS NOT NULL
WITH m ORDER BY m.session DESC, m.place DESC LIMIT $first
RETURN collect({id: m.id, senderType: m.sender_type, createdAt: m.created_at, content: m.content}) AS messages"""

NESTED: LiteralString = """
MATCH (s:Session {workspace: 'default', external_id: $key})
CALL (s) {
  MATCH (m:Message {session: s.id}) WHERE m.place IS NOT NULL
  WITH m ORDER BY m.session, m.place LIMIT $first RETURN collect(m) AS ms }
CALL (ms) { UNWIND ms AS m MATCH (p:Participant {id: m.sender}) WITH DISTINCT p RETURN collect([p.id, p.name]) AS ps }
CALL (ms) {
  UNWIND ms AS m MATCH (m)-[r:DRAWS_ON]->(e:Memory) WITH m, r, e ORDER BY r.position
  RETURN collect(m.id) AS of, collect(r.score) AS scores, collect(e) AS es }
RETURN {id: s.id, title: s.title, kind: s.kind, createdAt: s.created_at, senders: ps, of: of, scores: scores,
  messages: [c IN ['id', 'sender_type', 'created_at', 'content', 'place', 'sender'] | [m IN ms | m[c]]],
  memories: [c IN ['id', 'text', 'importance'] | [e IN es | e[c]]]} AS session"""

WRITE: LiteralString = """
UNWIND $rows AS row CREATE (n:BenchRow) SET n = row RETURN count(n)"""


class Raw:
    """The driver. Leave it by `close`."""

    def __init__(self, url: str) -> None:
        address = Address(url)
        self._database = address.database
        self._driver = AsyncGraphDatabase.driver(address.uri, auth=address.auth, notifications_min_severity="OFF")

    async def read(self, statement: LiteralString, **parameters: Any) -> Any:
        """The one value of the one record."""
        async with self._driver.session(database=self._database, default_access_mode="READ", fetch_size=-1) as session:
            return (await (await session.run(statement, parameters)).single(strict=True))[0]

    async def write(self, rows: list[dict[str, Any]]) -> None:
        """Creates nodes in a transaction of their own."""
        async with self._driver.session(database=self._database) as session:
            await (await session.run(WRITE, rows=rows)).consume()

    async def alone(self, statement: LiteralString, **parameters: Any) -> None:
        """Runs a statement that brings its own transactions."""
        async with self._driver.session(database=self._database) as session:
            await (await session.run(statement, parameters)).consume()

    async def expect_empty(self) -> None:
        """Raises BenchError where somebody's data is in the database."""
        if await self.read("RETURN EXISTS { MATCH (w:Workspace) }"):
            raise BenchError("The servers hold something already; the bench wants empty ones.")

    async def close(self) -> None:
        """Lets go of the connections."""
        await self._driver.close()
