"""No SQL stands in Python; every named query is used, and every name that is used exists."""

from __future__ import annotations

import ast
import re
from typing import Any

import pytest

from architecture.sources import literals, migration, modules
from stream_durable.core.admission.rows import AdmissionRow, MemberRow
from stream_durable.core.channel.rows import EventRow, ExpiredRow, WaitRow
from stream_durable.core.gate.rows import GateRow, PlaceRow, TurnRow
from stream_durable.core.run.attribute_rows import AttributeRow
from stream_durable.core.run.question_rows import QuestionRow
from stream_durable.core.run.rows import AttemptRow, RunChange, RunRow, StepRow
from stream_durable.core.run.signal_rows import SignalRow
from stream_durable.core.run.signal_wait_rows import SignalWaitRow
from stream_durable.core.schedule.rows import FiringRow, ScheduleRow
from stream_durable.ports import TimerRow
from stream_durable.postgres.queries import queries

SQL = re.compile(
    r"\s*(select\s|insert\s+into\s|update\s+\S+\s+set\s|delete\s+from\s|truncate\s|with\s+\w+\s+as\s*\(|"
    r"(create|alter|drop)\s+(table|schema|database|view|index|type|role|function|extension)\b)",
    re.IGNORECASE,
)

#: Where statements may stand all the same, and why.
EXCEPTIONS: dict[str, str] = {}

MIGRATIONS = tuple(range(1, 28))
#: Where a run's id has this name, for it is not the first thing the row is about.
RUN_ID = (
    "signal_sent", "step", "step_state", "attempt", "attempt_state", "run_attribute", "attribute_set",
)  # fmt: skip

#: Queries that nothing asks for, and why they are there.
UNUSED: dict[str, str] = {}


@pytest.mark.parametrize(
    ("text", "is_sql"),
    [("select 1", True), ("  INSERT INTO run values", True), ("update run set x = 1", True),
     ("delete from {}", True), ("with a as (select 1)", True), ("create schema x", True),
     ("select one of these", True), ("update the run", False), ("delete", False), ("create a run", False)],
)  # fmt: skip
def test_sql_is_told_from_prose(text: str, is_sql: bool) -> None:  # noqa: FBT001
    assert bool(SQL.match(text)) is is_sql


def test_no_sql_stands_in_python() -> None:
    faults = [
        f"{path}:{line}: {text[:60]!r}"
        for path, module in modules().items()
        for line, text in literals(module)
        if SQL.match(text) and path not in EXCEPTIONS
    ]

    assert not faults, "\n".join(faults)


def asked_for(module: ast.Module) -> set[str]:
    """Return the names in `queries()[...]`, as patterns."""
    found = set()
    for node in ast.walk(module):
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Call):
            called = node.value.func
            if isinstance(called, ast.Name) and called.id == "queries":
                found |= {text for _, text in literals(ast.Module([ast.Expr(node.slice)], []))} or set()
                if isinstance(node.slice, ast.Constant):
                    found.add(str(node.slice.value))
    return found


def matches(pattern: str, name: str) -> bool:
    return re.fullmatch(re.escape(pattern).replace(re.escape("{}"), r"\w+"), name) is not None


def test_every_query_that_is_asked_for_exists() -> None:
    for path, module in modules().items():
        for pattern in asked_for(module):
            assert any(matches(pattern, name) for name in queries()), f"{path}: {pattern}"


def test_every_query_is_used() -> None:
    spoken = {
        text
        for module in modules().values()
        if any(isinstance(node, ast.Name) and node.id == "queries" for node in ast.walk(module))
        for _, text in literals(module)
        if re.fullmatch(r"[a-z_{}]+", text) and text != "{}"
    }

    unused = {name for name in queries() if not any(matches(text, name) for text in spoken)}

    assert unused == set(UNUSED)


def test_every_query_says_what_it_is_for() -> None:
    silent = {name for name, text in queries().items() if not text.startswith("-- ")}

    assert not silent


def columns_of(what: str, name: str) -> list[str]:
    """Return the names of the columns of a table or a type."""
    every = "".join(migration(version) for version in MIGRATIONS)
    body = re.search(rf"create {what} {name} (?:as )?\((.*?)\n?\)(?: with \(.*?\))?;", every, re.DOTALL)
    assert body is not None, name
    flat = re.sub(r"\([^()]*(\([^()]*\)[^()]*)*\)", "", body[1])
    columns = [column.split()[0] for column in flat.split(",") if column.split()[0] != "primary"]
    for change in re.findall(rf"alter table {name}\s(.*?);", every, re.DOTALL):
        columns += re.findall(r"add column (\w+)", change)
    return columns


@pytest.mark.parametrize(
    ("what", "name", "row"),
    [("table", "run", RunRow), ("table", "step", StepRow), ("table", "attempt", AttemptRow),
     ("type", "run_written", RunRow), ("type", "run_moved", RunChange), ("type", "step_state", StepRow),
     ("type", "attempt_state", AttemptRow), ("type", "event_sent", EventRow),
     ("table", "channel_expired", ExpiredRow), ("type", "event_expired", ExpiredRow),
     ("table", "gate_turn", TurnRow), ("type", "turn_change", TurnRow),
     ("type", "wait_or_read", WaitRow), ("table", "gate", GateRow), ("type", "gate_change", GateRow),
     ("table", "gate_place", PlaceRow), ("type", "gate_passage", PlaceRow),
     ("type", "timer_change", TimerRow), ("type", "signal_sent", SignalRow),
     ("table", "run_attribute", AttributeRow), ("type", "attribute_set", AttributeRow),
     ("table", "question", QuestionRow), ("type", "question_state", QuestionRow),
     ("table", "signal_wait", SignalWaitRow), ("type", "signal_wait_state", SignalWaitRow),
     ("table", "admission", AdmissionRow), ("type", "admission_change", AdmissionRow),
     ("table", "admission_member", MemberRow), ("type", "member_asked", MemberRow),
     ("table", "schedule", ScheduleRow), ("type", "schedule_change", ScheduleRow),
     ("table", "schedule_firing", FiringRow), ("type", "firing_change", FiringRow)],
)  # fmt: skip
def test_rows_are_in_the_order_of_their_columns(what: str, name: str, row: Any) -> None:
    fields = [{"run": "run_id"}.get(f, f) if name in RUN_ID else f for f in row._fields]

    assert columns_of(what, name) == fields
