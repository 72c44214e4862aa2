"""A run begins, once everything has let it begin that its workflow asks."""

from __future__ import annotations

import msgspec
from msgspec import Raw

from stream_durable.core.effects import Effects, Handlers
from stream_durable.core.errors import RejectedError
from stream_durable.core.failure import Failure
from stream_durable.core.lifecycle import RUN_STARTED
from stream_durable.core.messages import PlaceGiven, RequestDoubted, RunAdmitted, RunFollowed, RunMerged
from stream_durable.core.run import beside, due, entering, following, reading
from stream_durable.core.run.advance import react, work_off
from stream_durable.core.run.again import beginnings, final_output, stranded
from stream_durable.core.run.ending import end
from stream_durable.core.run.entry import Entry
from stream_durable.core.run.following import followed
from stream_durable.core.run.say import say_start, set_run_due, time_limit
from stream_durable.core.run.state import Run
from stream_durable.core.status import FAILED, MERGED, PENDING, RUNNING, Outcome

_encode = msgspec.json.Encoder().encode


def enter(run: Run, now: int, out: Effects) -> None:
    """Begin the run, or ask admission and gate first; with an unreadable key the run fails.

    A run tried again by its own policy has kept its place.
    """
    entry = entering.entry_of(run)
    if not entering.asks(run) or entry is not None:
        begin(run, now, out)
    else:
        _ask(run, entering.next_turn(run), now, out)


def ask_anew(run: Run, now: int, out: Effects) -> None:
    """Let an ended run that is retried wait until it is let in again."""
    _ask(run, entering.next_turn(run), now, out)


def _ask(run: Run, entry: Entry, now: int, out: Effects) -> None:
    """Ask the next in order, or begin."""
    if run.due is not None:
        set_run_due(run, None, out)
    try:
        is_asked = entering.ask(run, entry, now, out)
    except RejectedError as error:
        run.failure = Failure(error.code, str(error), retryable=False)
        end(run, FAILED, now, out)
        return
    if not is_asked:
        entering.begun(run, out)
        begin(run, now, out, is_retried=entry.turn > 1)


def begin(run: Run, now: int, out: Effects, *, is_retried: bool = False) -> None:
    """Begin the run at its first steps, or go on with one that was put back."""
    is_first = run.attempt == 1 and run.started is None
    run.status = RUNNING
    if run.started is None:
        run.started = now
    timeout = time_limit(run)
    if timeout is not None:
        set_run_due(run, now + timeout, out)
    elif run.due is not None:
        set_run_due(run, None, out)
    if is_first or is_retried:
        due.expect_begun(run, now, out)
    say_start(run, RUN_STARTED, now, out)
    if is_retried:
        run.output = final_output(run)
    ends = stranded(run) if is_retried else []
    work_off(run, ends, list(run.graph.entry) if is_first else beginnings(run), now, out)
    if run.graph.beside and run.ended is None:
        ordinal = reading.ordinal_of(run)
        if run.graph.reads_events and (is_retried or not ordinal):
            react(run, now if ordinal else run.created, now, out)
        beside.begin_waiting(run, now, out)


def admitted(run: Run, message: RunAdmitted, now: int, out: Effects) -> Outcome:
    """Go on to the gate, or begin; a run no longer waiting says so."""
    entry = entering.entry_of(run)
    is_its = entry is not None and (entry.admission, entry.turn) == (message.admission, message.attempt)
    is_news = entry is not None and is_its and message.is_single and entering.heed_single(run, entry)
    is_undone = run.status != PENDING and not run.has_ended
    if entry is not None and is_its and is_undone and not entry.has_begun:
        # It was cancelled while it waited, and what it had done is being undone.
        entry.is_admitted = True
        entering.begun(run, out)
        return Outcome.APPLIED
    if entry is None or not is_its or run.status != PENDING or entry.has_begun:
        entering.answer(run, message.admission, message.attempt, out)
        return Outcome.APPLIED if is_news else Outcome.LATE
    if entry.is_admitted:
        return Outcome.APPLIED if is_news else Outcome.DUPLICATE
    entry.is_admitted = True
    if message.inputs or (run.inputs is not None and run.started is None):
        # In an earlier turn others went with it, and it did not begin: they have gone with another.
        run.payload -= len(run.inputs or b"")
        run.inputs = _encode(message.inputs or (Raw(run.input),))
        run.payload += len(run.inputs)
        run.has_new_inputs = True
    _ask(run, entry, now, out)
    return Outcome.APPLIED


def doubted(run: Run, message: RequestDoubted, now: int, out: Effects) -> Outcome:
    """Ask for admission again, if the run still waits for it."""
    entry = entering.entry_of(run)
    is_its = entry is not None and (entry.admission, entry.turn) == (message.admission, message.attempt)
    if entry is None or not is_its or run.status != PENDING or entry.is_admitted:
        return Outcome.LATE
    if message.asked != entry.asked:
        return Outcome.DUPLICATE
    entering.ask(run, entry, max(now, message.after), out)
    return Outcome.APPLIED


def merged(run: Run, message: RunMerged, now: int, out: Effects) -> Outcome:
    """End the run as merged; kept signals go to the taker."""
    entry = entering.entry_of(run)
    is_its = entry is not None and (entry.admission, entry.turn) == (message.admission, message.attempt)
    if entry is None or not is_its or run.status != PENDING or entry.is_admitted:
        out.messages.append(entering.left(run.id, message.admission, message.attempt))
        return Outcome.LATE
    entry.into = message.into
    following.hand_over(run, entry.into, now, out)
    end(run, MERGED, now, out)
    return Outcome.APPLIED


def let_in(run: Run, message: PlaceGiven, now: int, out: Effects) -> Outcome | None:
    """Begin a run let in by its gate; None: it needs no place."""
    entry = entering.entry_of(run)
    if entry is None or (entry.gate, entry.turn) != (message.gate, message.attempt):
        return None
    if entry.has_passed:
        return Outcome.DUPLICATE
    entry.has_passed = True
    if not message.is_held:
        entry.gate = ""
    if run.status != PENDING:
        # It was cancelled while it waited, and what it had done is being undone.
        return Outcome.APPLIED
    _ask(run, entry, now, out)
    return Outcome.APPLIED


HANDLERS: Handlers = {
    RunAdmitted: admitted,
    RunMerged: merged,
    RunFollowed: followed,
    RequestDoubted: doubted,
}
