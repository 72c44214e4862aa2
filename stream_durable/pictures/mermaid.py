"""A picture in Mermaid, for Markdown pages."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Final

from stream_durable.core.definition.nodes import Definition
from stream_durable.pictures.colours import COLOURS
from stream_durable.pictures.drawing import Arrow, Box, Frame, Kind, draw
from stream_durable.pictures.standing import States

_OUTLINES: Final[Mapping[Kind, tuple[str, str]]] = {
    "step": ("[", "]"),
    "wait": ("([", "])"),
    "each": ("{{", "}}"),
    "child": ("[[", "]]"),
    "branch": ("{", "}"),
    "fork": ("((", "))"),
    "join": ("((", "))"),
    "undo": ("[/", "/]"),
    "hook": (">", "]"),
}
#: What could end a text, begin another one in HTML, or be read as Markdown.
_SPECIAL = re.compile(r'[&<>"#`*\\|\[\]{}]|(?<![A-Za-z0-9])_|(?<=\d)[.)](?=\s)|\A[-+](?=\s)')
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


def mermaid(definition: Definition, states: States | None = None) -> str:
    """Return a flow chart; with the states of a run, where each step stands is written in it and coloured."""
    drawing = draw(definition, states)
    lines = ["---", f"title: {json.dumps(drawing.title)}", "---", "flowchart TD"]
    lines += _content(drawing.content, "  ")
    lines += [f"  {_arrow(arrow)}" for arrow in drawing.arrows]
    for status in drawing.statuses:
        fill, line, _ = COLOURS[status]
        lines.append(f"  classDef {status} fill:{fill},stroke:{line},color:#000")
    lines += _classes(drawing.content)
    return "\n".join(lines) + "\n"


def _content(frame: Frame, indent: str) -> Iterator[str]:
    for box in frame.boxes:
        yield f"{indent}{_box(box)}"
    for inner in frame.frames:
        yield f'{indent}subgraph {inner.key} ["{_text(inner.lines)}"]'
        yield from _content(inner, f"{indent}  ")
        yield f"{indent}end"


def _box(box: Box) -> str:
    begin, end = _OUTLINES[box.kind]
    status = "" if box.status is None else f":::{box.status}"
    return f'{box.key}{begin}"{_text(box.lines) or " "}"{end}{status}'


def _arrow(arrow: Arrow) -> str:
    line = "-->" if arrow.why == "passed" else "-.->"
    label = f'|"{_text((arrow.label,))}"|' if arrow.label else ""
    return f"{arrow.frame or arrow.source} {line}{label} {arrow.target}"


def _classes(frame: Frame) -> Iterator[str]:
    for inner in frame.frames:
        if inner.status is not None:
            yield f"  class {inner.key} {inner.status}"
        yield from _classes(inner)


def _text(lines: tuple[str, ...]) -> str:
    """Return lines for between quotes."""
    return "<br/>".join(_SPECIAL.sub(_entity, _CONTROL.sub(" ", line)) for line in lines)


def _entity(found: re.Match[str]) -> str:
    return f"#{ord(found[0])};"
