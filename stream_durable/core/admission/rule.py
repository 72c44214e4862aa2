"""How the starts of runs of a workflow and a key are met."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

#: So many runs go together at the most: they are told in one record.
TOGETHER_MAX = 500
_LONGEST_MS = 1 << 53

Span = Annotated[int, Meta(ge=1, le=_LONGEST_MS)]
#: What a run does while another one is under way: it goes with that one, has it cancelled, waits in line, or
#: waits until a newer one takes its place.
Busy = Literal["skip", "replace", "queue", "newest"]


class DebounceRule(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, tag="debounce"):
    """The last run begins after a quiet time, with the others as members."""

    quiet_ms: Span
    #: The longest time from the first run; None: as long as runs keep coming.
    cap_ms: Span | None = None
    #: Whether the run is given the inputs of all.
    is_for_all: bool = False


class BatchRule(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, tag="batch"):
    """So many runs, or all within a time, begin together, with the inputs of all."""

    size: Annotated[int, Meta(ge=1, le=TOGETHER_MAX)]
    within_ms: Span


class SingleRule(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, tag="single"):
    """One run at a time."""

    busy: Busy = "skip"


Rule = DebounceRule | BatchRule | SingleRule


class Starts(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The rule for the starts of a workflow, for each key."""

    rule: Rule
    #: A path into the input; None: all runs of the workflow together.
    key: str | None = None


def keeps_inputs(rule: Rule) -> bool:
    """Return whether a run is given the inputs of the members."""
    return isinstance(rule, BatchRule) or (isinstance(rule, DebounceRule) and rule.is_for_all)
