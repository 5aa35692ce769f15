"""Settings, from the environment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, get_args, get_origin, get_type_hints
from urllib.parse import urlsplit

import msgspec

from domain.blob import FORMATS, MAX_BYTES, MediaKind, MediaRules
from domain.entity_rules import ALL as RULES_OF_ENTITIES
from domain.masking import PRESETS as MASKS
from domain.masking import RULES, Masks, Rule, own
from domain.part import PartLimits
from domain.ranking import Weights
from domain.retention import RetainedKind, RetentionPolicy, policies
from domain.tool_execution import ToolLimits
from resolvers.context import MEMORY_CAPACITY, Told
from server.limits import Count, Limits, Seconds
from server.presets import PRESETS
from stores.ports import OPENAI

NotNegative = Annotated[float, msgspec.Meta(ge=0, le=1e9)]
Days = Annotated[float, msgspec.Meta(gt=0, le=36_500)]


class BadSetting(Exception):
    """An invalid setting; the text is one sentence that names it."""


class Settings(Limits, frozen=True):
    """What can be set, the limits among it. Each field is read from RECOLLECT_ and its name in capitals.

    preset: what the others are where they are not given (server.presets).
    embedder_url, embedder_key, embedder_dimension: of an embedder that a server has.
    weights: what signals count in HYBRID where it is not the usual, as NAME=NUMBER with blanks or commas between.
    retention: how long and how much is kept of what. trash_days: how long deleted sessions can be brought back; 0: not
    at all. prices: a file of prices of models, which count before ours.
    entities: which rules find entities in what is written (domain.entity_rules).
    mask: which secrets and personal data are masked before anything is stored; mask_keys: members of objects whose
    values are, too; mask_patterns: a file of patterns.
    trusted_documents: a folder or
    file of documents, beside which no others run. graph_url, vectors_url, events_url: of Neo4j, Weaviate and Redis,
    in place of the data folder's own store. blobs_url: of the bytes of blobs, which are else in the data folder.
    media_formats: of files that are taken. unused_blob_days: how long blobs are kept that no message shows.
    key: what the commands show to the server at their --url.
    tool_seconds, tools_in_session, tools_at_once: how long a tool may run, how many at once in a session and in all.
    parts_in_session: how many decisions, insights, executions, experiments or results a session may have, of each.
    rate_limit: operations of a credential in a minute. audit_days, audit_entries, changes_days, changes_entries: what
    the audit log and each log of changes keep. log_slow_ms: operations that take longer have a line in the log.
    metrics: who may see them where there are credentials. telemetry_messages: which sessions get the messages that
    model calls tell of. telemetry_logs: which log records are kept, those of a span or a session or all.
    grpc_port: where spans and log records are taken over gRPC. ping_seconds, ping_timeout: how
    often a WebSocket is asked whether it is there, and how long it may take to answer.
    """

    preset: Literal["none", "development", "production", "test"] = "none"
    embedder: str = "wordllama"
    embedder_url: str = OPENAI
    embedder_key: str = ""
    embedder_dimension: Count | Literal["own"] = "own"
    weights: str = ""
    memory_capacity: Count = MEMORY_CAPACITY
    prices: str = ""
    retention: str = ""
    trash_days: Annotated[float, msgspec.Meta(ge=0, le=36_500)] = 0.0
    entities: str = ""
    mask: str = ""
    mask_keys: str = ""
    mask_patterns: str = ""
    trusted_documents: str = ""
    graph_url: str = ""
    vectors_url: str = ""
    events_url: str = ""
    blobs_url: str = ""
    media_formats: str = " ".join(FORMATS)
    media_image_bytes: Count = MAX_BYTES[MediaKind.IMAGE]
    media_audio_bytes: Count = MAX_BYTES[MediaKind.AUDIO]
    media_video_bytes: Count = MAX_BYTES[MediaKind.VIDEO]
    media_document_bytes: Count = MAX_BYTES[MediaKind.DOCUMENT]
    unused_blob_days: Days = 1.0
    api_keys: str = ""
    key: str = ""
    first_key_file: str = ""
    jwt_jwks_url: str = ""
    jwt_public_key: str = ""
    jwt_issuer: str = ""
    jwt_audience: str = ""
    jwt_leeway: NotNegative = 30.0
    jwt_workspace_claim: str = "workspace"
    jwt_role_claim: str = "role"
    tool_seconds: Seconds = ToolLimits().seconds
    tools_in_session: Count = ToolLimits().in_session
    tools_at_once: Count = ToolLimits().in_workspace
    parts_in_session: Count = PartLimits().in_session
    rate_limit: Count | Literal["off"] = 6_000
    audit_days: Days = 365.0
    audit_entries: Count = 1_000_000
    changes_days: Days = 30.0
    changes_entries: Count = 1_000_000
    cors_origins: str = ""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_slow_ms: NotNegative = 1000.0
    metrics: Literal["admin", "open", "off"] = "admin"
    otel: Literal["on", "off"] = "off"
    telemetry_messages: Told = "auto"
    telemetry_logs: Literal["named", "all"] = "named"
    grpc_port: Count | Literal["off"] = "off"
    ping_seconds: Seconds = 20.0
    ping_timeout: Seconds = 20.0

    def __repr__(self) -> str:
        """Some of them are secrets: a log shows none."""
        return "Settings(...)"

    @property
    def on_servers(self) -> bool:
        """Whether the store is on servers, so that no data folder is used."""
        return bool(self.graph_url or self.vectors_url or self.events_url)

    @property
    def signals(self) -> Weights:
        """The weights of a HYBRID search's signals. Raises BadSetting."""
        given = dict(one.partition("=")[::2] for one in re.split(r"[\s,]+", self.weights) if one)
        try:
            return msgspec.convert(given, Weights, strict=False)
        except msgspec.ValidationError:
            names = ", ".join(Weights.__struct_fields__)
            wanted = f"NAME=NUMBER, of {names}, each 0 or above"
            raise BadSetting(f"RECOLLECT_WEIGHTS must be {wanted}, not {self.weights!r}.") from None

    @property
    def media_rules(self) -> MediaRules:
        """Raises BadSetting."""
        names = frozenset(re.split(r"[\s,]+", self.media_formats.strip().lower()))
        if strange := sorted(names - FORMATS.keys()):
            raise BadSetting(f"RECOLLECT_MEDIA_FORMATS: {strange[0]!r} is none of {', '.join(FORMATS)}.")
        return MediaRules(names, {kind: getattr(self, f"media_{kind.name.lower()}_bytes") for kind in MediaKind})

    @property
    def policies(self) -> list[RetentionPolicy]:
        """What is kept. Raises BadSetting."""
        try:
            return policies(self.retention)
        except ValueError as error:
            wanted = f"KIND=DAYSd,COUNT,SIZE of {', '.join(one.lower() for one in RetainedKind.__members__)}"
            raise BadSetting(f"RECOLLECT_RETENTION must be of parts such as {wanted}, not {error}.") from None

    @property
    def masks(self) -> Masks | None:
        """What is masked before it is stored; None for nothing. Raises BadSetting."""
        names = [name for name in re.split(r"[\s,]+", self.mask.strip().lower()) if name and name != "off"]
        if strange := [name for name in names if name not in MASKS]:
            raise BadSetting(f"RECOLLECT_MASK: {strange[0]!r} is none of {', '.join(MASKS)}.")
        on = {rule for name in names for rule in MASKS[name]}
        rules = [rule for name, several in RULES.items() if name in on for rule in several]
        keys = frozenset(key for key in re.split(r"[\s,]+", self.mask_keys) if key)
        rules += _own_rules(self.mask_patterns) if self.mask_patterns else []
        return Masks(rules, keys) if rules or keys else None

    @property
    def entity_rules(self) -> frozenset[str]:
        """The rules that find entities. Raises BadSetting."""
        names = {name for name in re.split(r"[\s,]+", self.entities.strip().lower()) if name and name != "off"}
        if strange := sorted(names - {*RULES_OF_ENTITIES, "all"}):
            raise BadSetting(f"RECOLLECT_ENTITIES: {strange[0]!r} is none of {', '.join(RULES_OF_ENTITIES)}, all.")
        return frozenset(RULES_OF_ENTITIES if "all" in names else names)

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Settings:
        """The settings of an environment. Raises BadSetting."""
        given = _given(environ)
        try:
            settings = msgspec.convert({**_preset(given), **given}, cls, strict=False)
        except msgspec.ValidationError as error:
            name = f"RECOLLECT_{str(error).rpartition('$.')[2].rstrip('`').upper()}"
            hint = get_type_hints(cls).get(name.removeprefix("RECOLLECT_").lower())
            wanted = " or ".join(get_args(hint)) if get_origin(hint) is Literal else _wanted(str(error))
            raise BadSetting(f"{name} must be {wanted}, not {environ[name]!r}.") from None
        _ = settings.signals, settings.masks, settings.entity_rules, settings.policies  # what cannot be is told at once
        return settings


