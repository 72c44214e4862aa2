"""How a run moves on: a step begins, ends well, ends badly, and the run ends with the last of them.

Every message handler ends here. The work of one message is proportional to the dependents of the
step it concerns, never to the size of the run; only the end of a run looks at all of its steps.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from msgspec import Raw

from stream_durable.core.definition.nodes import EventNode, SignalNode, SleepNode, StepNode
from stream_durable.core.definition.paths import read_path, root_of
from stream_durable.core.effects import CancelAttempt, Command, Effects
from stream_durable.core.errors import RejectedError
from stream_durable.core.failure import Failure
from stream_durable.core.ids import ID_LENGTH_MAX, PAYLOAD_BYTES_MAX, channel_id
from stream_durable.core.lifecycle import (
    RUN_COMPLETED,
    RUN_FAILED,
    STEP_CANCELLED,
    STEP_COMPLETED,
    STEP_FAILED,
    STEP_WAITING,
    RunEvent,
    StepEvent,
)
from stream_durable.core.messages import WaitClosed, WaitOpened
from stream_durable.core.run.state import Run, Step, raw_or_null
from stream_durable.core.status import (
    CANCELLED,
    COMPLETED,
    FAILED,
    READY,
    RUNNING,
    STEP_ENDED,
    WAITING,
)


def begin(run: Run, ready: Iterable[int], now: int, out: Effects) -> None:
    """Begin steps whose dependencies have all ended, and whatever that lets begin in turn.

    A wait whose signal is already there is over at once, and so may be the next: hence a list that
    grows while it is worked off, and no recursion, however long such a chain is.
    """
    answered: list[tuple[int, bytes]] = []
    _begin_each(run, ready, now, out, answered)
    _settle(run, answered, now, out)


def dispatch(run: Run, i: int, attempt: int, out: Effects) -> None:
    """Ask a worker for an attempt, handing over what the function takes and nothing else."""
    graph = run.graph
    node = graph.nodes[i]
    assert type(node) is StepNode
    steps, index = run.steps, graph.index
    out.commands.append(
        (
            node.queue,
            Command(
                run=run.id,
                step=node.name,
                attempt=attempt,
                workflow=graph.name,
                fingerprint=graph.fingerprint,
                input=Raw(run.input) if node.takes_input else Raw(b"null"),
                outputs={name: raw_or_null(steps[index[name]].output) for name in node.takes},
                timeout_ms=node.timeout_ms,
                trace=run.trace,
            ),
        )
    )


def _is_too_large(run: Run, node: StepNode) -> bool:
    """Say whether the command would not fit into a record: better a step that failed than a stuck outbox."""
    size = len(run.input) if node.takes_input else 0
    steps, index = run.steps, run.graph.index
    for name in node.takes:
        size += len(steps[index[name]].output or b"")
    return size > PAYLOAD_BYTES_MAX


def complete(run: Run, i: int, output: bytes, now: int, out: Effects) -> None:
    """End a begun step with its output and begin what waited for it; the last one ends the run."""
    _settle(run, [(i, output)], now, out)


def _settle(run: Run, answered: list[tuple[int, bytes]], now: int, out: Effects) -> None:
    for i, output in answered:
        if run.ended is not None:
            return
        step = run.steps[i]
        if step.status == WAITING:
            run.waiting.remove(i)
        else:
            run.active -= 1
        step.status = COMPLETED
        step.output = output
        step.failure = None
        run.payload += len(output)
        clear_due(run, i, step, out)
        run.touched[i] = None
        run.left -= 1
        say_step(run, STEP_COMPLETED, i, step, now, out)
        if not run.left:
            _complete_run(run, now, out)
            return
        need = run.need
        ready = []
        for j in run.graph.dependents[i]:
            need[j] -= 1
            if not need[j]:
                ready.append(j)
        _begin_each(run, ready, now, out, answered)


def _begin_each(
    run: Run, ready: Iterable[int], now: int, out: Effects, answered: list[tuple[int, bytes]]
) -> None:
    for i in ready:
        node = run.graph.nodes[i]
        if type(node) is StepNode:
            run.active += 1
            if _is_too_large(run, node):
                text = f"input and outputs together have more than {PAYLOAD_BYTES_MAX} bytes of JSON"
                failure = Failure("input_too_large", text, retryable=False)
                fail(run, i, begun_step(run, i), failure, now, out)
            else:
                dispatch(run, i, 1, out)
        else:
            output = _begin_wait(run, i, now, out)
            if output is not None:
                answered.append((i, output))
        if run.ended is not None:
            return


def _begin_wait(run: Run, i: int, now: int, out: Effects) -> bytes | None:
    """Begin a step that no worker makes; return its output if what it waits for is there already."""
    node = run.graph.nodes[i]
    step = run.steps[i] = Step(WAITING)
    step.started = now
    run.touched[i] = None
    run.waiting.add(i)
    if type(node) is SleepNode:
        set_due(run, i, step, now + node.duration_ms, out)
        say_step(run, STEP_WAITING, i, step, now, out)
    elif type(node) is SignalNode:
        return _begin_signal(run, i, step, node, now, out)
    elif type(node) is EventNode:
        _begin_event(run, i, step, node, now, out)
    return None


def fail(run: Run, i: int, step: Step, failure: Failure, now: int, out: Effects) -> None:
    """End a step for good without an output, and the run with it."""
    if step.status == WAITING:
        run.waiting.remove(i)
    else:
        run.active -= 1
    step.status = FAILED
    step.failure = failure
    clear_due(run, i, step, out)
    run.touched[i] = None
    run.left -= 1
    say_step(run, STEP_FAILED, i, step, now, out)
    end(run, FAILED, now, out, msgspec.structs.replace(failure, step=run.graph.names[i]))
    say_run(run, RUN_FAILED, now, out)


def end(run: Run, status: str, now: int, out: Effects, failure: Failure | None = None) -> None:
    """Close what is still open and put the run into a status that nothing changes any more."""
    for i in range(run.graph.size):
        if not run.need[i]:
            _cancel_step(run, i, now, out)
    run.status = status
    run.ended = now
    run.failure = failure
    run.active = 0
    run.waiting.clear()
    if run.due is not None:
        run.due = None
        out.timers["run", run.id, ""] = None


def redrive(run: Run, out: Effects) -> None:
    """Ask again for everything that is outstanding; whoever answered already is told apart by attempt."""
    for i, node in enumerate(run.graph.nodes):
        step = run.steps.get(i)
        if run.need[i] or (step is not None and step.status in STEP_ENDED):
            continue
        if type(node) is StepNode:
            if step is None or step.status in (READY, RUNNING):
                dispatch(run, i, step.attempt if step else 1, out)
        elif type(node) is EventNode:
            out.messages.append(
                WaitOpened(key=channel_id(node.event, event_key(run, node)), run=run.id, wait=node.name)
            )


def say_step(run: Run, kind: str, i: int, step: Step, now: int, out: Effects) -> None:
    """State publicly what happened to a step."""
    run.step_sequence += 1
    graph = run.graph
    out.events.append(
        StepEvent(kind, run.id, graph.name, graph.fingerprint, run.step_sequence, now, graph.names[i],
                  step.attempt, step.output, step.failure, step.started, step.finished, step.worker,
                  run.trace)
    )  # fmt: skip


def say_run(run: Run, kind: str, now: int, out: Effects) -> None:
    """State publicly what happened to the run."""
    run.run_sequence += 1
    graph = run.graph
    out.events.append(
        RunEvent(kind, run.id, graph.name, graph.fingerprint, run.run_sequence, now, run.step_sequence,
                 run.start_id, run.output, run.failure, run.trace)
    )  # fmt: skip


def set_due(run: Run, i: int, step: Step, due: int, out: Effects) -> None:
    """Give a step its timer; an earlier one is replaced."""
    step.due = due
    out.timers["run", run.id, run.graph.names[i]] = due


def clear_due(run: Run, i: int, step: Step, out: Effects) -> None:
    """Take a step's timer away, if it has one."""
    if step.due is not None:
        step.due = None
        out.timers["run", run.id, run.graph.names[i]] = None


