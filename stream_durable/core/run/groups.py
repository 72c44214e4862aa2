"""Groups and branches: steps with members, beginning and ending with their members.

A group of independent members dispatches them in order, so the progress is a number. In a group with
dependencies among members, those not yet dispatched are stored by name.
"""

from __future__ import annotations

from typing import assert_never

import msgspec

from stream_durable.core.definition.graph import Grown
from stream_durable.core.definition.nodes import (
    BranchNode,
    EachNode,
    GroupNode,
    ParallelNode,
)
from stream_durable.core.definition.paths import items_at, root_of, value_at
from stream_durable.core.errors import RejectedError
from stream_durable.core.failure import Failure
from stream_durable.core.ids import ID_BYTES_MAX, byte_length, shortened
from stream_durable.core.messages import AttemptExpanded, Grafted
from stream_durable.core.names import group_name, may_name_member, member
from stream_durable.core.run.early_end import early_end, reason
from stream_durable.core.run.portions import is_deferred
from stream_durable.core.run.state import NOT_NEEDED, End, Graft, Open, Run, Step
from stream_durable.core.run.values import root_value
from stream_durable.core.status import (
    CANCELLED,
    COMPLETED,
    FAILED,
    HELD,
    PENDING,
    RUNNING,
    SKIPPED,
    STEP_ENDED,
)

#: Steps of a run at most, including added ones.
STEPS_MAX = 10_000
#: Longest name of an added step in bytes, with room left for a number and for helpers.
NAME_BYTES_MAX = ID_BYTES_MAX - 50
#: Longest name given by an author within an expansion.
GIVEN_BYTES_MAX = NAME_BYTES_MAX - 200
#: Members of a group with workers at the same time, unless the group sets another number.
WINDOW = 500


def begin_group(run: Run, i: int, step: Step, node: GroupNode, ready: list[int], ends: list[End]) -> None:
    """Begin a group, or pick the clause of a branch."""
    step.status = RUNNING
    try:
        match node:
            case ParallelNode():
                open_group(run, i, ready, ends)
            case EachNode():
                _make_members(run, i, step, node)
                open_group(run, i, ready, ends)
            case BranchNode():
                assert node.on is not None
                value = value_at(node.on, root_value(run, root_of(node.on)))
                pick(run, i, step, clause_of(node, value), ready, ends)
            case _:
                assert_never(node)
    except RejectedError as error:
        ends.append((i, FAILED, None, Failure(error.code, str(error), retryable=False)))


def _make_members(run: Run, i: int, step: Step, node: EachNode) -> None:
    items = items_at(node.over, root_value(run, root_of(node.over)))
    if node.enough is not None and node.enough > len(items):
        text = f"{node.enough} must complete, and there are {len(items)} items"
        raise RejectedError("not_enough_items", text)
    turn = _next_graft(step)
    graft(run, i, step, Graft(0, len(items), turn, enough=node.enough, concurrency=node.concurrency,
                              complete_all=node.on_member_error == "complete_all"))  # fmt: skip
    run.items = {i: items}


def open_group(run: Run, i: int, ready: list[int], ends: list[End]) -> None:
    """Give the members of a begun group their turn, up to its limit."""
    members = [m for m in run.graph.members.get(i, ()) if not has_ended(run, m)]
    opened = run.open[i] = Open(len(members))
    if not members:
        ends.append((i, COMPLETED, None, None))
    elif is_ordered(run, i):
        for _ in range(min(len(members), window(run, i) or len(members))):
            next_turn(run, i, opened, ready)
    else:
        for m in members:
            give_turn(run, m, ready)


def has_begun(run: Run, i: int) -> bool:
    """Say whether a step is or was under way."""
    step = run.steps.get(i)
    return not run.need[i] if step is None else step.status != PENDING


def has_ended(run: Run, i: int) -> bool:
    """Say whether a step is over."""
    step = run.steps.get(i)
    return step is not None and step.status in STEP_ENDED


def clause_of(node: BranchNode, value: object) -> int | None:
    """Return the clause for a value, or None."""
    otherwise = None
    for clause, case in enumerate(node.cases):
        if case is None:
            otherwise = clause
        elif same(msgspec.json.decode(case), value):
            return clause
    return otherwise


def same(one: object, other: object) -> bool:
    """Say whether two JSON values are equal; true is not 1."""
    return isinstance(one, bool) == isinstance(other, bool) and one == other


def pick(run: Run, i: int, step: Step, clause: int | None, ready: list[int], ends: list[End]) -> None:
    """Let the members of a clause begin, and skip all others with everything inside."""
    graph = run.graph
    step.status = RUNNING
    step.detailed().clause = clause
    members = [m for m in graph.members.get(i, ()) if not has_ended(run, m)]
    opened = run.open[i] = Open(len(members))
    reason = Failure("not_chosen", "another clause of the branch was chosen", retryable=False)
    for m in members:
        if graph.nodes[m].clause == clause:
            give_turn(run, m, ready)
        else:
            ends.append((m, SKIPPED, None, reason))
    if not opened.left:
        ends.append((i, COMPLETED, None, None))


