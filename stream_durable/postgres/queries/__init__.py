"""The statements, as files that a database administrator can read. No SQL stands in Python."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

_HEAD = re.compile(r"^-- (name|part): (\w+)$", re.MULTILINE)
_INCLUDE = re.compile(r"^-- include (\w+)$", re.MULTILINE)
_SELDOM = re.compile(r"^-- seldom$.*?^-- usual$\n", re.MULTILINE | re.DOTALL)
_RARE = re.compile(r"^-- rare$.*?(?=^-- usual$\n)", re.MULTILINE | re.DOTALL)


@cache
def queries() -> dict[str, str]:
    """Return all named statements, with included parts inserted."""
    found: dict[str, dict[str, str]] = {"name": {}, "part": {}}
    for file in files(__package__).iterdir():
        if file.name.endswith(".sql"):
            pieces = _HEAD.split(file.read_text())
            for kind, name, text in zip(pieces[1::3], pieces[2::3], pieces[3::3], strict=True):
                assert name not in found[kind], f"two of the queries are called {name}"
                found[kind][name] = text.strip()

    def whole(text: str) -> str:
        return _INCLUDE.sub(lambda at: whole(found["part"][at[1]]), text)

    return {name: whole(text) for name, text in found["name"].items()}


def without_rare(query: str) -> str:
    """Return a statement without its parts between the lines `-- rare` and `-- usual`."""
    return _RARE.sub("", query)


def usual(query: str) -> str:
    """Return a statement without its parts between the lines `-- seldom` and `-- usual`."""
    return _SELDOM.sub("", query)
