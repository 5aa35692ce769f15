"""Lines of the logs of changes, as every engine keeps them: what a record was before a change, as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec.structs import replace

from domain.change import Change, ChangeKind, Line, MemoryChange, RecordChange, matched
from domain.erasure import bare
from domain.link import MemoryLink
from domain.memory import Memory, MemoryFilter, has_ended, says_when, without_text
from domain.node import Id
from domain.values import EMPTY_OBJECT, Ref
from stores.catalogue.kinds import called
from stores.rows import text

_NONE = MemoryFilter(or_=[])

_link = msgspec.json.Decoder(MemoryLink).decode


def textless(before: str) -> str:
    """The same of a memory whose text is deleted."""
    was = msgspec.json.decode(before)
    return text({**was, "text": ""})


def forgotten(about: str, before: str | None, link: str | None) -> tuple[str | None, str | None]:
    """What is left in a line of what was erased, of the record as it was and of the link: which it was, of what, and by
    whom."""
    tied = link_of(link)
    left = None if tied is None else text(replace(tied, metadata=EMPTY_OBJECT))
    if before is None:
        return None, left
    if about != MemoryChange.about:
        said = msgspec.json.decode(before)
        return text({**said, **{name: None for name in _SAID if name in said}}), left
    was = bare(msgspec.json.decode(before, type=Memory))
    gone = lost(before)
    return f"{text(was)[:-1]}{_end(gone and Ref(id=gone.id))}", left


_SAID = ("value", "label", "external_id")


def _end(session: Ref | None) -> str:
    """The end of what a line keeps of a memory."""
    return "}" if session is None else f',"lost":{text(session)}}}'


class _Lost(msgspec.Struct):
    """What the JSON of a memory has besides."""

    lost: Ref | None = None


def kept(change: Change, with_text: bool = True) -> tuple[str | None, str | None]:
    """What a line keeps: the record as it was, and the link."""
    if isinstance(change, RecordChange):
        return None if change.before is None else text(change.before), None
    link = None if change.link is None else text(change.link)
    if change.before is None:
        return None, link
    before = change.before if with_text else replace(change.before, text="")
    return f"{text(before)[:-1]}{_end(change.lost)}", link


def state_of(about: str, before: str | None, said: str | None = None) -> Any:
    """A record of a kind as a line has it. said: the text of a memory, where an engine keeps that apart."""
    if before is None:
        return None
    state = msgspec.json.decode(before, type=called(about).record)
    return state if said is None else replace(state, text=said)


def line_of(  # noqa: PLR0913 - the columns of a line
    about: str,
    place: int,
    kind: str,
    id: Id,
    time: datetime,
    link: str | None,
    before: Any,
    then: Any,
    now: Any,
    lost: Ref | None = None,
) -> Line[Any] | None:
    """One line; None where nothing is known of its record, which is gone.

    before: the record before this change; then: before the next one that changed it, and so after this one; now: as it
    is, None where it is gone.
    """
    what, logged = ChangeKind[kind], called(about).logged
    after = then or (now if now is None or logged is None else logged(now))
    subject = now or after or before
    if subject is None:
        return None
    if what is ChangeKind.DELETED:
        after = None
    elif what in (ChangeKind.LINKED, ChangeKind.UNLINKED):
        before = after
    if about != MemoryChange.about:
        return Line(RecordChange(about, what, id, time, before, after, place), before, after)
    change = MemoryChange(what, id, time, subject, link_of(link), now is None, place, before, lost=lost)
    return Line(change, before, after)


def link_of(text: str | None) -> MemoryLink | None:
    """The link that a change was about, as its line has it."""
    return None if text is None else _link(text)


def lost(was: str | None) -> Ref | None:
    """The session that a memory lost by a change, as its line has it."""
    return msgspec.json.decode(was, type=_Lost).lost if was is not None and '"lost":' in was else None


def told(lines: Sequence[Line[MemoryChange]], holds: Sequence[bool]) -> list[MemoryChange]:
    """What a follower of memories is told, by the answers to what is asked."""
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
