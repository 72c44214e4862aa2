"""Where a run stands on the way to its beginning, if something has to let it begin."""

from __future__ import annotations

import msgspec


class Entry(msgspec.Struct, omit_defaults=True):
    """What a run has asked before it begins; absent from runs whose workflow asks nothing."""

    #: How often the run has asked: a retry of an ended run asks again.
    turn: int = 0
    #: The gate that was asked for a place, until the place is given back.
    gate: str = ""
    #: Whether the gate let the run pass.
    has_passed: bool = False
