"""Races: membership, the effects of a decided race, and steps no longer needed.

An unneeded step fails with the code `not_needed`, and so do all steps after it. Retrying failed steps leaves
these alone: a decided race stays decided.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from stream_durable.core.definition.graph import Graph, JoinPlan
from stream_durable.core.definition.nodes import BranchNode
from stream_durable.core.failure import Failure
from stream_durable.core.run.counters import SETTLED
from stream_durable.core.run.groups import graft_of, has_ended
from stream_durable.core.run.state import NOT_NEEDED, Run, Step
from stream_durable.core.status import CANCELLED, COMPENSATED, COMPLETED, FAILED


def consequence(step: Step, name: str, text: str) -> Failure:
    """Return the failure for steps cancelled after a step: the cause or the decision is passed on."""
    failure = step.failure
    if step.status == FAILED or failure is None:
        return Failure("cancelled", text, retryable=False, step=name if step.status == FAILED else None)
    code = NOT_NEEDED if failure.code == NOT_NEEDED else "cancelled"
    return Failure(code, text, retryable=False, step=failure.step)


def not_enough(run: Run, join: JoinPlan) -> Failure:
    """Return why a step is cancelled whose race nobody can win any more."""
    lost = [s.failure for j in join.of if (s := run.steps.get(j)) is not None and s.status == CANCELLED]
    i = culprit(run, join)
    is_decided = i is None and bool(lost) and all(f is not None and f.code == NOT_NEEDED for f in lost)
    return Failure(
        NOT_NEEDED if is_decided else "cancelled", "too few of its dependencies have completed",
        retryable=False, step=None if i is None else run.graph.names[i],
    )  # fmt: skip


def culprit(run: Run, join: JoinPlan) -> int | None:
    """Return the first failed step of a lost race: a member, or a dependency of a member."""
    found: set[int] = set()
    for j in join.of:
        step = run.steps.get(j)
        if step is None or run.graph.nodes[j].on_error == "continue":
            continue
        if step.status == FAILED:
            found.add(j)
        elif step.status == CANCELLED and step.failure is not None and step.failure.step is not None:
            found.add(run.graph.index[step.failure.step])
    return min(found, key=lambda i: (run.steps[i].sequence or 0, i), default=None)


def given_up(run: Run) -> list[int]:
    """Return the steps never to begin in an ending run, though their races could still be won."""
    graph, joined = run.graph, run.joined
    return [
        join.step
        for k, join in enumerate(graph.joins)
        if join.step not in graph.clean_up and joined.get(k, (0,))[0] >= 0
    ]


def losers(run: Run, join: JoinPlan) -> list[int]:
    """Return the steps to cancel in a won race: unfinished members, and steps leading only to them."""
    gone = dict.fromkeys(j for j in join.of if not has_ended(run, j))
    pending = list(gone)
    while pending:
        j = pending.pop()
        for i in waited_for(run.graph, j):
            if i not in gone and not has_ended(run, i) and _leads_nowhere_else(run, i, j, gone):
                gone[i] = None
                pending.append(i)
    return list(gone)


def waited_for(graph: Graph, i: int) -> list[int]:
    """Return all dependencies of a step, of every kind."""
    return [*graph.dependencies[i], *(graph.index[name] for join in graph.nodes[i].joins for name in join.of)]


def _leads_nowhere_else(run: Run, i: int, j: int, gone: Iterable[int]) -> bool:
    """Return whether only cancelled steps wait for a step or for one of its members."""
    graph = run.graph
    owner = graph.owner(i)
    if owner != graph.owner(j) or (owner >= 0 and type(graph.nodes[owner]) is not BranchNode):
        # Its result is part of the group's result.
        return False
    inside, pending, waiting = {i}, [i], list(graph.waiting_for(i))
    while pending:
        for m in graph.members.get(pending.pop(), ()):
            inside.add(m)
            pending.append(m)
            waiting += graph.waiting_for(m)
    return all(w in gone or w in inside or has_ended(run, w) for w in waiting)


def settled(run: Run) -> set[int]:
    """Return the losers of races, and the surplus members of groups with enough completed."""
    borne = _borne(run)
    return {i for i, step in run.steps.items() if _is_settled(run, i, step, borne)}


def _is_settled(run: Run, i: int, step: Step, borne: set[int]) -> bool:
    """Return whether a step's result is no longer needed."""
    if step.detail is not None and step.detail.is_needless:
        return True
    if any(_is_not_needed(run.steps.get(group)) for group in _enclosing(run, i)):
        return True
    one: Step | None = step
    while one is not None and one.status in (FAILED, CANCELLED):
        if i in borne or (one.failure is not None and one.failure.code == NOT_NEEDED):
            return True
        i = run.graph.owner(i)
        one = run.steps.get(i)
    made = None if one is None or one is step else graft_of(run, i)
    is_done = one is not None and one.status in (COMPLETED, COMPENSATED)
    return is_done and made is not None and made.enough is not None


def _is_not_needed(step: Step | None) -> bool:
    return (
        step is not None
        and step.status == CANCELLED
        and step.failure is not None
        and step.failure.code == NOT_NEEDED
    )


def _enclosing(run: Run, i: int) -> Iterator[int]:
    """Yield the groups that a step is inside, the innermost first."""
    while (i := run.graph.owner(i)) >= 0:
        yield i


def _borne(run: Run) -> set[int]:
    """Return the steps in races all won, or leading to such races."""
    graph = run.graph
    if not graph.racing:
        return set()
    open_joins = [join for k, join in enumerate(graph.joins) if not _is_won(run, k, join)]
    by_step: dict[int, list[int]] = {}
    for join in open_joins:
        by_step.setdefault(join.step, []).extend(join.of)
    pending = [j for join in open_joins if join.step not in graph.racing for j in join.of]
    found: set[int] = set()
    while pending:
        i = pending.pop()
        if i not in found and i in graph.racing:
            found.add(i)
            pending += graph.dependencies[i]
            pending += by_step.get(i, ())
    return set(graph.racing) - found


def _is_won(run: Run, k: int, join: JoinPlan) -> bool:
    """Return whether a race is decided: not with too few completed and nothing begun after."""
    if run.joined.get(k, (0,))[0] != SETTLED:
        return False
    step = run.steps.get(join.step)
    if step is None or step.status != CANCELLED or step.detail is None or not step.detail.is_idle:
        return True
    if step.failure is not None and step.failure.code == NOT_NEEDED:
        return True
    done = [
        j for j in join.of if (s := run.steps.get(j)) is not None and s.status in (COMPLETED, COMPENSATED)
    ]
    return len(done) >= join.enough


def is_borne_by_itself(run: Run, i: int, step: Step) -> bool:
    """Return whether steps go on after a failed step."""
    return step.status == FAILED and run.graph.nodes[i].on_error == "continue"


def still_failed(run: Run) -> Failure | None:
    """Return the failure of a step outside a retry, absorbed by nothing."""
    return _first_failure(run, settled(run))


def first_failure(run: Run) -> Failure | None:
    """Return the first failure of a step, absorbed or not."""
    return _first_failure(run, set())


def _first_failure(run: Run, kept: set[int]) -> Failure | None:
    graph = run.graph
    lost = [
        i
        for i, step in run.steps.items()
        if step.status == FAILED and graph.owner(i) < 0 and i not in kept
        and not graph.is_helper(i) and not is_borne_by_itself(run, i, step)
    ]  # fmt: skip
    if not lost:
        return None
    i = min(lost, key=lambda i: (run.steps[i].sequence or 0, i))
    return (run.steps[i].failure or Failure("failed")).at(graph.names[i])
