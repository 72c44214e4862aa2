"""A run is started, is cancelled, or runs out of time."""

from __future__ import annotations

from collections.abc import Callable

from stream_durable.core.attributes import check as check_attributes
from stream_durable.core.definition.graph import Graph
from stream_durable.core.effects import Effects, Handlers
from stream_durable.core.errors import RejectedError
from stream_durable.core.failure import Failure
from stream_durable.core.format import LANES
from stream_durable.core.ids import PAYLOAD_BYTES_MAX, QUEUE, QUEUE_RULE, RESERVED_RULE, is_derived
from stream_durable.core.lifecycle import RUN_CANCELLING, RUN_SCHEDULED
from stream_durable.core.messages import (
    CancelRun,
    RunMessage,
    Scheduled,
    StartRun,
    StartScheduled,
    StartTriggered,
)
from stream_durable.core.run import attributes, due, entering, review
from stream_durable.core.run.advance import work_off
from stream_durable.core.run.beginning import enter
from stream_durable.core.run.children import refused, tell_schedule
from stream_durable.core.run.ending import end, wind_down
from stream_durable.core.run.following import tell_parent
from stream_durable.core.run.say import say_run, say_start, set_run_due, time_limit
from stream_durable.core.run.state import End, Request, Requests, Run
from stream_durable.core.status import CANCELLED, CANCELLING, FAILED, PENDING, Outcome


def create(message: RunMessage, partition: int, graphs: Callable[[str], Graph | None]) -> Run:
    """Return the run named by a start, or refuse; all other messages are for existing runs."""
    key = message.key
    if not isinstance(message, StartRun):
        raise RejectedError("unknown_run", f"there is no run {key!r}: check the id, or start it first")
    if isinstance(message, StartTriggered) and message.failure is not None:
        text = f"trigger {message.on!r} on event {message.event!r}: {message.failure.message}"
        raise RejectedError(message.failure.code, text)
    has_own_id = not message.parent and not isinstance(message, StartScheduled | StartTriggered)
    if has_own_id and is_derived(key):
        raise RejectedError("reserved_id", f"{key[:128]!r} cannot be a run's id: {RESERVED_RULE}")
    graph = graphs(message.fingerprint)
    if graph is None or graph.name != message.workflow:
        raise RejectedError(
            "unknown_workflow",
            f"workflow {message.workflow[:128]!r} has no definition {message.fingerprint[:64]!r}",
        )
    if message.queue and not QUEUE.match(message.queue):
        raise RejectedError("bad_queue", f"{message.queue[:128]!r} is not a name for a queue: {QUEUE_RULE}")
    if len(bytes(message.input)) > PAYLOAD_BYTES_MAX:
        raise RejectedError("too_large", f"an input has at most {PAYLOAD_BYTES_MAX} bytes of JSON")
    check_attributes(message.attributes)
    return Run(key, partition, graph)


def start(run: Run, message: StartRun, now: int, out: Effects) -> Outcome:
    """Begin the run; a second start of the same id, by any sender, changes nothing."""
    if run.created:
        _answer_again(run, message, out)
        return Outcome.DUPLICATE
    run.created = now
    run.start_id = message.id
    run.input = bytes(message.input)
    run.payload = len(run.input)
    run.tags = message.tags
    run.trace = message.trace
    run.queue = message.queue or None
    run.priority = message.priority
    # A child is under way with its parent.
    run.has_lanes = out.format >= LANES and not message.parent
    run.metadata = None if message.metadata is None else bytes(message.metadata)
    run.parent, run.parent_step = message.parent or None, message.parent_step or None
    run.depth = message.depth
    if message.attributes:
        attributes.put(run, message.attributes)
    if message.picks or message.trigger or message.timeout_ms is not None or not message.is_awaited:
        run.requests = Requests(
            trigger=message.trigger, picks=message.picks, timeout_ms=message.timeout_ms,
            is_awaited=message.is_awaited,
        )  # fmt: skip
        if isinstance(message, StartScheduled):
            run.requests.scheduled = Scheduled(message.schedule, message.moment)
    due.keep(run, message, out)
    if message.at is not None and message.at > now:
        set_run_due(run, message.at, out)
        say_start(run, RUN_SCHEDULED, now, out)
    else:
        if entering.asks(run):
            say_start(run, RUN_SCHEDULED, now, out)
        enter(run, now, out)
    return Outcome.APPLIED


def start_scheduled(run: Run, message: StartScheduled, now: int, out: Effects) -> Outcome:
    """Begin the run for a moment of a schedule; a repeat reports the end once more, if there is one."""
    if run.has_ended:
        tell_schedule(run, out)
    return start(run, message, now, out)


def start_triggered(run: Run, message: StartTriggered, now: int, out: Effects) -> Outcome:
    """Begin the run of an event."""
    return start(run, message, now, out)


def cancel(run: Run, message: CancelRun, now: int, out: Effects, last: End | None = None) -> Outcome:
    """Begin the end of a run, and ask workers to drop its attempts; a cancelling reaction ends first.

    For a run already ending or ended only the request is recorded.
    """
    requests = run.requests = run.requests or Requests()
    if requests.cancel is not None or requests.late_cancel is not None or run.has_seen(message.id):
        return Outcome.LATE if run.has_ended and run.status != CANCELLED else Outcome.DUPLICATE
    request = Request(message.id, now, message.reason, message.compensate, message.by)
    requests.remember(message.id)
    if run.has_ended or run.failure is not None:
        requests.late_cancel = request
        return Outcome.APPLIED
    requests.cancel = request
    for i in review.held_steps(run):
        review.note(run, i, "cancel", now, out, id=message.id, by=message.by, reason=message.reason)
    reason = message.reason or "cancelled by request"
    run.failure = Failure("cancelled", reason, retryable=False)
    if run.status == PENDING and not (message.compensate and run.started and entering.is_waiting(run)):
        end(run, CANCELLED, now, out)
        return Outcome.APPLIED
    run.status = CANCELLING
    if last is not None:
        work_off(run, [last], [], now, out)
        if run.ended is not None:
            return Outcome.APPLIED
    ends: list[End] = []
    wind_down(run, CANCELLED, now, out, ends)
    if run.ended is None:
        say_run(run, RUN_CANCELLING, now, out)
        work_off(run, ends, [], now, out)
    return Outcome.APPLIED


def run_out_of_time(run: Run, now: int, out: Effects) -> None:
    """Fail the run after its time-out; a run already ending continues to do so."""
    set_run_due(run, None, out)
    if run.is_ending:
        return
    run.failure = Failure("timeout", f"the run did not end within {time_limit(run)} ms", retryable=False)
    ends: list[End] = []
    wind_down(run, FAILED, now, out, ends)
    if run.ended is None:
        work_off(run, ends, [], now, out)


def _answer_again(run: Run, message: StartRun, out: Effects) -> None:
    """Repeat the result to a parent repeating a child's start, or the refusal to another parent."""
    if not message.parent:
        return
    if message.parent != run.parent or message.parent_step != run.parent_step:
        text = "another run has this id"
        out.messages.append(refused(message, RejectedError("id_taken", text)))
    elif run.has_ended:
        tell_parent(run, out)


HANDLERS: Handlers = {
    StartRun: start,
    StartScheduled: start_scheduled,
    StartTriggered: start_triggered,
    CancelRun: cancel,
}
