"""The parts of sessions of a kind: of which session they are, how many there may be, and what they are called."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from msgspec import UNSET

from domain.errors import ErrorCode, invalid, reject
from domain.node import Id, Node
from domain.page import Slice
from domain.session import CreateSessionInput, Session, SessionKind, UpdateSessionInput
from domain.values import Ref
from resolvers.context import Context, Reader, lookup, require
from stores.ports import Records

N = TypeVar("N", bound=Node)

_ALL = Slice(limit=1_000_000)


async def session_of(reader: Reader, kind: SessionKind, ref: Ref) -> Session:
    """The session that a reference names. Raises Rejected: NOT_FOUND; INVALID where it is of another kind."""
    found = await require(reader, Session, ref, ["session"])
    if found.kind is not kind:
        raise invalid(f"This is a session of kind {found.kind.name}, not {kind.name}.", ["session"])
    return found


def check_kind(kind: SessionKind, input: CreateSessionInput | UpdateSessionInput) -> None:
    """Raises Rejected (INVALID) for the part of a session of another kind."""
    for other in (SessionKind.PANEL, SessionKind.WORKFLOW, SessionKind.PLAYGROUND):
        name = other.value.lower()
        if other is not kind and getattr(input, name, None) not in (None, UNSET):
            raise invalid(f"Only a session of kind {other.name} has this part.", [name])


async def is_full(context: Context, kind: type[Node], session: Ref | None) -> bool:
    """Whether a session has as many parts of a kind as it may have. (It is asked before the write: a few that are
    added at the same moment may come beyond that.)"""
    found = None if session is None else await lookup(context.store, Session, session)
    if found is None:
        return False
    [page] = await context.store.pages(Records(kind, "session"), [found.id], Slice(limit=1))
    [count] = await context.store.counts([page.count_key])
    return count >= context.parts.in_session


def check_room(context: Context, kind: type[Node], full: bool, path: Sequence[str | int]) -> None:
    """Raises Rejected (LIMIT)."""
    if full:
        most = context.parts.in_session
        message = f"A session may have {most} of each kind of part, and has {most} {kind.noun}s"
        raise reject(ErrorCode.LIMIT, f"{message} (RECOLLECT_PARTS_IN_SESSION).", path)


async def check_name(reader: Reader, kind: type[Node], external_id: str | None, path: Sequence[str | int] = ()) -> None:
    """Raises Rejected (DUPLICATE) for an externalId that is taken."""
    if external_id is not None and (await reader.find(kind, [(external_id,)]))[0] is not None:
        raise reject(ErrorCode.DUPLICATE, f"There is another {kind.noun} with this externalId.", [*path, "externalId"])


async def parts(context: Context, kind: type[N], column: str, parents: Sequence[Id]) -> list[list[N]]:
    """Those of a kind that name each parent in a column, the oldest first."""
    pages = await context.store.pages(Records(kind, column), parents, _ALL)
    return [page.nodes for page in pages]
