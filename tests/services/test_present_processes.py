"""Processes of every kind say that they are there, which release they run, and that they leave."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from instances import running, settings_of
from waiting import eventually

from stream_durable import App, Workflow
from stream_durable.api import serving
from stream_durable.client.processes import ProcessState
from stream_durable.connecting import SystemClock
from stream_durable.core.format import FORMAT
from stream_durable.local.kafka import LocalKafka
from stream_durable.metrics import Metrics
from stream_durable.ports import Headers, Instead, Outgoing, Refusal
from stream_durable.presence import present
from stream_durable.services.doctor.checks import findings
from stream_durable.services.doctor.finding import Finding
from stream_durable.services.doctor.looking import diagnose
from stream_durable.settings import Settings
from stream_durable.wire.control import ControlState, ProcessHere, encode_control, process_key
from stream_durable.wire.topics import CONTROL

SECONDS = 60.0


class Publisher:
    """Keeps what is sent, and acknowledges it when told to."""

    def __init__(self) -> None:
        self.sent: list[Outgoing] = []
        self.settle: Callable[[list[Refusal]], None] = lambda _: None
        self.arrived = asyncio.Event()

    def send(
        self,
        messages: Sequence[tuple[Outgoing, Headers | None]],
        done: Callable[[list[Refusal]], None],
        instead: Instead | None = None,
    ) -> None:
        self.sent += [message for message, _ in messages]
        self.settle = done
        self.arrived.set()

    async def publish(self, messages: Sequence[tuple[Outgoing, Headers | None]]) -> list[Refusal]:
        self.send(messages, lambda _: None)
        return []

    async def close(self) -> None:
        """Nothing is held."""

    async def next(self) -> None:
        await asyncio.wait_for(self.arrived.wait(), SECONDS)
        self.arrived.clear()


def state_of(records: Sequence[Outgoing]) -> ControlState:
    state = ControlState()
    for offset, one in enumerate(records):
        state.learn(one.key, one.value, offset=offset, time=offset)
    return state


async def test_a_process_says_so_once_in_its_interval_and_that_it_leaves() -> None:
    publisher = Publisher()
    async with present(publisher, SystemClock(), "ingress", "one", every_ms=1):
        for _ in range(3):
            await publisher.next()
            publisher.settle([])
        (found,) = state_of(publisher.sent).processes()
        assert (found.kind, found.name, found.here.format) == ("ingress", "one", FORMAT)
        assert found.here.version
        assert found.here.host
        assert len({one.value for one in publisher.sent}) == 1
    assert state_of(publisher.sent).processes() == []


async def test_what_is_not_acknowledged_does_not_pile_up_and_a_refusal_is_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING, "stream_durable")
    publisher, turns = Publisher(), asyncio.get_running_loop()
    async with present(publisher, SystemClock(), "api", "one", every_ms=1):
        await publisher.next()
        begun = turns.time()
        await eventually(_is_later(begun + 0.05), "many intervals have passed", seconds=SECONDS)
        assert len(publisher.sent) == 1
        for _ in range(3):
            publisher.settle([Refusal(0, "not_authorised", "no right")])
            await publisher.next()
    assert sum("message.dropped" in record.getMessage() for record in caplog.records) == 1


def _is_later(moment: float) -> Callable[[], Any]:
    async def look() -> bool:
        return asyncio.get_running_loop().time() > moment

    return look


async def mixed(settings: Settings) -> list[Finding]:
    return [one for one in findings(await diagnose(settings)) if one.thing == "releases at work"]


@pytest.mark.real
async def test_all_kinds_are_present_mixed_releases_are_seen_and_who_leaves_is_forgotten(
    kafka_broker: LocalKafka, empty_database: str, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "_OPENS_SECONDS", 0.0)
    settings = settings_of(kafka_broker, empty_database, prefix).override({"api.port": 0})
    flow: Workflow[Any, Any] = Workflow("flow")
    flow.wait_signal("go")
    async with running(settings, App("seen", workflows=[flow])) as instance:

        async def kinds() -> list[str]:
            return [one.kind for one in await instance.client.processes()]

        async def those(*wanted: str) -> bool:
            return await kinds() == list(wanted)

        async with serving.role(settings, Metrics()) as service:
            api = asyncio.ensure_future(service.run())
            all_kinds = ("api", "ingress", "reconciler", "worker")
            await eventually(lambda: those(*all_kinds), "all are present", seconds=SECONDS)
            found: list[ProcessState] = await instance.client.processes()
            assert {(one.format, one.is_gone) for one in found} == {(FORMAT, False)}
            assert len({(one.version, one.host) for one in found}) == 1
            assert await mixed(settings) == []

            older = ProcessHere(
                kind="reconciler", since=1, every_ms=600_000, version="0.0.1", format=1, host="other"
            )
            record = Outgoing(CONTROL, 0, process_key("reconciler", "older"), encode_control(older))
            await instance.ports.publisher.publish([(record, None)])
            (finding,) = await mixed(settings)
            assert finding.severity == "warning"
            assert finding.cause.startswith("are 2: 0.0.1 by reconciler older; ")

            api.cancel()
            await asyncio.gather(api, return_exceptions=True)
        await eventually(
            lambda: those("ingress", "reconciler", "reconciler", "worker"),
            "the API has left",
            seconds=SECONDS,
        )
