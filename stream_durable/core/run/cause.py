"""A reason for a step's waiting, for display."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

CauseKind = Literal[
    "begin", "step", "join", "branch", "group", "paused", "queue", "worker", "answer", "breaker", "gate",
    "later", "retry", "time", "event", "signal", "input", "token", "child", "next child", "members", "turn",
    "place", "call", "review", "admission",
]  # fmt: skip


#: What a call beside the graph waits for.
CALL_BEFORE: Final = "end of the call before"
NEXT_TRY: Final = "next try of the run"


class Cause(NamedTuple):
    """A reason for a step's waiting."""

    kind: CauseKind
    #: The name, if any.
    name: str = ""
    #: More of it: a status, a key, a number.
    about: str = ""
    #: When it is over at the latest, or is to happen; milliseconds of log time.
    due: int | None = None
