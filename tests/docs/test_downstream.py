"""The consumer that the README shows: reads what we write, acts once, notices what is missing."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
from pages import ROOT

from stream_durable.core.failure import Failure
from stream_durable.core.lifecycle import RunEvent, StepEvent
from stream_durable.wire.lifecycle import encode


@pytest.fixture(scope="module")
def program() -> Any:
    spec = importlib.util.spec_from_file_location("downstream", ROOT / "docs" / "examples" / "downstream.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def ledger(program: Any, tmp_path: Path) -> Any:
    made = program.Ledger(tmp_path / "downstream.db")
    yield made
    made.db.close()


def step(sequence: int, kind: str = "step.completed") -> StepEvent:
    failure = Failure("bank_away", details={"card": 4}) if kind == "step.retrying" else None
    return StepEvent(kind, "r", "order", "f" * 16, sequence, 1, "ship", 1, b'{"a":1}', failure)


def ended(steps: int) -> RunEvent:
    return RunEvent("run.completed", "r", "order", "f" * 16, 2, 2, steps, "m1", b"1")


def take(program: Any, ledger: Any, event: StepEvent | RunEvent) -> bool:
    topic = "steps" if isinstance(event, StepEvent) else "runs"
    read = program.decode(encode(event), program.load_schemas(ROOT / "schemas"))
    return bool(ledger.take(topic, read))


def started() -> RunEvent:
    return RunEvent("run.started", "r", "order", "f" * 16, 1, 1, 0, "m1")


def test_each_step_has_its_effect_once(program: Any, ledger: Any) -> None:
    for event in (step(1, "step.retrying"), step(2), step(2), step(1, "step.retrying")):
        take(program, ledger, event)
    assert ledger.db.execute("select * from effect").fetchall() == [("r", "ship", '{"a":1}')]


def test_a_gap_is_noticed_and_nothing_is_done(program: Any, ledger: Any) -> None:
    assert take(program, ledger, step(1))
    with pytest.raises(program.MissedError):
        take(program, ledger, step(3))
    assert ledger.last("r", "steps") == 1


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (2, 3, 0, 1), (2, 0, 3, 1)])
def test_a_run_is_complete_when_all_was_seen(program: Any, ledger: Any, order: tuple[int, ...]) -> None:
    events = [step(1), step(2), started(), ended(2)]
    for i in order:
        assert not ledger.is_complete("r")
        take(program, ledger, events[i])
    assert ledger.is_complete("r")
