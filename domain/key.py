"""API keys, stored as digests of their secrets."""

from __future__ import annotations

import enum
import hashlib
from datetime import datetime
from typing import Annotated, ClassVar

from domain.caller import Caller, Role
from domain.declaration import NATURAL, Stored, listed
from domain.node import Id, Node, register
from domain.page import OrderDirection
from domain.values import Command, Key, Name

PREFIX = "rck_"
"""What secrets begin with, so that scanners of code and logs know one when they see it."""


class ApiKey(Node, frozen=True, kw_only=True, gc=False):
    """A key. digest: of its secret, which is shown once and not kept."""

    prefix: ClassVar[str] = "key"
    noun: ClassVar[str] = "API key"

    digest: Annotated[str, NATURAL]
    workspace: Annotated[str, Stored("tenant"), listed("created_at")]
    role: Role
    name: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None

    def good(self, now: datetime) -> bool:
        """Whether it opens anything at that time."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)

    @property
    def role_name(self) -> str:
        """Its role, where roles of other nodes are texts too."""
        return self.role.value

    @property
    def caller(self) -> Caller:
        return Caller(self.workspace, self.role, self.id, self.name, self.expires_at)


register(ApiKey)


def digest_of(secret: str) -> str:
    """What is kept of a secret.

    A fast hash is right here: a secret is 32 random bytes, which nobody can guess, while passwords, which people think
    up, would need a slow one.
    """
    return hashlib.sha256(secret.encode()).hexdigest()


class ApiKeyOrderField(enum.Enum):
    """Fields to sort API keys by."""

    CREATED_AT = "CREATED_AT"


class ApiKeyOrder(Command, frozen=True, kw_only=True):
    """Sort order of API keys; ties are broken by id."""

    field: ApiKeyOrderField = ApiKeyOrderField.CREATED_AT
    direction: OrderDirection = OrderDirection.DESC


class CreateApiKeyInput(Command, frozen=True, kw_only=True):
    """A new API key for this workspace. name says what it is for; without expiresAt it is valid until revoked."""

    name: Name
    role: Role = Role.READ
    expires_at: datetime | None = None
    idempotency_key: Key | None = None


class RevokeApiKeyInput(Command, frozen=True, kw_only=True):
    """The key to revoke."""

    id: Id
