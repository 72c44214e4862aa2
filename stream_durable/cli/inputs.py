"""Commands about questions that steps ask people."""

from __future__ import annotations

import asyncio
import getpass
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stream_durable.cli.change import Change, changes
from stream_durable.cli.errors import UsageError
from stream_durable.cli.history import ask_run
from stream_durable.cli.output import Format, Output, show, show_one
from stream_durable.cli.runs import After, Limit
from stream_durable.cli.selection import RunId
from stream_durable.cli.values import load_settings, read_json
from stream_durable.cli.watching import watches

if TYPE_CHECKING:
    from stream_durable.client import AsyncClient, InputFilter, InputList, Question, RunHandle

app = typer.Typer(help="Questions that steps ask people.", no_args_is_help=True)

Wait = Annotated[str, typer.Argument(metavar="WAIT", help="Name of the step that asks.", show_default=False)]
OptionalRun = Annotated[
    str | None,
    typer.Argument(metavar="[RUN]", help="Id of the run, or a unique beginning of it.", show_default=False),
]
OptionalWait = Annotated[
    str | None, typer.Argument(metavar="[WAIT]", help="Name of the step that asks.", show_default=False)
]
By = Annotated[str | None, typer.Option("--by", help="Who does it.", show_default="the user's name")]
Comment = Annotated[str, typer.Option("--comment", help="Kept beside it.")]
Workflow = Annotated[str | None, typer.Option("--workflow", "-w", help="Only of runs of this workflow.")]
OfWait = Annotated[str | None, typer.Option("--wait", help="Only of steps of this name.")]
Role = Annotated[str | None, typer.Option("--role", help="Only for this role.")]
Assignee = Annotated[str | None, typer.Option("--assignee", help="Only this person's.")]
Nobody = Annotated[bool, typer.Option("--unassigned", help="Only unassigned questions.")]
Tag = Annotated[str | None, typer.Option("--tag", help="Only of runs with this tag.")]
Expiring = Annotated[
    str | None, typer.Option("--expiring", help='Only those whose time is over within this, as "2h".')
]
Overdue = Annotated[bool, typer.Option("--overdue", help="Only those whose answer was expected before now.")]
DueWithin = Annotated[
    str | None, typer.Option("--due", help='Only those whose answer is expected within this, as "2h".')
]
_COLUMNS = ("run", "workflow", "wait", "prompt", "answer", "role", "assignee", "since", "due", "until")
_SHOWN = 20


@app.callback()
def _inputs() -> None:
    """Questions that steps ask people."""


@app.command("list")
@watches
def list_inputs(
    workflow: Workflow = None,
    wait: OfWait = None,
    role: Role = None,
    assignee: Assignee = None,
    unassigned: Nobody = False,
    tag: Tag = None,
    expiring: Expiring = None,
    overdue: Overdue = False,
    due: DueWithin = None,
    limit: Limit = 50,
    after: After = None,
    output: Output = Format.TABLE,
) -> None:
    """List the questions that wait for an answer, the oldest first.

    Example: `stream-durable inputs list --role warehouse --expiring 2h`
    """
    which = _filter(workflow, wait, role, assignee, unassigned, tag, expiring, overdue, due)
    page = _asked(lambda client: client.inputs(which, limit=limit, after=after))
    _show(page, output)
    if page.following is not None:
        typer.echo(f"There are more: --after '{page.following}'", err=True)


@app.command("show")
def show_input(run: RunId, wait: Wait, output: Output = Format.TABLE) -> None:
    """Show a question, the form of the answer, and all actions, answered or not.

    Example: `stream-durable inputs show order-42 approved`
    """
    found, question = _of_run(run, lambda handle: _question(handle, wait))
    about = {"run": found, "wait": wait, **question._asdict()}
    about["changes"] = [change._asdict() for change in question.changes]
    if output is not Format.TABLE:
        show_one(about, output)
        return
    for name in ("prompt", "answer", "role", "assignee", "due", "metadata", "schema"):
        if about[name]:
            typer.echo(f"{name:<10}{about[name]}")
    columns = ("at", "kind", "by", "to", "role", "comment")
    show(about["changes"], columns, output, empty="Nothing was done about it yet.")


@app.command("answer")
@changes
def answer(
    run: OptionalRun = None,
    wait: OptionalWait = None,
    value: Annotated[
        str | None,
        typer.Option(
            "--answer", "-a", help="JSON, or @file, or - for standard input; without it a terminal asks."
        ),
    ] = None,
    by: By = None,
    comment: Comment = "",
    workflow: Workflow = None,
    of_wait: OfWait = None,
    role: Role = None,
    assignee: Assignee = None,
    unassigned: Nobody = False,
    tag: Tag = None,
    expiring: Expiring = None,
    overdue: Overdue = False,
    due: DueWithin = None,
    *,
    change: Change,
) -> None:
    """Answer a question, or all matching questions with the same answer.

    Without `--answer` a terminal asks, field by field for a form. An unfit answer is refused, and nothing
    changes.

    Example: `stream-durable inputs answer order-42 approved --answer '"yes"' --comment "by phone"`
    """
    which = _filter(workflow, of_wait, role, assignee, unassigned, tag, expiring, overdue, due)
    if run is not None and wait is not None:
        _answer_one(run, wait, value, by, comment, change)
    elif run is not None:
        raise UsageError("name the step that asks, too")
    elif value is None:
        raise UsageError("name a run and a step that asks; or give --answer and conditions")
    else:
        _answer_many(which, read_json(value, "--answer"), by, comment, change)


