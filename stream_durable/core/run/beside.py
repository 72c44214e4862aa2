"""Functions called beside the graph: one call at a time for each of them, in the order of the log.

Each has a ring of steps. The call of number n has step n modulo the size of the ring, with the next attempt
of that step, so that a result of an earlier call is recognised. What waits is a pending step, and what
was answered lately stays there: a repeat changes nothing. So a run keeps a constant number of steps, however
many calls there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final

from msgspec import Raw

from stream_durable.core.definition.nodes import BesideNode
from stream_durable.core.effects import Effects, Handlers
from stream_durable.core.errors import RejectedError
from stream_durable.core.messages import InquireRun
from stream_durable.core.names import beside_name, helper_kind
from stream_durable.core.run import inside
from stream_durable.core.run.from_outside import Beside
from stream_durable.core.run.hooks import begin_helper
from stream_durable.core.run.reading import acknowledge
from stream_durable.core.run.state import Detail, End, Run, Step
from stream_durable.core.status import CANCELLED, PENDING, STEP_ENDED, WAITING, Outcome

#: Calls that wait, and calls that are remembered, for each function.
SLOTS: Final = 100


def inquire(run: Run, message: InquireRun, now: int, out: Effects) -> Outcome:
    """Call the answering function, or let the inquiry wait for its turn."""
    node = run.graph.beside.get(message.inquiry)
    if node is None or node.on != "inquiry":
        raise RejectedError("unknown_answer", f"run {run.id!r} answers no {message.inquiry[:128]!r}")
    if run.status == PENDING and run.attempt == 1:
        raise RejectedError("not_begun", f"run {run.id!r} has not begun, and answers nothing yet")
    return accept(run, node, Beside(message.id, 0, now, Raw(bytes(message.data))), now, out)


def accept(run: Run, node: BesideNode, call: Beside, now: int, out: Effects) -> Outcome:
    """Put a call at the end of the line, under the next number, and make it if it is the first.

    During a failure events wait for a restart.
    """
    known = list(calls(run, node.name))
    if any(other.id == call.id for _, _, other in known):
        return Outcome.DUPLICATE
    if run.has_ended or (not call.arrival and (run.failure is not None or run.output is not None)):
        return Outcome.LATE
    call.number = _next_number(known)
    _line_up(run, node, call)
    begin_next(run, node, now, out)
    return Outcome.APPLIED


def _line_up(run: Run, node: BesideNode, call: Beside) -> None:
    name = beside_name(node.name, call.number % SLOTS)
    i = run.graph.index.get(name, -1)
    step = run.steps.get(i)
    if step is not None and _is_open(step):
        text = f"{SLOTS} calls of {node.name!r} of run {run.id!r} wait already: send this one later"
        raise RejectedError("beside_full", text)
    if i < 0:
        graph = run.graph = run.graph.grown()
        i = graph.help(name, node.step)
        run.need.append(0)
    run.steps[i] = _waiting(run, step, call)
    run.touched[i] = None


def _next_number(known: Iterable[tuple[int, Step, Beside]]) -> int:
    return 1 + max((call.number for _, _, call in known), default=-1)


def is_busy(run: Run, node: BesideNode, now: int) -> bool:
    """Return whether a call of a function waits or is under way, or a signal is kept for it."""
    if node.on == "signal" and run.mail is not None and run.mail.holds(node.signal, now):
        return True
    return _has_open(run, node)


def open_calls(run: Run, name: str) -> Iterator[tuple[int, Step]]:
    """Yield the steps of waiting and open calls of a function."""
    return ((i, step) for i, step, _ in calls(run, name) if _is_open(step))


def suspended(run: Run) -> list[int]:
    """Return the open calls waiting inside a function; an ending run waits for none."""
    return [i for name in run.graph.beside for i, step in open_calls(run, name) if step.status == WAITING]


def _has_open(run: Run, node: BesideNode) -> bool:
    return any(True for _ in open_calls(run, node.name))


def _take_kept(run: Run, node: BesideNode, now: int) -> None:
    """Let the oldest kept signal be the next call of a reaction, unless there is one."""
    if run.mail is None or _has_open(run, node):
        return
    run.payload -= run.mail.expire(now)
    if (kept := run.mail.take((node.signal,), now)) is None:
        return
    run.payload -= len(kept.data)
    number = _next_number(calls(run, node.name))
    _line_up(run, node, Beside(kept.id, number, kept.at or now, Raw(kept.data), by=kept.by))


def calls(run: Run, name: str) -> Iterator[tuple[int, Step, Beside]]:
    """Yield the steps of a function with their calls: waiting, under way, and ended lately."""
    index, steps = run.graph.index, run.steps
    for slot in _slots(name, SLOTS):
        i = index.get(slot, -1)
        step = steps.get(i)
        if step is None:
            return
        if step.detail is not None and step.detail.beside is not None:
            yield i, step, step.detail.beside


@lru_cache(maxsize=1_000)
def _slots(name: str, count: int) -> tuple[str, ...]:
    return tuple(beside_name(name, slot) for slot in range(count))


def begin_next(run: Run, node: BesideNode, now: int, out: Effects) -> None:
    """Make the oldest waiting call, unless one is under way or the run makes none now."""
    if run.is_paused or run.status == PENDING or run.failure is not None or run.output is not None:
        return
    if node.on == "signal":
        _take_kept(run, node, now)
    open_calls = [(call.number, i, step) for i, step, call in calls(run, node.name) if _is_open(step)]
    if not open_calls or any(step.status != PENDING for _, _, step in open_calls):
        return
    _, i, _ = min(open_calls, key=lambda call: call[0])
    begin_helper(run, run.graph.names[i], node.step, now, out)


def begin_waiting(run: Run, now: int, out: Effects) -> None:
    """Make the calls waiting for the run to begin or to be resumed."""
    for node in run.graph.beside.values():
        begin_next(run, node, now, out)


def put_back(run: Run, i: int, step: Step, ends: list[End]) -> None:
    """Let a stopped call wait for its turn again, before all others; the waits inside end."""
    assert step.detail is not None
    assert step.detail.beside is not None
    if i in run.waiting:
        run.waiting.remove(i)
        inside.close(run, i, ends)
    else:
        run.active -= 1
    run.left -= 1
    run.steps[i] = _waiting(run, step, step.detail.beside)
    run.touched[i] = None


def is_reaction(run: Run, i: int) -> bool:
    """Return whether a step is a call for a signal or an event."""
    graph = run.graph
    if not graph.is_beside(i) or graph.outer(i) >= 0:
        return False
    return graph.beside[helper_kind(graph.names[i])].on != "inquiry"


def ended(run: Run, i: int, step: Step, now: int, out: Effects) -> None:
    """Make the next call after the end of one."""
    node = run.graph.beside.get(helper_kind(run.graph.names[i])) if run.graph.beside else None
    if node is None or step.detail is None or step.detail.beside is None:
        return
    call = step.detail.beside
    call.data = None
    if run.ended is not None:
        return
    if node.on == "event":
        acknowledge(run, node, call.arrival, out)
    if run.left:
        # A run with nothing else left to do ends, and does not go on for those who ask.
        begin_next(run, node, now, out)


def drop_waiting(run: Run) -> None:
    """Give up waiting calls and kept signals at the end of the run."""
    if run.graph.reactions and run.mail is not None:
        run.payload -= run.mail.drop(run.graph.reactions.keys())
    for name in run.graph.beside:
        for i, step, _ in calls(run, name):
            if step.status == PENDING:
                step.status = CANCELLED
                run.touched[i] = None


def _waiting(run: Run, before: Step | None, call: Beside) -> Step:
    attempt = 1 if before is None else before.attempt + 1
    if before is not None:
        run.payload -= len(before.output or b"")
    step = Step(PENDING, attempt)
    step.detail = Detail(first=attempt, beside=call)
    return step


def _is_open(step: Step) -> bool:
    return step.status not in STEP_ENDED


HANDLERS: Handlers = {InquireRun: inquire}
