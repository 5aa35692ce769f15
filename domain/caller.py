"""Callers: their workspace and their role in it."""

from __future__ import annotations

import enum
import re
from datetime import datetime

import msgspec

DEFAULT_WORKSPACE = "default"

KEYS_WORKSPACE = "/keys"
"""Where the keys of all workspaces are kept; no workspace of a caller can be called so."""

_WORKSPACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,99}")


class Role(enum.Enum):
    """What a caller may do; each role includes the ones before it."""

    READ = "READ"
    WRITE = "WRITE"
    ADMIN = "ADMIN"

    def allows(self, right: Role) -> bool:
        """Whether it includes a right, which is called by the least role that has it."""
        return _RANKS[self] >= _RANKS[right]

    @property
    def rights(self) -> list[str]:
        """The names of the rights it includes, the least first."""
        return [right.name for right in Role if self.allows(right)]


_RANKS = {role: rank for rank, role in enumerate(Role)}


class Caller(msgspec.Struct, frozen=True):
    """One caller. id: of the credential, which its limits and the audit log go by; name: for people.

    expires_at: when the credential ends, where that is known.
    """

    workspace: str
    role: Role
    id: str = "local"
    name: str = "local"
    expires_at: datetime | None = None


def operator(workspace: str) -> Caller:
    """Whoever runs the program or has the data folder at hand: may do everything."""
    return Caller(workspace, Role.ADMIN)


LOCAL = operator(DEFAULT_WORKSPACE)
"""The one user of a server without credentials, and of the command line."""


def is_workspace(name: str) -> bool:
    """Whether a caller's workspace can be called so: letters, digits and _.@-, up to 100."""
    return _WORKSPACE.fullmatch(name) is not None