@app.command("claim")
@changes
def claim(run: RunId, wait: Wait, by: By = None, *, change: Change) -> None:
    """Take a question on, unless it is somebody else's.

    Example: `stream-durable inputs claim order-42 approved --by ann`
    """
    who = by or getpass.getuser()
    _change(
        change,
        f"claim {wait} of {run}",
        run,
        lambda handle: handle.claim(wait, who),
        lambda found: f"Asked to make {wait} of {found} the question of {who}.",
    )


@app.command("assign")
@changes
def assign(
    run: RunId,
    wait: Wait,
    to: Annotated[
        str, typer.Argument(metavar="TO", help='Who is to answer; "" for anybody.', show_default=False)
    ],
    role: Annotated[str | None, typer.Option("--role", help="Who may answer, from now on.")] = None,
    by: By = None,
    comment: Comment = "",
    *,
    change: Change,
) -> None:
    """Assign a question to a person, in place of the present assignee.

    Example: `stream-durable inputs assign order-42 approved bob --comment "I am on leave"`
    """
    who = by or getpass.getuser()
    _change(
        change,
        f"hand {wait} of {run} over to {to or 'anybody'}",
        run,
        lambda handle: handle.assign(wait, to, role=role, by=who, comment=comment),
        lambda found: f"Asked to hand {wait} of {found} over to {to or 'anybody'}.",
    )


@app.command("comment")
@changes
def comment(
    run: RunId,
    wait: Wait,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What is noted.", show_default=False)],
    by: By = None,
    *,
    change: Change,
) -> None:
    """Note something beside a question.

    Example: `stream-durable inputs comment order-42 approved "is it paid?"`
    """
    _change(
        change,
        f"note something beside {wait} of {run}",
        run,
        lambda handle: handle.comment(wait, text, by=by or getpass.getuser()),
        lambda found: f"Noted beside {wait} of {found}.",
    )


def _answer_one(run: str, wait: str, value: str | None, by: str | None, comment: str, change: Change) -> None:
    who = by or getpass.getuser()

    async def act(handle: RunHandle) -> str:
        if value is not None:
            given = read_json(value, "--answer")
        elif sys.stdin.isatty():
            from stream_durable.cli.form import asked_for

            question = await _question(handle, wait)
            given = await asyncio.to_thread(asked_for, question)
        else:
            raise UsageError("give --answer: only a terminal asks for it")
        return await handle.answer(wait, given, by=who, comment=comment)

    _change(change, f"answer {wait} of {run}", run, act, lambda found: f"Answered {wait} of {found}.")


def _answer_many(which: InputFilter, value: Any, by: str | None, comment: str, change: Change) -> None:
    if which == _filter():
        raise UsageError("give conditions for questions: --wait, --workflow, --role, --assignee, --tag …")

    async def act(client: AsyncClient) -> int | None:
        if not (change.yes or change.dry_run):
            page = await client.inputs(which, limit=_SHOWN)
            _show(page, Format.TABLE)
            more = " and more" if page.following is not None else ""
            if not page.inputs or not await asyncio.to_thread(
                typer.confirm, f"Answer these {len(page.inputs)}{more} with {value!r}?", err=True
            ):
                return None
        return await client.answer_all(
            which, value, by=by or getpass.getuser(), comment=comment, progress=_progress
        )

    change.make("answer the matching questions", act, _answered)


def _answered(count: int | None) -> str:
    return f"Answered {count or 0} {'question' if count == 1 else 'questions'}."


def _progress(told: int) -> None:
    typer.echo(f"{told:,} answered", err=True)


async def _question(handle: RunHandle, wait: str) -> Question:
    from stream_durable.core.errors import RejectedError

    state = await handle.state()
    question = state.steps[wait].asked if wait in state.steps else None
    if question is None:
        asking = [name for name, step in state.steps.items() if step.asked is not None]
        there = f"; those that asked are {', '.join(asking)}" if asking else ""
        raise RejectedError("not_asked", f"no step {wait!r} of run {handle.id!r} has asked{there}")
    return question


def _show(page: InputList, output: Format) -> None:
    show([one._asdict() for one in page.inputs], _COLUMNS, output, empty="Nobody is asked.")


def _filter(
    workflow: str | None = None,
    wait: str | None = None,
    role: str | None = None,
    assignee: str | None = None,
    unassigned: bool = False,  # noqa: FBT001, FBT002 - as the command has it
    tag: str | None = None,
    expiring: str | None = None,
    overdue: bool = False,  # noqa: FBT001, FBT002 - as the command has it
    due: str | None = None,
) -> InputFilter:
    from stream_durable.client import InputFilter

    if unassigned and assignee is not None:
        raise UsageError("--assignee or --unassigned, not both")
    return InputFilter(
        workflow=workflow, wait=wait, role=role, assignee="" if unassigned else assignee, tag=tag,
        expires_within=expiring, overdue=overdue, due_within=due,
    )  # fmt: skip


def _asked(ask: Callable[[AsyncClient], Awaitable[Any]]) -> Any:
    from stream_durable import connecting

    async def run() -> Any:
        async with connecting.client(load_settings()) as client:
            return await ask(client)

    return asyncio.run(run())


def _of_run(written: str, ask: Callable[[RunHandle], Awaitable[Any]]) -> tuple[str, Any]:
    return asyncio.run(ask_run(written, ask))


def _change(
    change: Change,
    what: str,
    run: str,
    order: Callable[[RunHandle], Awaitable[str]],
    done: Callable[[str], str],
) -> None:
    """Make a change to a question of a run; `done` gets the whole id of the run."""

    async def act(client: AsyncClient) -> str:
        from stream_durable.cli.lookup import find_run

        found = await find_run(load_settings(), run)
        await order(client.run(found))
        return found

    change.make(what, act, done)