def begun_step(run: Run, i: int) -> Step:
    """Return a step that has begun, writing down what until now only the graph said about it."""
    step = run.steps.get(i)
    if step is None:
        step = run.steps[i] = Step()
    return step


def _begin_signal(run: Run, i: int, step: Step, node: SignalNode, now: int, out: Effects) -> bytes | None:
    if run.mail is not None:
        for position, (_, name, data) in enumerate(run.mail.kept):
            if name in node.signals:
                del run.mail.kept[position]
                run.payload -= len(data)
                return signal_output(node, name, data)
    if node.timeout_ms is not None:
        set_due(run, i, step, now + node.timeout_ms, out)
    say_step(run, STEP_WAITING, i, step, now, out)
    return None


def _begin_event(run: Run, i: int, step: Step, node: EventNode, now: int, out: Effects) -> None:
    try:
        key = event_key(run, node)
    except RejectedError as error:
        fail(run, i, step, Failure(error.code, str(error), retryable=False), now, out)
        return
    if node.timeout_ms is not None:
        set_due(run, i, step, now + node.timeout_ms, out)
    say_step(run, STEP_WAITING, i, step, now, out)
    out.messages.append(WaitOpened(key=channel_id(node.event, key), run=run.id, wait=node.name))


def signal_output(node: SignalNode, name: str, data: bytes) -> bytes:
    """Return what a wait for signals answers: the data, with the name where several could come."""
    if len(node.signals) == 1:
        return data
    return b'{"signal":"%b","data":%b}' % (name.encode(), data)


