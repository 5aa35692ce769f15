"""LangGraph's SqliteStore (with sqlite-vec) and AsyncSqliteSaver, in process; a turn is a graph of one node."""

from __future__ import annotations

import asyncio
import sqlite3

from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.store.sqlite import SqliteStore
from work import Embedder, Meter, given, questions, sentences

MARA = ("memories", "mara")


def main() -> None:
    count, folder = given()
    embedder = Embedder()
    embedder.embed(["warm"])
    connection = sqlite3.connect(folder / "store.db", check_same_thread=False, isolation_level=None)
    index = {"dims": embedder.dimension, "embed": embedder.embed, "fields": ["text"]}
    store = SqliteStore(connection, index=index)
    store.setup()
    with Meter("keep", count):
        for number, text in enumerate(sentences(count)):
            store.put(MARA, f"m{number}", {"text": text})
    with Meter("find", 100):
        for question in questions(100):
            found = store.search(MARA, query=question, limit=10)
    assert len(found) == 10
    connection.close()
    asyncio.run(_turns(count // 2, str(folder / "saver.db")))


async def _turns(count: int, file: str) -> None:
    def answer(state: MessagesState) -> dict[str, list[tuple[str, str]]]:
        return {"messages": [("ai", f"Noted: {state['messages'][-1].content}")]}

    builder = StateGraph(MessagesState)
    builder.add_node("answer", answer)
    builder.add_edge(START, "answer")
    async with AsyncSqliteSaver.from_conn_string(file) as saver:
        await saver.setup()
        graph = builder.compile(checkpointer=saver)
        with Meter("turn", count):
            for text in sentences(count):
                await graph.ainvoke({"messages": [("user", text)]}, {"configurable": {"thread_id": "long"}})


if __name__ == "__main__":
    main()
