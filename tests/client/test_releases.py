"""Which releases of the engine the processes run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from stream_durable.client.processes import ProcessState, Release, processes, releases
from stream_durable.wire.control import (
    KEPT_MS,
    ControlState,
    ProcessHere,
    WorkerHere,
    encode_control,
    process_key,
    worker_key,
)

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def process(version: str, started: int, kind: str = "worker", *, is_gone: bool = False) -> ProcessState:
    at = NOW + timedelta(minutes=started)
    return ProcessState(kind, f"{kind}-{started}", "host", version, 2, at, at, is_gone)


def test_a_release_begins_with_the_first_process_of_a_kind_that_is_there() -> None:
    there = [
        process("0.1", 1),
        process("0.2", 9),
        process("0.2", 7),
        process("0.3", 8, is_gone=True),
        process("", 2),
        process("0.2", 5, "reconciler"),
    ]
    assert releases(there) == [
        Release("0.2", NOW + timedelta(minutes=7), "worker"),
        Release("0.2", NOW + timedelta(minutes=5), "reconciler"),
        Release("0.1", NOW + timedelta(minutes=1), "worker"),
    ]
    assert releases([]) == []


def test_processes_are_those_heard_of_within_a_day_and_gone_after_three_missed_records() -> None:
    state = ControlState()

    def say(kind: str, name: str, at: int, value: bytes | None = b"") -> None:
        here = ProcessHere(kind=kind, since=at, every_ms=30_000, version="0.1", format=2, host="h")
        given = encode_control(here) if value == b"" else value
        state.learn(process_key(kind, name), given, offset=0, time=at)

    say("reconciler", "one", 1_000)
    say("api", "one", 60_000)
    say("ingress", "left", 1_000)
    say("ingress", "left", 2_000, None)
    worker = WorkerHere(
        since=5, every_ms=10_000, concurrency=1, heard=0, queues=(), carries=(), version="0.2"
    )
    state.learn(worker_key("w"), encode_control(worker), offset=0, time=99_000)

    found = processes(state, 100_000)
    assert [(one.kind, one.name, one.version, one.is_gone) for one in found] == [
        ("api", "one", "0.1", False), ("reconciler", "one", "0.1", True), ("worker", "w", "0.2", False),
    ]  # fmt: skip
    assert processes(state, 100_000 + KEPT_MS) == []
    assert [one.key for one in state.processes()] == [
        b"process/api/one",
        b"process/reconciler/one",
        b"worker/w",
    ]
