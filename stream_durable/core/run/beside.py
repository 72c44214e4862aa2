"""Functions called beside the graph: calls begin in the order of the log, as many at once as each may have.

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

from stream_durable.core.definition.graph import Grown
from stream_durable.core.definition.nodes import BesideNode
from stream_durable.core.effects import Effects, Handlers
from stream_durable.core.errors import RejectedError
from stream_durable.core.messages import InquireRun
from stream_durable.core.names import beside_name, helper_kind
from stream_durable.core.run import inside
from stream_durable.core.run.from_outside import Beside
from stream_durable.core.run.hooks import begin_helper
from stream_durable.core.run.reading import acknowledge
from stream_durable.core.run.ring import Ring
from stream_durable.core.run.say import STOP_MS, is_put_off, set_due
from stream_durable.core.run.state import Detail, End, Run, Step
from stream_durable.core.status import CANCELLED, PENDING, READY, RETRYING, STEP_ENDED, WAITING, Outcome

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
    """Put a call at the end of the line, under the next number, and make it if there is room.

    During a failure events wait for a restart.
    """
    ring = _ring_of(run, node.name)
    if call.id in ring.ids:
        return Outcome.DUPLICATE
    if run.has_ended or (not call.arrival and run.is_ending):
        return Outcome.LATE
    _line_up(run, node, ring, call)
    begin_next(run, node, now, out)
    return Outcome.APPLIED


def _line_up(run: Run, node: BesideNode, ring: Ring, call: Beside) -> None:
    call.number = ring.next
    name = _slot(node.name, call.number)
    i = run.graph.index.get(name, -1)
    step = run.steps.get(i)
    if step is not None and _is_open(step):
        since = f"the one that came {SLOTS} calls ago has not ended"
        text = f"run {run.id!r} takes no further call of {node.name!r}: {since}; send this one later"
        raise RejectedError("beside_full", text)
    if i < 0:
        graph = run.graph = run.graph.grown()
        i = graph.help(name, node.step)
        run.need.append(0)
    if step is not None and step.detail is not None and step.detail.beside is not None:
        ring.ids.discard(step.detail.beside.id)
    run.steps[i] = _waiting(run, step, call)
    run.touched[i] = None
    run.payload += call.size
    ring.ids.add(call.id)
    ring.open.append(call.number)
    ring.next = call.number + 1


def _ring_of(run: Run, name: str) -> Ring:
    ring = run.rings.get(name)
    if ring is None:
        ring = run.rings[name] = Ring()
        for _, step, call in calls(run, name):
            ring.next = max(ring.next, call.number + 1)
            ring.ids.add(call.id)
            if _is_open(step):
                ring.open.append(call.number)
        ring.open.sort()
    return ring


def _open_of(run: Run, name: str) -> list[tuple[int, Step]]:
    """Return the steps of calls that have not ended, in order, each with its index."""
    index, steps, ring = run.graph.index, run.steps, _ring_of(run, name)
    found, numbers = [], []
    for number in ring.open:
        i = index[_slot(name, number)]
        if _is_open(steps[i]):
            found.append((i, steps[i]))
            numbers.append(number)
    ring.open = numbers
    return found


def is_busy(run: Run, node: BesideNode, now: int) -> bool:
    """Return whether another call of a function has to wait, since one waits or no more may be under way."""
    if node.on == "signal" and run.mail is not None and run.mail.holds(node.signal, now):
        return True
    return not _has_room(run, node)


def _has_room(run: Run, node: BesideNode) -> bool:
    """Return whether the next call can be made at once: there is a place, and the step is free."""
    return len(_open_of(run, node.name)) < node.concurrency and _is_free(run, node, 0)


def room_of(run: Run, node: BesideNode) -> int:
    """Return how many calls can be made at once."""
    most = node.concurrency - len(_open_of(run, node.name))
    return next((ahead for ahead in range(most) if not _is_free(run, node, ahead)), max(0, most))


def _is_free(run: Run, node: BesideNode, ahead: int) -> bool:
    """Return whether the step of a call so far ahead of the next one is free."""
    number = _ring_of(run, node.name).next + ahead
    step = run.steps.get(run.graph.index.get(_slot(node.name, number), -1))
    return step is None or not _is_open(step)


def suspended(run: Run) -> list[int]:
    """Return the open calls with no attempt under way; an ending run waits for none."""
    beside = run.graph.beside
    return [i for name in beside for i, step in _open_of(run, name) if _is_suspended(step)]


def _is_suspended(step: Step) -> bool:
    """Return whether a call waits: inside, for another attempt, for its time or for a place at a gate."""
    if step.status == READY:
        return is_put_off(step) or (step.detail is not None and step.detail.held == "gate")
    return step.status in (WAITING, RETRYING)


def bound(run: Run, now: int, out: Effects) -> None:
    """Let an ending run wait only so long for a worker to announce, or to end, the calls requested."""
    for node in run.graph.beside.values():
        for i, step in _open_of(run, node.name):
            if step.status == READY and not _is_suspended(step):
                run.touched[i] = None
                set_due(run, i, step, now + (node.step.timeout_ms or STOP_MS), out)


def _take_kept(run: Run, node: BesideNode, now: int) -> None:
    """Let the oldest kept signals be the next calls of a reaction, as far as there is room."""
    if run.mail is None:
        return
    run.payload -= run.mail.expire(now)
    while _has_room(run, node) and (kept := run.mail.take((node.signal,), now)) is not None:
        run.payload -= len(kept.data)
        call = Beside(kept.id, 0, kept.at or now, Raw(kept.data), by=kept.by)
        _line_up(run, node, _ring_of(run, node.name), call)


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


def _slot(name: str, number: int) -> str:
    return _slots(name, SLOTS)[number % SLOTS]


@lru_cache(maxsize=1_000)
def _slots(name: str, count: int) -> tuple[str, ...]:
    return tuple(beside_name(name, slot) for slot in range(count))


def begin_next(run: Run, node: BesideNode, now: int, out: Effects) -> None:
    """Make the oldest waiting calls, as many as may be under way, unless the run makes none now."""
    if run.is_paused or run.status == PENDING or run.is_ending:
        return
    if not _goes_on(run):
        return
    if node.on == "signal":
        _take_kept(run, node, now)
    found = _open_of(run, node.name)
    waiting = [i for i, step in found if not _has_begun(step)]
    for i in waiting[: max(0, node.concurrency - (len(found) - len(waiting)))]:
        begin_helper(run, run.graph.names[i], node.step, now, out)


def _goes_on(run: Run) -> bool:
    """Return whether there is work besides calls under way; without it the run makes no more calls."""
    graph = run.graph
    has_waits = isinstance(graph, Grown) and bool(graph.inner)
    if not has_waits and run.left > sum(node.concurrency for node in graph.beside.values()):
        return True
    left = run.left - sum(_has_begun(step) for name in graph.beside for _, step in _open_of(run, name))
    return left > (sum(_waits_inside(run, name) for name in graph.beside) if has_waits else 0)


def _waits_inside(run: Run, name: str) -> int:
    """Count the open waits inside calls of a function, also of one ending now."""
    graph, steps = run.graph, run.steps
    return sum(_is_open(steps[m]) for i, _, _ in calls(run, name) for m in graph.inner_of(i))


def _has_begun(step: Step) -> bool:
    """Return whether a call was made: one that waited inside is pending again before its next pass."""
    inside = None if step.detail is None else step.detail.inside
    return step.status != PENDING or (inside is not None and inside.passes > 0)


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


def in_order(run: Run, waits: Iterable[int]) -> list[int]:
    """Return waits with those inside calls of a function last, in the order of the calls."""

    def place(m: int) -> tuple[str, int]:
        i = run.graph.outer(m)
        step = run.steps.get(i)
        call = None if step is None or step.detail is None else step.detail.beside
        return ("", 0) if call is None else (helper_kind(run.graph.names[i]), call.number)

    return sorted(waits, key=place)


def is_reaction(run: Run, i: int) -> bool:
    """Return whether a step is a call for a signal or an event."""
    graph = run.graph
    if not graph.is_beside(i) or graph.outer(i) >= 0:
        return False
    return graph.beside[helper_kind(graph.names[i])].on != "inquiry"


def ended(run: Run, i: int, step: Step, now: int, out: Effects) -> None:
    """Make the next calls after the end of one."""
    node = run.graph.beside.get(helper_kind(run.graph.names[i])) if run.graph.beside else None
    if node is None or step.detail is None or step.detail.beside is None:
        return
    _forget_data(run, step.detail.beside)
    if run.ended is not None:
        return
    if node.on == "event":
        ask_for_next(run, node, out)
    begin_next(run, node, now, out)


def ask_for_next(run: Run, node: BesideNode, out: Effects) -> None:
    """Ask the channel of a reaction for events after the last one, once, when there is room."""
    i, call = _last_call(run, node)
    if call is None or call.is_followed or call.is_acknowledged or not (room := room_of(run, node)):
        return
    call.is_acknowledged = True
    run.touched[i] = None
    acknowledge(run, node, call.arrival, room, out)


def ask_again(run: Run, node: BesideNode, number: int, out: Effects) -> None:
    """Ask the channel of a reaction for events after a repeat, if there is room."""
    if not (room := room_of(run, node)):
        return
    i, call = _last_call(run, node)
    if call is not None and call.arrival < number and not call.is_acknowledged:
        # The repeat came behind it, of an id that is remembered under another number.
        call.is_acknowledged = True
        run.touched[i] = None
    acknowledge(run, node, number, room, out)


def _last_call(run: Run, node: BesideNode) -> tuple[int, Beside | None]:
    """Return the call that was lined up last, with the index of its step."""
    i = run.graph.index.get(_slot(node.name, _ring_of(run, node.name).next - 1), -1)
    step = run.steps.get(i)
    return i, None if step is None or step.detail is None else step.detail.beside


def drop_waiting(run: Run) -> None:
    """Give up waiting calls, kept signals and the data of all of them at the end of the run."""
    if run.graph.reactions and run.mail is not None:
        run.payload -= run.mail.drop(run.graph.reactions.keys())
    for name in run.graph.beside:
        for i, step, call in calls(run, name):
            if step.status == PENDING:
                step.status = CANCELLED
                run.touched[i] = None
            if call.data is not None:
                _forget_data(run, call)
                run.touched[i] = None


def _forget_data(run: Run, call: Beside) -> None:
    run.payload -= call.size
    call.data = None


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
