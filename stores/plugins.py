"""What packages bring: the entry points of a group, ours among them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from typing import Any, TypeVar

T = TypeVar("T")

_OURS = "recollect"


class Plugins:
    """The entry points of a group. noun: what one of them is.

    failure: makes the exception of one sentence that is raised for what goes wrong. known: exceptions that are let
    through, for they are such sentences already.
    """

    def __init__(self, group: str, noun: str, failure: Callable[[str], Exception], known: type[Exception]) -> None:
        self._group, self._noun, self._failure, self._known = group, noun, failure, known

    @cached_property
    def _points(self) -> dict[str, EntryPoint]:
        """By name; ours come before others' of the same name."""
        points = entry_points(group=self._group)
        return {point.name: point for point in sorted(points, key=lambda point: _owner(point) == _OURS)}

    def names(self) -> tuple[str, ...]:
        """In order; nothing of them is imported for it."""
        return tuple(sorted(self._points))

    def load(self, name: str) -> Any:
        """What the entry point of a name stands for. Fails where there is none, or it cannot be imported."""
        if (point := self._points.get(name)) is None:
            raise self._failure(f"unknown {self._noun} {name!r}; expected one of {', '.join(self.names())}")
        return self.ask(name, "cannot be loaded", point.load)

    def ask(self, name: str, failing: str, ask: Callable[[], T]) -> T:
        """What one of them answers. Fails for whatever goes wrong in somebody else's package."""
        try:
            return ask()
        except self._known:
            raise
        except Exception as error:
            whose = f" of the package {owner}" if (owner := _owner(self._points[name])) else ""
            told = " ".join(f"{type(error).__name__}: {error}".split())
            raise self._failure(f"the {self._noun} {name!r}{whose} {failing}: {told}") from error


def _owner(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else ""
