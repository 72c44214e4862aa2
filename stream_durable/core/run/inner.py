"""The state of inner steps, stored with the steps around them."""

from __future__ import annotations

import msgspec

from stream_durable.core.definition.nodes import WaitNode


class Inside(msgspec.Struct, omit_defaults=True):
    """How far a step has come with the waits inside its function."""

    #: How many passes of the present attempt have ended with a wait.
    passes: int = 0
    #: The last waits, by name within the step, and how many of them have not ended.
    waits: tuple[str, ...] = ()
    left: int = 0
    #: The worker that keeps the suspended function; empty: none.
    keeper: str = ""


class Inner(msgspec.Struct, omit_defaults=True):
    """What makes a step an inner one. Its attempt is that of the step around it."""

    #: Of a wait as in a definition, else `once` or `checkpoint`.
    kind: str
    #: Position in the attempt.
    at: int
    #: What is waited for.
    node: WaitNode | None = None
    #: Whether it counts no more, for it came after a failure of an earlier attempt.
    is_dropped: bool = False
