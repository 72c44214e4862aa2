"""Refuses a message about a wait that no step has under this name.

A name fits a wait of a member without the member's number, and a wait inside a step without the step: such a
message is never given to one of several.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from stream_durable.core.definition.nodes import WaitNode
from stream_durable.core.errors import RejectedError
from stream_durable.core.names import outer
from stream_durable.core.run.state import Run
from stream_durable.core.status import WAITING

#: The number of a member, and the round in which it was added.
_MEMBER: Final = re.compile(r"(~\d+)?\[[^\]]*\]")
_SHOWN: Final = 10


def no_such_wait(run: Run, name: str, kind: type[WaitNode], text: str) -> RejectedError:
    """Return the refusal: `ambiguous_wait` where the name fits several open waits of a kind."""
    fitting = list(_fitting(run, name, kind))
    if len(fitting) > 1:
        shown = ", ".join(fitting[:_SHOWN]) + (" and more" if len(fitting) > _SHOWN else "")
        text = f"{name[:128]!r} fits {len(fitting)} waits of run {run.id!r}: name one of {shown}"
        return RejectedError("ambiguous_wait", text)
    hint = f"; is {fitting[0]!r} meant?" if fitting else ""
    return RejectedError("unknown_wait", text + hint)


def _fitting(run: Run, name: str, kind: type[WaitNode]) -> Iterator[str]:
    graph = run.graph
    for i, step in run.steps.items():
        if step.status == WAITING and type(graph.nodes[i]) is kind:
            full = graph.names[i]
            bare = _MEMBER.sub("", full)
            if name in (bare, full.removeprefix(f"{outer(full)}/")):
                yield full
