"""Commands about admissions."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stream_durable.cli.output import Format, Output, cell_text, show, show_one
from stream_durable.cli.runs import AfterId, Limit
from stream_durable.cli.values import load_settings
from stream_durable.cli.watching import watches
from stream_durable.core.moments import moment

if TYPE_CHECKING:
    from stream_durable.client import AdmissionState
    from stream_durable.core.admission.summary import AdmissionMember, AdmissionSummary
    from stream_durable.settings import Settings

app = typer.Typer(
    help="Starts of workflows with starts=: runs waiting to begin, and under way.", no_args_is_help=True
)


@app.callback()
def _group() -> None:
    """Starts of workflows with starts=: runs waiting to begin, and under way."""


@app.command("list")
@watches
def list_admissions(limit: Limit = 1_000, after: AfterId = "", output: Output = Format.TABLE) -> None:
    """List the admissions in use: the rule for starts, and how many runs wait.

    Example: `stream-durable admissions list`
    """
    found = asyncio.run(_list(load_settings(), after, limit))
    columns = ("id", "rule", "waiting", "under_way", "begins")
    show([_row(one) for one in found], columns, output, empty="No run waits for others of its workflow.")


@app.command("show")
def show_admission(
    workflow: Annotated[
        str, typer.Argument(metavar="WORKFLOW", help="Name of the workflow.", show_default=False)
    ],
    key: Annotated[
        str, typer.Option("--key", help="The key, where each has its runs.", show_default=False)
    ] = "",
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=10_000, help="Runs at most.")] = 100,
    after: Annotated[int, typer.Option("--after", min=0, help="Beyond this number.")] = 0,
    output: Output = Format.TABLE,
) -> None:
    """Show the runs of a workflow and a key: waiting to begin, and under way.

    Example: `stream-durable admissions show mail --key zoe@example.org`
    """
    admission, members = asyncio.run(_get(load_settings(), workflow, key, limit, after))
    rows = list(map(_member, members))
    if output is not Format.TABLE:
        show_one(_row(admission) | {"runs": rows}, output)
        return
    for field, value in _row(admission).items():
        if value is not None:
            typer.echo(f"{field:<14}{cell_text(value)}".rstrip())
    typer.echo()
    show(rows, ("stage", "run", "since", "number", "priority", "into"), output, empty="No run waits.")


async def _list(settings: Settings, after: str, limit: int) -> list[AdmissionSummary]:
    from stream_durable import operating

    async with operating.views(settings) as views:
        return await views.admission_list(after=after, limit=limit)


async def _get(settings: Settings, workflow: str, key: str, limit: int, after: int) -> AdmissionState:
    from stream_durable import operating
    from stream_durable.client.admissions import read_admission

    async with operating.views(settings) as views:
        return await read_admission(views, workflow, key=key, limit=limit, after=after)


def _row(admission: AdmissionSummary) -> dict[str, Any]:
    return {
        "id": admission.id,
        "workflow": admission.workflow,
        "key": admission.key or None,
        "rule": admission.rule_text,
        "waiting": admission.waiting,
        "under_way": admission.under_way,
        "begins": moment(admission.begins),
    }


def _member(member: AdmissionMember) -> dict[str, Any]:
    return {
        "stage": member.stage,
        "run": member.run,
        "since": moment(member.since),
        "number": member.ordinal,
        "priority": member.priority,
        "into": member.into or None,
    }