def _given(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name in Settings.__struct_fields__ if (value := environ.get(f"RECOLLECT_{name.upper()}"))}


def _preset(given: Mapping[str, str]) -> Mapping[str, str]:
    """What the preset says that is given; nothing for one that is none, which is refused where it is read."""
    return PRESETS.get(given.get("preset", "none"), {})


SECRET = frozenset(
    {"embedder_key", "api_keys", "key", "jwt_public_key", "graph_url", "vectors_url", "events_url", "blobs_url"}
)
"""The settings that are secrets, or may have one in them."""


class Value(NamedTuple):
    """A setting's value, as the environment would have it, and where it is from. A secret is but told to be set."""

    name: str
    value: str
    source: str


def listed(environ: Mapping[str, str]) -> list[Value]:
    """All settings, and whether the environment, its preset or nobody has said them. Raises BadSetting."""
    settings, given = Settings.read(environ), _given(environ)
    preset, found = _preset(given), []
    for name in Settings.__struct_fields__:
        value = getattr(settings, name)
        shown = "(set)" if name in SECRET and value else str(value)
        source = "environment" if name in given else f"preset {settings.preset}" if name in preset else "default"
        found.append(Value(f"RECOLLECT_{name.upper()}", shown, source))
    return found


def _own_rules(path: str) -> list[Rule]:
    """The rules of a JSON file, an object of patterns by what they find. Raises BadSetting."""
    try:
        patterns = msgspec.json.decode(Path(path).read_bytes(), type=dict[str, str])
    except (OSError, msgspec.DecodeError) as error:
        raise BadSetting(f"RECOLLECT_MASK_PATTERNS: {path} cannot be read: {error}") from None
    rules = []
    for name, pattern in patterns.items():
        try:
            rules.append(own(name, pattern))
        except ValueError as error:
            raise BadSetting(f"RECOLLECT_MASK_PATTERNS: the pattern of {name!r} {error}.") from None
    return rules


def web_url(name: str, url: str) -> str:
    """A URL of the web, as it was given under a name. Raises BadSetting for what is none."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and not re.search(r"\s", url)
    except ValueError:
        good = False
    if not good:
        raise BadSetting(f"{name} must be a URL such as http://127.0.0.1:8000, with its http:// or https://.")
    return url


def _wanted(problem: str) -> str:
    """What a setting must be, from msgspec's words about it."""
    if bound := re.search(r"`int` ([<>])= (\d+)", problem):
        return f"at {'least' if bound[1] == '>' else 'most'} {bound[2]}"
    if bound := re.search(r"`float` <= (\d+)", problem):
        return f"a number, at most {int(bound[1]):,}"
    if "`int`" in problem:
        return "a whole number"
    if ">= 0.0" in problem:
        return "a number, 0 or above"
    return "a number above 0" if "float" in problem else "on or off"
