"""Functions that keep a processor busy run in processes of their own."""

from __future__ import annotations

import os

from cpu_flow import cpu
from worker_site import value, working

from stream_durable import Workflow
from stream_durable.core.messages import AttemptCompleted, AttemptHeartbeat, AttemptSkipped


async def test_an_attempt_is_made_elsewhere_and_says_all_that_it_would_say_here() -> None:
    async with working(cpu, processes=1) as site:
        site.ask("work", input={"do": "it"}, timeout_ms=60_000)
        first = await site.end()
        site.ask("work", attempt=2, input={"do": "it"})
        _, second = await site.ends(2)

    assert isinstance(first, AttemptCompleted)
    assert value(first.output)["pid"] != os.getpid()
    assert value(first.output)["key"] == "run/work/1"
    assert (value(first.output)["deadline"], value(second.output)["deadline"]) == (True, False)
    assert value(first.output)["pid"] == value(second.output)["pid"]
    assert [(change.kind, change.key, value(change.value)) for change in first.changes] == [
        ("put", "did", "it")
    ]
    assert [(line.level, line.text) for line in first.logs] == [
        ("print", "printed"),
        ("warning", "logged"),
        ("info", "said"),
    ]
    assert (first.worker, first.started > 0) == ("w", True)


async def test_other_answers_failures_and_functions_that_were_added() -> None:
    async with working(cpu, processes=1) as site:
        site.ask("work", run="1", input={"do": "skip"})
        site.ask("work", run="2", input={"do": "fail"})
        site.ask("added", run="3", input={"do": "it"})
        site.ask("work", run="4", input={"do": "spend"})
        ends = {end.key: end for end in await site.ends(4)}

    assert isinstance(ends["1"], AttemptSkipped)
    assert (ends["2"].failure.code, ends["2"].failure.details) == ("odd", {"do": "fail"})
    assert value(ends["3"].output) == "it"
    assert [ends[run].spent for run in "1234"] == [None, None, None, 23]


async def test_a_process_that_dies_is_a_failure_and_the_next_attempt_has_another() -> None:
    async with working(cpu, processes=1) as site:
        site.ask("work", input={"do": "die"})
        died = await site.end()
        site.ask("work", attempt=2, input={"do": "it"})
        _, completed = await site.ends(2)

    assert (died.failure.code, died.failure.retryable) == ("process_died", True)
    assert "exit code -9" in died.failure.message
    assert isinstance(completed, AttemptCompleted)


async def test_a_process_that_runs_over_its_time_is_killed_and_others_are_not() -> None:
    async with working(cpu, processes=2, started_after_ms=10, heartbeat_ms=100, lease_ms=1_000) as site:
        site.ask("work", run="warm", input={"do": "it"})
        pid = value((await site.end()).output)["pid"]
        site.ask("work", run="slow", input={"do": "hang"}, timeout_ms=3_000)
        while not any(isinstance(said, AttemptHeartbeat) and said.label == "hanging" for said in site.said):
            await site.changed()
        site.ask("work", run="beside", input={"do": "it"})
        ends = {end.key: end for end in await site.ends(3)}

    assert ends["slow"].failure.code == "timeout"
    assert isinstance(ends["beside"], AttemptCompleted)
    assert not os.path.exists(f"/proc/{pid}") or pid == value(ends["beside"].output)["pid"]  # noqa: PTH110


async def test_a_cancelled_attempt_takes_its_process_with_it() -> None:
    async with working(cpu, processes=1, started_after_ms=10, heartbeat_ms=100, lease_ms=1_000) as site:
        site.ask("work", input={"do": "hang"})
        while not any(isinstance(said, AttemptHeartbeat) and said.label == "hanging" for said in site.said):
            await site.changed()
        site.cancel("work", must_answer=True)
        cancelled = await site.end()
        site.ask("work", attempt=2, input={"do": "it"})
        _, completed = await site.ends(2)

    assert cancelled.failure.code == "cancelled"
    assert isinstance(completed, AttemptCompleted)


async def test_a_function_that_no_other_process_can_find_says_so() -> None:
    flow = Workflow("flow")

    @flow.step(process=True)
    def inside() -> None: ...

    async with working(flow) as site:
        site.ask("inside")
        end = await site.end()

    assert (end.failure.code, end.failure.retryable) == ("not_importable", False)
    assert "defined within another function" in end.failure.message
