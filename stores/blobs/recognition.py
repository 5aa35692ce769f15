"""What the bytes of a file are, and whether that is what they are said to be."""

from __future__ import annotations

import mimetypes
import mmap
from pathlib import Path
from typing import Any

import msgspec
from filetype.types import archive, audio, document, image, video
from PIL import Image

from domain.blob import BY_EXTENSION, BY_TYPE, FORMATS, TEXTS, UNTOLD_TYPES, Format, extension_of, fits
from domain.errors import invalid

HEAD = 8192
"""How many of the first bytes tell the format."""

_MATCHERS: tuple[tuple[str, Any], ...] = (
    ("jpeg", image.Jpeg()),
    ("png", image.Png()),
    ("gif", image.Gif()),
    ("webp", image.Webp()),
    ("wav", audio.Wav()),
    ("m4a", audio.M4a()),
    ("ogg", audio.Ogg()),
    ("mov", video.Mov()),
    ("mp4", video.Mp4()),
    ("webm", video.Webm()),
    ("mp3", audio.Mp3()),
    ("pdf", archive.Pdf()),
    ("docx", document.Docx()),
)
"""In the order they are asked: a film of QuickTime may look like an MP4."""

_WHOLE_PIXELS = 25_000_000
"""Up to how many pixels an image is decoded to see that it is whole, where its format has no other way to tell."""


def format_of(head: bytes) -> Format | None:
    """The format the first bytes tell; None for text, and for what is not known."""
    return next((FORMATS[name] for name, matcher in _MATCHERS if matcher.match(bytearray(head))), None)


Image.MAX_IMAGE_PIXELS = None  # a header may tell any size: what is decoded is bounded here


def recognized(head: bytes, is_text: bool, name: str, claimed: str) -> Format:
    """The format of a file, from its first bytes, its name and the media type it is said to have.

    Raises Rejected (INVALID) where the bytes are of none that is known, or not of the one they are said to be.
    """
    known, strange = _claims(name, claimed)
    found = format_of(head)
    if found is None and is_text:
        found = next((one for one in known if one.name in TEXTS), FORMATS["txt"])
    if found is None:
        raise invalid(f"The bytes are of no format that is known here: {', '.join(FORMATS)}; text must be UTF-8.")
    if strange and not known:
        raise invalid(f"Files of type {strange[0]} are not accepted.")
    for one in known:
        if not fits(found, one):
            raise invalid(f"The file is said to be {one.name}, but its bytes are {found.name}.")
    return known[0] if known else found


def _claims(name: str, claimed: str) -> tuple[list[Format], list[str]]:
    """What a file is said to be, by its name first: the formats that are known here, and the types that are not."""
    known, strange = [], []
    type_ = claimed.partition(";")[0].strip().lower()
    by_name = BY_EXTENSION.get(extension_of(name))
    for format, told in (by_name, mimetypes.guess_type(name)[0] or ""), (BY_TYPE.get(type_), type_):
        if format is not None:
            known.append(format)
        elif told not in UNTOLD_TYPES:
            strange.append(told)
    return known, strange


def image_size(path: Path, format: Format) -> tuple[int, int]:
    """Width and height in pixels. Raises Rejected (INVALID) for an image that is broken or cut off."""
    try:
        with Image.open(path, formats=[format.name]) as found:
            size = found.size
            if format.name == "png":
                found.verify()
            else:
                found.draft("L", (1, 1))  # a JPEG is decoded at an eighth of its size
                if found.size[0] * found.size[1] <= _WHOLE_PIXELS:
                    found.load()
    except Exception:  # Pillow raises whatever its decoders do
        raise invalid("The image is broken: it cannot be read to its end.") from None
    return size


def check_json(path: Path) -> None:
    """Raises Rejected (INVALID) for what is no JSON. What is read lies in the file, not in memory."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
        try:
            msgspec.json.decode(view, type=msgspec.Raw)
        except (msgspec.DecodeError, RecursionError):
            raise invalid("The file is said to be json, but it is not.") from None