def expand(run: Run, i: int, step: Step, message: AttemptExpanded, ready: list[int], ends: list[End]) -> None:
    """Add the steps returned by a step, which ends with them."""
    positions = {given.name or str(p): p for p, given in enumerate(message.steps)}
    wrong = _wrong(run, message.steps, positions)
    if max(map(byte_length, positions), default=0) > GIVEN_BYTES_MAX:
        wrong = f"a name is too long: {GIVEN_BYTES_MAX} bytes at most"
    if wrong is not None:
        ends.append((i, FAILED, None, Failure("bad_expansion", wrong, retryable=False)))
        return
    run.active -= 1
    step.status = RUNNING
    is_chained = any(given.after for given in message.steps)
    graft(run, i, step, Graft(0, len(message.steps), _next_graft(step), message.steps, message.concurrency,
                              complete_all=message.complete_all, is_chained=is_chained))  # fmt: skip
    open_group(run, i, ready, ends)


def _next_graft(step: Step) -> int:
    return 1 if step.detail is None else step.detail.turns + 1


def _wrong(run: Run, steps: tuple[Grafted, ...], positions: dict[str, int]) -> str | None:
    """Return the fault of an expansion."""
    if len(positions) < len(steps):
        return "two steps of the expansion have the same name"
    if run.graph.size + len(steps) > STEPS_MAX + run.graph.definition_size:
        return f"with {len(steps)} steps more the run has more than {STEPS_MAX} steps that were added to it"
    for given in steps:
        if given.of not in run.graph.templates:
            return f"the workflow has no step or template {given.of!r}"
        if not may_name_member(given.name) or "\x00" in given.name:
            return f"{given.name!r} cannot be the name of a step: it holds a bracket or a tilde"
        for name in given.after:
            if name not in positions:
                return f"a step of the expansion comes after {name!r}, which is not among them"
    return _find_cycle(steps, positions)


def _find_cycle(steps: tuple[Grafted, ...], positions: dict[str, int]) -> str | None:
    """Return a cycle among the steps of an expansion."""
    left = {p: len(set(given.after)) for p, given in enumerate(steps)}
    dependents: dict[int, list[int]] = {}
    for p, given in enumerate(steps):
        for name in dict.fromkeys(given.after):
            dependents.setdefault(positions[name], []).append(p)
    free = [p for p, count in left.items() if not count]
    while free:
        p = free.pop()
        del left[p]
        for q in dependents.get(p, ()):
            left[q] -= 1
            if not left[q]:
                free.append(q)
    if not left:
        return None
    names = ", ".join(repr(steps[p].name or str(p)) for p in list(left)[:5])
    return f"steps of the expansion wait for one another: {names}"


def graft(run: Run, i: int, step: Step, made: Graft) -> None:
    """Add the members of a step to the run's graph."""
    if made.count > STEPS_MAX or run.graph.size + made.count > STEPS_MAX + run.graph.definition_size:
        text = f"{made.count} items: a run has at most {STEPS_MAX} steps that were added to it"
        raise RejectedError("too_many_steps", text)
    graph = run.graph = run.graph.grown()
    made.at = graph.grafts
    step.detailed().graft = made
    first = plant(graph, i, made)
    run.need += graph.need[first:]
    run.left += made.count
    run.items = None


def plant(graph: Grown, i: int, made: Graft) -> int:
    """Give a step members; return the index of the first."""
    name = group_name(graph.names[i], made.turn)
    node = graph.nodes[i]
    if type(node) is EachNode and not made.steps:
        names = [member(name, p) for p in range(made.count)]
        return graph.graft(i, names, [node.step] * made.count, [()] * made.count)
    positions = {given.name or str(p): p for p, given in enumerate(made.steps)}
    if max(map(byte_length, positions), default=0) + byte_length(graph.names[i]) > NAME_BYTES_MAX:
        name = shortened(name)
    names = [member(name, given.name or p) for p, given in enumerate(made.steps)]
    nodes = [graph.templates[given.of] for given in made.steps]
    after = [tuple(positions[a] for a in dict.fromkeys(given.after)) for given in made.steps]
    return graph.graft(i, names, nodes, after)


def graft_of(run: Run, i: int) -> Graft | None:
    """Return the additions of members to a step."""
    step = run.steps.get(i)
    return None if step is None or step.detail is None else step.detail.graft


def is_ordered(run: Run, i: int) -> bool:
    """Say whether the members of a group begin in their order, since none waits for another."""
    made = graft_of(run, i)
    return made is not None and not made.is_chained


def window(run: Run, i: int) -> int | None:
    """Return how many members of a group may be under way at the same time."""
    made = graft_of(run, i)
    return limit_of(run, i, made) or (WINDOW if made is not None else None)


