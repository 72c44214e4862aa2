"""The reason of a step, found from a snapshot."""

from __future__ import annotations

from typing import Any, Final, assert_never

from stream_durable.core.admission.state import UNDER_WAY
from stream_durable.core.definition.nodes import (
    ChildNode,
    EventNode,
    InputNode,
    SignalNode,
    SleepNode,
    TokenNode,
    WaitNode,
)
from stream_durable.core.failure import Failure
from stream_durable.core.gate.state import gate_id
from stream_durable.core.lanes import is_first
from stream_durable.core.names import undo_name
from stream_durable.core.run.attempts import NOT_CARRIED
from stream_durable.core.run.cause import NEXT_TRY, Cause
from stream_durable.core.run.entering import is_waiting
from stream_durable.core.run.explain import before_run as cause_of_run
from stream_durable.core.run.explain import causes, status_of
from stream_durable.core.run.from_outside import Asked
from stream_durable.core.run.groups import window
from stream_durable.core.run.inside import first_of, open_waits
from stream_durable.core.run.past import is_past
from stream_durable.core.run.routing import queue_at
from stream_durable.core.run.state import Run, Step
from stream_durable.core.run.waiting import cause_of_wait
from stream_durable.core.status import (
    CANCELLED,
    COMPENSATED,
    COMPLETED,
    FAILED,
    PENDING,
    RUNNING,
    SKIPPED,
    STEP_ENDED,
)
from stream_durable.explain import moving, settled, stopped, waiting
from stream_durable.explain.listed import brief, word_of
from stream_durable.explain.partition import partition_trouble
from stream_durable.explain.reason import Reason
from stream_durable.explain.snapshot import Snapshot, moment

#: A heartbeat this late is missing.
_LATE_MS: Final = 1_000


def step_reason(seen: Snapshot, i: int) -> Reason:
    """Return the reason of a step."""
    run = seen.run
    step, status = run.steps.get(i), status_of(run, i)
    if is_uncalled(run, i):
        return partition_trouble(seen) or waiting.NotCalled()
    if status in STEP_ENDED:
        return _ended(run, i, step, status)
    trouble = partition_trouble(seen)
    if trouble is not None:
        return trouble
    inside = open_waits(run, i)
    if inside:
        _, held, node = inside[0]
        return _wait(seen, held, node, is_inside=True, others=len(inside) - 1)
    found = causes(run, i)
    return _reason(seen, i, step or Step(), found, found[0])


def is_uncalled(run: Run, i: int) -> bool:
    """Return whether a step is a hook or a compensation of an earlier try, without a call now."""
    step = run.steps.get(i)
    is_helper = run.graph.is_helper(i) and not run.graph.is_beside(i) and run.graph.outer(i) < 0
    if not is_helper or step is None:
        return False
    return step.status == PENDING or (is_past(step) and run.ended is None)


def _reason(seen: Snapshot, i: int, step: Step, found: tuple[Cause, ...], cause: Cause) -> Reason:
    run = seen.run
    match cause.kind:
        case "begin":
            return not_begun(run)
        case "review":
            return _held(run, i, step)
        case "admission":
            return _admission(seen, cause)
        case "paused":
            return paused(run)
        case "step" | "join" | "branch" | "group" | "call" | "place" | "turn":
            return _before(run, i, found, cause)
        case "retry" | "later" | "queue" | "worker" | "answer" | "breaker" | "gate" | "members":
            return _under_way(seen, i, step, cause)
        case "time" | "event" | "signal" | "input" | "token" | "child" | "next child":
            node = run.graph.nodes[i]
            assert isinstance(node, WaitNode)
            return _wait(seen, step, node)
        case _:
            assert_never(cause.kind)


def _held(run: Run, i: int, step: Step) -> Reason:
    failure = step.failure or Failure("")
    number, _ = attempt_number(run, i, step)
    since = None if step.detail is None else moment(step.detail.held_since)
    return stopped.Held(since=since, failure=failure.code, message=failure.message, attempt=number)


