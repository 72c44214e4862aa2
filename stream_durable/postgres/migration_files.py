"""Reads migrations: numbered files, each made of steps.

A step begins with a line `-- step: its name` and is applied in a transaction. A step that begins with `--
step, concurrently: its name` is a single statement applied outside a transaction: slow, but without locks. A
file without such lines is one step. A line `-- formerly: checksum` names an earlier text of the file with the
same effect: a database with the earlier text counts as migrated.
"""

from __future__ import annotations

import re
from hashlib import sha256
from importlib.resources import files
from typing import NamedTuple

_STEP = re.compile(r"^-- step(, concurrently)?: (.+)$", re.MULTILINE)
_FORMERLY = re.compile(r"^-- formerly: (\w+)$", re.MULTILINE)
_INDEX = re.compile(r"^create index concurrently (\w+)", re.MULTILINE)


class Step(NamedTuple):
    """A part of a migration that is applied as a whole, or not at all."""

    name: str
    text: str
    is_concurrent: bool

    @property
    def builds(self) -> str | None:
        """The index built by the step, left unusable by an interruption."""
        found = _INDEX.search(self.text)
        return found[1] if self.is_concurrent and found else None


class Migration(NamedTuple):
    """A migration file."""

    version: int
    name: str
    text: str

    @property
    def checksum(self) -> str:
        """The checksum of the file, for detecting later changes."""
        return sha256(self.text.encode()).hexdigest()

    @property
    def checksums(self) -> list[str]:
        """The checksums before and now; the first is stored, for older releases."""
        return [*_FORMERLY.findall(self.text), self.checksum]

    @property
    def steps(self) -> list[Step]:
        """Return the steps in order."""
        parts = _STEP.split(self.text)
        if len(parts) == 1:
            return [Step("all", self.text, is_concurrent=False)]
        return [
            Step(name, text.strip(), bool(mark))
            for mark, name, text in zip(parts[1::3], parts[2::3], parts[3::3], strict=True)
        ]

    @property
    def at_once(self) -> str:
        """Return the whole file for an empty schema, without anybody to hold up."""
        return "\n".join(step.text.replace(" concurrently ", " ") for step in self.steps)


def migrations() -> list[Migration]:
    """Return all files in order."""
    folder = files("stream_durable.postgres").joinpath("migrations")
    return sorted(
        Migration(int(file.name.split("_", 1)[0]), file.name, file.read_text())
        for file in folder.iterdir()
        if file.name.endswith(".sql")
    )
