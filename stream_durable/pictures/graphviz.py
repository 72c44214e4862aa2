"""A picture for Graphviz: `dot -Tsvg` draws the picture."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from stream_durable.core.definition.nodes import Definition
from stream_durable.pictures.colours import COLOURS
from stream_durable.pictures.drawing import Arrow, Frame, Kind, draw
from stream_durable.pictures.standing import States

_OUTLINES: Final[Mapping[Kind, str]] = {
    "step": 'shape=box style="rounded,filled"',
    "wait": 'shape=oval style="filled"',
    "each": 'shape=box3d style="filled"',
    "child": 'shape=component style="filled"',
    "branch": 'shape=diamond style="filled"',
    "fork": 'shape=point width="0.1"',
    "join": 'shape=circle style="filled" margin="0"',
    "undo": 'shape=box style="rounded,filled,dashed"',
    "hook": 'shape=note style="filled"',
}
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


def graphviz(definition: Definition, states: States | None = None) -> str:
    """Return a graph; with the states of a run, where each step stands is written in it and coloured."""
    drawing = draw(definition, states)
    lines = [
        f"digraph {_text((drawing.title,))} {{",
        "  compound=true",
        f"  label={_text((drawing.title,))} labelloc=t",
        '  node [fontname="Helvetica" fontsize=11 fillcolor="#ffffff"]',
        '  edge [fontname="Helvetica" fontsize=9]',
        *_content(drawing.content, "  "),
        *(f"  {_arrow(arrow)}" for arrow in drawing.arrows),
        "}",
    ]
    return "\n".join(lines) + "\n"


def _content(frame: Frame, indent: str) -> Iterator[str]:
    for box in frame.boxes:
        yield f"{indent}{box.key} [label={_text(box.lines)} {_OUTLINES[box.kind]}{_colours(box.status)}]"
    for inner in frame.frames:
        yield f"{indent}subgraph cluster_{inner.key} {{"
        yield f'{indent}  graph [label={_text(inner.lines)} style="rounded"{_outline(inner.status)}]'
        yield from _content(inner, f"{indent}  ")
        yield f"{indent}}}"


def _arrow(arrow: Arrow) -> str:
    options = []
    if arrow.label:
        options.append(f"label={_text((arrow.label,))}")
    if arrow.why != "passed":
        options.append("style=dashed" if arrow.why == "ended" else "style=dotted")
    if arrow.frame is not None:
        options.append(f"ltail=cluster_{arrow.frame}")
    shown = f" [{' '.join(options)}]" if options else ""
    return f"{arrow.source} -> {arrow.target}{shown}"


def _colours(status: str | None) -> str:
    if status is None:
        return ""
    fill, line, _ = COLOURS[status]
    return f' fillcolor="{fill}" color="{line}"'


def _outline(status: str | None) -> str:
    if status is None:
        return ' color="#868e96"'
    return f' color="{COLOURS[status].line}" bgcolor="{COLOURS[status].fill}"'


def _text(lines: tuple[str, ...]) -> str:
    """Return lines as a single quoted text."""
    escaped = (_CONTROL.sub(" ", line).replace("\\", "\\\\").replace('"', '\\"') for line in lines)
    return '"' + "\\n".join(escaped) + '"'
