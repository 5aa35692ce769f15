"""Files of each format, made here, and requests with files."""

from __future__ import annotations

import io
import json
import struct
import wave
import zipfile
from typing import Any

from PIL import Image

UPLOAD = """mutation ($input: UploadBlobInput!) { uploadBlob(input: $input) {
    blob { id sha256 mediaType filename sizeBytes width height url signedUrl metadata text } errors { code path message } } }"""


def image(format: str = "PNG", size: tuple[int, int] = (40, 30), color: tuple[int, int, int] = (200, 10, 10)) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, color).save(out, format)
    return out.getvalue()


def noise(size: int) -> bytes:
    """A WAV of some bytes in all."""
    return wav(b"".join(struct.pack("<H", (n * 2654435761) & 0xFFFF) for n in range((size - 44) // 2)))


def wav(frames: bytes = bytes(800)) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(frames)
    return out.getvalue()


def boxes(brand: bytes, size: int = 64) -> bytes:
    """What MP4, M4A and QuickTime begin with, filled up to a size."""
    head = struct.pack(">I", 20) + b"ftyp" + brand + bytes(4) + brand
    return head + struct.pack(">I", size - len(head)) + b"mdat" + bytes(size - len(head) - 8)


def zipped(*names: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        for name in names:
            file.writestr(name, "<xml/>")
    return out.getvalue()


SAMPLES: dict[str, tuple[bytes, str]] = {
    "photo.jpg": (image("JPEG"), "image/jpeg"),
    "photo.jpeg": (image("JPEG", (8, 8)), "image/jpeg"),
    "screen.png": (image("PNG"), "image/png"),
    "moving.gif": (image("GIF"), "image/gif"),
    "modern.webp": (image("WEBP"), "image/webp"),
    "song.mp3": (b"ID3\x03" + bytes(6) + b"\xff\xfb\x90\x00" + bytes(413), "audio/mpeg"),
    "bare.mp3": ((b"\xff\xfb\x90\x64" + bytes(413)) * 3, "audio/mpeg"),
    "voice.wav": (wav(), "audio/wav"),
    "voice.m4a": (boxes(b"M4A "), "audio/mp4"),
    "phone.m4a": (boxes(b"isom", 80), "audio/mp4"),
    "voice.ogg": (b"OggS\0\2" + bytes(20) + b"\1\x13OpusHead" + bytes(50), "audio/ogg"),
    "film.mp4": (boxes(b"isom"), "video/mp4"),
    "film.mov": (boxes(b"qt  "), "video/quicktime"),
    "film.webm": (bytes.fromhex("1a45dfa39f4286810142f7810142f2810442f381084282847765626d") + bytes(80), "video/webm"),
    "paper.pdf": (b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\ntrailer<<>>\n%%EOF\n", "application/pdf"),
    "notes.txt": ("Grüße, 世界".encode(), "text/plain"),
    "notes.md": (b"# Head\n", "text/markdown"),
    "table.csv": (b"a,b\n1,2\n", "text/csv"),
    "data.json": (b'{"a": [1]}', "application/json"),
    "letter.docx": (zipped("[Content_Types].xml", "_rels/.rels", "word/document.xml"),
                    "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
}  # fmt: skip
"""By filename: bytes and media type."""


def multipart(data: bytes, name: str = "a.txt", claimed: str = "", query: str = UPLOAD, **input: Any) -> dict[str, Any]:
    """What httpx sends as a request with one file."""
    operations = {"query": query, "variables": {"input": {**input, "file": None}}}
    file = (name, data, claimed) if claimed else (name, data, "application/octet-stream")
    return {
        "data": {"operations": json.dumps(operations), "map": json.dumps({"0": ["variables.input.file"]})},
        "files": {"0": file},
    }
