"""Read the times that a query names, as far as they can be told without a model."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

Period = tuple[datetime, datetime]
"""From a time on, up to and without another."""

_MONTHS = (
    "january|januar|jan", "february|februar|feb", "march|marz|märz|mar", "april|apr", "may|mai", "june|juni|jun",
    "july|juli|jul", "august|aug", "september|sept|sep", "october|oktober|oct|okt", "november|nov",
    "december|dezember|dec|dez",
)  # fmt: skip
_MONTH = {name: number for number, names in enumerate(_MONTHS, 1) for name in names.split("|")}
_NAME = "|".join(sorted(_MONTH, key=len, reverse=True))
_DAYS = {
    "monday": 0, "tuesday": 1, "wednesday": 2, "thursday": 3, "friday": 4, "saturday": 5, "sunday": 6,
    "montag": 0, "dienstag": 1, "mittwoch": 2, "donnerstag": 3, "freitag": 4, "samstag": 5, "sonntag": 6,
}  # fmt: skip
_AGO = {
    "today": 0, "heute": 0, "今天": 0, "今日": 0, "오늘": 0, "bugun": 0, "bugün": 0, "اليوم": 0, "วันนี้": 0,
    "yesterday": 1, "gestern": 1, "昨天": 1, "昨日": 1, "어제": 1, "dun": 1, "dün": 1, "أمس": 1, "เมื่อวาน": 1,
}  # fmt: skip
_UNITS = {"day": 1, "week": 7, "month": 30, "year": 365}
_YEAR = r"(?:19|20)\d\d"


def periods(text: str, now: datetime) -> list[Period]:
    """The times a text names, exact ones before wider ones; "last week" and the like are before `now`."""
    text = text.lower()
    found: list[Period] = []
    for pattern, read in _READERS:
        for match in pattern.finditer(text):
            try:
                period = read(match, now)
            except (ValueError, OverflowError):
                continue  # the 31st of February
            found.append(period)
        text = pattern.sub(" ", text)
    return found


def _day(year: int, month: int, day: int) -> Period:
    begin = datetime(year, month, day, tzinfo=UTC)
    return begin, begin + timedelta(1)


def _month(year: int, month: int) -> Period:
    begin = datetime(year, month, 1, tzinfo=UTC)
    return begin, (begin + timedelta(32)).replace(day=1)


def _year(year: int) -> Period:
    return datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC)


def _dated(match: re.Match[str], now: datetime) -> Period:
    """A date of a year, a month and perhaps a day."""
    year, month, day = match["y"], match["m"], match.groupdict().get("d")
    number = _MONTH.get(month) or int(month)
    when = int(year) if year else now.year
    if not year and datetime(when, number, 1, tzinfo=UTC) > now:
        when -= 1
    return _day(when, number, int(day)) if day else _month(when, number)


def _last(match: re.Match[str], now: datetime) -> Period:
    """The last week, month or year, or one so many of them ago."""
    days = _UNITS[match["unit"]] * int(match.groupdict().get("n") or 1)
    spare = max(1, _UNITS[match["unit"]] // 2)
    return now - timedelta(days + spare), now - timedelta(max(0, days - _UNITS[match["unit"]] - spare))


def _midnight(now: datetime) -> datetime:
    return now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _days_ago(now: datetime, days: int) -> Period:
    begin = _midnight(now) - timedelta(days)
    return begin, begin + timedelta(1)


def _weekday(match: re.Match[str], now: datetime) -> Period:
    return _days_ago(now, (now.weekday() - _DAYS[match["day"]] - 1) % 7 + 1)


def _patterns() -> Iterator[tuple[str, Callable[[re.Match[str], datetime], Period]]]:
    yield rf"\b(?P<y>{_YEAR})-(?P<m>\d\d?)-(?P<d>\d\d?)\b", _dated
    yield rf"(?P<y>{_YEAR})\s*[年년]\s*(?P<m>\d\d?)\s*[月월](?:\s*(?P<d>\d\d?)\s*[日일])?", _dated
    yield rf"\b(?P<d>\d\d?)(?:st|nd|rd|th|\.)?\s+(?:of\s+)?(?P<m>{_NAME})\b\.?,?\s*(?P<y>{_YEAR})?", _dated
    yield rf"\b(?P<m>{_NAME})\s+(?P<d>\d\d?)(?:st|nd|rd|th)?\b(?!\d),?\s*(?P<y>{_YEAR})?", _dated
    yield rf"\b(?P<m>{_NAME})\.?,?\s+(?P<y>{_YEAR})\b", _dated
    yield rf"\b(?:in|im|since|during)\s+(?P<m>{_NAME})\b(?P<y>)", _dated
    yield r"(?P<y>(?:19|20)\d\d)\s*[年년]", lambda match, now: _year(int(match["y"]))
    yield rf"\b(?:in|since|during|of)\s+(?P<y>{_YEAR})\b", lambda match, now: _year(int(match["y"]))
    yield r"\blast\s+(?P<unit>week|month|year)\b", _last
    yield r"\b(?P<n>\d{1,3})\s+(?P<unit>day|week|month|year)s?\s+ago\b", _last
    yield rf"\b(?:on|last|am|letzten)\s+(?P<day>{'|'.join(_DAYS)})\b", _weekday
    for spaced in (True, False):
        named = "|".join(re.escape(word) for word in _AGO if (word[0] < "\u0600") is spaced)
        edge = r"\b" if spaced else ""
        yield rf"{edge}(?P<word>{named}){edge}", lambda match, now: _days_ago(now, _AGO[match["word"]])


_READERS = [(re.compile(pattern), read) for pattern, read in _patterns()]
