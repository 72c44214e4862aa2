"""Runs that wait, while everything is killed in turn and somebody outside publishes what they wait for.

Judged by what the publisher knows to be acknowledged, against the public topics: each event and answer has
woken whom it should, none twice, none lost; what the runs emitted is there, repeated only under the same id.
"""

import asyncio
import json
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NamedTuple

import pytest
from budget import RUNS_THAT_WAIT
from confluent_kafka.admin import AdminClient, NewTopic
from waiting import eventually

from kill.checker import Event, _events, _without_repeats
from kill.fleet import INGRESS, RECONCILER, WORKER, Fleet, Process
from kill.heard import app
from kill.instance import Instance
from kill.scene import Ground
from kill.town import Town
from stream_durable import bootstrap

pytestmark = [pytest.mark.real, pytest.mark.kill, pytest.mark.timeout(900)]

_SETTINGS = {"STREAM_DURABLE_WORKER__LEASE_MS": "3000", "STREAM_DURABLE_WORKER__HEARTBEAT_MS": "1000"}
_SECONDS = 120 + RUNS_THAT_WAIT / 20
_OUT_PARTITIONS = 4
_OUT = "out"


class Site(NamedTuple):
    """Two of each service, and who publishes for their runs."""

    ground: Ground
    instance: Instance
    fleet: Fleet
    town: Town

    async def replace(self, victim: Process) -> None:
        """Kill a process and start another one."""
        victim.kill()
        self.fleet.start(victim.role)

    async def restart(self, service: Any) -> None:
        """Kill the broker or the database server, and start it again."""
        await asyncio.to_thread(service.kill)
        await asyncio.to_thread(service.start)

    async def ended(self) -> int:
        assert not self.fleet.died(), self.fleet.died()
        return await self.instance.value("select count(*) from run where ended is not null") or 0


@pytest.fixture
async def site(ground: Ground) -> AsyncIterator[Site]:
    name = f"woken_{secrets.token_hex(3)}"
    instance = Instance(name, ground.kafka, ground.postgres.dsn(), _SETTINGS)
    await instance.create()
    out = instance.topic(_OUT)
    admin = AdminClient({"bootstrap.servers": ground.kafka.bootstrap, "log_level": 0})
    admin.create_topics([NewTopic(out, _OUT_PARTITIONS, 1)])[out].result(30)
    fleet = Fleet(instance, ground.home / name, "kill.heard:app")
    try:
        for role in (RECONCILER, WORKER, INGRESS) * 2:
            fleet.start(role)
        yield Site(ground, instance, fleet, Town(instance, out, RUNS_THAT_WAIT))
    finally:
        fleet.end()
        instance.disconnect()


async def test_each_event_wakes_whom_it_should_whatever_is_killed(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    instance, fleet, town = site.instance, site.fleet, site.town
    await eventually(lambda: _is_defined(site), "the workflows are known", seconds=60)
    town.start()
    await eventually(lambda: _waits(site, len(town.early)), "the runs wait", seconds=_SECONDS)

    faults: list[Callable[[], Awaitable[None]]] = [
        lambda: site.replace(fleet.of(INGRESS)[0]),
        lambda: _replace_owner(site),
        lambda: site.replace(fleet.of(WORKER)[0]),
        lambda: site.restart(site.ground.kafka),
        lambda: site.restart(site.ground.postgres),
        lambda: _replace_owner(site),
    ]
    for fault in faults:
        before = await site.ended()
        publishing = town.publish(len(faults))
        await fault()
        await asyncio.to_thread(publishing.join)
        await eventually(lambda least=before: _has_gone_on(site, least), "runs end", seconds=_SECONDS)
    assert not town.refused, town.refused[:5]
    await eventually(lambda: _is_over(site), "all runs end", seconds=_SECONDS)
    await fleet.stop()

    of_runs = {
        run: _without_repeats(found)[0] for run, found in _events(await instance.records("runs")).items()
    }
    of_steps = {
        run: _without_repeats(found)[0] for run, found in _events(await instance.records("steps")).items()
    }
    outputs = _completed_once(town, of_runs)
    _woken_by_what_was_published(town, of_steps, outputs)
    repeats = _emitted_once([message for part in await instance.records(_OUT) for message in part], outputs)
    assert sum(await instance.ends("dead")) == 0
    assert not (complaints := list(fleet.complaints())), complaints[:5]
    verified = await bootstrap.verify(instance.settings)
    assert verified.is_equal, (verified.differences, verified.rows)
    with capsys.disabled():
        print(
            f"\n  {RUNS_THAT_WAIT} runs, {town.sent} messages, {len(faults)} faults, "
            f"{repeats} emissions repeated",
            end="",
        )


def _completed_once(town: Town, of_runs: dict[str, list[Event]]) -> dict[str, dict[str, str]]:
    """Return the output of each run; all that were started have completed, and no other is there."""
    assert of_runs.keys() == town.runs.keys()
    for events in of_runs.values():
        assert [event["type"] for event in events] == ["run.started", "run.completed"], events
    return {run: json.loads(events[-1]["output"]) for run, events in of_runs.items()}


def _woken_by_what_was_published(
    town: Town, of_steps: dict[str, list[Event]], outputs: dict[str, dict[str, str]]
) -> None:
    """Each run was woken once, by its event or its first answer, and each job has one run."""
    taken: dict[str, list[str]] = {}
    for run, workflow in town.runs.items():
        completed = [event for event in of_steps[run] if event["type"] == "step.completed"]
        assert len(completed) == len({event["step"] for event in completed}) == 2, (run, completed)
        woken_by = json.loads(completed[0]["output"])
        assert woken_by == outputs[run]["woken_by"]
        if workflow == "picker":
            taken.setdefault(town.keys[run], []).append(woken_by)
        else:
            assert woken_by == town.texts[town.keys.get(run, run)], run
    assert taken.keys() == town.jobs.keys()
    for key, jobs in taken.items():
        assert Counter(jobs) == Counter(town.jobs[key]), key


def _emitted_once(records: list[Any], outputs: dict[str, dict[str, str]]) -> int:
    """What each run emitted is there, once but for repeats of the same id; return how many."""
    found: dict[str, bytes] = {}
    of_runs: dict[str, str] = {}
    for record in records:
        emission = dict(record.headers())["sd-id"].decode()
        assert found.setdefault(emission, record.value()) == record.value(), emission
        run = record.key().decode()
        assert of_runs.setdefault(run, emission) == emission, (run, emission, of_runs[run])
        assert json.loads(record.value()) == outputs[run], run
    assert of_runs.keys() == outputs.keys()
    return len(records) - len(found)


async def _replace_owner(site: Site) -> None:
    await site.replace(await site.fleet.owner())


async def _is_defined(site: Site) -> bool:
    assert not site.fleet.died(), site.fleet.died()
    return await site.instance.definitions() == len(app.workflows)


async def _waits(site: Site, runs: int) -> bool:
    assert not site.fleet.died(), site.fleet.died()
    return await site.instance.value("select count(*) from step where status = 'waiting'") == runs


async def _has_gone_on(site: Site, least: int) -> bool:
    return await site.ended() > least


async def _is_over(site: Site) -> bool:
    left = await site.instance.value("select count(*) from outbox")
    return await site.ended() == RUNS_THAT_WAIT and left == 0
