"""Texts with paths in braces, such as `Ship {input.id}?`; a doubled brace stands for itself."""

from __future__ import annotations

import re
from collections.abc import Callable

_PARTS = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


def holes(text: str) -> tuple[str, ...]:
    """Return the paths in a text, in order."""
    return tuple(part[1] for part in _PARTS.finditer(text) if part[1] is not None)


def only_hole(text: str) -> str | None:
    """Return the path of a text consisting of a single hole, or None."""
    found = _PARTS.fullmatch(text)
    return None if found is None else found[1]


def filled(text: str, value_at: Callable[[str], str]) -> str:
    """Return a text with what `value_at` has for each path in the place of the path."""

    def part(found: re.Match[str]) -> str:
        return found[0][0] if found[1] is None else value_at(found[1])

    return _PARTS.sub(part, text)


def is_balanced(text: str) -> bool:
    """Say whether every brace of a text belongs to a path or to another brace."""
    return all(found[0] not in ("{", "}") for found in _PARTS.finditer(text))
