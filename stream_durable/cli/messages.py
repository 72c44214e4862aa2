"""Commands for publishing events and sending signals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from stream_durable.cli.change import Change, changes
from stream_durable.cli.selection import RunId, read_time
from stream_durable.cli.values import load_settings, read_json

if TYPE_CHECKING:
    from stream_durable.client import AsyncClient

Data = Annotated[str, typer.Option("--data", "-d", help="JSON data, or @file, or - for standard input.")]
At = Annotated[
    str | None, typer.Option("--at", help="Send it at this time, as 2030-01-31T09:00.", show_default="now")
]
By = Annotated[str, typer.Option("--by", help="Who sends it, under any name.")]
Later = Annotated[str | None, typer.Option("--after", help='Send it after this time, as "90s" or "1d".')]


@changes
def publish(
    event: Annotated[str, typer.Argument(help="Name of the event, such as payment.captured.")],
    key: Annotated[
        str | None,
        typer.Option(
            "--key",
            "-k",
            help="Correlation key: waits with the same key get it; without, triggers alone.",
        ),
    ] = None,
    data: Data = "null",
    message_id: Annotated[
        str | None, typer.Option("--id", help="Message id: repeats under the same id change nothing.")
    ] = None,
    ttl: Annotated[
        str | None,
        typer.Option(help='Keep the event for future waits, as "90s" or "1d".'),
    ] = None,
    by: By = "",
    at: At = None,
    after: Later = None,
    *,
    change: Change,
) -> None:
    """Publish an event, for all runs waiting now or later.

    Example: `stream-durable publish payment.captured --key 42 --data '{"amount": 9.5}'`
    """
    value = read_json(data, "--data")
    moment = None if at is None else read_time(at, "--at")
    change.make(
        f"publish {event}",
        lambda client: client.publish(
            event, key=key, data=value, id=message_id, ttl=ttl, by=by, at=moment, after=after
        ),
        f"{_done('Published', at, after)} {event} {'without a key' if key is None else f'with key {key}'}.",
    )


@changes
def signal(
    run: RunId,
    name: Annotated[str, typer.Argument(help="Name of the signal.")],
    data: Data = "null",
    message_id: Annotated[
        str | None, typer.Option("--id", help="Message id: repeats under the same id change nothing.")
    ] = None,
    ttl: Annotated[
        str | None,
        typer.Option(
            help='Keep the signal for a wait to come, as "90s" or "1d".', show_default="until the run ends"
        ),
    ] = None,
    by: By = "",
    at: At = None,
    after: Later = None,
    *,
    change: Change,
) -> None:
    """Send a signal to a run.

    Example: `stream-durable signal order-42 released --data '{"by": "tom"}'`
    """
    from stream_durable.cli.lookup import find_run

    value = read_json(data, "--data")
    moment = None if at is None else read_time(at, "--at")

    async def send(client: AsyncClient) -> str:
        found = await find_run(load_settings(), run)
        await client.signal(found, name, value, id=message_id, ttl=ttl, by=by, at=moment, after=after)
        return found

    change.make(f"send {name} to {run}", send, lambda found: f"{_done('Sent', at, after)} {name} to {found}.")


def _done(done: str, at: str | None, after: str | None) -> str:
    return done if at is None and after is None else f"{done} for later:"
