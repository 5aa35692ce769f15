"""`recollect retention`: deletes what is not to be kept, or tells what that would be."""

from __future__ import annotations

from typing import Any

import click
from msgspec import UNSET
from msgspec.structs import asdict

from cli import show
from cli.client import Target, ask
from domain.retention import RetainedKind, policies
from server.settings import BadSetting

_APPLY = """mutation ($input: ApplyRetentionInput!) { done: applyRetention(input: $input) {
    removed { kind count bytes oldest latest held reasons { rule count } } errors { message } } }"""

_RULES = {"DAYS": "older", "COUNT": "too many", "BYTES": "too many bytes"}


async def apply(target: Target, keep: str | None, dry_run: bool) -> list[dict[str, Any]]:
    """What was taken away, or would be, by these policies or those of the settings. Raises BadSetting."""
    given: dict[str, Any] = {"dryRun": dry_run}
    if keep is not None:
        given["policies"] = _read(keep)
    done = (await ask(target, _APPLY, {"input": given}))["done"]
    if done["errors"]:
        raise BadSetting(done["errors"][0]["message"])
    removed: list[dict[str, Any]] = done["removed"]
    return removed


def _read(keep: str) -> list[dict[str, Any]]:
    try:
        found = policies(keep)
    except ValueError as error:
        kinds = ", ".join(kind.lower() for kind in RetainedKind.__members__)
        raise BadSetting(
            f"{error} is no policy; write KIND=DAYSd,COUNT,SIZE such as sessions=90d, of {kinds}."
        ) from None
    plain = [{name: value for name, value in asdict(one).items() if value not in (None, UNSET)} for one in found]
    return [{**one, "kind": one["kind"].value} for one in plain]


def show_removed(removed: list[dict[str, Any]], dry_run: bool, as_json: bool) -> None:
    """Prints what went, kind by kind, and why; or JSON."""
    if as_json:
        show.as_json(removed)
        return
    if not removed:
        click.echo("Nothing is limited; set RECOLLECT_RETENTION or give --keep.")
        return
    rows = [[one["kind"].lower(), f"{one['count']:,}", _size(one["bytes"]), _times(one), _why(one)] for one in removed]
    head = ("kind", "would go" if dry_run else "deleted", "size", "from and to", "why")
    show.table(head, rows, numbers=(head[1], "size"), width=show.WIDE)


def _size(size: float | None) -> str:
    return "" if size is None else f"{size / 1e6:,.1f} MB"


def _times(one: dict[str, Any]) -> str:
    return "" if one["oldest"] is None else f"{one['oldest'][:10]} to {one['latest'][:10]}"


def _why(one: dict[str, Any]) -> str:
    parts = [f"{_RULES[reason['rule']]}: {reason['count']:,}" for reason in one["reasons"]]
    return ", ".join([*parts, *([f"shown, so they stay: {one['held']:,}"] if one["held"] else [])])
