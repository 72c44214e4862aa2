"""What of an instance needs a person, and what passes by itself."""

from __future__ import annotations

from typing import Any

import pytest

from stream_durable.client import WorkerState
from stream_durable.core.effects import Command
from stream_durable.core.gate.summary import GateSummary
from stream_durable.core.moments import moment
from stream_durable.ports import GroupMember, PartitionSummary, Record
from stream_durable.services.status import (
    Backlog,
    Culprit,
    PartitionStatus,
    Readers,
    Status,
    _culprit,
    concerns,
)
from stream_durable.settings import Settings
from stream_durable.wire.inbox import encode
from stream_durable.wire.topics import COMMANDS, EVENTS, full_name

AT = 1_800_000_000_000
SOMEBODY = (GroupMember("worker-a-1", "10.0.0.1", 4),)
NOTHING = Backlog(0)
NEW, OLD = Backlog(3, AT - 1_000), Backlog(3, AT - 61_000)


def partition(left: Backlog = NOTHING, **fields: Any) -> PartitionStatus:
    return PartitionStatus(PartitionSummary(0, "reconciler-a-1", 1, 17, 0, None)._replace(**fields), left)


def gate(state: str) -> GateSummary:
    return GateSummary("bank", state, AT - 5, AT + 5, 5, 5, 2)


def found(**fields: Any) -> Status:
    good = Status(
        AT, {"completed": 3, "failed": 2}, True, [partition()], SOMEBODY, Readers(SOMEBODY, NOTHING),
        {"default": Readers(SOMEBODY, NOTHING)}, [], 0,
    )  # fmt: skip
    return good._replace(**fields)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"partitions": [partition(NEW)], "ingress": Readers(SOMEBODY, NEW)},
        {"queues": {"default": Readers(SOMEBODY, OLD)}},
        {"queues": {"mail": Readers((), NOTHING)}, "ingress": Readers((), NOTHING)},
        {"gates": [gate("half-open")]},
        {"reconcilers": None, "ingress": None, "queues": {}},
    ],
    ids=["all is well", "a moment behind", "long steps", "not needed", "it tries", "in memory"],
)
def test_what_passes_by_itself_needs_nobody(fields: dict[str, Any]) -> None:
    assert concerns(found(**fields)) == []


@pytest.mark.parametrize(
    ("fields", "what", "remedy"),
    [
        ({"reconcilers": ()}, "no reconciler runs", "stream-durable reconciler"),
        (
            {"partitions": [partition(lost_reason="truncated")]},
            "partition 0 stands still: truncated",
            "on_lost",
        ),
        ({"partitions": [partition(OLD)]}, "stands at offset 17 with 3 records", "reconciler-a-1 logs"),
        ({"partitions": [partition(OLD, owner=None)]}, "stands at offset 17", "that is to own it"),
        ({"ingress": Readers((), NEW)}, "no ingress runs", "stream-durable ingress"),
        ({"ingress": Readers(SOMEBODY, OLD)}, "3 records behind", "see its log"),
        (
            {"queues": {"mail": Readers((), NEW)}},
            "queue mail: no worker serves it, and its backlog is 3",
            "--queue mail",
        ),
        (
            {"queues": {"mail": Readers((), NEW, Culprit("run-1", "charge", 3))}},
            "its backlog is 3; a worker was lost 3 times at run-1/charge, whose command is next",
            "`up` and `dev` start a lost worker again within 30 s",
        ),
        ({"runs": {"compensation_failed": 2}}, "2 runs could not be undone", "--status compensation_failed"),
        ({"gates": [gate("open")]}, "gate bank is open after 5 failures, 2 attempts wait", "behind it"),
        ({"dead": 7}, "7 records of the last day", "the topic sd.dead"),
        ({"dead": 1, "prefix": "shop"}, "1 record of the last day", "the topic shop.dead"),
    ],
)
def test_what_does_not_is_said_with_a_remedy(fields: dict[str, Any], what: str, remedy: str) -> None:
    (concern,) = concerns(found(**fields))
    assert what in concern.what
    assert remedy in concern.remedy


def test_a_queue_whose_last_worker_was_lost() -> None:
    def worker(name: str, seconds: int) -> WorkerState:
        since, seen = moment(AT - seconds * 1_000), moment(AT - 1_000)
        return WorkerState(name, since, seen, False, 1, ("mail",), 0, 0, {})

    unserved = found(queues={"mail": Readers((), NEW)})
    (concern,) = concerns(unserved, [worker("worker-1", 60)])
    assert concern.what == (
        "queue mail: no worker serves it now, and its backlog is 3; its last one, worker-1, was lost"
    )
    assert "`up` and `dev` start a lost worker again within 30 s" in concern.remedy
    # One that has started a moment ago is about to join.
    (concern,) = concerns(unserved, [worker("worker-1", 1)])
    assert "lost" not in concern.what


def test_of_the_next_commands_the_one_with_most_losses_is_the_culprit() -> None:
    def record(run: str, losses: int) -> Record:
        command = Command(run=run, step="charge", attempt=1, workflow="w", fingerprint="f", losses=losses)
        return Record(0, 1, AT, run.encode(), encode(command))

    of_commands = full_name("sd", COMMANDS) + "mail"
    heads = [record("a", 1), record("b", 3), Record(0, 1, AT, b"c", b"garbage"), record("d", 0)]
    assert _culprit(of_commands, Settings(), heads) == Culprit("b", "charge", 3)
    assert _culprit(of_commands, Settings(), heads[3:]) is None
    assert _culprit(full_name("sd", EVENTS), Settings(), heads) is None


def test_without_a_reconciler_its_partitions_are_not_complained_of_one_by_one() -> None:
    assert len(concerns(found(reconcilers=(), partitions=[partition(OLD), partition(OLD)]))) == 1
