"""Commands about the topics."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from stream_durable.cli.change import Change, changes
from stream_durable.cli.errors import CheckFailedError
from stream_durable.cli.output import Format, Output, show
from stream_durable.cli.values import AppOption, load, load_settings

if TYPE_CHECKING:
    from stream_durable.ports import TopicStep
    from stream_durable.settings import Settings

app = typer.Typer(help="The topics in Kafka.", no_args_is_help=True)

#: Actions that end a plan with code 4, besides refusals.
_WRONG = (
    ("create", "topic", "missing; `stream-durable topics apply` makes them"),
    ("change", "property", "wrong; `stream-durable topics apply` sets them"),
    ("warning", "thing", "wrong that `stream-durable topics apply` cannot correct"),
)

Queues = Annotated[
    list[str] | None,
    typer.Option("--queue", "-q", help="A queue in need of a topic; may be repeated.", show_default=False),
]


@app.callback()
def _group() -> None:
    """The topics in Kafka."""


@app.command()
def plan(queue: Queues = None, app: AppOption = None, output: Output = Format.TABLE) -> None:
    """Say what `apply` would do, and do nothing; exit 4 if something is missing or wrong.

    Example: `stream-durable topics plan --app shop:app`
    """
    from stream_durable import operating

    settings = load_settings()
    steps = asyncio.run(operating.plan_topics(settings, _queues(settings, queue, app)))
    _show(steps, output)
    _raise_if_refused(steps)
    wrong = [
        f"{_count(count, what)} {how}"
        for action, what, how in _WRONG
        if (count := sum(step.action == action for step in steps))
    ]
    if wrong:
        raise CheckFailedError("\n".join(wrong))


@app.command()
@changes
def apply(queue: Queues = None, app: AppOption = None, *, change: Change) -> None:
    """Create missing topics, and correct properties with wrong values.

    A change moving keys to other partitions is refused; then nothing is created or changed (exit 4). Other
    properties, and better values than needed, stay. A `warning` names a problem without a remedy here.

    Example: `stream-durable topics apply --queue default --queue mail`
    """
    from stream_durable import operating

    settings = load_settings()
    act = operating.plan_topics if change.dry_run else operating.apply_topics
    steps = asyncio.run(act(settings, _queues(settings, queue, app)))
    _show(steps, change.output)
    _raise_if_refused(steps)


@app.command()
@changes
def make(
    name: Annotated[list[str], typer.Argument(metavar="NAME...", help="Topics of your own.")],
    partitions: Annotated[
        int | None,
        typer.Option(min=1, max=1_024, help="Partitions of each.", show_default="kafka.partitions"),
    ] = None,
    *,
    change: Change,
) -> None:
    """Create topics of your own, for example for stream processors; existing topics are left alone.

    They have `kafka.replication` replicas and the brokers' default retention.

    Example: `stream-durable topics make orders payments`
    """
    from stream_durable import operating

    settings = load_settings()
    made = asyncio.run(operating.create_topics(settings, name, partitions, is_rehearsal=change.dry_run))
    if change.output is Format.TABLE:
        created = "would be created" if change.dry_run else "was created"
        for one in name:
            typer.echo(f"{one} {created}." if one in made else f"{one} exists already.")
        return
    rows = [{"topic": one, "created": one in made and not change.dry_run} for one in name]
    show(rows, (), change.output, empty="")


def _queues(settings: Settings, queue: list[str] | None, target: str | None) -> list[str]:
    """Return the queues from the settings, the options and the app without repeats, with all parts."""
    from stream_durable.services.roles import queues_of

    queues = [*settings.worker.queues, *(queue or ())]
    if target:
        loaded = load(target)
        return list(dict.fromkeys(loaded.parts((*queues, *queues_of(loaded)))))
    return list(dict.fromkeys(queues))


def _show(steps: list[TopicStep], output: Format) -> None:
    rows = [{"topic": step.topic, "action": step.action, "detail": step.detail} for step in steps]
    show(rows, ("topic", "action", "detail"), output, empty="There is nothing to do.")


def _raise_if_refused(steps: list[TopicStep]) -> None:
    refused = [f"{step.topic}: {step.detail}" for step in steps if step.action == "refuse"]
    if refused:
        raise CheckFailedError("\n".join(refused))


def _count(number: int, what: str) -> str:
    plural = f"{what.removesuffix('y')}ies" if what.endswith("y") else f"{what}s"
    return f"1 {what} is" if number == 1 else f"{number} {plural} are"
