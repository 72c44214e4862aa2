"""Resets steps: the whole graph by the workflow's restart policy, or parts of it by hand.

Attempt numbers continue, so that late results of earlier attempts are recognised and no idempotency key is
used twice.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from operator import itemgetter

import msgspec

from stream_durable.core.definition.graph import Graph, Grown
from stream_durable.core.definition.nodes import BranchNode
from stream_durable.core.effects import Effects
from stream_durable.core.lifecycle import RUN_RETRIED
from stream_durable.core.names import helped, is_undo
from stream_durable.core.run import due, races
from stream_durable.core.run.children import cancel_started
from stream_durable.core.run.counters import LOST, place
from stream_durable.core.run.ending import stop_step
from stream_durable.core.run.past import acts_of, keep
from stream_durable.core.run.say import say_run, set_run_due, time_limit
from stream_durable.core.run.state import NOT_NEEDED, Context, Detail, End, Run, Step
from stream_durable.core.status import (
    CANCELLED,
    COMPENSATED,
    COMPLETED,
    FAILED,
    PENDING,
    RUNNING,
    STEP_ENDED,
)

#: So many events that earlier attempts of a wait took are remembered.
_TAKEN_MAX = 10


def restart(run: Run, now: int, out: Effects) -> list[int]:
    """Begin the next try of the whole graph; return the first steps."""
    run.attempt += 1
    forget_outcome(run, out)
    reset(run, range(run.graph.size), (), out, undoes=True)
    forget_context(run)
    say_run(run, RUN_RETRIED, now, out)
    delay = run.graph.definition.restart.delay_ms(run.attempt - 1, run.id)
    limit = time_limit(run)
    if delay:
        run.status = PENDING
        set_run_due(run, now + delay, out)
        return []
    if limit is not None:
        set_run_due(run, now + limit, out)
    return beginnings(run)


def forget_context(run: Run) -> None:
    """Empty the run's context."""
    if run.context is not None:
        run.payload -= run.context.size
    run.context = Context({})
    run.context.is_dirty = True


def forget_outcome(run: Run, out: Effects) -> None:
    """Return an ended or ending run to running."""
    run.status = RUNNING
    run.ended = None
    run.output = None
    run.failure = None
    if run.requests is not None:
        run.requests.past_cancel = run.requests.cancel
        run.requests.cancel = run.requests.late_cancel = None
        run.requests.left_ms = None
        run.requests.reviewed = None
    if run.due is not None:
        set_run_due(run, None, out)


def mark_unbegun(run: Run) -> None:
    """Mark first attempts without a record in an ended run as never begun."""
    for i in range(run.graph.size):
        if i not in run.steps:
            run.need[i] = max(1, run.need[i])


def write_down_unbegun(run: Run) -> None:
    """Record ready but never begun steps of an ended run: they begin now."""
    for i in range(run.graph.size):
        if not run.need[i] and i not in run.steps:
            run.steps[i] = Step(PENDING)
            run.touched[i] = None


def reset(
    run: Run, which: Iterable[int], reopened: Iterable[int], out: Effects, *, undoes: bool = False
) -> None:
    """Reset steps to not begun from any status, and reopen groups; `undoes`: after the undo of the steps."""
    graph = run.graph
    chosen = {i for i in which if not graph.is_beside(i) and not _goes_on(run, i)}
    # Members added at run time are dropped too; new ones will be added.
    for i in sorted(chosen):
        if isinstance(graph.members.get(i), range):
            chosen.update(graph.members[i])
    for i in list(chosen):
        chosen.update(graph.inner_of(i))
    dropped: set[str] = set()
    # Not before all are stopped: where a wait is open is found in what a step before it answered.
    for i in _stopped(run, chosen, out, undoes=undoes):
        step = run.steps[i]
        if _goes_with(graph, i, chosen, dropped):
            step.status = step.status if step.status in STEP_ENDED else CANCELLED
            _keep_acts(run, i, step, dropped)
            dropped.add(graph.names[i])
        elif graph.is_helper(i):
            _put_by(run, step)
        else:
            run.steps[i] = _anew(step)
    for i in reopened:
        _write_down(run, i)
        if (group := run.steps.get(i)) is not None and group.status in STEP_ENDED:
            group.status = RUNNING
            group.attempt += 1
            group.failure = group.finished = group.sequence = None
            run.touched[i] = None
    _rebuild(run, dropped)


def _goes_on(run: Run, i: int) -> bool:
    """Return whether a step is a hook under way, or inside such a hook: a reset stops no hook."""
    graph = run.graph
    if (outer := graph.outer(i)) >= 0:
        i = outer
    name, step = graph.names[i], run.steps.get(i)
    if not graph.is_helper(i) or is_undo(name) or step is None or step.status in STEP_ENDED:
        return False
    # That of a step that is dropped goes with it.
    is_lasting = graph.index.get(helped(name), -1) < graph.definition_size
    return is_lasting and (step.status != PENDING or step.is_held_up)


