"""What is printed of a run that is followed: a line for each change, members of large groups counted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from stream_durable.cli.follow import _changes
from stream_durable.core.run.rows import RunRow, StepRow
from stream_durable.ports import StoredRun

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
