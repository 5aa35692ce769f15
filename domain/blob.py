"""Blobs: images, sounds, films and documents, stored once for each workspace, and the messages that show them."""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, ClassVar, NamedTuple

import msgspec

from domain.declaration import NATURAL, SORTED, listed, refers
from domain.errors import ErrorCode, invalid, reject
from domain.node import Id, Node, register
from domain.page import OrderDirection
from domain.values import AnyNamed, Command, GivenObject, Json, Key, Name, Text, TimeRange, Whose

MIB = 1024 * 1024


class MediaKind(enum.Enum):
    """What a blob is to people."""

    IMAGE = "IMAGE"
    AUDIO = "AUDIO"
    VIDEO = "VIDEO"
    DOCUMENT = "DOCUMENT"


class Format(NamedTuple):
    """A format of files. types: its media types, the first being the one it is served as. inline: browsers may show it,
    for nothing in it can run."""

    name: str
    kind: MediaKind
    types: tuple[str, ...]
    extensions: tuple[str, ...]
    inline: bool = True

    @property
    def media_type(self) -> str:
        return self.types[0]


_DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"

FORMATS: dict[str, Format] = {
    one.name: one
    for one in (
        Format("jpeg", MediaKind.IMAGE, ("image/jpeg", "image/jpg", "image/pjpeg"), ("jpg", "jpeg", "jpe", "jfif")),
        Format("png", MediaKind.IMAGE, ("image/png", "image/x-png"), ("png",)),
        Format("gif", MediaKind.IMAGE, ("image/gif",), ("gif",)),
        Format("webp", MediaKind.IMAGE, ("image/webp",), ("webp",)),
        Format("mp3", MediaKind.AUDIO, ("audio/mpeg", "audio/mp3", "audio/x-mp3"), ("mp3", "mpga")),
        Format("wav", MediaKind.AUDIO, ("audio/wav", "audio/x-wav", "audio/wave", "audio/vnd.wave"), ("wav",)),
        Format("m4a", MediaKind.AUDIO, ("audio/mp4", "audio/x-m4a", "audio/m4a"), ("m4a",)),
        Format("ogg", MediaKind.AUDIO, ("audio/ogg", "application/ogg", "audio/opus"), ("ogg", "oga", "opus")),
        Format("mp4", MediaKind.VIDEO, ("video/mp4", "application/mp4"), ("mp4", "m4v")),
        Format("mov", MediaKind.VIDEO, ("video/quicktime",), ("mov", "qt")),
        Format("webm", MediaKind.VIDEO, ("video/webm", "audio/webm"), ("webm",)),
        Format("pdf", MediaKind.DOCUMENT, ("application/pdf", "application/x-pdf"), ("pdf",)),
        Format("txt", MediaKind.DOCUMENT, ("text/plain",), ("txt", "text", "log")),
        Format("md", MediaKind.DOCUMENT, ("text/markdown", "text/x-markdown"), ("md", "markdown"), inline=False),
        Format("csv", MediaKind.DOCUMENT, ("text/csv", "application/csv"), ("csv",), inline=False),
        Format("json", MediaKind.DOCUMENT, ("application/json", "text/json"), ("json",), inline=False),
        Format("docx", MediaKind.DOCUMENT, (_DOCX,), ("docx",), inline=False),
    )
}

TEXTS = ("txt", "md", "csv", "json")
"""Formats whose bytes are text and do not tell which; what the caller says is taken."""

_SAME = ({"mp4", "m4a"}, {*TEXTS})
"""Formats that their bytes do not always tell apart."""

BY_TYPE: dict[str, Format] = {type_: one for one in FORMATS.values() for type_ in one.types}
BY_EXTENSION: dict[str, Format] = {extension: one for one in FORMATS.values() for extension in one.extensions}

UNTOLD_TYPES = ("", "application/octet-stream", "binary/octet-stream")
"""Media types that say nothing of what something is."""


class Blob(Node, frozen=True, kw_only=True, gc=False):
    """A file. sha256: of its bytes, in hex; a workspace has each once. width, height: in pixels, of images. text: what
    a document says, where that is known. stored_as: the key of the bytes (stores.ports.Blobs). used_at: when it was
    last uploaded or added to a message."""

    prefix: ClassVar[str] = "blb"
    noun: ClassVar[str] = "blob"

    sha256: Annotated[str, NATURAL]
    media_type: Annotated[str, SORTED]
    filename: Annotated[str, SORTED]
    size_bytes: Annotated[int, SORTED]
    width: int | None
    height: int | None
    text: str
    metadata: Json
    stored_as: str
    created_at: Annotated[datetime, SORTED]
    used_at: datetime

    @property
    def format(self) -> Format:
        return BY_TYPE[self.media_type]

    @property
    def url(self) -> str:
        return f"/blobs/{self.id}"


class Attachment(Node, frozen=True, kw_only=True, gc=False):
    """A message shows a blob, or a span tells of it. While there is one, the blob is not swept. session_id, kind: of
    what messages show."""

    prefix: ClassVar[str] = "att"
    noun: ClassVar[str] = "attachment"

    target_id: Annotated[Id, refers("Message", "Span", gone="cascade", edge="OF"), NATURAL, listed("created_at")]
    blob_id: Annotated[Id, refers("Blob", gone="refuse", edge="SHOWS"), NATURAL, listed("created_at")]
    session_id: Annotated[Id | None, refers("Session", gone="cascade"), listed("created_at")]
    kind: MediaKind | None
    created_at: datetime


