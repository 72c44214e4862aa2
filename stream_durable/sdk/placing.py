"""Faults with the places in the author's file."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from stream_durable.core.definition.node_faults import Fault
from stream_durable.sdk.errors import DefinitionFault
from stream_durable.sdk.options import Options
from stream_durable.sdk.origin import Origin

if TYPE_CHECKING:
    from stream_durable.sdk.outline import Outline


class Noted(NamedTuple):
    """A defined name: its source line and option faults, for validation to extend."""

    name: str
    origin: Origin
    options: Options


def placed(
    outline: Outline, own: Options, noted: Sequence[Noted], found: Sequence[Fault]
) -> list[DefinitionFault]:
    """Return all faults in the order of the file: the workflow's own first, then step by step."""
    of_workflow = [outline.fault(None, code, text, outline.origin) for code, text in own.faults]
    of_steps: list[list[DefinitionFault]] = []
    places: dict[str, list[int]] = {}
    for i, (name, origin, options) in enumerate(noted):
        places.setdefault(name, []).append(i)
        of_steps.append([outline.fault(name, *fault, origin) for fault in options.faults])
    for node, code, message in found:
        if node is None:
            of_workflow.append(outline.fault(None, code, message, outline.origin))
            continue
        # Of two steps with the same name, the second is at fault.
        i = places[node].pop(1) if code == "duplicate" else places[node][0]
        of_steps[i].append(outline.fault(node, code, message, noted[i].origin))
    return [*of_workflow, *chain.from_iterable(of_steps)]
