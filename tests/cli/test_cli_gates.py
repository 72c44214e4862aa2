"""`gates` and `admissions`, on a real schema."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest
from builders import NOON
from cli_world import Cli
from pydantic import SecretStr

from stream_durable.core.admission.rows import write as write_admission
from stream_durable.core.admission.rule import SingleRule
from stream_durable.core.admission.state import Admission, admission_id
from stream_durable.core.effects import Effects
from stream_durable.core.fold import fold
from stream_durable.core.gate.breaker_state import Breaker
from stream_durable.core.gate.limits import GateChange, GateLimits
from stream_durable.core.gate.rows import write
from stream_durable.core.gate.state import Gate, gate_id
from stream_durable.core.messages import (
    AdmissionAsked,
    AdmissionBegun,
    GateAsked,
    GateLeft,
    GateTimerFired,
    PlaceAsked,
    SetGate,
)
from stream_durable.ports import Share
from stream_durable.postgres.store import PostgresStore
from stream_durable.settings import PostgresSettings

pytestmark = pytest.mark.real


@pytest.fixture
def schema(monkeypatch: pytest.MonkeyPatch, empty_database: str, cli: Cli) -> str:
    monkeypatch.setenv("STREAM_DURABLE_POSTGRES__DSN", empty_database)
    cli("db", "migrate")
    return empty_database


def gate(name: str, failures: int, waiting: int) -> Breaker:
    """Return a gate that opens with its second failure."""
    made = Breaker(name, 0)
    for number in range(max(1, failures)):
        asked = GateAsked(key=name, run=f"f{number}", step="s", attempt=1, failures=2)
        fold(made, asked, NOON, Effects())
    for number in range(failures):
        fold(made, GateLeft(key=name, run=f"f{number}", step="s", attempt=1, is_ok=False), NOON, Effects())
    for number in range(waiting):
        fold(made, GateAsked(key=name, run=f"w{number}", step="s", attempt=1, failures=2), NOON, Effects())
    return made


async def save(database: str, *entities: Gate | Breaker | Admission) -> None:
    store = PostgresStore(PostgresSettings(dsn=SecretStr(database)))
    token = uuid4()
    await store.claim(0, "test", token)
    share = Share(0, token, 0, 1, NOON, 0, 1, 0, evidence=b"{}")
    for each in entities:
        if isinstance(each, Admission):
            write_admission(each, share.rows)
        else:
            write(each, share.rows)
    assert await store.commit([share])
    await store.close()


def test_gates_are_listed_with_where_they_stand(cli: Cli, schema: str) -> None:
    assert "No step has passed a gate yet" in cli("gates", "list").stdout
    asyncio.run(save(schema, gate("bank", 2, 3), gate("mail", 1, 0)))

    bank, mail = cli.rows("gates", "list")

    assert [bank[name] for name in ("name", "state", "failures", "failures_max", "waiting")] == [
        "bank", "open", 2, 2, 3,
    ]  # fmt: skip
    assert bank["since"] < bank["next"]
    # A failure that lies before the window does not count.
    assert [mail[name] for name in ("name", "state", "failures", "waiting", "next")] == [
        "mail", "closed", 0, 0, None,
    ]  # fmt: skip
    assert "bank" in cli("gates", "list").stdout


def test_a_gate_is_shown_with_who_waits_at_it(cli: Cli, schema: str) -> None:
    asyncio.run(save(schema, gate("bank", 2, 3), gate("mail", 2, 1)))

    bank = cli.rows("gates", "show", "bank")

    assert (bank["state"], bank["waiting"]) == ("open", 3)
    assert bank["places"] == [
        {"status": "waiting", "run": f"w{number}", "step": "s", "attempt": 1} for number in range(3)
    ]
    shown = cli("gates", "show", "bank", "--limit", "1")
    assert "w0" in shown.stdout
    assert "w1" not in shown.stdout
    assert "2 more wait" in shown.stderr


def test_the_attempt_on_trial_stands_before_those_that_wait(cli: Cli, schema: str) -> None:
    bank = gate("bank", 2, 3)
    assert bank.due is not None
    fold(bank, GateTimerFired(key="bank", timer="", due=bank.due), bank.due, Effects())
    asyncio.run(save(schema, bank))

    found = cli.rows("gates", "show", "bank")

    assert (found["state"], found["waiting"]) == ("half-open", 2)
    assert [(one["status"], one["run"]) for one in found["places"]] == [
        ("trial", "w0"), ("waiting", "w1"), ("waiting", "w2"),
    ]  # fmt: skip


def test_holders_and_those_who_wait_are_named_page_by_page(cli: Cli, schema: str) -> None:
    keyed, fair = Gate(gate_id("mail", "acme"), 0), Gate(gate_id("bank"), 0)
    limits = GateLimits(at_once=2, rate=100, rate_ms=60_000, burst=5, weights={"gold": 3})
    for number in range(6):
        about = {"run": f"r{number}", "step": "s", "attempt": 1, "format": 2}
        asked = PlaceAsked(**about, key=fair.id, limits=limits, share="gold", priority=50, units=7)
        fold(fair, asked, NOON + number, Effects())
        fold(keyed, PlaceAsked(**about, key=keyed.id, limits=GateLimits(at_once=1)), NOON, Effects())
    change = GateChange(at_once=3)
    fold(fair, SetGate(key=fair.id, id="m", format=2, change=change), NOON + 9, Effects())
    asyncio.run(save(schema, gate("bank", 2, 3), fair, keyed))

    found = cli.rows("gates", "list")
    assert [(each["id"], each["kind"], each["inside"], each["waiting"]) for each in found] == [
        ("bank", "breaker", 0, 3), ("bank//", "gate", 1, 5), ("mail//acme", "gate", 1, 5),
    ]  # fmt: skip
    assert [each["id"] for each in cli.rows("gates", "list", "--after", "bank", "-n", "1")] == ["bank//"]
    found = cli.rows("gates", "show", "bank")
    assert found["limits"] == "3 at once, 100 in 1 min, 5 more in a burst, turns by key gold 3"
    assert found["changed_from"].startswith("2 at once")
    assert [(each["status"], each["run"], each["key"]) for each in found["places"][:2]] == [
        ("inside", "r0", "gold"), ("waiting", "r1", "gold"),
    ]  # fmt: skip
    assert found["places"][0]["lease"] > found["places"][0]["since"]
    rest = cli.rows("gates", "show", "bank", "--after", str(found["places"][3]["number"]))
    assert [each["run"] for each in rest["places"]] == ["r4", "r5"]
    assert cli.rows("gates", "show", "bank", "--breaker")["state"] == "open"
    assert cli.rows("gates", "show", "mail", "--key", "acme")["limits"] == "1 at once"
    assert "give the key" in cli("gates", "show", "mail", code=3).stderr


def test_a_gate_that_nobody_used_is_not_found(cli: Cli, schema: str) -> None:
    asyncio.run(save(schema, gate("mail", 2, 0)))
    assert "there is no gate 'bank'" in cli("gates", "show", "bank", code=3).stderr
    assert "Nobody waits" in cli("gates", "show", "mail").stdout


def test_who_begins_and_who_waits_is_shown_for_each_workflow_and_key(cli: Cli, schema: str) -> None:
    assert "No run waits" in cli("admissions", "list").stdout
    meeting = Admission(admission_id("mail", "zoe"), 0)
    for number in range(4):
        asked = AdmissionAsked(
            key=meeting.id, run=f"r{number}", attempt=1, rule=SingleRule(busy="queue"), priority=number % 2,
            format=2,
        )  # fmt: skip
        fold(meeting, asked, NOON + number, Effects())
    fold(meeting, AdmissionBegun(key=meeting.id, run="r0", attempt=1, format=2), NOON + 9, Effects())
    asyncio.run(save(schema, meeting))

    [listed] = cli.rows("admissions", "list")
    assert {name: listed[name] for name in ("id", "workflow", "key", "rule", "waiting", "under_way")} == {
        "id": "mail//zoe", "workflow": "mail", "key": "zoe", "rule": "one at a time, queue", "waiting": 3,
        "under_way": 1,
    }  # fmt: skip
    shown = cli.rows("admissions", "show", "mail", "--key", "zoe")
    assert [(run["run"], run["stage"], run["priority"]) for run in shown.pop("runs")] == [
        ("r0", "begun", 0), ("r1", "waiting", 1), ("r2", "waiting", 0), ("r3", "waiting", 1),
    ]  # fmt: skip
    assert shown == listed
    rest = cli.rows("admissions", "show", "mail", "--key", "zoe", "--after", "2", "-n", "1")
    assert [run["run"] for run in rest["runs"]] == ["r2"]
    assert "one at a time, queue" in cli("admissions", "show", "mail", "--key", "zoe").stdout
    assert "give the key" in cli("admissions", "show", "mail", code=3).stderr
    assert cli.rows("admissions", "list", "--after", "mail//zoe") == []
