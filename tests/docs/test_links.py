"""Links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.support.examples import HOME, pages

_LINK = re.compile(r"\]\(([^)\s]+)\)")
PAGES = sorted([*pages(), *(HOME / "docs" / "adr").glob("*.md")])


def without_blocks(page: Path) -> str:
    return re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """The names of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", without_blocks(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_relative_links_lead_somewhere(page: Path) -> None:
    for link in _LINK.findall(without_blocks(page)):
        if link.startswith(("http:", "https:", "mailto:")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert target.is_relative_to(HOME), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_nothing_is_told_twice(page: Path) -> None:
    sections = re.split(r"^(?=#+ )", without_blocks(page), flags=re.MULTILINE)
    headings = [section.partition("\n")[0] for section in sections if section.startswith("## ")]
    assert len(headings) == len(set(headings))


def test_every_page_is_reached_from_the_readme() -> None:
    readme = (HOME / "README.md").read_text(encoding="utf-8")
    for page in (HOME / "docs").glob("*.md"):
        assert f"(docs/{page.name})" in readme


def test_the_readme_is_short() -> None:
    assert len((HOME / "README.md").read_text(encoding="utf-8").splitlines()) < 150


def test_the_picture_is_well_formed_and_says_what_it_shows() -> None:
    root = ElementTree.parse(HOME / "docs" / "graph.svg").getroot()
    names = {element.tag.rpartition("}")[2] for element in root}
    assert {"title", "desc"} <= names
    assert "prefers-color-scheme: dark" in (HOME / "docs" / "graph.svg").read_text(encoding="utf-8")
