"""A workflow with one of everything, and states of steps as they are looked at."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from stream_durable.core.definition.nodes import (
    BranchNode,
    ChildNode,
    Definition,
    EachNode,
    EventNode,
    InputNode,
    Join,
    ParallelNode,
    SignalNode,
    SleepNode,
    StepNode,
)
from stream_durable.core.failure import Failure
from stream_durable.core.policy import RetryPolicy

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


class Stands(NamedTuple):
    """Where a step stands."""

    status: str
    attempt: int = 1
    started: datetime | None = None
    finished: datetime | None = None
    failure: Failure | None = None
    child: str | None = None


def failed(code: str, attempt: int = 1) -> Stands:
    return Stands("failed", attempt, failure=Failure(code))


def ran(begin: float, end: float | None = None, status: str = "completed", attempt: int = 1) -> Stands:
    return Stands(status, attempt, at(begin), None if end is None else at(end))


class Stood(NamedTuple):
    """Where a run stands."""

    steps: dict[str, Stands]
    ended: datetime | None = None
    status: str = "completed"
    helpers: dict[str, Stands] = {}
    id: str = "order-42"
    created: datetime = NOON
    updated: datetime = at(100)


def step(name: str, *after: str, **options: Any) -> StepNode:
    return StepNode(name=name, after=after, **options)


def of(*nodes: Any, **options: Any) -> Definition:
    return Definition(name="order", nodes=nodes, **options)


EVERYTHING = of(
    step("reserve"),
    step("charge", "reserve", retry=RetryPolicy(5), compensation=StepNode(name="charge~compensate")),
    EventNode(name="paid", after=("charge",), event="payment.captured", key="input.id"),
    SignalNode(name="go", after=("charge",), signals=("now", "later"), timeout_ms=7_200_000, on_timeout="0"),
    SleepNode(name="cool", after=("charge",), duration_ms=5_400_000),
    BranchNode(name="kind", on="reserve.kind", after=("reserve",), cases=('"digital"', "7", None)),
    step("email", member_of="kind"),
    step("pack", member_of="kind", clause=1),
    step("hand_over", "pack", member_of="kind", clause=1),
    step("ask", member_of="kind", clause=2, on_error="continue"),
    ParallelNode(name="checks", after=("kind",), on_member_error="complete_all", concurrency=2),
    step("fraud", member_of="checks"),
    ChildNode(name="invoice", workflow="invoices", fingerprint="f", member_of="checks", until="invoice.done"),
    EachNode(
        name="resize", over="reserve.urls", after=("reserve",), concurrency=10, enough=3,
        step=StepNode(name="resize", queue="gpu"),
    ),
    step("ship", "checks", joins=(Join(of=("go", "cool"), cancel_rest=True),)),
    step("clean", "charge", "resize", ended=("charge",)),
    InputNode(
        name="agreed", after=("charge",), role="warehouse", assignee="{input.owner}", timeout_ms=5_400_000,
        prompt='Ship "{input.id}" <b>now</b>?\n\x1b[31m | ]', answer="choice", due_ms=60_000,
    ),
    templates=(StepNode(name="scan"),),
    hooks=(StepNode(name="~on_failure"),),
)  # fmt: skip

STATES = {
    "reserve": Stands("completed"),
    "charge": failed("declined", 3),
    "paid": Stands("pending", 0),
    "kind": Stands("running"),
    "invoice": Stands("waiting", child="order-42//invoice"),
    "resize": Stands("running"),
    "resize[0]": Stands("completed"),
    "resize[1]": Stands("completed"),
    "resize~2[0]": failed("blurred"),
    "charge~compensate": Stands("completed"),
    "~on_failure": Stands("retrying", 2),
}
