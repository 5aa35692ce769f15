"""A set of vectors of one embedder: a property of the memories in Neo4j, and a collection in Weaviate."""

from __future__ import annotations

import re
import secrets
from typing import NamedTuple

VERSION = 1
"""Of the collection's properties; one of another version is made anew from Neo4j."""

PROPERTY = "vector"
"""Of the first set; that of a later one has something after it, for what is taken away is never made again."""

_NAME = re.compile(rf"{PROPERTY}(_[0-9a-f]{{8}})?")


class VectorSet(NamedTuple):
    """embedder: whose vectors they are (stores.ports.label_of). field: the property."""

    embedder: str
    field: str = PROPERTY

    @classmethod
    def another(cls, embedder: str) -> VectorSet:
        return cls(embedder, f"{PROPERTY}_{secrets.token_hex(4)}")

    @classmethod
    def of(cls, embedder: str | None, property: str | None) -> VectorSet | None:
        """What the node Recollect tells, where it tells of one."""
        if embedder is None:
            return None
        name = property or PROPERTY
        assert _NAME.fullmatch(name), "it goes into statements as it is"
        return cls(embedder, name)

    @property
    def dimension(self) -> int:
        return int(self.embedder.rpartition(" ")[2])

    @property
    def collection(self) -> str:
        return f"RecollectMemory_{VERSION}_{self.dimension}{self.field.removeprefix(PROPERTY)}"


SETS = "m.embedder, m.property, m.coming, m.coming_property"
"""What the node m of Recollect tells of the set in use and of the one that is made to take its place."""