register(Blob, Attachment)


class Upload:
    """Bytes that came with a request. name, claimed: the filename and media type that were sent with them.

    digest: their SHA-256 in hex. problem: why they cannot be taken, if they cannot.
    """

    name = claimed = digest = ""
    problem: Exception | None = None


class BlobOrderField(enum.Enum):
    """What blobs are sorted by."""

    CREATED_AT = "CREATED_AT"
    FILENAME = "FILENAME"
    SIZE_BYTES = "SIZE_BYTES"


class BlobOrder(Command, frozen=True, kw_only=True):
    """An order of blobs; ties are broken by id."""

    field: BlobOrderField = BlobOrderField.CREATED_AT
    direction: OrderDirection = OrderDirection.DESC


class AttachmentOrderField(enum.Enum):
    """What attachments are sorted by."""

    CREATED_AT = "CREATED_AT"


class AttachmentOrder(Command, frozen=True, kw_only=True):
    """An order of attachments; ties are broken by id."""

    field: AttachmentOrderField = AttachmentOrderField.CREATED_AT
    direction: OrderDirection = OrderDirection.ASC


class BlobFilter(Command, frozen=True, kw_only=True):
    """Selects blobs; all given members must match. text: a part of the filename; says: of what a document says;
    session: in which a message shows it; sender: of such a message."""

    media_types: list[str] | None = None
    sha256s: AnyNamed = None
    text: str | None = None
    says: str | None = None
    session: Whose = None
    sender: Whose = None
    created_at: TimeRange | None = None
    metadata: GivenObject = None
    and_: list[BlobFilter] | None = msgspec.field(name="and", default=None)
    or_: list[BlobFilter] | None = msgspec.field(name="or", default=None)
    not_: BlobFilter | None = msgspec.field(name="not", default=None)


class AttachmentFilter(Command, frozen=True, kw_only=True):
    """Selects attachments; all given members must match. kinds: of what messages show."""

    kinds: list[MediaKind] | None = None
    created_at: TimeRange | None = None
    and_: list[AttachmentFilter] | None = msgspec.field(name="and", default=None)
    or_: list[AttachmentFilter] | None = msgspec.field(name="or", default=None)
    not_: AttachmentFilter | None = msgspec.field(name="not", default=None)


class UploadBlobInput(Command, frozen=True, kw_only=True):
    """A file to store. filename: in place of the one sent with it. text: what a document says."""

    file: Upload
    filename: Name | None = None
    text: Text | None = None
    metadata: GivenObject = None
    idempotency_key: Key | None = None


MAX_BYTES = {
    MediaKind.IMAGE: 10 * MIB,
    MediaKind.AUDIO: 50 * MIB,
    MediaKind.VIDEO: 200 * MIB,
    MediaKind.DOCUMENT: 50 * MIB,
}


class MediaRules(msgspec.Struct, frozen=True):
    """Which files are taken. formats: their names (FORMATS); max_bytes: of one of a kind."""

    formats: frozenset[str] = frozenset(FORMATS)
    max_bytes: Mapping[MediaKind, int] = msgspec.field(default_factory=lambda: MAX_BYTES)

    @property
    def longest(self) -> int:
        return max(self.max_bytes.values())

    def check(self, format: Format) -> None:
        """Raises Rejected (INVALID) for a format that is not taken."""
        if format.name not in self.formats:
            raise invalid(f"Files of format {format.name} are not accepted here ({SETTING_OF_FORMATS}).")

    def check_size(self, format: Format, size: int) -> None:
        """Raises Rejected (LIMIT) for a file that is too long."""
        if size > self.max_bytes[format.kind]:
            raise reject(
                ErrorCode.LIMIT,
                f"A file of kind {format.kind.name} may have {self.max_bytes[format.kind]:,} bytes "
                f"({setting_of_size(format.kind)}).",
            )


SETTING_OF_FORMATS = "RECOLLECT_MEDIA_FORMATS"


def setting_of_size(kind: MediaKind) -> str:
    return f"RECOLLECT_MEDIA_{kind.name}_BYTES"


_PATHS = re.compile(r".*[/\\]", re.DOTALL)
_UNSEEN = re.compile(r"[\x00-\x1f\x7f\u202a-\u202e\u2066-\u2069]")
MAX_FILENAME = 255


def plain_name(name: str) -> str:
    """A filename without a path and without what nobody sees (RFC 7578, section 4.2); its end is kept if it is long."""
    name = _UNSEEN.sub("", _PATHS.sub("", name)).strip()
    return "" if name in (".", "..") else name[-MAX_FILENAME:]


def extension_of(name: str) -> str:
    _, dot, extension = name.rpartition(".")
    return extension.lower() if dot else ""


def is_key(stored_as: str, sha256: str) -> bool:
    """Whether bytes of this SHA-256 may be kept under this key."""
    return _KEY.fullmatch(stored_as) is not None and stored_as.startswith(f"{sha256}-")


_KEY = re.compile(r"[0-9a-f]{64}-[0-9a-f]{1,64}")


def fits(format: Format, claimed: Format) -> bool:
    """Whether bytes of a format may be what somebody says they are."""
    return claimed is format or any({format.name, claimed.name} <= same for same in _SAME)
