"""Merges the two streams of one run's public events into one order, without repeats.

Each topic has a gapless sequence, and a run event carries the number of earlier step events. So repeats are
dropped, early events are held back, and gaps are noticed. Step events carry no position among run events: a
pause, for example, may be yielded after later steps. The start, the end and a retry after an end are in
place.
"""

from __future__ import annotations

from collections.abc import Iterator

from stream_durable.core.lifecycle import RunEvent, StepEvent
from stream_durable.core.status import RUN_ENDED


class Sequence:
    """Events of one run so far, and events held back."""

    def __init__(self) -> None:
        self._next_run = 1
        self._next_step = 1
        self._runs: dict[int, RunEvent] = {}
        self._steps: dict[int, StepEvent] = {}
        #: Steps come after the statement that the run has started, or goes on after an end.
        self._has_begun = False
        #: Whether the last event of the run is an end.
        self.has_ended = False

    @property
    def run_sequence(self) -> int:
        """The number of the last statement about the run as a whole that was given."""
        return self._next_run - 1

    @property
    def is_holding(self) -> bool:
        """Whether an event is held back because of a gap."""
        return bool(self._runs or self._steps)

    def add(self, event: RunEvent | StepEvent) -> None:
        """Add an event; repeats are dropped."""
        if isinstance(event, RunEvent):
            if event.sequence >= self._next_run:
                self._runs[event.sequence] = event
        elif event.sequence >= self._next_step:
            self._steps[event.sequence] = event

    def take(self) -> Iterator[RunEvent | StepEvent]:
        """Yield the next events without a gap."""
        while True:
            event = self._following()
            if event is None:
                return
            yield event

    def go_on(self) -> None:
        """Expect more: the end yielded before was not the last."""
        self.has_ended = False

    def skip(self) -> None:
        """Continue with the first event held back; earlier events have expired."""
        if self._steps:
            self._next_step = min(self._steps)
        elif self._runs:
            self._next_step = self._runs[min(self._runs)].step_sequence + 1
        if self._runs:
            self._next_run = min(self._runs)
        self._has_begun = True

    def _following(self) -> RunEvent | StepEvent | None:
        run = self._runs.get(self._next_run)
        if run is not None and run.step_sequence < self._next_step:
            del self._runs[self._next_run]
            self._next_run += 1
            self.has_ended = run.type.removeprefix("run.") in RUN_ENDED
            self._has_begun = not self.has_ended
            return run
        if not self._has_begun:
            return None
        step = self._steps.pop(self._next_step, None)
        if step is not None:
            self._next_step += 1
        return step