def _put_by(run: Run, step: Step) -> None:
    """Let a helper be called again, and keep the result until then."""
    if step.status == PENDING:
        return
    if step.status not in STEP_ENDED:
        step.status = CANCELLED
    run.payload += len(step.output or b"")
    step.detailed().first = step.attempt + 1


def _keep_acts(run: Run, i: int, step: Step, dropped: Container[str]) -> None:
    """Keep the acts for a dropped step with the nearest step around that stays."""
    graph = run.graph
    if not (acts := acts_of(step)):
        return
    around = graph.outer(i) if graph.outer(i) >= 0 else graph.owner(i)
    while around >= 0 and graph.names[around] in dropped:
        around = graph.owner(around)
    if (kept := run.steps.get(around)) is not None:
        name = graph.names[i]
        keep(kept.detailed(), (msgspec.structs.replace(one, wait=one.wait or name) for one in acts))


def _stopped(run: Run, chosen: set[int], out: Effects, *, undoes: bool) -> list[int]:
    """Stop the begun steps among these; return them in a deterministic order."""
    graph, found = run.graph, []
    # By name where the order of the index depends on what the run was through.
    for i in sorted(
        chosen, key=lambda i: (graph.is_helper(i), graph.names[i] if graph.is_helper(i) else "", i)
    ):
        step = run.steps.get(i)
        if step is None and not run.need[i]:
            step = run.steps[i] = Step()
        if step is not None:
            run.touched[i] = None
            _stop(run, i, step, out, undoes=undoes)
            found.append(i)
    return found


def _goes_with(graph: Graph, i: int, chosen: set[int], dropped: set[str]) -> bool:
    """Return whether a step is a member of a step being re-expanded, or a helper of a removed step."""
    if graph.outer(i) >= 0:
        return True
    if graph.is_helper(i):
        return helped(graph.names[i]) in dropped
    return i >= graph.definition_size and graph.owner(i) in chosen


def _write_down(run: Run, i: int) -> None:
    """Record the begun members of a group: their order no longer tells."""
    for m in run.graph.members[i]:
        if m not in run.steps and not run.need[m]:
            run.steps[m] = Step()
            run.touched[m] = None


def _stop(run: Run, i: int, step: Step, out: Effects, *, undoes: bool) -> None:
    """Drop a step's work under way, and the result."""
    if step.status in STEP_ENDED:
        cancel_started(run, i, step, out, undoes=undoes)
    elif step.status != PENDING:
        stop_step(run, i, step, out)
    due.clear_timers(run, i, step, out)
    run.payload -= len(step.output or b"")


def downstream(
    run: Run, starts: Iterable[int], kept: Container[int] = frozenset()
) -> tuple[set[int], set[int]]:
    """Return steps with all later steps, helpers too, and the groups to reopen.

    Steps to keep are left out, and so are steps depending only on those.
    """
    graph, steps = run.graph, run.steps
    found: set[int] = set()
    reopened: set[int] = set()
    pending = list(starts)
    while pending:
        i = pending.pop()
        owner = graph.owner(i)
        if i in found or i in kept or not _is_wanted_by(run, owner, i, found):
            continue
        found.add(i)
        pending += graph.followers_of(i)
        while owner >= 0 and owner not in found and owner not in reopened:
            reopened.add(owner)
            # Members that were cancelled when the group ended run again, too.
            pending += (m for m in graph.members[owner] if (s := steps.get(m)) and is_taken_up(s))
            owner = graph.owner(owner)
    names = {graph.names[i] for i in found}
    found |= {i for i in steps if graph.is_helper(i) and helped(graph.names[i]) in {"", *names}}
    return found, reopened - found


def is_taken_up(step: Step) -> bool:
    """Say whether a step was cancelled, and not because it was not needed."""
    return step.status == CANCELLED and (step.failure is None or step.failure.code != NOT_NEEDED)


def upstream(run: Run, starts: Iterable[int]) -> set[int]:
    """Return all direct and indirect dependencies of steps, with their groups and the groups' members."""
    graph = run.graph
    found: set[int] = set()
    pending = list(starts)
    while pending:
        i = pending.pop()
        waited = [*races.waited_for(graph, i), *graph.members.get(i, ())]
        owner = graph.owner(i)
        while owner >= 0:
            waited += races.waited_for(graph, owner)
            owner = graph.owner(owner)
        pending += (j for j in waited if j not in found)
        found.update(waited)
    return found


