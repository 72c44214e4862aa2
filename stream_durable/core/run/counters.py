"""Recomputes a run's counters from its steps; counters exist in memory only, for speed.

Code changing single steps updates the counters incrementally; this is for runs loaded from the store and for
reset steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_never

from stream_durable.core.definition.graph import Graph
from stream_durable.core.definition.nodes import (
    BranchNode,
    ChildNode,
    EachNode,
    EventNode,
    InputNode,
    ParallelNode,
    SignalNode,
    SleepNode,
    StepNode,
    TokenNode,
)
from stream_durable.core.names import helped, is_helper, is_inner
from stream_durable.core.run import changing, due, groups, inside, line, portions, review
from stream_durable.core.run.state import Open, Run, Step
from stream_durable.core.status import (
    CANCELLED,
    COMPENSATED,
    COMPLETED,
    FAILED,
    PENDING,
    READY,
    RETRYING,
    RUNNING,
    STEP_ENDED,
    STEP_PASSED,
    WAITING,
)

#: The first count of a join that needs no more counting: it is won, or cannot be.
SETTLED = -1
LOST = -2


def place(run: Run, base: Graph, steps: Mapping[str, Step]) -> dict[str, Step]:
    """Attach steps by name to a run with its grown graph, and recompute the counters.

    Returns steps without a place in the graph: members of a step expanded again since.
    """
    run.graph = base
    grafts = sorted(
        (step.detail.graft.at, name)
        for name, step in steps.items()
        if step.detail is not None and step.detail.graft is not None
    )
    helpers = [name for name in steps if is_helper(name) and base.index.get(name) is None]
    within = [name for name in steps if is_inner(name)]
    if grafts or helpers or within:
        _grow(run, base, steps, [name for _, name in grafts], sorted(helpers))
    if within:
        inside.grow(run.graph.grown(), steps, sorted(within))
    changing.take_over_all(run, steps)
    index = run.graph.index
    run.steps = {index[name]: step for name, step in steps.items() if name in index}
    recount(run)
    return {name: step for name, step in steps.items() if name not in index}


def _grow(run: Run, base: Graph, steps: Mapping[str, Step], owners: list[str], helpers: list[str]) -> None:
    graph = run.graph = base.grown()
    for name in owners:
        i = graph.index.get(name)
        detail = steps[name].detail
        assert detail is not None
        if i is not None and detail.graft is not None:
            groups.plant(graph, i, detail.graft)
            graph.grafts = detail.graft.at + 1
    for name in helpers:
        node, target = graph.helper_node(name), helped(name)
        # The dependencies of a removed member are removed too.
        if node is not None and (not target or target in graph.index):
            graph.help(name, node)


def recount(run: Run) -> None:
    """Recompute the counters over a run's steps."""
    graph = run.graph
    need = run.need = list(graph.need)
    run.left, run.active = graph.total, 0
    run.waiting, run.open, run.joined = set(), {}, {}
    run.undo = None
    line.count(run)
    for i, step in run.steps.items():
        _count_end(run, i, step)
    for k, counts in run.joined.items():
        join = graph.joins[k]
        verdict = join_verdict(counts, join.enough, len(join.of))
        if verdict is not None:
            counts[0] = SETTLED if verdict else LOST
            need[join.step] -= verdict
    for i in graph.members:
        group = run.steps.get(i)
        if group is not None and group.status == RUNNING and _has_opened(run, i, group):
            _count_members(run, i, group)
    portions.count(run)
    review.count(run)
    due.count(run)
    if run.ended is not None:
        return
    if run.status != PENDING:
        _count_active(run)
        return
    # Only helpers are under way: the hook of a run that is overdue before it begins another time.
    for i, step in run.steps.items():
        _count_begun(run, i, step)


def _count_end(run: Run, i: int, step: Step) -> None:
    graph, need = run.graph, run.need
    links = graph.links.get(i)
    if links is not None and links.is_helper:
        is_called = step.status != PENDING or step.is_held_up
        run.left += is_called and step.status not in STEP_ENDED
        return
    if step.status not in STEP_ENDED:
        return
    run.left -= 1
    passed = step.status in STEP_PASSED or (step.status == FAILED and graph.nodes[i].on_error == "continue")
    if passed:
        for j in graph.dependents[i]:
            need[j] -= 1
    if links is None:
        return
    for j in links.followers:
        need[j] -= 1
    for k in links.joins:
        run.joined.setdefault(k, [0, 0, 0, 0])[tally(step, passed=passed)] += 1


