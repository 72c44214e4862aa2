"""Selection of runs: one by id, or all runs matching the options."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from stream_durable.cli.errors import UsageError
from stream_durable.cli.gathering import gathers
from stream_durable.cli.values import load_settings
from stream_durable.core.durations import parsed_ms

if TYPE_CHECKING:
    from stream_durable.client import RunFilter


class RunStatus(StrEnum):
    """Where a run can stand."""

    PENDING = "pending"
    RUNNING = "running"
    WAITING = "waiting"
    PAUSED = "paused"
    CANCELLING = "cancelling"
    COMPENSATING = "compensating"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    COMPENSATED = "compensated"
    COMPENSATION_FAILED = "compensation_failed"
    MERGED = "merged"


class Trigger(StrEnum):
    """Triggers of runs."""

    CLIENT = "client"
    EVENT = "event"
    SCHEDULE = "schedule"
    PARENT = "parent"


RunId = Annotated[
    str, typer.Argument(metavar="RUN", help="Id of the run, or a unique beginning of it.", show_default=False)
]
#: For commands on one run, or on all matching runs.
OptionalRunId = Annotated[
    str | None,
    typer.Argument(metavar="[RUN]", help="Id of the run, or a unique beginning of it.", show_default=False),
]


class Selection(NamedTuple):
    """Conditions from the command line. Each field is an option of every command using `selects`."""

    workflow: Annotated[str | None, typer.Option("--workflow", "-w", help="Only of this workflow.")] = None
    fingerprint: Annotated[
        str | None, typer.Option("--fingerprint", help="Only of this version of the workflow.")
    ] = None
    status: Annotated[
        list[RunStatus] | None, typer.Option("--status", "-s", help="Only these; may be repeated.")
    ] = None
    failed: Annotated[
        bool, typer.Option("--failed", help="Only runs that failed for good, undone or not.")
    ] = False
    needs_review: Annotated[
        bool, typer.Option("--needs-review", help="Only runs with held steps: a person decides about them.")
    ] = False
    overdue: Annotated[
        bool, typer.Option("--overdue", help="Only open runs past their due time, or with such steps.")
    ] = False
    reviewed: Annotated[
        bool | None,
        typer.Option("--reviewed/--unreviewed", help="Only failed runs that are, or are not, reviewed."),
    ] = None
    tag: Annotated[str | None, typer.Option("--tag", help="Only with this tag.")] = None
    queue: Annotated[str | None, typer.Option("--queue", help="Only runs started on this queue.")] = None
    parent: Annotated[
        str | None,
        typer.Option("--parent", help="Only runs started by this run: its id, or a unique beginning of it."),
    ] = None
    created_since: Annotated[
        str | None,
        typer.Option("--since", help='Created since then: a time, or "2h" for two hours ago.'),
    ] = None
    created_before: Annotated[str | None, typer.Option("--before", help="Created before then.")] = None
    updated_since: Annotated[
        str | None, typer.Option("--updated-since", help="Last changed, or ended, since then.")
    ] = None
    updated_before: Annotated[
        str | None, typer.Option("--updated-before", help="Last changed, or ended, before then.")
    ] = None
    input_text: Annotated[
        str | None, typer.Option("--text", help="Only with this text in the JSON of the input.")
    ] = None

    where: Annotated[
        list[str] | None,
        typer.Option(
            "--where",
            help="Only with such an attribute: amount>=9.5, region=north, note~text; may be repeated.",
        ),
    ] = None
    attribute_text: Annotated[
        str | None, typer.Option("--attribute-text", help="Only with this text in one of the attributes.")
    ] = None
    id_prefix: Annotated[str | None, typer.Option("--id-prefix", help="Only ids that begin like this.")] = (
        None
    )
    trigger: Annotated[Trigger | None, typer.Option("--trigger", help="Only runs started like this.")] = None
    schedule: Annotated[str | None, typer.Option("--schedule", help="Only runs of this schedule.")] = None
    failure_code: Annotated[
        str | None, typer.Option("--code", help="Only runs whose failure has this code.")
    ] = None
    failed_step: Annotated[
        str | None, typer.Option("--failed-step", help='Only runs that failed in this step; "": in none.')
    ] = None

    @property
    def is_empty(self) -> bool:
        """Whether there are no conditions, so that all runs match."""
        return not any(self) and self.failed_step is None

    def filter(self) -> RunFilter:
        """Return the conditions as a filter of the client."""
        from stream_durable.cli.lookup import find_run
        from stream_durable.client import RunFilter

        parent = self.parent
        if parent is not None:
            parent = asyncio.run(find_run(load_settings(), parent))
        return RunFilter(
            workflow=self.workflow,
            fingerprint=self.fingerprint,
            status=[one.value for one in self.status or ()],
            failed=self.failed,
            needs_review=self.needs_review,
            overdue=self.overdue,
            reviewed=self.reviewed,
            tag=self.tag,
            queue=self.queue,
            parent=parent,
            created_since=moment_or_span("--since", self.created_since),
            created_before=moment_or_span("--before", self.created_before),
            updated_since=moment_or_span("--updated-since", self.updated_since),
            updated_before=moment_or_span("--updated-before", self.updated_before),
            input_text=self.input_text,
            attributes=self.where or (),
            attribute_text=self.attribute_text,
            id_prefix=self.id_prefix,
            trigger=None if self.trigger is None else self.trigger.value,
            schedule=self.schedule,
            failure_code=self.failure_code,
            failed_step=self.failed_step,
        )


def selects(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of `Selection`, in the parameter `which`."""
    return gathers(command, Selection, "which")


def one_or_many(run: str | None, which: Selection) -> None:
    """Refuse a selection of no run, or of a run by id together with conditions."""
    if run is not None and not which.is_empty:
        raise UsageError("name a run or give conditions, not both")
    if run is None and which.is_empty:
        raise UsageError("name a run, or give conditions, such as --workflow order")


def read_time(text: str, option: str) -> datetime:
    """Return a time from its text; without a time zone the machine's zone applies."""
    try:
        return datetime.fromisoformat(text).astimezone()
    except ValueError:
        text = f"{option}: {text!r} is no time; write 2030-01-31T09:00 or 2030-01-31T09:00+02:00"
        raise UsageError(text) from None


def moment_or_span(option: str, text: str | None) -> datetime | str | None:
    """Return a time, or a duration as it is."""
    if text is None:
        return text
    if not text[:4].isdigit() or len(text) < len("2030-01-31"):
        if parsed_ms(text) is None:
            text = f"{option}: {text!r} is neither a time nor a duration; write 2030-01-31T09:00, or 2h or 1d"
            raise UsageError(text)
        return text
    return read_time(text, option)
