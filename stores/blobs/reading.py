"""What documents say: text as it is, and that of PDF and Word files where the extra `documents` is there."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from domain.blob import TEXTS, Format
from domain.values import MAX_TEXT

MAX_UNPACKED = 100 * 1024 * 1024
"""Bytes that a Word file may have once it is unpacked; of a longer one nothing is read."""

_MAX_PAGES = 200


def text_of(path: Path, format: Format) -> str:
    """What a document says, of at most MAX_TEXT characters; nothing where it cannot be read. (What a caller tells of it
    counts more.)"""
    if format.name in TEXTS:
        with path.open(encoding="utf-8-sig", errors="replace") as file:
            return file.read(MAX_TEXT)
    try:
        if format.name == "pdf":
            return _joined(_pages(path))
        if format.name == "docx":
            return _joined(_paragraphs(path))
    except Exception:  # no library, or a file that it cannot read: it is stored all the same
        return ""
    return ""


def _joined(parts: Iterable[str]) -> str:
    found, size = list[str](), 0
    for part in parts:
        found.append(part)
        size += len(part) + 1
        if size > MAX_TEXT:
            break
    return "\n".join(found)[:MAX_TEXT].strip()


def _pages(path: Path) -> Iterator[str]:
    from pypdf import PdfReader

    with path.open("rb") as file:
        for page in PdfReader(file).pages[:_MAX_PAGES]:
            yield page.extract_text()


def _paragraphs(path: Path) -> Iterator[str]:
    import docx

    with zipfile.ZipFile(path) as packed:
        if sum(one.file_size for one in packed.infolist()) > MAX_UNPACKED:
            return
    for paragraph in docx.Document(str(path)).paragraphs:
        yield paragraph.text
