"""Reasons that pass too soon to be met by a test from outside: from a snapshot made by hand."""

from __future__ import annotations

from datetime import UTC, datetime

from reasons import same

from stream_durable import Workflow
from stream_durable.core.definition.graph import Graph
from stream_durable.core.run.portions import count
from stream_durable.core.run.state import Requests, Run
from stream_durable.core.status import RUNNING
from stream_durable.explain.explained import explain_run, explain_step
from stream_durable.explain.snapshot import Snapshot
from stream_durable.ports import CommandPlace

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
