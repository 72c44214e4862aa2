"""Lifecycle events for tests: one plain of each kind, and any there can be."""

from __future__ import annotations

import msgspec
from hypothesis import strategies as st

from stream_durable.core.failure import Failure
from stream_durable.core.lifecycle import RunEvent, StepEvent

Event = StepEvent | RunEvent

STEP = StepEvent(
    "step.completed", "run-1", "order", "0123456789abcdef", 3, 1_764_000_000_123, "charge", 1,
    b'{"ok":true}', None, 1_764_000_000_100, 1_764_000_000_120, "worker-1",
)  # fmt: skip
RUN = RunEvent(
    "run.failed", "run-1", "order", "0123456789abcdef", 2, 1_764_000_000_123, 7, "message-1",
    None, Failure("ValueError", "no such card", retryable=False, details={"card": 4}, step="charge"),
)  # fmt: skip

#: The last millisecond of the year 9999.
TIME_MAX = 253_402_300_799_999

longs = st.integers(-(1 << 63), (1 << 63) - 1)
counts = st.integers(0, 300) | longs
times = st.integers(0, TIME_MAX)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 63), 1 << 63) | st.text(max_size=20)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)  # fmt: skip
outputs = st.none() | json_values.map(msgspec.json.encode) | st.text().map(str.encode)
failures = st.builds(
    Failure, st.text(), st.text(), st.booleans(), json_values, trace=st.none(), step=st.none() | st.text()
)
step_events = st.builds(
    StepEvent,
    st.text(), st.text(), st.text(), st.text(), counts, times, st.text(), counts,
    outputs, st.none() | failures, *[st.none() | st.integers(1, TIME_MAX)] * 2,
    st.none() | st.text(), st.none() | st.text(), outputs,
)  # fmt: skip
run_events = st.builds(
    RunEvent,
    st.text(), st.text(), st.text(), st.text(), counts, times, counts, st.text(),
    outputs, st.none() | failures, st.none() | st.text(), st.none() | st.text(), st.none() | st.text(),
    st.none() | st.lists(st.text(), max_size=80).map(tuple),
)  # fmt: skip
events = step_events | run_events
