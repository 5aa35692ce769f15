"""Whether our packages are ours: they have plain names, which another distribution may have brought too."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

PACKAGES = ("domain", "stores", "resolvers", "schema", "formats", "server", "cli")


def foreign_package() -> str | None:
    """What is wrong, in one sentence; nothing of the packages is imported for it."""
    home = Path(__file__).resolve().parent.parent
    for name in PACKAGES:
        found = find_spec(name)
        places = [Path(place).resolve().parent for place in (found and found.submodule_search_locations) or ()]
        if home not in places[:1]:
            where = places[0] if places else "nowhere"
            return (
                f"the package {name!r} comes from {where}, not from Recollect; install Recollect in an environment of "
                "its own."
            )
    return None
