"""SQLiteSession of the OpenAI Agents SDK, in process: items in, the newest 50."""

from __future__ import annotations

import asyncio

from agents import SQLiteSession
from work import Meter, given, sentences


async def main() -> None:
    count, folder = given()
    session = SQLiteSession("long", folder / "session.db")
    said = [
        {"role": "assistant" if number % 2 else "user", "content": text} for number, text in enumerate(sentences(count))
    ]
    with Meter("say-1", count):
        for one in said:
            await session.add_items([one])
    with Meter("say-100", count):
        for start in range(0, count, 100):
            await session.add_items(said[start : start + 100])
    with Meter("latest-50", 200):
        for _ in range(200):
            found = await session.get_items(limit=50)
    assert len(found) == 50
    session.close()


if __name__ == "__main__":
    asyncio.run(main())
