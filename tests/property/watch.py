"""An eye on a run from outside: it knows the definition and what is said, and none of the run's counting.

It looks after every message. What it reads of the run are the statuses of its steps, which is what
rows and pages show; who may begin, how many at once and what is undone it works out for itself.
"""

from __future__ import annotations

from collections import Counter

from builders import RUN, in_line

from property.world import Folded, World, ends_attempt
from stream_durable.core.definition.nodes import AnyNode, BranchNode, EachNode, ParallelNode
from stream_durable.core.effects import CancelAttempt, Command
from stream_durable.core.lifecycle import RunEvent, StepEvent
from stream_durable.core.messages import (
    AttemptEmitted,
    AttemptExpanded,
    AttemptWaits,
    CancelRun,
    CancelStep,
    EmissionRefused,
    GatePassed,
    MarkReviewed,
    Message,
    PlaceGiven,
    RetryRun,
    RunTimerFired,
    SkipStep,
    StartRun,
)
from stream_durable.core.run.routing import queue_of
from stream_durable.core.run.state import Run
from stream_durable.core.status import Outcome

#: What may come of them once a run has ended: it is begun again, or something is noted.
_AFTER_THE_END = (RetryRun, StartRun, CancelRun, EmissionRefused, MarkReviewed)
#: A step that is held waits for somebody, and so does its run.
BEGUN = frozenset({"ready", "running", "waiting", "retrying", "held"})
ENDED = frozenset({"completed", "failed", "skipped", "cancelled", "compensated"})
DONE = frozenset({"completed", "compensated"})


class Ends:
    """How the steps of a run had ended when some of them were made anew."""

    def __init__(self, run: Run) -> None:
        graph = run.graph
        self.graph = graph
        self.ended = {
            graph.names[i]: (s.status, s.attempt, s.output)
            for i, s in run.steps.items()
            if s.status in ENDED and not graph.is_helper(i)
        }
        self.lost = {i for i, s in run.steps.items() if s.status in ("failed", "cancelled", "compensated")}
        self.unneeded = {i for i, s in run.steps.items() if s.failure and s.failure.code == "not_needed"}
        self.undone = {i for i, s in run.steps.items() if s.status == "compensated"}
        self.held = {i for i, s in run.steps.items() if s.status == "held"}

    def look_at_retry(self, run: Run, message: RetryRun) -> None:
        """See that nothing changed but what was to be made anew and all after it."""
        if message.whole:
            return
        named = {self.graph.index[message.step], *self.undone} if message.step else None
        starts = (self.lost - self.unneeded) | self.held if named is None else named
        touched = self._and_after(starts)
        for name, before in self.ended.items():
            i = self.graph.index[name]
            if i in touched and (message.step or i not in self.unneeded or self._is_inside(i, touched)):
                continue
            step = run.steps.get(run.graph.index.get(name, -1))
            now = None if step is None else (step.status, step.attempt, step.output)
            assert now == before, f"{name} was {before}, and is {now} after {message}"

    def _and_after(self, starts: set[int]) -> set[int]:
        """Return steps with all that comes after them, and the groups that wait again for some of these."""
        found: set[int] = set()
        waiting: set[int] = set()
        pending = list(starts)
        while pending:
            i = pending.pop()
            if i in found:
                continue
            found.add(i)
            pending += self.graph.followers_of(i)
            if i in self.held or self._is_inside(i, self.held):
                pending += self.graph.members.get(i, ())
            owner = self.graph.owner(i)
            while owner >= 0:
                # It keeps the members that completed, unless it comes after something itself.
                waiting.add(owner)
                pending += [m for m in self.graph.members[owner] if m in self.lost - self.unneeded]
                owner = self.graph.owner(owner)
        return found | waiting

    def _is_inside(self, i: int, touched: set[int]) -> bool:
        while (i := self.graph.owner(i)) >= 0:
            if i in touched:
                return True
        return False


