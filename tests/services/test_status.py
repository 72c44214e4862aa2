"""What of an instance needs a person, and what passes by itself."""

from __future__ import annotations

from typing import Any

import pytest

from stream_durable.core.gate.summary import GateSummary
from stream_durable.ports import GroupMember, PartitionSummary
from stream_durable.services.status import Backlog, PartitionStatus, Readers, Status, concerns

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


def test_without_a_reconciler_its_partitions_are_not_complained_of_one_by_one() -> None:
    assert len(concerns(found(reconcilers=(), partitions=[partition(OLD), partition(OLD)]))) == 1