def _before(run: Run, i: int, found: tuple[Cause, ...], cause: Cause) -> Reason:
    """Return why a step has not begun."""
    graph = run.graph
    match cause.kind:
        case "branch":
            return waiting.Choice(branch=cause.name)
        case "call":
            return waiting.CallBefore(next_try=cause.about == NEXT_TRY)
        case "place":
            line = sorted(run.line or ())
            return waiting.RunPlace(places=graph.limit or 0, before=sum(j < i for j in line))
        case "turn":
            return waiting.Portion(deferred=0 if run.requests is None else len(run.requests.deferred))
        case "group":
            places = window(run, graph.owner(i))
            assert places is not None, "members of a group without places wait for none"
            return waiting.GroupPlace(group=cause.name, places=places)
        case _:
            steps = tuple((one.name, one.about) for one in found if one.kind == "step")
            joins = tuple((one.name, one.about) for one in found if one.kind == "join")
            return waiting.After(steps=steps, joins=joins)


def _under_way(seen: Snapshot, i: int, step: Step, cause: Cause) -> Reason:
    """Return the reason of a begun step other than a wait."""
    run, failure = seen.run, step.failure or Failure("")
    match cause.kind:
        case "members":
            total = len(run.graph.members.get(i, ()))
            return moving.Members(since=moment(step.started), done=total - run.open[i].left, total=total)
        case "answer":
            worker = (step.worker or "") if step.status == RUNNING else ""
            return moving.Stopping(until=moment(step.due), worker=worker, queue=queue_at(run, i))
        case "retry":
            coming, attempts = attempt_number(run, i, step)
            return waiting.Retry(
                since=moment(step.finished), until=moment(step.due), failure=failure.code,
                message=failure.message, attempt=coming + 1, attempts=attempts,
            )  # fmt: skip
        case "later":
            return _given_back(run, i, step, failure)
        case "breaker":
            return _breaker(seen, cause.name)
        case "gate":
            return _gate(seen, cause.name, cause.about)
        case "worker":
            return _running(seen, i, step)
        case _:
            return _command(seen, i, step)


def _given_back(run: Run, i: int, step: Step, failure: Failure) -> Reason:
    since, until = moment(step.finished), moment(step.due)
    if failure.code != NOT_CARRIED:
        return waiting.PutOff(since=since, until=until, message=failure.message)
    return stopped.NotCarried(
        since=since, until=until, queue=queue_at(run, i), worker=step.worker or "a worker",
        workflow=run.graph.name, message=failure.message,
    )  # fmt: skip


def _gate(seen: Snapshot, name: str, key: str) -> Reason:
    found = seen.gates.get(gate_id(name, key))
    if found is None:
        return waiting.AtGate(gate=name, key=key, limits="", inside=0, waiting=0, run="", step="")
    gate = found.summary
    most = None if gate.limits is None else gate.limits.at_once
    is_full = most is not None and gate.inside >= most
    # With places left the rate is used up; with nobody in line the timer is for something else.
    opens = None if is_full or not gate.waiting else moment(gate.due)
    holder = next((place for place in found.places if place.is_inside), None) if is_full else None
    return waiting.AtGate(
        gate=name, key=key, limits=gate.limits_text, inside=gate.inside, waiting=gate.waiting, until=opens,
        run="" if holder is None else holder.run, step="" if holder is None else holder.step,
    )  # fmt: skip


def _admission(seen: Snapshot, cause: Cause) -> Reason:
    found = seen.admission
    if found is None:
        return waiting.AtAdmission(
            workflow=cause.name, key=cause.about, rule="", waiting=0, under_way=0, run=""
        )
    under_way = next((one.run for one in found.members if one.stage in UNDER_WAY), "")
    own = next((one.since for one in found.members if one.run == seen.run.id), None)
    return waiting.AtAdmission(
        workflow=cause.name, key=cause.about, rule=found.summary.rule_text, since=moment(own),
        waiting=found.summary.waiting, under_way=found.summary.under_way, run=under_way,
        until=moment(found.summary.begins),
    )  # fmt: skip


