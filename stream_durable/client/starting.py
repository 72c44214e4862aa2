"""Starts runs: resolves the definition, the time of the start, and one run per id."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from difflib import get_close_matches
from typing import Any, Final, TypedDict

import msgspec
from msgspec import Raw

from stream_durable.client.edge import Edge
from stream_durable.client.filter import since_epoch
from stream_durable.core.errors import RejectedError
from stream_durable.core.messages import StartRun
from stream_durable.core.run.attribute_rows import thaw_attributes
from stream_durable.core.run.rows import RunRow, input_of
from stream_durable.core.run.state import Requests
from stream_durable.sdk.durations import Duration, milliseconds
from stream_durable.sdk.given import is_same
from stream_durable.sdk.workflow import Workflow
from stream_durable.wire.starts import unknown_queue

_NAMES_SHOWN: Final = 20

_requests = msgspec.json.Decoder(Requests).decode


class StartOptions(TypedDict, total=False):
    """Options for starting a run."""

    #: Each id names one run, however often started.
    id: str | None
    #: Begin at a moment, with a time zone, or after a time; by default at once.
    at: datetime | None
    after: Duration | None
    #: The queue of steps without a queue.
    queue: str | None
    #: -100 to 100: among the commands held by a worker, higher ones go first.
    priority: int
    tags: Iterable[str]
    #: An object of the starter's own, which steps read as `ctx.metadata`.
    metadata: Mapping[str, Any] | None
    #: Typed values by which lists find the run: texts, numbers, true or false, moments.
    attributes: Mapping[str, str | float | bool | Decimal | datetime] | None
    #: How long the run may take from its beginning, in place of the workflow's `timeout=`.
    timeout: Duration | None
    #: How long after its beginning the run is expected to end, or by when, in place of the workflow's `due=`.
    due: Duration | datetime | None
    #: The W3C `traceparent` to continue.
    trace: str | None
    #: A signal that the run is given with the start, or alone if it exists: a name, or a name and data.
    signal: str | tuple[str, Any] | None
    #: The id of the signal, which counts once.
    signal_id: str | None
    #: Who sends the signal, under any name.
    signal_by: str
    #: How long the signal is kept for a wait that has not begun; by default until the end of the run.
    signal_ttl: Duration | None


_OPTIONS: Final = frozenset(StartOptions.__optional_keys__)


def check_options(given: Iterable[str]) -> None:
    """Raise `TypeError` for an option that there is not, as a call with a wrong keyword does."""
    for name in given:
        if name not in _OPTIONS:
            close = get_close_matches(name, _OPTIONS, 1)
            meant = f": is {close[0]}= meant?" if close else ""
            raise TypeError(f"start() has no option {name}={meant}")


def time_limit(timeout: Duration | None) -> int | None:
    """Return a run's own time-out in milliseconds, or raise for one that is no time."""
    return _some_time("timeout", timeout)


def expected(due: Duration | datetime | None) -> tuple[int | None, int | None]:
    """Return the due time of a run in milliseconds: after its beginning, or as a moment."""
    if isinstance(due, datetime):
        return None, max(0, since_epoch("due", due))
    return _some_time("due", due), None


def _some_time(option: str, given: Duration | None) -> int | None:
    if given is None:
        return None
    millis = milliseconds(given)
    if millis < 1:
        raise RejectedError("bad_duration", f"{option}={given!r} of a start is no time: give 1 ms or more")
    return millis


async def resolve(edge: Edge, workflow: Workflow | str) -> tuple[str, str]:
    """Return name and fingerprint of a workflow, with the definition on the log."""
    catalogue = edge.ports.catalogue
    if isinstance(workflow, Workflow):
        await _register(edge, workflow)
        return workflow.name, workflow.fingerprint
    await edge.ask(catalogue.catch_up, "read the definitions")
    fingerprint = catalogue.current(workflow)
    if fingerprint is None:
        raise _unknown_workflow(workflow, catalogue.workflows())
    return workflow, fingerprint