def event_key(run: Run, node: EventNode) -> str:
    """Read the correlation key of a wait from the run's input or an output."""
    root = root_of(node.key)
    source = run.input if root == "input" else run.steps[run.graph.index[root]].output
    try:
        decoded = msgspec.json.decode(source or b"null")
    except (msgspec.DecodeError, RecursionError) as error:
        raise RejectedError("bad_key", f"no key can be read at {node.key!r}: {error}") from error
    value = read_path(node.key, decoded)
    if isinstance(value, bool) or not isinstance(value, str | int):
        kind = type(value).__name__
        raise RejectedError("bad_key", f"{node.key!r} holds a {kind}; a key is a text or a whole number")
    key = str(value)
    if not key or len(key) + len(node.event) >= ID_LENGTH_MAX:
        raise RejectedError("bad_key", f"the key at {node.key!r} has {len(key)} characters")
    if "\x00" in key:
        raise RejectedError("bad_key", f"the key at {node.key!r} holds a NUL character")
    return key


def _cancel_step(run: Run, i: int, now: int, out: Effects) -> None:
    step = begun_step(run, i)
    if step.status in STEP_ENDED:
        return
    node = run.graph.nodes[i]
    if type(node) is StepNode and step.status in (READY, RUNNING):
        out.commands.append((node.queue, CancelAttempt(run=run.id, step=node.name, attempt=step.attempt)))
    elif type(node) is EventNode and step.status == WAITING:
        channel = channel_id(node.event, event_key(run, node))
        out.messages.append(WaitClosed(key=channel, run=run.id, wait=node.name))
    step.status = CANCELLED
    clear_due(run, i, step, out)
    run.touched[i] = None
    run.left -= 1
    say_step(run, STEP_CANCELLED, i, step, now, out)


def _complete_run(run: Run, now: int, out: Effects) -> None:
    output = _output(run)
    run.ended = now
    if len(output) <= PAYLOAD_BYTES_MAX:
        run.status, run.output = COMPLETED, output
    else:
        text = f"the outputs of the last steps together have more than {PAYLOAD_BYTES_MAX} bytes of JSON"
        run.status, run.failure = FAILED, Failure("output_too_large", text, retryable=False)
    if run.due is not None:
        run.due = None
        out.timers["run", run.id, ""] = None
    say_run(run, RUN_COMPLETED if run.failure is None else RUN_FAILED, now, out)


def _output(run: Run) -> bytes:
    """A run's output is what its last step answered; with several last steps, each by its name."""
    graph, steps = run.graph, run.steps
    if len(graph.sinks) == 1:
        return steps[graph.sinks[0]].output or b"null"
    parts = (b'"%b":%b' % (graph.names[i].encode(), steps[i].output or b"null") for i in graph.sinks)
    return b"{%b}" % b",".join(parts)