def _has_opened(run: Run, i: int, step: Step) -> bool:
    node, detail = run.graph.nodes[i], step.detail
    match node:
        case ParallelNode():
            return True
        case BranchNode():
            return node.selector is None or (detail is not None and detail.clause is not None)
        case StepNode() | EachNode():
            return detail is not None and detail.graft is not None
        case SleepNode() | SignalNode() | EventNode() | InputNode() | TokenNode() | ChildNode():
            return False
        case _:
            assert_never(node)


def _count_members(run: Run, i: int, step: Step) -> None:
    graph, steps, need = run.graph, run.steps, run.need
    members = graph.members[i]
    opened = run.open[i] = Open(len(members))
    for m in members:
        member = steps.get(m)
        if member is None or member.status not in STEP_ENDED:
            continue
        opened.left -= 1
        passed = member.status == FAILED and graph.nodes[m].on_error == "continue"
        opened.completed += member.status == COMPLETED or passed
        opened.lost += member.status in (FAILED, CANCELLED) and not passed
    if groups.is_ordered(run, i):
        _give_turns(run, i, opened)
        return
    clause = step.detail.clause if step.detail is not None else None
    is_branch = type(graph.nodes[i]) is BranchNode
    is_counted = groups.is_counted(run, i)
    for m in members:
        if is_branch and graph.nodes[m].clause != clause:
            continue
        need[m] -= 1
        member = steps.get(m)
        if is_counted and member is not None:
            _count_room(opened, m, member)


def _count_room(opened: Open, m: int, member: Step) -> None:
    if member.status == PENDING:
        if member.detail is not None and member.detail.held == "group":
            opened.held.add(m)
    elif member.status not in STEP_ENDED:
        opened.running += 1


def _give_turns(run: Run, i: int, opened: Open) -> None:
    """Give the initial turns of a group, and a turn for each ended member."""
    members = run.graph.members[i]
    turns = groups.window(run, i) or len(members)
    others: list[tuple[int, int]] = []
    for position, m in enumerate(members):
        member = run.steps.get(m)
        has_ended = member is not None and member.status in STEP_ENDED
        if member is not None and _had_turn(member):
            run.need[m] -= 1
            turns -= not has_ended
        elif not has_ended:
            others.append((position, m))
    opened.excess = max(0, -turns)
    turns = max(0, turns)
    # Members without a `Step` were dispatched in order: the first ones are in flight.
    for _, m in others[:turns]:
        run.need[m] -= 1
    opened.turn = others[turns][0] if turns < len(others) else len(members)


def _had_turn(member: Step) -> bool:
    """Say whether a member has begun, or could have but was held."""
    detail = member.detail
    if detail is not None and detail.held:
        return True
    return member.status != PENDING and (detail is None or not detail.is_idle)


def _count_active(run: Run) -> None:
    need = run.need
    for i, step in run.steps.items():
        if step.detail is not None and step.detail.is_stopping:
            # Begun, though the group may have ended without it.
            need[i] = 0
    for i in range(run.graph.size):
        if not need[i]:
            _count_begun(run, i, run.steps.get(i))


def _count_begun(run: Run, i: int, step: Step | None) -> None:
    if step is None:
        run.active += type(run.graph.nodes[i]) is StepNode
    elif step.status == WAITING:
        run.waiting.add(i)
    elif step.status in (READY, RUNNING, RETRYING) and i not in run.open:
        run.active += run.graph.work[i] is not None


def tally(step: Step, *, passed: bool) -> int:
    """Say as what the end of a step counts in a join: completed, skipped, cancelled, or lost to a failure."""
    if step.status in (COMPLETED, COMPENSATED):
        return 2 if step.detail is not None and step.detail.is_needless else 0
    if passed:
        return 1
    return 3 if step.status == FAILED or (step.failure is not None and step.failure.step is not None) else 2


def join_verdict(counts: list[int], enough: int, size: int) -> bool | None:
    """Say whether a join with so many ends of each kind is met; None: it is open."""
    completed, skipped, _, failed = counts
    if completed >= enough:
        return True
    remaining = size - sum(counts)
    if failed:
        return False if completed + remaining < enough else None
    if remaining:
        return None
    # None failed: when no more can come, the present result suffices, even after a skipped step.
    return bool(completed or skipped)
