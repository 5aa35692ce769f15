"""The log: what happens, a line at a time, on standard error.

It is JSON for machines and readable on a terminal. Values that callers send are never in it: not variables, not
literals, not credentials; so of an exception there is the kind and the place, and what it says only at level DEBUG.
"""

from __future__ import annotations

import logging
import sys
import traceback
from datetime import UTC, datetime
from typing import TextIO

import msgspec

from server.errors import INTERNAL, TIMEOUT, UNAVAILABLE
from server.instrumentation import OK, RequestRecord, current

_OURS = "recollect"
_FAULTS = {INTERNAL, TIMEOUT, UNAVAILABLE, "HTTP_500", "HTTP_503"}
"""Outcomes that are the server's doing."""

_log = logging.getLogger("recollect.operations")


def set_up(level: str, stream: TextIO | None = None) -> None:
    """From now on all that is logged goes to standard error, ours from this level on.

    Libraries are heard from WARNING on, whatever the level: what they say below shows requests and statements.
    """
    stream = stream or sys.stderr
    handler = logging.StreamHandler(stream)
    handler.addFilter(Sparing())
    handler.setFormatter((_Readable if stream.isatty() else _JSON)(level == "DEBUG"))
    logging.basicConfig(level=max(logging.WARNING, logging.getLevelName(level)), handlers=[handler], force=True)
    logging.getLogger(_OURS).setLevel(level)


class _Formatter(logging.Formatter):
    """What the two kinds of lines have in common. wordy: shows what exceptions say."""

    def __init__(self, wordy: bool) -> None:
        super().__init__()
        self._wordy = wordy

    def _fields(self, record: logging.LogRecord) -> dict[str, object]:
        """What a line tells beside its message."""
        fields: dict[str, object] = dict(getattr(record, "fields", {}))
        if request_id := current.get().id:
            fields.setdefault("requestId", request_id)
        return fields

    def formatException(self, ei: object) -> str:  # noqa: N802 - logging's name
        """The way to where it was raised, through its causes; what they say may be a caller's."""
        error = ei[1] if isinstance(ei, tuple) else None
        if not isinstance(error, BaseException):
            return ""
        if self._wordy:
            return "".join(traceback.format_exception(error)).rstrip()
        told: list[str] = []
        seen: BaseException | None = error
        while seen is not None and len(told) < 10:
            frames = traceback.format_list(
                [
                    traceback.FrameSummary(frame.filename, frame.lineno, frame.name, lookup_line=False, line="")
                    for frame in traceback.extract_tb(seen.__traceback__)
                ]
            )
            told.append(f"{''.join(frames)}{type(seen).__module__}.{type(seen).__qualname__}")
            seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)
        return "\n\nwhich came of\n".join(told)


class _JSON(_Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": _moment(record).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **self._fields(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line).decode()


class _Readable(_Formatter):
    def format(self, record: logging.LogRecord) -> str:
        """Time, level, message, and the rest as key=value."""
        rest = "".join(f" {name}={value}" for name, value in self._fields(record).items())
        text = f"{_moment(record).astimezone():%H:%M:%S} {record.levelname:7} {record.getMessage()}{rest}"
        return f"{text}\n{self.formatException(record.exc_info)}" if record.exc_info else text


def _moment(record: logging.LogRecord) -> datetime:
    return datetime.fromtimestamp(record.created, UTC)


class Sparing(logging.Filter):
    """Lets a few lines of an outage through in a while, with how many it has kept back since: clients ask again and
    again, and each refusal is like the one before."""

    lines, seconds = 10, 10.0

    def __init__(self) -> None:
        super().__init__()
        self._begun = self._count = 0.0

    def filter(self, record: logging.LogRecord) -> bool:
        fields = getattr(record, "fields", {})
        if fields.get("outcome") != UNAVAILABLE:
            return True
        if record.created - self._begun > self.seconds:
            if (kept_back := int(self._count - self.lines)) > 0:
                record.fields = {**fields, "keptBack": kept_back}
            self._begun, self._count = record.created, 0.0
        self._count += 1
        return self._count <= self.lines


class OperationLog:
    """Writes a line for each operation that failed or took long; for every one where `slow_ms` is 0."""

    def __init__(self, slow_ms: float) -> None:
        self._slow = slow_ms / 1000

    def observe(self, request: RequestRecord) -> None:
        """Writes the line, if it is worth one: 30 us. A subscription lasts long by nature."""
        ended_well = request.outcome is OK
        if ended_well and (request.seconds < self._slow or (request.kind == "subscription" and self._slow)):
            return
        level = logging.WARNING if request.outcome in _FAULTS else logging.INFO
        if not _log.isEnabledFor(level):
            return
        fields = {
            "requestId": request.id,
            "kind": request.kind,
            "name": request.name[:100],
            "hash": request.hash,
            "cost": request.cost,
            "outcome": request.outcome,
            "ms": round(request.seconds * 1000, 3),
            "storeCalls": request.store_calls,
        }
        _log.log(level, "operation", extra={"fields": {name: value for name, value in fields.items() if value != ""}})
