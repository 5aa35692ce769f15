"""mem0 without a model (`infer=False`), on Qdrant's local mode, in process. Its words need files of a model hub."""

from __future__ import annotations

import os

from work import Embedder, Meter, given, questions, sentences

os.environ |= {"MEM0_TELEMETRY": "False", "OPENAI_API_KEY": "none", "ANONYMIZED_TELEMETRY": "False"}


def main() -> None:
    count, folder = given()
    os.environ["MEM0_DIR"] = str(folder / "mem0")
    from langchain_core.embeddings import Embeddings
    from mem0 import Memory

    embedder = Embedder()

    class Local(Embeddings):
        def embed_query(self, text: str) -> list[float]:
            return embedder.embed([text])[0]

        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            return embedder.embed(texts)

    store = {"collection_name": "peers", "embedding_model_dims": 256, "path": str(folder / "qdrant"), "on_disk": True}
    memory = Memory.from_config(
        {
            "vector_store": {"provider": "qdrant", "config": store},
            "embedder": {"provider": "langchain", "config": {"model": Local()}},
            "llm": {"provider": "openai", "config": {"api_key": "none"}},
            "history_db_path": str(folder / "history.db"),
        }
    )
    memory.add("warm up", user_id="other", infer=False)
    with Meter("keep", count):
        for text in sentences(count):
            memory.add(text, user_id="mara", infer=False)
    with Meter("find", 100):
        for question in questions(100):
            found = memory.search(question, filters={"user_id": "mara"}, top_k=10, threshold=0.0)
    assert found["results"]


if __name__ == "__main__":
    main()
