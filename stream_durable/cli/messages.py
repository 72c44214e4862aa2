"""Commands for publishing events and sending signals."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from stream_durable.cli.selection import read_time
from stream_durable.cli.values import load_settings, read_json

Data = Annotated[str, typer.Option("--data", "-d", help="JSON data, or @file, or - for standard input.")]
At = Annotated[
    str | None, typer.Option("--at", help="Send it at this time, as 2030-01-31T09:00.", show_default="now")
]
By = Annotated[str, typer.Option("--by", help="Who sends it, under any name.")]
Later = Annotated[str | None, typer.Option("--after", help='Send it after this time, as "90s" or "1d".')]


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
) -> None:
    """Publish an event, for all runs waiting now or later.

    Example: `stream-durable publish payment.captured --key 42 --data '{"amount": 9.5}'`
    """
    from stream_durable import bootstrap

    value = read_json(data, "--data")
    moment = None if at is None else read_time(at, "--at")
    settings = load_settings()

    async def send() -> None:
        async with bootstrap.client(settings) as client:
            await client.publish(
                event, key=key, data=value, id=message_id, ttl=ttl, by=by, at=moment, after=after
            )

    asyncio.run(send())
    typer.echo(
        f"{_done('Published', at, after)} {event} {'without a key' if key is None else f'with key {key}'}."
    )


def signal(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Id of the run, or a unique beginning of it.")],
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
) -> None:
    """Send a signal to a run.

    Example: `stream-durable signal order-42 released --data '{"by": "tom"}'`
    """
    from stream_durable import bootstrap
    from stream_durable.cli.lookup import find_run

    value = read_json(data, "--data")
    moment = None if at is None else read_time(at, "--at")
    settings = load_settings()

    async def send() -> str:
        run_id = await find_run(settings, run)
        async with bootstrap.client(settings) as client:
            await client.signal(run_id, name, value, id=message_id, ttl=ttl, by=by, at=moment, after=after)
        return run_id

    typer.echo(f"{_done('Sent', at, after)} {name} to {asyncio.run(send())}.")


def _done(done: str, at: str | None, after: str | None) -> str:
    return done if at is None and after is None else f"{done} for later:"
