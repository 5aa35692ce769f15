"""Links between sessions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

from domain.errors import ErrorCode, invalid, not_found, reject
from domain.link import LinkDirection
from domain.node import Id
from domain.page import Page, Slice
from domain.session import Session
from domain.session_link import (
    ONE_WAY,
    LinkSessionsInput,
    SessionLink,
    SessionLinkInput,
    SessionLinkKind,
    SessionLinkOrder,
    UnlinkSessionsInput,
)
from domain.supersession import circle
from domain.values import EMPTY_OBJECT, changed, given
from resolvers.context import Context, Unchanged, lookup_all, named_by
from resolvers.idempotency import write
from resolvers.lists import SESSION_LINKS
from stores.ports import Collection, LinkFilter, Transaction

_MOST = 10_000
"""How many links are followed to see whether one leads back."""


async def of(  # noqa: PLR0913 - the arguments of a field
    context: Context,
    sessions: Sequence[Session],
    direction: LinkDirection = LinkDirection.BOTH,
    kinds: list[SessionLinkKind] | None = None,
    first: int | None = None,
    after: str | None = None,
    last: int | None = None,
    before: str | None = None,
    order_by: SessionLinkOrder | None = None,
) -> list[Page[SessionLink]]:
    ids = [session.id for session in sessions]
    return await SESSION_LINKS.pages(context, ids, first, after, last, before, LinkFilter(direction, kinds), order_by)


async def sources(context: Context, links: Sequence[SessionLink]) -> list[Session | None]:
    return await named_by(context, Session, [link.source_id for link in links])


async def targets(context: Context, links: Sequence[SessionLink]) -> list[Session | None]:
    return await named_by(context, Session, [link.target_id for link in links])


async def link(context: Context, input: LinkSessionsInput) -> list[SessionLink]:
    """Links sessions, all or none; an existing link gets the new metadata. Raises Rejected: NOT_FOUND; INVALID for a
    link of a session to itself, for one that leads back to where it begins, and for one of kind FORKED_FROM."""
    for index, one in enumerate(input.links):
        if one.kind is SessionLinkKind.FORKED_FROM:
            raise invalid("forkSession makes the links of this kind; use another kind.", ["links", index, "kind"])
    known = await _ahead(context, input.links)

    async def script(tx: Transaction) -> list[SessionLink]:
        ends = await _ends(tx, input.links)
        keys = [(source, one.kind.value, target) for one, (source, target) in zip(input.links, ends, strict=True)]
        there = dict(zip(keys, await tx.find(SessionLink, keys), strict=True)) if keys else {}
        await _check_ways(tx, input.links, ends, known)
        stored, fresh = [], {}
        for one, key, (source, target) in zip(input.links, keys, ends, strict=True):
            before = there[key]
            new = before or SessionLink(
                id=tx.new_id(SessionLink), source_id=source, kind=one.kind, target_id=target, created_at=tx.now
            )
            record = changed(new, **given(one, metadata=EMPTY_OBJECT))
            there[key] = record
            stored.append(record)
            if record is not before:
                fresh[record.id] = record
        if not fresh:
            raise Unchanged(stored)
        await tx.put(list(fresh.values()))
        return stored

    return await write(context, input, script)


async def unlink(context: Context, input: UnlinkSessionsInput) -> list[SessionLink]:
    """Removes links, all or none, and returns them. Raises Rejected: NOT_FOUND; CONFLICT for one of kind
    FORKED_FROM."""

    async def script(tx: Transaction) -> list[SessionLink]:
        gone: dict[Id, SessionLink] = {}
        for index, found in enumerate(await tx.get(SessionLink, input.links)):
            if found is None:
                raise not_found(SessionLink.noun, ["links", index])
            if found.kind is SessionLinkKind.FORKED_FROM:
                message = "This link tells of a fork, and stays as long as both sessions do; delete one of them."
                raise reject(ErrorCode.CONFLICT, message, ["links", index])
            gone[found.id] = found
        await tx.delete(SessionLink, list(gone))
        return list(gone.values())

    return await context.write(script)


async def tell_fork(tx: Transaction, fork: Session, of: Session) -> None:
    """Links a session to the one that it is a fork of."""
    kind = SessionLinkKind.FORKED_FROM
    await tx.put(
        [SessionLink(id=tx.new_id(SessionLink), source_id=fork.id, kind=kind, target_id=of.id, created_at=tx.now)]
    )


async def _ends(tx: Transaction, inputs: Sequence[SessionLinkInput]) -> list[tuple[Id, Id]]:
    """The sources and targets. Raises Rejected: NOT_FOUND, INVALID."""
    found = await lookup_all(tx, Session, [ref for one in inputs for ref in (one.source, one.target)])
    ends = []
    for index, one in enumerate(inputs):
        for name, ref in (("source", one.source), ("target", one.target)):
            if ref not in found:
                raise not_found(Session.noun, ["links", index, name])
        source, target = found[one.source].id, found[one.target].id
        if source == target:
            raise invalid("A session cannot be linked to itself.", ["links", index, "target"])
        ends.append((source, target))
    return ends


def _leads_back(kind: SessionLinkKind, index: int) -> Exception:
    message = f"Links of kind {kind.name} would lead from this session back to it."
    return invalid(f"{message} Remove one of them, or use RELATED.", ["links", index, "target"])


async def _ahead(context: Context, inputs: Sequence[SessionLinkInput]) -> dict[SessionLinkKind, set[Id]]:
    """For each kind that leads one way the sessions that targets lead to, as far as is known before the write: a write
    reads their links at once, and has to follow only those that have come since. Raises Rejected: LIMIT."""

    async def leaving(ids: list[Id], kind: SessionLinkKind) -> list[SessionLink]:
        among = LinkFilter(LinkDirection.OUT, [kind])
        pages = await context.store.pages(Collection.SESSION_LINKS, ids, Slice(_MOST), among)
        return [one for page in pages for one in page.nodes]

    known: dict[SessionLinkKind, set[Id]] = {}
    for kind in ONE_WAY:
        if refs := [one.target for one in inputs if one.kind is kind]:
            begin = {one.id for one in (await lookup_all(context.store, Session, refs)).values()}
            known[kind] = begin | {target for _, target in await _onward(begin, kind, leaving)}
    return known


async def _check_ways(
    tx: Transaction,
    inputs: Sequence[SessionLinkInput],
    ends: Sequence[tuple[Id, Id]],
    known: Mapping[SessionLinkKind, set[Id]],
) -> None:
    """Raises Rejected: INVALID for a link by which links of a kind that leads one way would lead back; LIMIT where too
    many links would have to be followed. known: sessions that these may lead to."""

    async def leaving(ids: list[Id], kind: SessionLinkKind) -> list[SessionLink]:
        found: list[SessionLink] = await tx.along(Session, [(SessionLink, "source")], ids)
        return [one for one in found if one.kind is kind]

    for kind, ahead in known.items():
        new = {index: ends[index] for index, one in enumerate(inputs) if one.kind is kind}
        there = await _onward(ahead | {target for _, target in new.values()}, kind, leaving)
        place = circle(there, new.values())
        if place is not None:
            raise _leads_back(kind, list(new)[place])


async def _onward(
    sessions: Iterable[Id],
    kind: SessionLinkKind,
    leaving: Callable[[list[Id], SessionLinkKind], Awaitable[list[SessionLink]]],
) -> set[tuple[Id, Id]]:
    """The links of a kind that leave sessions, and those that leave where these lead, as sources and targets."""
    found: set[tuple[Id, Id]] = set()
    seen: set[Id] = set()
    waiting = set(sessions)
    while waiting:
        seen |= waiting
        found.update((one.source_id, one.target_id) for one in await leaving(sorted(waiting), kind))
        if len(found) >= _MOST:
            message = f"More than {_MOST:,} links of kind {kind.name} lead on from here."
            raise reject(ErrorCode.LIMIT, message, ["links"])
        waiting = {target for _, target in found} - seen
    return found
