"""Links between sessions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

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
    await _check_ways(context, input.links)

    async def script(tx: Transaction) -> list[SessionLink]:
        ends = await _ends(tx, input.links)
        keys = [(source, one.kind.value, target) for one, (source, target) in zip(input.links, ends, strict=True)]
        there = dict(zip(keys, await tx.find(SessionLink, keys), strict=True)) if keys else {}
        await _not_back(tx, input.links, ends)
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


async def _not_back(tx: Transaction, inputs: Sequence[SessionLinkInput], ends: Sequence[tuple[Id, Id]]) -> None:
    """Raises Rejected (INVALID) where the same link is there the other way round, as others may just have made it."""
    back = {
        index: (target, one.kind.value, source)
        for index, (one, (source, target)) in enumerate(zip(inputs, ends, strict=True))
        if one.kind in ONE_WAY
    }
    found = await tx.find(SessionLink, list(back.values())) if back else []
    for index, there in zip(back, found, strict=True):
        if there is not None:
            raise _leads_back(there.kind, index)


def _leads_back(kind: SessionLinkKind, index: int) -> Exception:
    message = f"Links of kind {kind.name} would lead from this session back to it."
    return invalid(f"{message} Remove one of them, or use RELATED.", ["links", index, "target"])


async def _check_ways(context: Context, inputs: Sequence[SessionLinkInput]) -> None:
    """Raises Rejected: INVALID for a link by which links of a kind that leads one way would lead back; LIMIT where too
    many links would have to be followed."""
    for kind in ONE_WAY:
        asked = [(index, one) for index, one in enumerate(inputs) if one.kind is kind]
        refs = [ref for _, one in asked for ref in (one.source, one.target)]
        found = await lookup_all(context.store, Session, refs) if refs else {}
        # One that is yet to be made stands for itself: nothing leaves it but what is asked for here.
        ids = {ref: found[ref].id if ref in found else Id(ref.id or ref.external_id or "") for ref in refs}
        ends = [(index, ids[one.source], ids[one.target]) for index, one in asked]
        there = await _onward(context, {ids[ref] for ref in refs if ref in found}, kind)
        new = [(index, source, target) for index, source, target in ends if source != target]
        place = circle([*there, *((source, target) for _, source, target in new)])
        if place is not None and place >= len(there):
            raise _leads_back(kind, new[place - len(there)][0])


async def _onward(context: Context, sessions: Iterable[Id], kind: SessionLinkKind) -> list[tuple[Id, Id]]:
    """The links of a kind that leave sessions, and those that leave where these lead, as sources and targets."""
    found: dict[tuple[Id, Id], None] = {}
    seen: set[Id] = set()
    waiting = set(sessions)
    while waiting:
        seen |= waiting
        among = LinkFilter(LinkDirection.OUT, [kind])
        pages = await context.store.pages(Collection.SESSION_LINKS, sorted(waiting), Slice(_MOST), among)
        found.update(((one.source_id, one.target_id), None) for page in pages for one in page.nodes)
        if len(found) >= _MOST:
            raise reject(
                ErrorCode.LIMIT, f"More than {_MOST:,} links of kind {kind.name} lead on from here.", ["links"]
            )
        waiting = {target for _, target in found} - seen
    return list(found)
