"""Where a run stands on the way to its beginning, if something has to let it begin."""

from __future__ import annotations

import msgspec


class Follower(msgspec.Struct, frozen=True, array_like=True):
    """A step of a parent, waiting for a child merged into the run."""

    parent: str
    step: str
    child: str


class Entry(msgspec.Struct, omit_defaults=True):
    """What a run has asked before it begins; absent from runs whose workflow asks nothing."""

    #: How often the run has asked: a retry of an ended run asks again.
    turn: int = 0
    #: The gate that was asked for a place, until the place is given back.
    gate: str = ""
    #: Whether the gate let the run pass.
    has_passed: bool = False
    #: The admission that was asked; whether it let the run begin, and whether the run has.
    admission: str = ""
    #: Log time of the latest request to it.
    asked: int = 0
    is_admitted: bool = False
    has_begun: bool = False
    #: Whether the admission waits for the end of the run, though its own definition does not say so.
    is_single: bool = False
    #: The run that took this one in, if this one was merged.
    into: str = ""
    #: Parents of runs that were merged into this one: they are told its end.
    followers: list[Follower] = []