class Watch:
    """Looks at a world after every message."""

    def __init__(self, world: World) -> None:
        self.world = world
        #: Attempts asked for, the latest of each step, and those that have been answered for good.
        self.asked: dict[str, int] = {}
        self.answered: set[tuple[str, int]] = set()
        #: Steps that have completed and have not been made anew since, with how often the run has been tried.
        self.completed: dict[str, None] = {}
        self.undone: list[str] = []
        self.is_retried_by_hand = False
        graph = world.graph
        #: What may begin in a run that is to end: what waits for any end of a step, and all after it.
        ended = [i for i, node in enumerate(graph.nodes) if node.ended]
        self.clean_up = {*ended, *(j for i in ended for j in graph.after(i))}
        #: Attempts that a worker may be at: asked for, and neither answered nor out of time.
        self.unanswered: dict[str, int] = {}
        #: What has been said to be overdue, and was not begun anew since; the run's name is empty.
        self.overdue: set[str] = set()
        #: How many members each expansion lets run at once, and whether one failure ends it.
        self.limits: dict[str, int | None] = {}
        # The world has been told of the start.
        self.asked.update(world.asked)
        self.unanswered.update(world.asked)

    def tell(self, message: Message) -> Folded:
        """Tell the world a message, and look at what comes of it."""
        run = self.world.run
        was_paused, had_ended = run.begins_nothing, run.has_ended
        before = Ends(run) if isinstance(message, RetryRun) else None
        folded = self.world.tell(message)
        if message.key == RUN:
            self._note_answer(message, folded)
            if folded.outcome is Outcome.APPLIED:
                self._note(message)
                if before is not None and isinstance(message, RetryRun):
                    before.look_at_retry(run, message)
            is_accepting = isinstance(message, SkipStep) and message.step.endswith("~compensate")
            if had_ended and not isinstance(message, _AFTER_THE_END) and not is_accepting:
                assert folded.outcome is not Outcome.APPLIED or message.key != RUN, "an ended run moved"
            self._look_at_asking(message, folded, was_paused=was_paused and run.begins_nothing)
            self._look_at_steps()
            self._look_at_due(message, folded)
            self._look_at_held()
            self._look_at_compensation(folded)
        self.world.settle(message, folded)
        return folded

    def _note_answer(self, message: Message, folded: Folded) -> None:
        if isinstance(message, AttemptWaits) or ends_attempt(message):
            if self.unanswered.get(message.step) == message.attempt:
                del self.unanswered[message.step]
        elif isinstance(message, CancelStep | SkipStep | RunTimerFired) and folded.outcome is Outcome.APPLIED:
            # Out of time, or given up by a second order; if it was only asked to stop, it shows as under way.
            self.unanswered.pop(message.timer if isinstance(message, RunTimerFired) else message.step, None)
        elif isinstance(message, RetryRun):
            self.unanswered.clear()
        for _, command in folded.effects.commands:
            if type(command) is Command:
                self.unanswered[command.step] = command.attempt

    def _note(self, message: Message) -> None:
        if ends_attempt(message):
            self.answered.add((message.step, message.attempt))
        if isinstance(message, AttemptEmitted):
            message = message.end
        if isinstance(message, AttemptExpanded):
            self.limits[message.step] = message.concurrency
        self.is_retried_by_hand |= isinstance(message, RetryRun)

    # Attempts.

    def _look_at_asking(self, message: Message, folded: Folded, *, was_paused: bool) -> None:
        for event in folded.effects.events:
            if isinstance(event, RunEvent) and event.type == "run.retried":
                self.completed.clear()
                self.undone.clear()
        commands = [command for _, command in folded.effects.commands]
        taken_back = {(c.step, c.attempt) for c in commands if type(c) is CancelAttempt}
        for command in commands:
            if type(command) is not Command:
                continue
            latest = self.asked.get(command.step, 0)
            name, attempt = command.step, command.attempt
            assert (name, attempt) not in self.answered, f"{name} was answered already"
            assert attempt >= latest, f"{name} goes back from {latest} to {attempt}"
            if attempt > latest and was_paused and not isinstance(message, GatePassed | PlaceGiven):
                assert self._is_helper(name), f"{name} begins attempt {attempt} while paused"
            assert name not in self.completed, f"{name} is asked for though it completed"
            if attempt > latest and (name, attempt) not in taken_back:
                self._may_begin_now(name)
            self.asked[command.step] = command.attempt

    def _may_begin_now(self, name: str) -> None:
        run, graph = self.world.run, self.world.run.graph
        i = graph.index[name]
        while i >= graph.definition_size and graph.owner(i) >= 0:
            i = graph.owner(i)
        is_to_end = run.failure is not None or (run.output is not None and not self.is_retried_by_hand)
        is_due = not is_to_end or graph.is_helper(i) or i in self.clean_up
        assert is_due, f"{name} begins, and the run is to end: {run.failure}"

    def _is_helper(self, name: str) -> bool:
        graph = self.world.run.graph
        return graph.is_helper(graph.index[name])

    # Steps.

    def _look_at_steps(self) -> None:
        run, graph = self.world.run, self.world.run.graph
        status = {name: self._status(i) for i, name in enumerate(graph.names)}
        nodes = dict(zip(graph.names, graph.nodes, strict=True))
        for name in self.completed:
            assert status.get(name) in (*DONE, None), f"{name} had completed"
        self.completed |= {
            name: None for name, s in status.items() if s == "completed" and name not in self.completed
        }
        if run.has_ended:
            assert not BEGUN & {s.status for s in run.steps.values()}, "a step of an ended run is under way"
            return
        begun = [name for name, s in status.items() if s in BEGUN or (s is None and name in self.world.asked)]
        for i, name in enumerate(graph.names):
            if name in begun and not graph.is_helper(i):
                if i < graph.definition_size:
                    self._may_run(name, nodes[name], status)
                if (owner := graph.owner(i)) >= 0:
                    self._may_run_inside(i, name, owner, status)
        for i in graph.members:
            if status[graph.names[i]] == "running":
                self._look_at_group(i, begun)
        self._look_at_places({graph.index[name] for name in begun})
        self._look_at_gates({graph.index[name] for name in begun})

    def _look_at_places(self, begun: set[int]) -> None:
        """No more are with workers than the workflow says, and nobody waits for a place that is free."""
        run, graph = self.world.run, self.world.run.graph
        if graph.limit is None:
            return
        taken = [i for i in begun if graph.work[i] is not None and i not in run.open]
        taken = [i for i in taken if self._status(i) not in ("waiting", "held") and not graph.is_helper(i)]
        assert len(taken) <= graph.limit, f"{[graph.names[i] for i in taken]} run, {graph.limit} at most"
        pending = [(i, step.detail) for i, step in run.steps.items() if step.status == "pending"]
        held = {i for i, detail in pending if detail is not None and detail.held == "run"}
        assert held == in_line(run), f"{held} are held, {in_line(run)} in line"
        assert not held or run.is_paused or run.active >= graph.limit, f"{held} wait for a free place"

    def _look_at_gates(self, begun: set[int]) -> None:
        """No more are with workers, or inside of sections, than a gate lets in at once."""
        run, graph = self.world.run, self.world.run.graph
        inside: Counter[str] = Counter()
        limits = {}
        for i in begun:
            work, node = graph.work[i], graph.nodes[i]
            gates = []
            if isinstance(node, ParallelNode) and any(m in begun for m in graph.members[i]):
                gates = [node.gate]
            elif work is not None and self._is_with_worker(i):
                gates = [work.gate, graph.limited.get(queue_of(run, work))]
            for gate in gates:
                if gate is not None and gate.per is None and gate.limits.at_once is not None:
                    inside[gate.name] += 1
                    limits[gate.name] = gate.limits.at_once
        assert all(inside[name] <= limits[name] for name in inside), f"{inside} are inside, of {limits}"

    def _is_with_worker(self, i: int) -> bool:
        step, name = self.world.run.steps.get(i), self.world.run.graph.names[i]
        is_at_it = step is not None and step.status in ("ready", "running")
        return step is not None and is_at_it and self.world.asked.get(name) == step.attempt

    # What people are told, and decide.

    def _look_at_due(self, message: Message, folded: Folded) -> None:
        """A warning is said once, and of nothing that has ended."""
        for said in folded.effects.events:
            if said.type == "run.retried":
                # By itself the run tries its steps anew, and goes on; somebody has it begin anew, too.
                self.overdue &= set() if isinstance(message, RetryRun) else {""}
            elif said.type in ("run.overdue", "step.overdue"):
                name = said.step if isinstance(said, StepEvent) else ""
                assert name not in self.overdue, f"{name or 'the run'} was said to be overdue"
                self.overdue.add(name)

    def _look_at_held(self) -> None:
        """While somebody is to decide, the time of the run stands still; each held step is counted."""
        run = self.world.run
        held = sum(step.status == "held" for step in run.steps.values())
        assert held == (0 if run.requests is None else run.requests.held), f"{held} are held"
        assert not held or run.failure is not None or run.due is None, f"{held} are held, and time goes on"

    def _status(self, i: int) -> str | None:
        step = self.world.run.steps.get(i)
        return None if step is None else step.status

    def _may_run(self, name: str, node: AnyNode, status: dict[str, str | None]) -> None:
        for upstream in node.after:
            if upstream in node.ended:
                assert status[upstream] in ENDED, f"{name} runs, and {upstream} is {status[upstream]}"
            else:
                assert self._passed(upstream, status), f"{name} runs, and {upstream} is {status[upstream]}"
        for join in node.joins:
            done = sum(status[one] in DONE for one in join.of)
            if done < join.enough:
                ended = [one for one in join.of if status[one] in ENDED]
                failed = [one for one in ended if status[one] == "failed" and not self._passed(one, status)]
                passed = [one for one in ended if self._passed(one, status)]
                is_over = len(ended) == len(join.of) and passed and not failed
                assert is_over, f"{name} runs with {done} of {join}"

    def _passed(self, name: str, status: dict[str, str | None]) -> bool:
        graph = self.world.graph
        is_borne = status[name] == "failed" and graph.nodes[graph.index[name]].on_error == "continue"
        return is_borne or status[name] in (*DONE, "skipped")

    def _may_run_inside(self, i: int, name: str, owner: int, status: dict[str, str | None]) -> None:
        run = self.world.run
        group = status[run.graph.names[owner]]
        stopping = (s := run.steps.get(i)) is not None and s.detail is not None and s.detail.is_stopping
        assert group == "running" or stopping, f"{name} runs in a group that is {group}"
        if isinstance(node := run.graph.nodes[owner], BranchNode):
            detail = run.steps[owner].detail
            assert detail is not None
            assert run.graph.nodes[i].clause == detail.clause, f"{name} runs, and {node.name} chose {detail}"

    def _look_at_group(self, i: int, begun: list[str]) -> None:
        run, graph = self.world.run, self.world.run.graph
        name, node = graph.names[i], graph.nodes[i]
        step = run.steps[i]
        is_expanded = not isinstance(node, ParallelNode | EachNode | BranchNode)
        if isinstance(node, BranchNode):
            return
        if not isinstance(node, ParallelNode) and (step.detail is None or step.detail.graft is None):
            return
        limit = self.limits[name] if is_expanded else node.concurrency  # type: ignore[union-attr]
        inside = [graph.names[m] for m in graph.members[i]]
        # Who was asked to stop and has not answered may still be at it.
        running = [m for m in inside if m in begun or m in self.unanswered]
        assert limit is None or len(running) <= limit, f"{name} runs {running}, {limit} at most"
        left = [m for m in inside if self._status(graph.index[m]) not in ENDED]
        assert left, f"{name} runs, and all its members have ended"
        if isinstance(node, EachNode) and node.enough is not None and not self.is_retried_by_hand:
            done = [m for m in inside if self._status(graph.index[m]) == "completed"]
            assert len(done) < node.enough, f"{name} runs, and {done} have completed"

    # Compensation.

    def _look_at_compensation(self, folded: Folded) -> None:
        run = self.world.run
        for _, command in folded.effects.commands:
            name, _, kind = command.step.rpartition("~")
            if type(command) is Command and kind == "compensate" and name not in self.undone:
                assert run.failure is not None, f"{name} is undone, and the run does not fail"
                assert run.cancel_request is None or run.cancel_request.compensate
                self.undone.append(name)
        if folded.effects.events and run.has_ended and not self.is_retried_by_hand:
            self._look_at_what_is_undone()

    def _look_at_what_is_undone(self) -> None:
        run, world = self.world.run, self.world
        ends: list[str] = []
        for event in world.said:
            if isinstance(event, RunEvent) and event.type == "run.retried":
                ends.clear()
            elif isinstance(event, StepEvent) and event.type == "step.completed":
                ends.append(event.step)
        due = [name for name in reversed(ends) if self._compensation(name)]
        request = run.cancel_request
        is_wanted = run.status != "cancelled" if request is None else request.compensate
        if run.failure is None or not is_wanted:
            assert not self.undone or run.status != "completed", f"{self.undone} were undone"
        else:
            assert self.undone == due, f"undone {self.undone}, and completed were {due[::-1]}"

    def _compensation(self, name: str) -> bool:
        i = self.world.run.graph.index.get(name)
        return i is not None and getattr(self.world.run.graph.nodes[i], "compensation", None) is not None
