"""Reasons that pass too soon to be met by a test from outside: from a snapshot made by hand."""

from __future__ import annotations

from datetime import UTC, datetime

from reasons import same

from stream_durable import Workflow
from stream_durable.core.definition.graph import Graph
from stream_durable.core.run.portions import count
from stream_durable.core.run.state import Requests, Run, Step
from stream_durable.core.status import RUNNING
from stream_durable.explain.explained import explain_run, explain_step
from stream_durable.explain.snapshot import Snapshot
from stream_durable.ports import CommandPlace
from stream_durable.wire.control import ControlState, QueueLoad, WorkerHere, encode_control, worker_key

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def begun() -> Run:
    flow = Workflow("flow")
    flow.add("a", lambda: 1)
    flow.add("b", lambda: 1)
    return Run("r", 0, Graph(flow.definition()), RUNNING)


def test_a_command_between_its_worker_and_the_reconciler() -> None:
    place = CommandPlace("sd.commands.default", 3, None, 0, "worker-1", ("worker-1",))
    seen = Snapshot(begun(), NOW, commands={"a": place})
    same(
        explain_step(seen, "a", UTC),
        "handled",
        "Runnable: a, attempt 1, is on its way: it is not, or no longer, among the unfinished commands of "
        "sd.commands.default/3.",
    )


def test_a_step_that_comes_with_a_later_record() -> None:
    run = begun()
    run.requests = Requests(deferred=["b"])
    count(run)
    same(
        explain_step(Snapshot(run, NOW), "b", UTC),
        "portion",
        "Waiting: b waits for its turn: the run begins its steps in portions, and 1 step is left.",
    )


def test_of_several_steps_the_most_urgent_explains_the_run() -> None:
    place = CommandPlace("sd.commands.default", 3, 7, 2, "", ())
    found = explain_run(Snapshot(begun(), NOW, commands={"b": place}), UTC)
    same(
        found,
        "no_worker",
        "Blocked: b is on sd.commands.default/3 at 7, 2 commands are before it, and no worker reads queue "
        "default.",
    )
    assert (found.step, dict(found.others)) == ("b", {"Runnable": 1})


def test_a_queue_whose_workers_were_lost() -> None:
    run, place = begun(), CommandPlace("sd.commands.default", 3, 7, 0, "", ())
    control = ControlState()
    here = WorkerHere(
        since=0, every_ms=10_000, concurrency=1, heard=0, queues=(QueueLoad("default", 0, 0),),
        carries=(("flow", "f"),),
    )  # fmt: skip
    heard = round(NOW.timestamp() * 1_000) - 15_000
    control.learn(worker_key("worker-1"), encode_control(here), offset=0, time=heard)
    seen = Snapshot(run, NOW, commands={"a": place}, control=control)
    start = "Blocked: a is on sd.commands.default/3 at 7, and no worker reads queue default now: "
    again = "; `up` and `dev` start a lost worker again within 30 s, other supervisors as they are told."
    # It ended without a word; one that leaves in good order withdraws its record.
    same(
        explain_step(seen, "a", UTC),
        "no_worker",
        f"{start}its last one, worker-1, heard of last at 03:03:50, was lost{again}",
    )
    run.steps[0] = step = Step()
    step.losses = 2
    found = explain_step(seen, "a", UTC)
    same(found, "no_worker", f"{start}a worker was lost twice during this attempt{again}")
    assert found.evidence["losses"] == 2
