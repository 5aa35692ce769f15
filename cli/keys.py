"""`recollect keys`: makes, shows and revokes API keys, in a folder or through a running server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import click

from cli import show
from cli.client import Target, ask
from server.settings import BadSetting

_KEY = "id name role createdAt expiresAt revokedAt"
_DONE = f"apiKey {{ {_KEY} }} errors {{ message }}"
_CREATE = f"mutation ($input: CreateApiKeyInput!) {{ done: createApiKey(input: $input) {{ secret {_DONE} }} }}"
_REVOKE = f"mutation ($input: RevokeApiKeyInput!) {{ done: revokeApiKey(input: $input) {{ {_DONE} }} }}"
_LIST = f"{{ apiKeys {{ {_KEY} }} }}"


async def create(target: Target, name: str, role: str, days: int | None) -> None:
    """Makes a key; its secret, which is not shown again, is all that goes to standard output."""
    expires = None if days is None else (datetime.now(UTC) + timedelta(days=days)).isoformat()
    done = await _write(target, _CREATE, {"name": name, "role": role, "expiresAt": expires})
    key = done["apiKey"]
    until = "until revoked" if key["expiresAt"] is None else f"until {key['expiresAt']}"
    click.echo(done["secret"])
    click.echo(f"{key['id']} ({key['role'].lower()}, good {until}); the key is shown only now.", err=True)


async def revoke(target: Target, id: str) -> None:
    done = await _write(target, _REVOKE, {"id": id})
    click.echo(f"{id} ({done['apiKey']['name']}) is revoked.")


async def show_keys(target: Target, as_json: bool) -> None:
    """Prints the keys of a workspace as a table, or as JSON."""
    keys = (await ask(target, _LIST, {}))["apiKeys"]
    if as_json:
        show.as_json(keys)
    elif not keys:
        click.echo("No keys.")
    else:
        rows = [[key["id"], key["name"], key["role"].lower(), key["createdAt"][:10], _state(key)] for key in keys]
        show.table(("id", "name", "role", "created", "state"), rows, width=show.WIDE)


def _state(key: dict[str, Any]) -> str:
    if key["revokedAt"] is not None:
        return f"revoked {key['revokedAt'][:10]}"
    if key["expiresAt"] is None:
        return "good"
    over = datetime.fromisoformat(key["expiresAt"]) <= datetime.now(UTC)
    return f"{'expired' if over else 'good until'} {key['expiresAt'][:10]}"


async def _write(target: Target, mutation: str, given: dict[str, Any]) -> dict[str, Any]:
    done: dict[str, Any] = (await ask(target, mutation, {"input": given}))["done"]
    if done["errors"]:
        raise BadSetting(done["errors"][0]["message"])
    return done
