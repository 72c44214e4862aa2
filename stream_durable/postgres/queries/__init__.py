"""The statements, as files that a database administrator can read. No SQL stands in Python."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

_HEAD = re.compile(r"^-- name: (\w+)$", re.MULTILINE)
_SELDOM = re.compile(r"^-- seldom$.*?^-- usual$\n", re.MULTILINE | re.DOTALL)


@cache
def queries() -> dict[str, str]:
    """Return all named statements."""
    found: dict[str, str] = {}
    for file in files(__package__).iterdir():
        if file.name.endswith(".sql"):
            parts = _HEAD.split(file.read_text())
            for name, text in zip(parts[1::2], parts[2::2], strict=True):
                assert name not in found, f"two queries are called {name}"
                found[name] = text.strip()
    return found


def usual(query: str) -> str:
    """Return a statement without its parts between the lines `-- seldom` and `-- usual`."""
    return _SELDOM.sub("", query)
