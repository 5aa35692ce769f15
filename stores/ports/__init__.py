"""The storage ports. An engine implements these protocols; nothing above this layer knows which one.

Engine opens a data folder or servers; Store is the graph of one workspace; Transaction is what one atomic write
sees and does.
"""

from stores.ports.blobs import Blobs, Intake
from stores.ports.embedder import OPENAI, Embedder, Remote, label_of
from stores.ports.engine import FIGURES, READ_SECONDS, Engine, Figure, Opening, Remains, Stats, StoreHealth
from stores.ports.generations import Generations
from stores.ports.grouping import By, Group, Grouping, Summed, Value
from stores.ports.reembedding import AT_THE_END, Reembedding, Unembedded
from stores.ports.store import AtOnce, Store
from stores.ports.transaction import Script, Transaction
from stores.ports.values import (
    SESSION_LOGS,
    ChunkSearch,
    Collection,
    Drawn,
    Explored,
    Fields,
    Found,
    FoundChunks,
    FoundMessages,
    FoundStates,
    LinkFilter,
    Log,
    MessageSearch,
    NaturalKey,
    Records,
    Search,
    Shared,
    StateSearch,
    Usage,
    Vector,
    Way,
)

__all__ = [
    "AT_THE_END",
    "FIGURES",
    "OPENAI",
    "READ_SECONDS",
    "SESSION_LOGS",
    "AtOnce",
    "Blobs",
    "By",
    "ChunkSearch",
    "Collection",
    "Drawn",
    "Embedder",
    "Engine",
    "Explored",
    "Fields",
    "Figure",
    "Found",
    "FoundChunks",
    "FoundMessages",
    "FoundStates",
    "Generations",
    "Group",
    "Grouping",
    "Intake",
    "LinkFilter",
    "Log",
    "MessageSearch",
    "NaturalKey",
    "Opening",
    "Records",
    "Reembedding",
    "Remains",
    "Remote",
    "Script",
    "Search",
    "Shared",
    "StateSearch",
    "Stats",
    "Store",
    "StoreHealth",
    "Summed",
    "Transaction",
    "Unembedded",
    "Usage",
    "Value",
    "Vector",
    "Way",
    "label_of",
]
