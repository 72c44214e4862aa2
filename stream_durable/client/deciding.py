"""Decisions about held steps, to be sent."""

from __future__ import annotations

from typing import Any

from msgspec import Raw

from stream_durable.client.edge import Edge
from stream_durable.client.ended_outside import as_failure
from stream_durable.core.format import HOLD
from stream_durable.core.messages import CompleteHeld, FailHeld
from stream_durable.core.run.state import Run
from stream_durable.core.status import HELD
from stream_durable.sdk.answers import Fail
from stream_durable.wire.held_values import judge_value


def is_held(run: Run, name: str) -> bool:
    """Return whether a step is held for a person's decision."""
    step = run.steps.get(run.graph.index.get(name, -1))
    return step is not None and step.status == HELD


def completion(
    edge: Edge,
    run: Run,
    name: str,
    data: Raw,
    *,
    by: str,
    reason: str,
    id: str,  # noqa: A002 - the word for it everywhere
) -> CompleteHeld:
    """Return the message that completes a held step, or refuse a value that does not fit the step's type."""
    i = run.graph.index[name]
    judge_value(run.graph.nodes[i], edge.ports.catalogue.about(run.graph.fingerprint), bytes(data))
    return CompleteHeld(
        key=run.id, id=id, step=name, format=HOLD, attempt=run.steps[i].attempt, by=by, reason=reason,
        output=data,
    )  # fmt: skip


def failure(
    run: Run,
    name: str,
    error: Fail | str | None,
    *,
    by: str,
    reason: str,
    id: str,  # noqa: A002 - as above
) -> FailHeld:
    """Return the message that fails a held step, for the present or another failure."""
    given: Any = error
    return FailHeld(
        key=run.id, id=id, step=name, format=HOLD, attempt=run.steps[run.graph.index[name]].attempt,
        by=by, reason=reason, failure=None if given in (None, "") else as_failure(given),
    )  # fmt: skip
