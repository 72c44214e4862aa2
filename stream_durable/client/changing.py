"""Changes of runs with held steps, to be sent, and as the state of a run shows them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple, TypedDict

import msgspec
from msgspec import Raw

from stream_durable.client.edge import Edge
from stream_durable.core.errors import RejectedError
from stream_durable.core.format import HOLD
from stream_durable.core.messages import ChangeHeld
from stream_durable.core.moments import moment
from stream_durable.core.policy import RetryPolicy
from stream_durable.core.run import state as core
from stream_durable.core.run.changing import judged
from stream_durable.core.run.state import Run
from stream_durable.sdk.durations import Duration, milliseconds
from stream_durable.sdk.retry import Retry


class Changed(NamedTuple):
    """A change made by a person in a run with held steps."""

    #: The id returned by the call.
    id: str
    at: datetime
    #: Of which step retries and time-outs were changed; empty: of none.
    step: str
    by: str
    reason: str
    #: What was changed, by name: `input`, `context` by path, `retry`, `timeout_ms`, `total_ms`.
    before: Mapping[str, Any]
    after: Mapping[str, Any]


class ChangeOptions(TypedDict, total=False):
    """Parts of a run to change; parts left out stay as before."""

    #: The input of the run, in the type of its workflow.
    input: Any
    #: Values by their paths in the context, such as `order.total`.
    context: Mapping[str, Any]
    #: The held step that gets these retries and time-outs.
    step: str
    retry: Retry
    #: How many attempts it has; the rest of its retries stays as it is.
    attempts: int
    #: Of an attempt, or of the wait.
    timeout: Duration
    #: Of all attempts together.
    total: Duration


def change_of(
    edge: Edge,
    run: Run,
    given: ChangeOptions,
    *,
    by: str,
    reason: str,
    id: str,  # noqa: A002 - the word for it everywhere
) -> ChangeHeld:
    """Return the message of a change; refuse a change unfit for the run."""
    message = ChangeHeld(
        key=run.id, id=id, format=HOLD, workflow=run.graph.name, input=_input(edge, run, given),
        context=_context(edge, given.get("context", {})), step=given.get("step", ""),
        retry=_policy(given["retry"]) if "retry" in given else None, attempts=given.get("attempts"),
        timeout_ms=_millis("timeout", given.get("timeout")), total_ms=_millis("total", given.get("total")),
        by=by, reason=reason,
    )  # fmt: skip
    judged(run, message)
    return message


def changes_of(requests: core.Requests | None) -> tuple[Changed, ...]:
    """Return all changes of a run, oldest first."""
    return tuple(
        Changed(
            one.id, moment(one.at), one.step, one.by, one.reason,
            msgspec.json.decode(one.before), msgspec.json.decode(one.after),
        )
        for one in (() if requests is None else requests.changes)
    )  # fmt: skip


def _input(edge: Edge, run: Run, given: ChangeOptions) -> Raw | None:
    if "input" not in given:
        return None
    name = run.graph.name
    data = edge.values.plain(given["input"], f"the input of run {run.id!r}")
    refusal = edge.ports.catalogue.about(run.graph.fingerprint).refusal(name, bytes(data))
    if refusal is not None:
        raise refusal
    return data


def _context(edge: Edge, values: Mapping[str, Any]) -> dict[str, Raw]:
    found = {}
    for path, value in values.items():
        if not all(path.split(".")):
            text = f"{path[:128]!r} is no path in the context: write one such as order.total"
            raise RejectedError("bad_change", text)
        found[path] = edge.values.plain(value, f"the value at {path!r}")
    return found


def _policy(retry: Retry) -> RetryPolicy:
    if callable(retry.backoff):
        text = 'a function cannot be given to a step of a run: write backoff= as a word, such as "fixed"'
        raise RejectedError("bad_change", text)
    return retry.policy()


def _millis(option: str, given: Duration | None) -> int | None:
    if given is None:
        return None
    found = milliseconds(given)
    if found < 1:
        raise RejectedError("bad_duration", f"{option}={given!r} is no time: give 1 ms or more")
    return found
