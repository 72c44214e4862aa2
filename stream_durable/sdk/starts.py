"""Rules for starts of a workflow, for each key: debounced, in batches, singly."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Literal

from stream_durable.core.admission.rule import BatchRule, Busy, DebounceRule, SingleRule, Starts
from stream_durable.sdk.durations import Duration
from stream_durable.sdk.options import Options


@dataclass(frozen=True, slots=True)
class Debounce:
    """The last run begins after a `quiet` time, at the latest `cap` after the first.

    The others merge into the last.
    `key` is a path into the input; without a key all runs of the workflow are debounced together. With
    `inputs="all"` the run finds the inputs of all in `ctx.inputs`, in the order of arrival.

    >>> Debounce(key="input.to", quiet="5s", cap="1m").inputs
    'last'
    """

    _: KW_ONLY
    quiet: Duration
    cap: Duration | None = None
    key: str | None = None
    inputs: Literal["last", "all"] = "last"


@dataclass(frozen=True, slots=True)
class Batch:
    """`size` runs begin together, or as many as came `within` a time after the first.

    The last begins, finds the inputs of all in `ctx.inputs`, in the order of arrival, and the others merge.

    >>> Batch(key="input.shop", size=100, within="10s").size
    100
    """

    _: KW_ONLY
    size: int
    within: Duration
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Single:
    """One run at a time; `busy` is for starts while a run is under way.

    `"skip"`: the start merges into the run. `"replace"`: the run is cancelled, and the new run begins after
    the end. `"queue"`: the start waits, in order of priority and age. `"newest"`: the start waits, and the
    last of the waiting starts begins, with the others merged.

    >>> Single(key="input.id", busy="queue").busy
    'queue'
    """

    _: KW_ONLY
    key: str | None = None
    busy: Busy = "skip"


def read_starts(options: Options, value: object) -> Starts | None:
    """Return the rule for starts, or record its faults; the core checks ranges and the path."""
    match value:
        case None:
            return None
        case Debounce():
            quiet_ms = options.duration("Debounce: quiet=", value.quiet)
            cap_ms = options.duration("Debounce: cap=", value.cap)
            inputs = options.word("Debounce: inputs=", value.inputs, Literal["last", "all"], "last")
            rule = DebounceRule(quiet_ms=quiet_ms or 0, cap_ms=cap_ms, is_for_all=inputs == "all")
            return Starts(rule=rule, key=_key(options, value.key))
        case Batch():
            size = options.count("Batch: size=", value.size)
            within_ms = options.duration("Batch: within=", value.within)
            return Starts(
                rule=BatchRule(size=size or 0, within_ms=within_ms or 0), key=_key(options, value.key)
            )
        case Single():
            busy: Busy = options.word("Single: busy=", value.busy, Busy, "skip")
            return Starts(rule=SingleRule(busy=busy), key=_key(options, value.key))
        case _:
            text = (
                f'starts= takes a Debounce, a Batch or a Single, such as Single(busy="queue"), not {value!r}'
            )
            options.fault("bad_starts", text)
            return None


def _key(options: Options, key: object) -> str | None:
    return None if key is None else options.text("key=", key)
