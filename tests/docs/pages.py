"""The documents of the repository and what is in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


class Block(NamedTuple):
    """A fenced block of a page."""

    page: Path
    line: int
    language: str
    text: str

    @property
    def place(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def pages() -> list[Path]:
    """Return every page that users and contributors read."""
    return [*sorted(ROOT.glob("*.md")), ROOT / "tests" / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def files() -> list[Path]:
    """Return every file that these tests answer for."""
    examples = sorted((ROOT / "docs" / "examples").glob("*.py"))
    deploy = [file for file in sorted((ROOT / "deploy").iterdir()) if file.is_file()]
    return [*pages(), *examples, *deploy, ROOT / "docker-compose.yml"]


def blocks(language: str) -> list[Block]:
    """Return all blocks of a language."""
    found = []
    for page in pages():
        text = page.read_text(encoding="utf-8")
        for match in _BLOCK.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            found.append(Block(page, line, match[1], match[2]))
    return [block for block in found if block.language == language]


def links(page: Path) -> Iterator[str]:
    """Yield what a page links to within the repository."""
    text = _BLOCK.sub("", page.read_text(encoding="utf-8"))
    for match in _LINK.finditer(text):
        if "://" not in match[1]:
            yield match[1]


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as they are made where the pages are shown."""
    headings = _HEADING.findall(_BLOCK.sub("", page.read_text(encoding="utf-8")))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