def _is_wanted_by(run: Run, owner: int, i: int, found: set[int]) -> bool:
    """Return whether a group lets this member begin, now that the group has begun, or will begin again."""
    if owner < 0 or owner in found:
        return True
    group = run.steps.get(owner)
    if group is None or (group.detail is not None and group.detail.is_idle):
        return False
    node = run.graph.nodes[owner]
    clause = None if group.detail is None else group.detail.clause
    return type(node) is not BranchNode or run.graph.nodes[i].clause == clause


def beginnings(run: Run) -> list[int]:
    """Return the steps that were put back and need wait for nothing."""
    return sorted(
        i
        for i, step in run.steps.items()
        if step.status == PENDING and not run.need[i] and not run.graph.is_helper(i)
    )


def stranded(run: Run) -> list[End]:
    """Return the steps waiting for an ended step that did not pass and is not reset."""
    graph, found = run.graph, []
    for j, step in run.steps.items():
        if step.status not in STEP_ENDED or graph.is_helper(j):
            continue
        why = races.consequence(step, graph.names[j], "a dependency has failed or was cancelled")
        if step.status in (FAILED, CANCELLED) and not races.is_borne_by_itself(run, j, step):
            found += [(i, CANCELLED, None, why) for i in graph.dependents[j] if _has_not_begun(run, i)]
        if j in graph.members and j not in run.open:
            found += [(i, CANCELLED, None, why) for i in graph.members[j] if _has_not_begun(run, i)]
    for k, join in enumerate(graph.joins):
        if run.joined.get(k, (0,))[0] == LOST and _has_not_begun(run, join.step):
            found.append((join.step, CANCELLED, None, races.not_enough(run, join)))
    return sorted(found, key=itemgetter(0))


def _has_not_begun(run: Run, i: int) -> bool:
    step = run.steps.get(i)
    return bool(run.need[i]) if step is None else step.status == PENDING


def _anew(step: Step) -> Step:
    fresh = Step(PENDING, step.attempt)
    detail = step.detail
    if detail is None or not detail.is_idle or (detail.outside is not None and detail.outside.id):
        # A token that has ended a step, if only early, ends no other attempt.
        fresh.attempt += 1
    fresh.detail = Detail(first=fresh.attempt)
    if detail is not None:
        # The next members are numbered after all there have been.
        fresh.detail.turns = detail.turns if detail.graft is None else detail.graft.turn
        keep(fresh.detail, acts_of(step))
        taken = ((step.attempt, detail.taken),) if detail.taken else ()
        fresh.detail.reviews, fresh.detail.own = detail.reviews, detail.own
        fresh.detail.taken_before = (*detail.taken_before, *taken)[-_TAKEN_MAX:]
    return fresh


def _rebuild(run: Run, dropped: set[str]) -> None:
    graph = run.graph
    named = {graph.names[i]: step for i, step in run.steps.items()}
    touched = [graph.names[i] for i in run.touched]
    gone = {name: named.pop(name) for name in dropped}
    run.items = None
    place(run, base_of(graph), named)
    index = run.graph.index
    run.touched = dict.fromkeys(index[name] for name in touched if name in index)
    run.orphans = {**(run.orphans or {}), **{name: gone[name] for name in touched if name in gone}}


def base_of(graph: Graph) -> Graph:
    """Return the graph before any steps were added."""
    return graph.base if isinstance(graph, Grown) else graph


def failed_steps(run: Run) -> list[int]:
    """Return the steps with an undecided bad end, and the undone ones."""
    kept = races.settled(run)
    lost = {
        i
        for i, step in run.steps.items()
        if step.status in (FAILED, CANCELLED, COMPENSATED) and i not in kept and not run.graph.is_helper(i)
    }
    return [i for i in run.steps if i in lost and not _is_made_to_wait(run, i, lost)]


def _is_made_to_wait(run: Run, i: int, lost: set[int]) -> bool:
    """Return whether a group waits again for reset members, while others keep their results."""
    return any(m in lost and _is_wanted_by(run, i, m, set()) for m in run.graph.members.get(i, ()))


def chosen_by_failure(run: Run) -> tuple[set[int], set[int]]:
    """Return failed, cancelled and compensated steps and all after them; decided races stay."""
    return downstream(run, failed_steps(run), races.settled(run))


def chosen_by_name(run: Run, i: int) -> tuple[set[int], set[int]]:
    """Return a step and all later steps, and undone steps needed again, with all later steps."""
    which, reopened = downstream(run, [i])
    kept = races.settled(run)
    undone = {j for j, step in run.steps.items() if step.status == COMPENSATED and j not in kept}
    while undone and (needed := undone & upstream(run, which) - which):
        more, others = downstream(run, needed, kept)
        which |= more
        reopened = (reopened | others) - which
    return which, reopened


def final_output(run: Run) -> bytes | None:
    """Return the output of `Finish`, unless the finishing step was reset since."""
    for step in run.steps.values():
        if step.status == COMPLETED and step.detail is not None and step.detail.is_final:
            return step.output
    return None
