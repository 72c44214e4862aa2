"""Reads the part of YAML that docker-compose.yml is written in; anything else is an error.

Mappings and lists by indentation, lists on one line as JSON, plain and quoted texts, comments on lines of
their own, and the anchors and merges by which services share what is common.
"""

from __future__ import annotations

import json
import re
from typing import Any

_ENTRY = re.compile(r"([A-Za-z0-9_.<-]+):(?: (.*))?$")
_ANCHOR = re.compile(r"&([\w-]+)$")


class NotReadError(ValueError):
    """A line is not in the part of YAML that is read here."""


def read(text: str) -> Any:
    """Return the document."""
    lines = [
        (len(line) - len(line.lstrip()), line.strip())
        for line in text.splitlines()
        if line.strip() and not line.strip().startswith("#")
    ]
    anchors: dict[str, Any] = {}
    value, rest = _value(lines, lines[0][0], anchors)
    if rest:
        raise NotReadError(f"not read: {rest[0][1]}")
    return value


def _value(lines: list[tuple[int, str]], indent: int, anchors: dict[str, Any]) -> tuple[Any, list[Any]]:
    return (_list if lines[0][1].startswith("- ") else _mapping)(lines, indent, anchors)


def _list(lines: list[tuple[int, str]], indent: int, anchors: dict[str, Any]) -> tuple[Any, list[Any]]:
    items = []
    if any(_ENTRY.match(line[2:]) for at, line in lines if at == indent and line.startswith("- ")):
        raise NotReadError(f"not read: {lines[0][1]}")
    while lines and lines[0][0] == indent and lines[0][1].startswith("- "):
        items.append(_scalar(lines[0][1][2:]))
        lines = lines[1:]
    return items, lines


def _mapping(lines: list[tuple[int, str]], indent: int, anchors: dict[str, Any]) -> tuple[Any, list[Any]]:
    merged: dict[str, Any] = {}
    own: dict[str, Any] = {}
    while lines and lines[0][0] == indent:
        entry = _ENTRY.match(lines[0][1])
        if entry is None:
            raise NotReadError(f"not read: {lines[0][1]}")
        key, text, lines = entry[1], entry[2] or "", lines[1:]
        if key == "<<":
            merged |= anchors[text.removeprefix("*")]
            continue
        if key in own:
            raise NotReadError(f"{key} is there twice")
        anchor = _ANCHOR.match(text)
        if text and anchor is None:
            own[key] = _scalar(text)
            continue
        own[key] = None
        if lines and lines[0][0] > indent:
            own[key], lines = _value(lines, lines[0][0], anchors)
        if anchor is not None:
            anchors[anchor[1]] = own[key]
    return {**merged, **own}, lines


def _scalar(text: str) -> Any:
    if text[0] in '["':
        return json.loads(text)
    if text[0] in "{'&*|>!%@`":
        raise NotReadError(f"not read: {text}")
    if text in ("true", "false"):
        return text == "true"
    return int(text) if text.isdecimal() else text
