"""Lines of the memory log, as every engine keeps them: what a memory was before a change, as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

import msgspec
from msgspec.structs import replace

from domain.change import ChangeKind, Line, MemoryChange, matched
from domain.erasure import bare
from domain.link import MemoryLink
from domain.memory import Memory, MemoryFilter, has_ended, says_when, without_text
from domain.node import Id
from domain.values import EMPTY_OBJECT, Ref
from stores.rows import text

_NONE = MemoryFilter(or_=[])

_link = msgspec.json.Decoder(MemoryLink).decode


def forgotten_change(change: MemoryChange) -> MemoryChange:
    """A line of a memory that was erased, with what is left of that."""
    return replace(
        change,
        subject=bare(change.subject),
        before=change.before and bare(change.before),
        link=change.link and replace(change.link, metadata=EMPTY_OBJECT),
        lost=change.lost and Ref(id=change.lost.id),
    )


def forgotten(memory: str | None, link: str | None) -> tuple[str | None, str | None]:
    """The same of what a line keeps: the memory as it was, and the link."""
    tied = link_of(link)
    left = None if tied is None else text(replace(tied, metadata=EMPTY_OBJECT))
    if memory is None:
        return None, left
    was = bare(msgspec.json.decode(memory, type=Memory))
    gone = lost(memory)
    return f"{text(was)[:-1]}{_end(gone and Ref(id=gone.id))}", left


def _end(session: Ref | None) -> str:
    """The end of what a line keeps of a memory."""
    return "}" if session is None else f',"lost":{text(session)}}}'


class _Lost(msgspec.Struct):
    """What the JSON of a memory has besides."""

    lost: Ref | None = None


def kept(change: MemoryChange, with_text: bool = True) -> str | None:
    """What a line keeps of a memory as it was."""
    if change.before is None:
        return None
    before = change.before if with_text else replace(change.before, text="")
    return f"{text(before)[:-1]}{_end(change.lost)}"


def line_of(  # noqa: PLR0913 - the columns of a line
    place: int,
    kind: str,
    memory_id: Id,
    time: datetime,
    link: MemoryLink | None,
    before: Memory | None,
    then: Memory | None,
    now: Memory | None,
    lost: Ref | None = None,
) -> Line[MemoryChange] | None:
    """One line; None where nothing is known of its memory, which is gone.

    before: the memory before this change; then: before the next one that changed it, and so after this one.
    """
    after = then or now
    subject = now or after or before
    if subject is None:
        return None
    what = ChangeKind[kind]
    if what is ChangeKind.DELETED:
        after = None
    elif what in (ChangeKind.LINKED, ChangeKind.UNLINKED):
        before = after
    change = MemoryChange(what, memory_id, time, subject, link, now is None, place, before, lost=lost)
    return Line(change, before, after)


def link_of(text: str | None) -> MemoryLink | None:
    """The link that a change was about, as its line has it."""
    return None if text is None else _link(text)


def lost(was: str | None) -> Ref | None:
    """The session that a memory lost by a change, as its line has it."""
    return msgspec.json.decode(was, type=_Lost).lost if was is not None and '"lost":' in was else None


def told(lines: Sequence[Line[MemoryChange]], holds: Sequence[bool]) -> list[MemoryChange]:
    """What a follower is told, by the answers to what is asked."""
    return [replace(change, left=left) for change, left in matched(lines, holds)]


def asked(
    lines: Sequence[Line[MemoryChange]], filter: MemoryFilter | None
) -> Iterator[tuple[Memory, MemoryFilter | None]]:
    """What a follower's filter has to be asked about, each with the filter that asks it: it knows no text that is
    forgotten, and no session that is gone, so what it says of those is decided here. Equal filters are one.

    As in lists, what has ended by then is meant only by a filter that says of which time; without any it is told.
    """
    gone = {line.change.lost.id: line.change.lost.external_id for line in lines if line.change.lost is not None}
    named = set() if filter is None else set(_sessions(filter))
    made: dict[tuple[frozenset[tuple[Ref, bool]], bool], MemoryFilter] = {}
    any_time = says_when(filter)
    for line in lines:
        for state in (line.before, line.after):
            if state is None:
                continue
            if not any_time and has_ended(state, line.change.time) and (filter is not None or state is line.after):
                yield state, _NONE
            elif filter is None:
                yield state, None
            else:
                answers = {
                    ref: ref.id == state.session_id if ref.id is not None else ref.external_id == gone[state.session_id]
                    for ref in named
                    if ref.id is not None or state.session_id in gone
                }
                key = frozenset(answers.items()), bool(state.text)
                if key not in made:
                    whole = filter if state.text else without_text(filter)
                    made[key] = _answered(whole, answers) if answers else whole
                yield state, made[key]


def _sessions(filter: MemoryFilter) -> Iterator[Ref]:
    """The sessions that a filter names."""
    if filter.session is not None:
        yield filter.session
    for part in (*(filter.and_ or ()), *(filter.or_ or ()), *(() if filter.not_ is None else (filter.not_,))):
        yield from _sessions(part)


def _answered(filter: MemoryFilter, answers: Mapping[Ref, bool]) -> MemoryFilter:
    """The filter for a memory of which is known whether it is of some sessions."""

    def each(parts: list[MemoryFilter] | None) -> list[MemoryFilter] | None:
        return None if parts is None else [_answered(part, answers) for part in parts]

    holds = None if filter.session is None else answers.get(filter.session)
    if holds is False:
        return _NONE
    return replace(
        filter,
        session=filter.session if holds is None else None,
        and_=each(filter.and_),
        or_=each(filter.or_),
        not_=None if filter.not_ is None else _answered(filter.not_, answers),
    )
