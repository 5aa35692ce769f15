"""Blobs and what shows them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import strawberry

from domain import blob as domain
from resolvers import blobs
from resolvers.lists import Listed
from schema import page, payloads, refs
from schema.fields import backed_by, connection, relation, with_lists
from schema.message import Message
from schema.page import Node
from schema.scalars import JSON
from schema.trace import Span
from stores.ports import Records

AttachmentTarget = Annotated[
    Message | Span, strawberry.union("AttachmentTarget", description="What shows a blob, or tells of it.")
]


@backed_by(domain.Attachment)
@strawberry.type(description="A blob shown by a message, or told of by a span.")
class Attachment(Node):
    target = relation(blobs.targets, AttachmentTarget, reads=["target_id"])
    blob = relation(blobs.blobs_of, refs.optional(refs.Blob), reads=["blob_id"])
    created_at: datetime


AttachmentConnection = page.connection_of("Attachment", Attachment)


@backed_by(domain.Blob)
@strawberry.type(description="A file: an image, a sound, a film or a document. A workspace has the same bytes once.")
@with_lists(domain.Blob)
class Blob(Node):
    sha256: str = strawberry.field(description="SHA-256 of its bytes, in hex. As an externalId it names the blob.")
    media_type: str = strawberry.field(description="What its bytes are.")
    filename: str
    size_bytes: int
    width: int | None = strawberry.field(description="Of an image, in pixels.")
    height: int | None = strawberry.field(description="Of an image, in pixels.")
    text: str = strawberry.field(description="What a document says, where that is known.")
    url: str = strawberry.field(description="Path of its bytes on this server, for requests with credentials.")
    signed_url = relation(
        blobs.signed_urls,
        str,
        "Path of its bytes for requests without credentials, such as of <img>; it expires after so many seconds, an "
        "hour if not said.",
    )
    attachments = connection(
        Listed(Records(domain.Attachment, "blob"), domain.AttachmentFilter),
        AttachmentConnection,
        "The messages that show it, and the spans that tell of it, oldest first.",
    )
    metadata: JSON
    created_at: datetime


BlobConnection = page.connection_of("Blob", Blob)
BlobPayload = payloads.payload("Blob", blob=refs.optional(Blob))