def _breaker(seen: Snapshot, name: str) -> Reason:
    found = seen.gates.get(name)
    if found is None:
        return stopped.GateAsked(gate=name, waiting=0)
    gate = found.summary
    since, until = moment(gate.since), moment(gate.due)
    if gate.state == "open":
        return stopped.BreakerOpen(
            since=since, until=until, gate=name, failures=gate.failures, waiting=gate.waiting
        )
    if gate.state == "half-open":
        trial = next((place for place in reversed(found.places) if place.is_inside), None)
        return stopped.BreakerTrial(
            since=since, until=until, gate=name, run="" if trial is None else trial.run,
            step="" if trial is None else trial.step, waiting=gate.waiting,
        )  # fmt: skip
    return stopped.GateAsked(gate=name, waiting=gate.waiting)


def _running(seen: Snapshot, i: int, step: Step) -> Reason:
    run, detail = seen.run, step.detail
    lease, heard = step.due, None if detail is None else detail.heard
    worker = step.worker or "a worker"
    if lease is not None and heard is not None and lease != step.deadline and _is_silent(seen, heard, lease):
        return stopped.WorkerSilent(
            since=moment(heard), until=moment(lease), worker=worker, losses=step.losses
        )
    number, attempts = attempt_number(run, i, step)
    return moving.Running(
        since=moment(step.started), until=moment(step.deadline), worker=worker, attempt=number,
        attempts=attempts, lease=moment(lease), losses=step.losses,
        percent=None if detail is None else detail.percent, label=None if detail is None else detail.label,
    )  # fmt: skip


def _is_silent(seen: Snapshot, heard: int, lease: int) -> bool:
    """Return whether a heartbeat is missing: between two is half of the lease at the most."""
    return seen.now_ms - heard > (lease - heard) // 2 + _LATE_MS


def _command(seen: Snapshot, i: int, step: Step) -> Reason:
    """Return the hindrance of a command, or its place, as far as looked up."""
    run, queue = seen.run, queue_at(seen.run, i)
    number, attempts = attempt_number(run, i, step)
    since = moment(ready_since(run, i, step))
    held = _held_by_queue(seen, queue)
    if held is not None:
        return held
    place = seen.commands.get(run.graph.names[i])
    if place is None:
        return moving.Queued(since=since, queue=queue, attempt=number, attempts=attempts)
    if not place.readers:
        lost = seen.control.last_lost(queue, seen.now_ms)
        return stopped.NoWorker(
            since=since, queue=queue, topic=place.topic, partition=place.partition, offset=place.offset,
            before=place.before, losses=step.losses, worker="" if lost is None else lost.name,
            heard=None if lost is None else moment(lost.seen),
        )  # fmt: skip
    if place.offset is None and seen.partition is not None and seen.partition.held and is_first(place.topic):
        return moving.HeldBack(
            since=since, attempt=number, attempts=attempts, commands=seen.partition.held,
            partition=seen.partition.partition,
        )  # fmt: skip
    if place.offset is None:
        return moving.Handled(
            since=since, queue=queue, topic=place.topic, partition=place.partition, attempt=number,
            attempts=attempts, readers=len(place.readers),
        )  # fmt: skip
    return moving.Queued(
        since=since, queue=queue, attempt=number, attempts=attempts, topic=place.topic,
        partition=place.partition, offset=place.offset, before=place.before, reader=place.reader,
        readers=len(place.readers),
    )  # fmt: skip


def _held_by_queue(seen: Snapshot, queue: str) -> Reason | None:
    """Return the reason for a queue to serve no command of the run."""
    paused = seen.control.paused.get(queue)
    if paused is not None:
        pause = paused.pause
        return stopped.QueuePaused(since=moment(pause.at), queue=queue, by=pause.by, reason=pause.reason)
    workers = seen.control.serving(queue, seen.now_ms)
    workflow = seen.run.graph.name
    if workers and not any(workflow == name for worker in workers for name, _ in worker.here.carries):
        names = tuple(sorted(worker.name for worker in workers))
        return stopped.NoCarrier(queue=queue, workflow=workflow, workers=names)
    return None


