"""Faults of the rule for starts: times and sizes of nothing, and keys at no path."""

from __future__ import annotations

from collections.abc import Iterator
from typing import assert_never

from stream_durable.core.admission.rule import TOGETHER_MAX, BatchRule, DebounceRule, SingleRule, Starts
from stream_durable.core.definition.paths import root_of


def start_faults(starts: Starts) -> Iterator[tuple[str, str]]:
    """Return codes, with the sentence behind the name of the workflow."""
    rule = starts.rule
    match rule:
        case DebounceRule():
            if rule.quiet_ms < 1:
                yield "starts", ": the quiet time of Debounce must be longer than nothing"
            if rule.cap_ms is not None and rule.cap_ms < rule.quiet_ms:
                text = f"the cap of Debounce is {rule.cap_ms} ms, and shorter than its quiet time"
                yield "starts", f": {text} of {rule.quiet_ms} ms: give a longer one, or none"
        case BatchRule():
            if not 1 <= rule.size <= TOGETHER_MAX:
                yield "starts", f": the size of Batch is {rule.size}, and must be from 1 to {TOGETHER_MAX}"
            if rule.within_ms < 1:
                yield "starts", ": within= of Batch must be longer than nothing"
        case SingleRule():
            pass
        case _:
            assert_never(rule)
    key = starts.key
    if key is not None and (root_of(key) != "input" or not all(key.split("."))):
        yield "starts", f": key= is {key!r}, which is no path into the input: write one such as input.id"