def limit_of(run: Run, i: int, made: Graft | None) -> int | None:
    """Return how many members of a group may be under way at the same time because its author says so."""
    if made is not None:
        return made.concurrency
    node = run.graph.nodes[i]
    return node.concurrency if type(node) is ParallelNode else None


def has_place(run: Run, m: int) -> bool:
    """Return whether a member under way occupies a place."""
    owner = run.graph.owner(m)
    return owner in run.open and limit_of(run, owner, graft_of(run, owner)) is not None


def is_counted(run: Run, i: int) -> bool:
    """Return whether a group tracks its begun members: these have a row then."""
    return not is_ordered(run, i) and window(run, i) is not None


def next_turn(run: Run, i: int, opened: Open, ready: list[int]) -> None:
    """Let the next member of an ordered group begin."""
    members = run.graph.members[i]
    while opened.turn < len(members):
        m = members[opened.turn]
        opened.turn += 1
        if run.need[m] and not has_ended(run, m):
            give_turn(run, m, ready)
            return


def give_turn(run: Run, m: int, ready: list[int]) -> None:
    """Remove a member's dependency on a turn."""
    run.need[m] -= 1
    if not run.need[m]:
        ready.append(m)


def admit(run: Run, m: int, owner: int) -> bool:
    """Return whether a member may begin now; otherwise the member is held until another ends."""
    opened = run.open.get(owner)
    if opened is None:
        # The group has just ended, and its members are about to be ended.
        return False
    if not is_counted(run, owner):
        return True
    opened.held.discard(m)
    limit = window(run, owner)
    assert limit is not None
    if opened.running < limit:
        opened.running += 1
        return True
    opened.held.add(m)
    return False


def give_up_place(run: Run, m: int) -> None:
    """Count a begun member as not begun: it is held until the run continues."""
    _count_begun(run, m, -1)


def take_back_place(run: Run, m: int) -> None:
    """Count such a member as begun, after its time: a person decides about it."""
    _count_begun(run, m, 1)


def _count_begun(run: Run, m: int, change: int) -> None:
    opened = run.open.get(run.graph.owner(m))
    if opened is not None and is_counted(run, run.graph.owner(m)):
        opened.running += change
        opened.held.discard(m)


def member_ended(
    run: Run, owner: int, m: int, status: str, failure: Failure | None, *, was_begun: bool,
    ready: list[int], ends: list[End],
) -> None:  # fmt: skip
    """Count the end of a member; the last or deciding one ends the group."""
    opened = run.open.get(owner)
    group = run.steps.get(owner)
    if opened is None or group is None or group.status in STEP_ENDED:
        return
    opened.left -= 1
    node = run.graph.nodes[owner]
    if was_begun and is_counted(run, owner):
        opened.running -= 1
    opened.held.discard(m)
    if status == COMPLETED:
        opened.completed += 1
    elif status in (FAILED, CANCELLED):
        opened.lost += 1
    made = graft_of(run, owner)
    verdict = early_end(node, made, opened, status)
    if verdict is not None:
        why = reason(run.graph.names[m], made, status, failure) if verdict == FAILED else None
        ends.append((owner, verdict, None, why))
    elif not opened.left:
        ends.append((owner, COMPLETED, None, None))
    elif was_begun or not run.need[m] or is_deferred(run, m):
        # The turn was given, even if the member was held and never used it.
        _let_in(run, owner, opened, ready)


def _let_in(run: Run, owner: int, opened: Open, ready: list[int]) -> None:
    """Let another member begin in place of an ended member."""
    if opened.excess:
        opened.excess -= 1
    elif is_ordered(run, owner):
        next_turn(run, owner, opened, ready)
    elif opened.held and opened.running < (window(run, owner) or len(opened.held)):
        m = min(opened.held)
        opened.held.remove(m)
        ready.append(m)


def close(run: Run, owner: int, group: Step, ends: list[End]) -> None:
    """End the members of an ended group: as skipped for a skipped group, else as cancelled."""
    run.open.pop(owner, None)
    why = _why_closed(run.graph.names[owner], group)
    status = SKIPPED if group.status == SKIPPED else CANCELLED
    ends += [(m, status, None, why) for m in run.graph.members.get(owner, ()) if not has_ended(run, m)]


def _why_closed(name: str, group: Step) -> Failure:
    text, failure = f"{name!r}, which it is a member of, has ended", group.failure
    if group.status == SKIPPED:
        return Failure(SKIPPED, text, retryable=False)
    if group.status == COMPLETED or (failure is not None and failure.code == NOT_NEEDED):
        return Failure(NOT_NEEDED, text, retryable=False)
    blamed = name if group.status in (FAILED, HELD) else None
    if failure is not None and failure.step is not None:
        blamed = failure.step
    return Failure("cancelled", text, retryable=False, step=blamed)