def _wait(seen: Snapshot, step: Step, node: WaitNode, *, is_inside: bool = False, others: int = 0) -> Reason:
    common: dict[str, Any] = {
        "since": moment(step.started), "until": moment(step.due),
        "on_timeout": getattr(node, "on_timeout", None), "is_inside": is_inside, "others": others,
    }  # fmt: skip
    match node:
        case SleepNode():
            return waiting.Sleeps(**common)
        case SignalNode():
            came = tuple(name for name in node.signals if name in seen.signals) if node.all_of else ()
            return waiting.ForSignals(signals=node.signals, all_of=node.all_of, came=came, **common)
        case EventNode():
            key = cause_of_wait(seen.run, step, node).about
            return waiting.ForEvent(event=node.event, key=key, **common)
        case InputNode():
            asked = Asked() if step.detail is None or step.detail.asked is None else step.detail.asked
            due = moment(asked.due)
            return waiting.ForInput(
                prompt=asked.prompt, role=asked.role, assignee=asked.assignee, due=due, **common
            )
        case TokenNode():
            outside = None if step.detail is None else step.detail.outside
            beat = None if outside is None else moment(outside.beat)
            return waiting.ForToken(beat=beat, heartbeat_ms=node.heartbeat_ms, **common)
        case ChildNode():
            return _child(seen, step, node, common)
        case _:
            assert_never(node)


def _child(seen: Snapshot, step: Step, node: ChildNode, common: dict[str, Any]) -> Reason:
    child = "" if step.detail is None else step.detail.child
    if not child:
        return waiting.NextChild(
            workflow=node.workflow, round=1 if step.detail is None else step.detail.round, **common
        )
    row = seen.children.get(child)
    if row is None:
        return waiting.ForChild(child=child, workflow=node.workflow, **common)
    return waiting.ForChild(
        child=child, workflow=node.workflow, child_word=word_of(row), child_reason=brief(row),
        **common,
    )  # fmt: skip


def _ended(run: Run, i: int, step: Step | None, status: str) -> Reason:
    failure = (None if step is None else step.failure) or Failure("")
    since = moment((None if step is None else step.finished) or run.ended)
    request = run.cancel_request
    match status:
        case _ if status == FAILED:
            number = 1 if step is None else attempt_number(run, i, step)[0]
            return stopped.Failed(
                since=since, step=run.graph.names[i], failure=failure.code, message=failure.message,
                attempt=number,
            )  # fmt: skip
        case _ if status == SKIPPED:
            return settled.Skipped(since=since, failure=failure.code, message=failure.message)
        case _ if status == CANCELLED:
            by, reason = ("", failure.message) if request is None else (request.by, request.reason)
            is_idle = step is None or (step.detail is not None and step.detail.is_idle)
            return settled.Cancelled(since=since, by=by, reason=reason, has_begun=not is_idle)
        case _ if status == COMPENSATED:
            undone = run.steps.get(run.graph.index.get(undo_name(run.graph.names[i]), -1))
            since = since if undone is None else moment(undone.finished)
            return settled.Compensated(since=since, by="", reason="", failure="", message="")
        case _:
            assert status == COMPLETED, status
            return settled.Completed(since=since)


def before_run(seen: Snapshot) -> Reason:
    """Return why a pending run has not begun."""
    run = seen.run
    return _at_entry(seen, cause_of_run(run)) if is_waiting(run) else not_begun(run)


def _at_entry(seen: Snapshot, cause: Cause) -> Reason:
    return _gate(seen, cause.name, cause.about) if cause.kind == "gate" else _admission(seen, cause)


def not_begun(run: Run) -> waiting.NotBegun:
    """Return when a pending run begins."""
    attempts = run.graph.definition.restart.attempts
    return waiting.NotBegun(until=moment(run.due), attempt=run.attempt, attempts=attempts)


def paused(run: Run) -> stopped.Paused:
    """Return who paused the run."""
    request = None if run.requests is None else run.requests.pause
    assert request is not None, "nothing is held by a pause without a request"
    return stopped.Paused(since=moment(request.at), by=request.by, reason=request.reason)


def attempt_number(run: Run, i: int, step: Step) -> tuple[int, int]:
    """Return the number of a step's attempt since the last reset, and the greatest number."""
    work = run.graph.work[i]
    return step.attempt - first_of(step) + 1, 1 if work is None else work.retry.attempts


def ready_since(run: Run, i: int, step: Step) -> int | None:
    """Return the earliest possible beginning of a step, by the ends of dependencies."""
    ends = [held.finished for j in run.graph.dependencies[i] if (held := run.steps.get(j)) is not None]
    return max((end for end in ends if end is not None), default=run.started)
