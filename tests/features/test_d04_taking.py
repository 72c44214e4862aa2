"""D4: an event wakes all that wait for it, or is taken by one of those that take."""

from __future__ import annotations

from typing import Any

import pytest
from refusals import refusal

from stream_durable import Workflow
from stream_durable.testing import Engine


def picking(name: str = "picking", **options: Any) -> Workflow:
    flow = Workflow(name)
    flow.wait_event("job", "job.queued", key="input.site", take=True, **options)
    flow.add("pack", lambda job: job)
    return flow


SITE = {"site": "berlin"}


async def test_each_event_is_given_to_one_run_by_order_of_waiting(engine: Engine) -> None:
    flow = picking()
    runs = []
    for i in range(3):
        runs.append(await engine.start(flow, SITE, id=f"r{i}"))
        await engine.until_waiting(runs[-1])
    for i in range(2):
        await engine.publish("job.queued", key="berlin", data=i, id=f"job-{i}")
        await engine.publish("job.queued", key="berlin", data="again", id=f"job-{i}")
    await engine.until_idle()

    assert [run.output if run.status == "completed" else None for run in runs] == [0, 1, None]


async def test_events_that_came_first_are_taken_once_each(engine: Engine) -> None:
    for i in range(2):
        await engine.publish("job.queued", key="berlin", data=i, ttl=f"{i + 1}h")
    flow = picking()
    runs = [await engine.start(flow, SITE, id=f"r{i}") for i in range(3)]
    await engine.until_idle()

    assert sorted(run.output for run in runs if run.status == "completed") == [0, 1]
    assert [run.status for run in runs].count("waiting") == 1


async def test_those_that_do_not_take_are_woken_besides(engine: Engine) -> None:
    watching = Workflow("watching")
    watching.wait_event("job", "job.queued", key="input.site")
    watchers = [await engine.start(watching, SITE) for _ in range(2)]
    taking = picking()
    takers = [await engine.start(taking, SITE) for _ in range(2)]
    await engine.publish("job.queued", key="berlin", data=5)
    await engine.until_idle()
    late = await engine.start(watching, SITE)
    await engine.until_idle()

    assert [run.output for run in [*watchers, late]] == [5, 5, 5]
    assert sorted(run.status for run in takers) == ["completed", "waiting"]


async def test_a_cancelled_run_leaves_the_event_to_the_next(engine: Engine) -> None:
    flow = picking()
    first = await engine.start(flow, SITE, id="first")
    await engine.until_waiting(first)
    second = await engine.start(flow, SITE, id="second")
    await engine.until_waiting(second)
    await first.cancel()
    await engine.publish("job.queued", key="berlin", data=1, ttl="0s")
    await engine.until_idle()

    assert (first.status, second.output) == ("cancelled", 1)


async def test_a_time_out_and_an_event_at_once_leave_the_event_to_somebody(engine: Engine) -> None:
    first = await engine.start(picking(timeout="1h", on_timeout="none"), SITE, id="first")
    second = await engine.start(picking("patient"), SITE, id="second")
    await engine.until_idle()
    await engine.advance("1h")
    await engine.publish("job.queued", key="berlin", data="job", ttl="0s")
    await engine.until_idle()

    assert [first.output, second.output] == ["none", "job"]


async def test_across_a_new_start_and_records_delivered_twice(engine: Engine) -> None:
    runs, flow = [], picking()
    for i in range(3):
        runs.append(await engine.start(flow, SITE, id=f"r{i}"))
        await engine.until_waiting(runs[-1])
    engine.restart()
    await engine.publish("job.queued", key="berlin", data=0, id="job-0")
    engine.redeliver()
    await engine.until_idle()
    engine.restart()
    engine.redeliver()
    await engine.publish("job.queued", key="berlin", data=1, id="job-1")
    await engine.until_idle()

    assert [run.output if run.status == "completed" else None for run in runs] == [0, 1, None]


def test_take_says_yes_or_no() -> None:
    flow = Workflow("picking")
    flow.wait_event("job", "job.queued", key="input.site", take="yes")  # type: ignore[arg-type]
    assert refusal(flow) == ["wait 'job': take= takes True or False, not 'yes'"]


@pytest.mark.parametrize(("take", "format"), [(True, 2), (False, 1)])
def test_a_definition_that_takes_is_for_releases_that_know_it(take: bool, format: int) -> None:  # noqa: A002, FBT001
    flow = Workflow("picking")
    flow.wait_event("job", "job.queued", key="input.site", take=take)
    assert flow.definition().format == format
