"""Settings, from the environment."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from resolvers.context import MEMORY_CAPACITY


class BadSetting(Exception):
    """A setting that cannot be; the text is one sentence that names it."""


class Settings(msgspec.Struct, frozen=True):
    """What can be set. Each field is read from RECOLLECT_ and its name in capitals."""

    embedder: str = "wordllama"
    memory_capacity: int = MEMORY_CAPACITY

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Settings:
        """The settings of an environment. Raises BadSetting."""
        given = {name: value for name in cls.__struct_fields__ if (value := environ.get(f"RECOLLECT_{name.upper()}"))}
        try:
            settings = msgspec.convert(given, cls, strict=False)
        except msgspec.ValidationError as error:
            name = str(error).rpartition("$.")[2].rstrip("`").upper()
            raise BadSetting(
                f"RECOLLECT_{name} must be a whole number, not {environ[f'RECOLLECT_{name}']!r}."
            ) from None
        if settings.memory_capacity < 1:
            raise BadSetting("RECOLLECT_MEMORY_CAPACITY must be at least 1.")
        return settings
