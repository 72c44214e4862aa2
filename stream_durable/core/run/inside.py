"""Inner steps: the waits and the kept values inside a step's function.

An inner step is beside the graph proper, like a hook. It counts for its step until that is reset: its attempt
is the attempt of the step around it in which it began.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from stream_durable.core.definition.graph import Grown
from stream_durable.core.definition.nodes import StepNode, WaitNode
from stream_durable.core.effects import Command, Kept
from stream_durable.core.failure import Failure
from stream_durable.core.messages import Call
from stream_durable.core.names import inner, outer
from stream_durable.core.run.from_outside import Act
from stream_durable.core.run.groups import give_up_place
from stream_durable.core.run.inner import Inner, Inside
from stream_durable.core.run.past import acts_of, keep
from stream_durable.core.run.state import End, Run, Step, raw_or_null
from stream_durable.core.status import (
    CANCELLED,
    COMPLETED,
    FAILED,
    PENDING,
    READY,
    SKIPPED,
    STEP_ENDED,
    WAITING,
)

ONCE = "once"
CHECKPOINT = "checkpoint"


def grow(graph: Grown, steps: Mapping[str, Step], names: list[str]) -> None:
    """Add stored inner steps to the graph of a run, unless the step around them was reset since."""
    for name in names:
        around = outer(name)
        held, step = steps[name].detail, steps.get(around)
        i = graph.index.get(around)
        if i is None or step is None or held is None or held.inner is None:
            continue
        if steps[name].attempt >= first_of(step):
            graph.enclose(i, name, held.inner.node or StepNode(name=name))


def first_of(step: Step) -> int:
    """Return the attempt that a step was begun with, or begun with again by a reset."""
    return 1 if step.detail is None else step.detail.kept_since or step.detail.first


def within(run: Run, i: int, step: Step) -> list[int]:
    """Return the inner steps of a step, without those of earlier calls beside the graph."""
    members = run.graph.inner_of(i)
    if not members:
        return []
    first = first_of(step)
    return [m for m in members if run.steps[m].attempt >= first]


def passes_of(step: Step) -> int:
    """Return how many passes of the present attempt have ended with a wait."""
    return 0 if step.detail is None or step.detail.inside is None else step.detail.inside.passes


def call_of(step: Step) -> Call:
    """Return the call that was requested last."""
    returns = 0 if step.detail is None else step.detail.returns
    return Call(passes_of(step), returns, step.losses)


def enclose(run: Run, i: int, step: Step, name: str, made: Inner) -> tuple[int, Step]:
    """Add an inner step to a step, or begin it again; return it with its index."""
    full = inner(run.graph.names[i], name)
    graph = run.graph = run.graph.grown()
    m = graph.index.get(full, -1)
    acts: tuple[Act, ...] = ()
    if m < 0:
        m = graph.enclose(i, full, made.node or StepNode(name=full))
        run.need.append(0)
    elif (before := run.steps.get(m)) is not None:
        run.payload -= len(before.output or b"")
        acts = acts_of(before) if before.attempt >= first_of(step) else ()
    if run.orphans:
        # Of the same name before a reset, and not stored since: there is one row.
        run.orphans.pop(full, None)
    found = run.steps[m] = Step(READY, step.attempt)
    detail = found.detailed()
    detail.inner = made
    if acts:
        keep(detail, acts)
    run.touched[m] = None
    return m, found


def _answers(run: Run, step: Step, members: Iterable[int]) -> tuple[Kept, ...]:
    """Return a step's answers inside its function, in the order of positions."""
    found = []
    for m in members:
        kept = _kept(run.graph.names[m], run.steps[m], step.attempt)
        if kept is not None:
            found.append(kept)
    return tuple(sorted(found, key=lambda kept: (kept.at, kept.name)))


def _kept(name: str, held: Step, attempt: int) -> Kept | None:
    made = None if held.detail is None else held.detail.inner
    if made is None or made.is_dropped or held.status not in STEP_ENDED:
        return None
    name = name.rpartition("/")[2]
    # A checkpoint keeps its position: whoever reads it goes on from there.
    at = made.at if held.attempt == attempt or made.kind == CHECKPOINT else 0
    if held.status in (COMPLETED, SKIPPED):
        return Kept(name, made.kind, at, raw_or_null(held.output))
    why = held.failure or Failure(CANCELLED, retryable=False)
    return Kept(name, made.kind, at, failure=why)


def add_answers(run: Run, i: int, step: Step, command: Command) -> None:
    """Hand over the function's answers: all, or the rest to a worker keeping the function."""
    inside = None if step.detail is None else step.detail.inside
    members = within(run, i, step)
    if inside is None and not members:
        return
    if inside is not None:
        command.passes = inside.passes
    if inside is not None and inside.keeper:
        command.is_rest, command.keeper = True, inside.keeper
        command.kept = _answers(
            run, step, (run.graph.index[inner(run.graph.names[i], w)] for w in inside.waits)
        )
    else:
        command.kept = _answers(run, step, members)


def drop_failed(run: Run, i: int, step: Step) -> None:
    """Let the next attempt repeat failed waits, and later waits without a name."""
    lost = sorted(made.at for _, made in _counted(run, i, FAILED, CANCELLED))
    if lost:
        for m, made in _counted(run, i, *STEP_ENDED):
            is_failed = run.steps[m].status in (FAILED, CANCELLED)
            if is_failed or (made.at > lost[0] and run.graph.names[m].rpartition("/")[2].isdigit()):
                made.is_dropped = True
                run.touched[m] = None
    if step.detail is not None and step.detail.inside is not None:
        step.detail.inside = Inside()


def _counted(run: Run, i: int, *statuses: str) -> Iterator[tuple[int, Inner]]:
    for m in within(run, i, run.steps[i]):
        held = run.steps[m]
        made = None if held.detail is None else held.detail.inner
        if made is not None and not made.is_dropped and held.status in statuses:
            yield m, made


def ended(run: Run, m: int, ready: list[int]) -> None:
    """Count the end of an inner step; with the last one the next pass of the step around it is ready."""
    i = run.graph.outer(m)
    step = run.steps[i]
    inside = None if step.detail is None else step.detail.inside
    if inside is None or step.status != WAITING:
        return
    inside.left -= 1
    run.touched[i] = None
    if inside.left == 0:
        go_on(run, i, step, inside, ready)


def go_on(run: Run, i: int, step: Step, inside: Inside, ready: list[int]) -> None:
    """Make the next pass of a step ready."""
    inside.passes += 1
    inside.left = 0
    step.status = PENDING
    run.waiting.discard(i)
    run.touched[i] = None
    give_up_place(run, i)
    ready.append(i)


def close(run: Run, i: int, ends: list[End]) -> None:
    """End the waits inside an ended step."""
    name = run.graph.names[i]
    why = Failure(CANCELLED, f"step {name!r}, which waited for it, has ended", retryable=False)
    members = sorted(run.graph.inner_of(i), key=run.graph.names.__getitem__)
    ends += [(m, CANCELLED, None, why) for m in members if run.steps[m].status not in STEP_ENDED]


def open_waits(run: Run, i: int) -> list[tuple[int, Step, WaitNode]]:
    """Return the open waits inside a step."""
    found = []
    for m in run.graph.inner_of(i):
        node, held = run.graph.nodes[m], run.steps[m]
        if held.status == WAITING and isinstance(node, WaitNode):
            found.append((m, held, node))
    return found
