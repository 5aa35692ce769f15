"""Files that come with an operation."""

from __future__ import annotations

from typing import BinaryIO

import msgspec


class Upload(msgspec.Struct, eq=False):
    """A file of a multipart request: what its client says of it, and the bytes, to be read from the start.

    It lives as long as the operation it came with.
    """

    filename: str
    media_type: str
    file: BinaryIO
    size: int = 0
