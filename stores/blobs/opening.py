"""From a URL to where the bytes of blobs are kept."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from stores.blobs.folder import FolderBlobs
from stores.errors import CannotOpen
from stores.ports import Blobs

FOLDER = "blobs"


def open_blobs(url: str, data: Path | None) -> Blobs | None:
    """What a URL names: a folder (file:///...) or a store of objects (s3://bucket/prefix, with
    ?endpoint=...&region=... where it is not that of the environment); without one the data folder
    holds them, and where there is none of these there is no place for blobs. Raises CannotOpen."""
    if not url:
        return None if data is None else _folder(data / FOLDER)
    parts = urlsplit(url)
    if parts.scheme == "file":
        return _folder(Path(unquote(parts.path)), made=True)
    if parts.scheme != "s3" or not parts.netloc:
        raise CannotOpen("RECOLLECT_BLOBS_URL must be s3://bucket/prefix or file:///folder.")
    try:
        from stores.blobs.objects import open_objects
    except ModuleNotFoundError:
        raise CannotOpen("A store of objects needs its client: pip install 'recollect[s3]'.") from None
    told = dict(parse_qsl(parts.query))
    return open_objects(url.partition("?")[0], told.get("endpoint"), told.get("region"))


def _folder(path: Path, made: bool = False) -> FolderBlobs:
    """made: whether it must be there at once."""
    try:
        blobs = FolderBlobs(path)
        if made:
            blobs.staging.stat()
        return blobs
    except OSError as error:
        raise CannotOpen(f"Cannot use {path} as a folder of blobs: {error.strerror}.") from None
