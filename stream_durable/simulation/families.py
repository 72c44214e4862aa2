"""What parents and children are promised of each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress

from stream_durable.core.errors import RejectedError
from stream_durable.core.messages import CancelRun, ChildEnded, Message
from stream_durable.core.run.entering import taker_of
from stream_durable.core.run.state import Run
from stream_durable.core.status import COMPLETED, MERGED, RUN_ENDED, Outcome
from stream_durable.simulation.oracle import Oracle
from stream_durable.simulation.world import World
from stream_durable.wire.inbox import decode_message

#: The references of children that are started and not waited for, in the workload: the second is to be left.
STARTED, LEFT = "started", "left"


def children_and_parents_know_of_each_other(world: World, oracle: Oracle) -> Iterator[str]:
    """Every child's end reaches the parent; and an unneeded child gets a cancellation."""
    told, taken = set(), set()
    for message, outcome in _said(world, oracle):
        if isinstance(message, ChildEnded):
            told.add((message.key, message.child, message.status))
            if outcome is Outcome.APPLIED:
                taken.add(message.child)
    ended = _cancelled_with_parents(world, oracle)
    for run, parent in _children(oracle):
        if _reference(run) in (STARTED, LEFT):
            continue
        taker = _taker(run, oracle)
        if taker is not run and world.lives.has_losses and parent is not None and parent.has_ended:
            # Nobody asks again after a child whose parent has ended.
            continue
        # A taker that is retried later reports to its own parent alone.
        statuses = (taker.status,) if taker is run else RUN_ENDED
        if taker.has_ended and not any((run.parent, run.id, status) in told for status in statuses):
            yield f"run {run.id!r} is {taker.status}, and its parent was not told"
        if parent is None:
            yield f"run {run.id!r} has no parent"
        elif parent.has_ended and run.id not in taken and run.id not in ended:
            yield f"run {run.parent!r} has ended, and its child {run.id!r} was left alone"


def started_children_go_their_own_way(world: World, oracle: Oracle) -> Iterator[str]:
    """A child started without waiting reports no end, and is cancelled with the parent or left."""
    ended = _cancelled_with_parents(world, oracle)
    told = {message.child for message, _ in _said(world, oracle) if isinstance(message, ChildEnded)}
    for run, parent in _children(oracle):
        reference = _reference(run)
        if reference not in (STARTED, LEFT):
            continue
        if run.id in told:
            yield f"run {run.id!r} told its parent of its end"
        if reference == LEFT and run.id in ended:
            yield f"run {run.id!r} was to be left, and was cancelled with {run.parent!r}"
        has_failed = parent is not None and parent.has_ended and parent.status != COMPLETED
        if reference == STARTED and has_failed and run.id not in ended:
            yield f"run {run.parent!r} has ended without an output, and {run.id!r} was left alone"


def _children(oracle: Oracle) -> Iterator[tuple[Run, Run | None]]:
    for run in oracle.runs():
        if run.parent is not None:
            parent = oracle.entities.get(("run", run.parent))
            yield run, parent if isinstance(parent, Run) else None


def _taker(run: Run, oracle: Oracle) -> Run:
    """Return the run whose end is a run's: another, where that one took it in."""
    seen = {run.id}
    while run.status == MERGED and (into := taker_of(run.requests)) is not None and into not in seen:
        seen.add(into)
        found = oracle.entities.get(("run", into))
        if not isinstance(found, Run):
            break
        run = found
    return run


def _reference(run: Run) -> str:
    return (run.parent_step or "").rpartition("/")[2]


def _cancelled_with_parents(world: World, oracle: Oracle) -> set[str]:
    """Return the runs that were cancelled by their parents."""
    return {
        message.key
        for message, _ in _said(world, oracle)
        if isinstance(message, CancelRun) and message.id.startswith("parent/")
    }


def _said(world: World, oracle: Oracle) -> Iterator[tuple[Message | None, Outcome | None]]:
    """Return messages with outcomes, including messages lost before their fold."""
    for judged in oracle.judged.values():
        yield judged.message, judged.outcome
    for record in world.lives.lost:
        with suppress(RejectedError):
            yield decode_message(record.value or b""), None


FAMILIES: tuple[Callable[[World, Oracle], Iterator[str]], ...] = (
    children_and_parents_know_of_each_other,
    started_children_go_their_own_way,
)
