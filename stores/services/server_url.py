"""URLs of servers: scheme://user:password@host:port,host:port/path?option=value."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from ipaddress import IPv6Address
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote

from stores.errors import CannotOpen

_HOST = re.compile(r"[\w.-]+")
_PORT = re.compile(r"[0-9]{1,5}")
_ENCODED = "write / as %2F, ? as %3F and # as %23 in a password"


class Form(NamedTuple):
    """What the URLs of a setting look like. port: where a host names none; options: of the query, None for any."""

    setting: str
    example: str
    schemes: Collection[str]
    port: int
    options: Collection[str] | None = ()


class ServerURL(NamedTuple):
    """A URL taken apart. hosts: with their ports, IPv6 addresses without brackets; at least one."""

    scheme: str
    user: str | None
    password: str | None
    hosts: list[tuple[str, int]]
    path: str
    options: Mapping[str, str]

    @property
    def place(self) -> str:
        """The hosts as they are written in a URL."""
        return ",".join(f"{bracketed(host)}:{port}" for host, port in self.hosts)

    @property
    def credentials(self) -> tuple[str, str] | None:
        return None if self.user is None else (self.user, self.password or "")


def bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def parse(url: str, form: Form) -> ServerURL:
    """Raises CannotOpen with a sentence that names the setting and shows nothing of the URL, which has a password."""
    try:
        return _parse(url.strip(), form)
    except ValueError as wrong:
        raise CannotOpen(f"{form.setting} must look like {form.example}: {wrong}.") from None


def _parse(url: str, form: Form) -> ServerURL:
    scheme, there, rest = url.partition("://")
    if not there or scheme.lower() not in form.schemes:
        raise ValueError(f"it begins with {' or '.join(f'{one}://' for one in form.schemes)}")
    if re.search(r"[\s\x00-\x1f\x7f]", url):
        raise ValueError("it has no blanks or line ends in it")
    if "#" in rest:
        raise ValueError(_ENCODED)
    rest, _, query = rest.partition("?")
    authority, _, path = rest.partition("/")
    who, at, places = authority.rpartition("@")
    if not at and ("@" in path or "@" in query):
        raise ValueError(_ENCODED)
    user, _, password = who.partition(":")
    hosts = [_host(place, form.port) for place in places.split(",")]
    options = dict(parse_qsl(query, keep_blank_values=True))
    if form.options is not None and (unknown := sorted(options.keys() - set(form.options))):
        known = f"; there are {', '.join(form.options)}" if form.options else ""
        raise ValueError(f"there is no option {unknown[0]!r}{known}")
    return ServerURL(
        scheme.lower(), unquote(user) or None, unquote(password) or None, hosts, unquote(path.strip("/")), options
    )


def _host(place: str, port: int) -> tuple[str, int]:
    name, colon, digits = place.rpartition(":")
    if not colon or place.endswith("]"):
        name, colon, digits = place, "", ""
    if name.startswith("[") and name.endswith("]"):
        name = str(IPv6Address(name[1:-1]))
    elif ":" in name:
        raise ValueError("an IPv6 address stands in brackets, as [::1]:7687")
    elif not name:
        raise ValueError("it names no host, or there is a comma too many")
    elif not _HOST.fullmatch(name):
        raise ValueError("a host is a name or an address")
    if colon and not (_PORT.fullmatch(digits) and 0 < int(digits) < 65536):
        raise ValueError("a port is a number from 1 to 65535")
    return name, int(digits) if colon else port


def one_host(url: ServerURL, form: Form) -> tuple[str, int]:
    """The host of a URL that has only one. Raises CannotOpen."""
    if len(url.hosts) > 1:
        raise CannotOpen(f"{form.setting} must look like {form.example}: {url.scheme}:// takes one host.")
    return url.hosts[0]


def whole_number(url: ServerURL, form: Form, option: str, default: int, most: int) -> int:
    """An option that is a number from 1 on. Raises CannotOpen."""
    value = url.options.get(option, str(default))
    if not re.fullmatch(r"[0-9]{1,9}", value) or not 0 < int(value) <= most:
        raise CannotOpen(f"{form.setting} must look like {form.example}: {option} is a number from 1 to {most}.")
    return int(value)
