"""A run begins, is cancelled, or runs out of time."""

from __future__ import annotations

from stream_durable.core.effects import Effects
from stream_durable.core.failure import Failure
from stream_durable.core.lifecycle import RUN_CANCELLED, RUN_FAILED, RUN_STARTED
from stream_durable.core.messages import CancelRun, StartRun
from stream_durable.core.run.advance import begin, end, say_run
from stream_durable.core.run.state import Run
from stream_durable.core.status import CANCELLED, FAILED, PENDING, RUNNING, Outcome


def start(run: Run, message: StartRun, now: int, out: Effects) -> Outcome:
    """Begin the run; a second start of the same id changes nothing, whoever sent it."""
    if run.status != PENDING:
        return Outcome.DUPLICATE
    run.status = RUNNING
    run.created = now
    run.start_id = message.id
    run.input = bytes(message.input)
    run.payload = len(run.input)
    run.tags = message.tags
    run.trace = message.trace
    timeout = run.graph.definition.timeout_ms
    if timeout is not None:
        run.due = now + timeout
        out.timers["run", run.id, ""] = run.due
    say_run(run, RUN_STARTED, now, out)
    begin(run, run.graph.entry, now, out)
    return Outcome.APPLIED


def cancel(run: Run, message: CancelRun, now: int, out: Effects) -> Outcome:
    """End the run at once; workers that have its attempts are asked to drop them."""
    if run.has_ended:
        return Outcome.DUPLICATE if run.status == CANCELLED else Outcome.LATE
    reason = message.reason or "cancelled by request"
    end(run, CANCELLED, now, out, Failure("cancelled", reason, retryable=False))
    say_run(run, RUN_CANCELLED, now, out)
    return Outcome.APPLIED


def run_out_of_time(run: Run, now: int, out: Effects) -> None:
    """Fail the run because its time-out has passed."""
    limit = run.graph.definition.timeout_ms
    failure = Failure("timeout", f"the run did not end within {limit} ms", retryable=False)
    end(run, FAILED, now, out, failure)
    say_run(run, RUN_FAILED, now, out)
