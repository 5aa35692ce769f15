"""The services engine: Neo4j holds the graph, Weaviate finds memories, Redis tells every process what is new."""
