"""Which releases of the engine workers run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from stream_durable.client.queues import Release, WorkerState, releases

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def worker(version: str, started: int, *, is_gone: bool = False) -> WorkerState:
    at = NOW + timedelta(minutes=started)
    return WorkerState(f"w{started}", at, at, is_gone, 1, ("default",), 0, 0, {}, version)


def test_a_release_begins_with_the_first_worker_that_is_there() -> None:
    there = [
        worker("0.1", 1),
        worker("0.2", 9),
        worker("0.2", 7),
        worker("0.3", 8, is_gone=True),
        worker("", 2),
    ]
    assert releases(there) == [
        Release("0.2", NOW + timedelta(minutes=7)), Release("0.1", NOW + timedelta(minutes=1)),
    ]  # fmt: skip
    assert releases([]) == []
