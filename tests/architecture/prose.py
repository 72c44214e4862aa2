"""Measure how plainly docstrings are written: relative words and pronouns per 100 words.

A reader who lacks the context stumbles over both: "say what it came to" needs a "what" and an "it" to be
resolved, "return the result" needs nothing. So the share of these words is a fair measure of plainness.
`python tests/architecture/prose.py` prints the shares by package and the 20 worst docstrings.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

PACKAGE = Path(__file__).parents[2] / "stream_durable"

#: `that` counts wherever it stands: as a relative, a conjunction or a pronoun.
RELATIVE = frozenset({"who", "whom", "whose", "which", "what", "that", "whoever", "whichever", "whatever"})
PRONOUNS = frozenset({
    "it", "its", "itself", "they", "them", "their", "theirs", "themselves", "he", "him", "his", "she", "her",
    "this", "these", "those", "one", "ones", "we", "us", "our", "you", "your", "i", "my",
})  # fmt: skip

#: Words that make a riddle of a sentence, and the plain ones.
RIDDLES = {
    "anew": "again; recreate, reset, retry",
    "told": "passed, reported, requested",
    "heard": "acknowledged, received",
    "hears": "is called with, receives",
    "whoever": "the caller, the owner, anyone with the right to",
}

#: Names in backticks are code; each counts as one word.
_CODE = re.compile(r"`[^`]*`")
_WORD = re.compile(r"[A-Za-z]+(?:'[a-z]+)?")
#: The worst are ranked by the number of such words: one of three words is no riddle.
_WORST = 20


class Share(NamedTuple):
    """How many words there are, and how many of them are relative words and pronouns."""

    words: int
    relative: int
    pronouns: int

    @property
    def relative_share(self) -> float:
        """Return relative words per 100 words."""
        return 100 * self.relative / self.words

    @property
    def pronoun_share(self) -> float:
        """Return pronouns per 100 words."""
        return 100 * self.pronouns / self.words


class Docstring(NamedTuple):
    """A docstring and its place, as `path:line name`."""

    place: str
    text: str


def share_of(texts: Iterable[str]) -> Share:
    """Count the words of texts."""
    counts = Counter(word.lower() for text in texts for word in _WORD.findall(_CODE.sub("code", text)))
    relative = sum(counts[word] for word in RELATIVE)
    return Share(counts.total(), relative, sum(counts[word] for word in PRONOUNS))


def docstrings(folder: Path = PACKAGE) -> Iterator[Docstring]:
    """Return all docstrings of modules, classes and functions below a folder."""
    for file in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            if text := ast.get_docstring(node):
                line, name = (1, "") if isinstance(node, ast.Module) else (node.lineno, node.name)
                yield Docstring(f"{file.relative_to(PACKAGE.parent)}:{line} {name}", text)


def worst(found: Iterable[Docstring], count: int = _WORST) -> list[tuple[float, Docstring]]:
    """Return the docstrings with the most such words above the plain share of 3 in 100, worst first."""
    rated = [(_excess(doc), doc) for doc in found]
    return sorted(rated, reverse=True)[:count]


def _excess(doc: Docstring) -> float:
    share = share_of([doc.text])
    return share.relative + share.pronouns - 0.06 * share.words


def _print_report() -> None:
    found = list(docstrings())
    packages: dict[str, list[str]] = {}
    for doc in found:
        packages.setdefault(doc.place.split("/")[1].partition(":")[0], []).append(doc.text)
    for name, texts in [*sorted(packages.items()), ("all", [doc.text for doc in found])]:
        share = share_of(texts)
        shares = f"{share.relative_share:5.2f} relative  {share.pronoun_share:5.2f} pronouns"
        print(f"{name:<16} {share.words:6} words  {shares}")
    for excess, doc in worst(found):
        first, *_ = doc.text.splitlines()
        print(f"\n{excess:5.1f}  {doc.place}\n       {first}")


if __name__ == "__main__":
    _print_report()