def check_input(edge: Edge, name: str, fingerprint: str, data: Raw) -> None:
    """Refuse an input unfit for the latest registered version."""
    refusal = edge.ports.catalogue.about(fingerprint).refusal(name, bytes(data))
    if refusal is not None:
        raise refusal


async def _register(edge: Edge, workflow: Workflow) -> None:
    """Publish a definition if needed, after the definitions of all children."""
    catalogue, definition, about = edge.ports.catalogue, workflow.definition(), workflow.about
    if catalogue.graph(workflow.fingerprint) is None:
        await edge.ask(catalogue.catch_up, "read the definitions")
    for child in workflow.children:
        await _register(edge, child)
    if catalogue.graph(workflow.fingerprint) is None:
        await edge.ask(lambda: catalogue.register(definition, about), f"register workflow {workflow.name!r}")


def beginning(at: datetime | None, after: Duration | None) -> int | None:
    """Return when a run is to begin, in milliseconds; None: at once."""
    if at is not None and after is not None:
        raise RejectedError("contradiction", "a run begins at= a moment or after= a time, not both")
    if at is not None:
        return max(0, since_epoch("at", at))
    if after is not None:
        return since_epoch("now", datetime.now(UTC)) + milliseconds(after)
    return None


async def check_queue(edge: Edge, queue: str) -> None:
    """Refuse a queue that has no topic: no step could ever be asked for there."""
    catalogue = edge.ports.catalogue
    if queue and not await edge.ask(lambda: catalogue.has_queue(queue), f"look for queue {queue!r}"):
        raise unknown_queue(queue)


def some_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """Return tags; a single text in place of a list is refused."""
    if isinstance(tags, str):
        raise RejectedError("bad_tags", f"tags= takes a list of texts: write tags=[{tags!r}]")
    return tuple(tags)


def check_workflow(row: RunRow, message: StartRun) -> None:
    """Refuse a start of a run that exists and is one of another workflow."""
    if row.workflow != message.workflow:
        raise RejectedError(
            "different_workflow",
            f"run {row.id!r} exists and is one of workflow {row.workflow!r}, not of {message.workflow!r}: "
            "take another id",
        )


def named_signal(given: object) -> tuple[str, Any]:
    """Return name and data of a signal given as `signal=`."""
    if isinstance(given, str):
        return given, None
    if isinstance(given, tuple) and len(given) == 2 and isinstance(given[0], str):
        return given
    raise RejectedError("bad_signal", f"signal= takes a name, or a name and data, not {given!r}")


def check_same(row: RunRow, message: StartRun) -> None:
    """Refuse a second start unless equal to the first."""
    check_workflow(row, message)
    if not is_same(row.input, message.input):
        raise RejectedError(
            "different_input",
            f"run {row.id!r} exists and was started with another input: take another id, or leave it be",
        )


def _unknown_workflow(name: str, known: list[str]) -> RejectedError:
    close = get_close_matches(name, known, 1)
    meant = f"; is {close[0]!r} meant?" if close else "."
    shown = ", ".join(known[:_NAMES_SHOWN]) or "none"
    return RejectedError(
        "unknown_workflow",
        f"no workflow {name[:128]!r} is registered{meant} There are: {shown}. Start a worker that has it",
    )


def repeated(row: RunRow, fingerprint: str, *, key: str, id: str) -> StartRun:  # noqa: A002 - the word for it everywhere
    """Return a start of another run with what the start of a run brought."""
    requests = None if row.requests is None else _requests(row.requests)
    return StartRun(
        key=key,
        id=id,
        workflow=row.workflow,
        fingerprint=fingerprint,
        input=Raw(input_of(row, requests)),
        tags=() if row.tags is None else tuple(msgspec.json.decode(row.tags)),
        queue=row.queue or "",
        priority=row.priority,
        metadata=None if row.metadata is None else Raw(row.metadata),
        timeout_ms=None if requests is None else requests.timeout_ms,
        due_ms=None if requests is None else requests.due_ms,
        attributes=thaw_attributes(row.attributes),
    )
