"""What is printed of a run that is followed: a line for each change, up to the end of its taker."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from stream_durable import Batch, Workflow
from stream_durable.cli.follow import _changes, follow, rows
from stream_durable.core.errors import TransientError
from stream_durable.core.run.rows import RunRow, StepRow
from stream_durable.ports import StoredRun
from stream_durable.testing import Engine

FAILURE = b'{"code":"Oops","message":"no","trace":"Traceback (most recent call last):\\n"}'


def stored(count: int, status: Callable[[int], str]) -> StoredRun:
    row = RunRow(
        "r", 0, "flow", "f", "running", 1, 2, None, "s", b"null", None, None, 0, 0, 0, count, None, None,
        None, None,
    )  # fmt: skip
    steps = [
        StepRow("r", f"resize[{i}]", status(i), 1, None, FAILURE if status(i) == "failed" else None,
                1, 2, "w", None, None, 0)
        for i in range(count)
    ]  # fmt: skip
    return StoredRun(row, steps)


def lines(run: StoredRun, seen: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(change.step, change.status, change.note) for change in _changes(run, seen) if change.step]


def test_members_of_a_small_group_are_lines() -> None:
    assert len(lines(stored(20, lambda _: "completed"), {})) == 20


def test_members_of_a_large_group_are_counted_and_those_that_fail_shown() -> None:
    seen: dict[str, Any] = {}
    begun = stored(30, lambda i: "failed" if i == 7 else "completed" if i < 5 else "running")
    later = stored(30, lambda i: "failed" if i == 7 else "completed")

    assert lines(begun, seen) == [
        ("resize[…]", "members", "5 completed, 1 failed, 24 running"),
        ("resize[7]", "failed", "Oops: no"),
    ]
    assert lines(begun, seen) == []
    assert lines(later, seen) == [("resize[…]", "members", "29 completed, 1 failed")]


class Restarted:
    """A database that is away for every second question, about a run that has ended by the fifth."""

    def __init__(self) -> None:
        self.asked = 0

    async def run_with_steps(self, run: str) -> StoredRun:
        self.asked += 1
        if self.asked % 2 == 0:
            raise TransientError("Postgres: the server has ended the connection")
        found = stored(1, lambda _: "running" if self.asked < 5 else "completed")
        ended = found.run._replace(status="completed", ended=5, output=b'"done"')
        return found if self.asked < 5 else found._replace(run=ended)


async def test_a_run_is_followed_past_a_restart_of_the_database() -> None:
    said: list[str] = []

    ended = await follow(Restarted(), "r", said.append)  # type: ignore[arg-type]

    assert (ended.status, ended.output) == ("completed", b'"done"')
    assert len(said) == 4


def test_a_merged_run_is_followed_to_the_end_of_the_run_that_took_it_in() -> None:
    flow = Workflow("mail", starts=Batch(size=2, within="1m"))

    @flow.step
    async def send() -> str:
        await asyncio.sleep(5)
        return "sent"

    with Engine.memory() as engine:
        engine.deploy(flow)
        views, client, said = engine.ports.views, engine._target, list[str]()

        async def both() -> Any:
            await client.start(flow, 1, id="r0")
            await client.start(flow, 2, id="r1")
            return await follow(views, "r0", said.append)

        async def again() -> list[tuple[str, str, str]]:
            return [(row["run"], row["step"], row["status"]) async for row in rows(views, "r0")]

        ended = engine.tell(both)
        seen = engine.tell(again)

    assert (ended.id, ended.status, ended.output) == ("r1", "completed", b'"sent"')
    assert any("merged" in line and "into r1" in line for line in said)
    assert "completed" in said[-1]
    assert seen == [("r0", "", "merged"), ("r1", "send", "completed"), ("r1", "", "completed")]
