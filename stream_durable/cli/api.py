"""Commands for the HTTP API."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stream_durable.cli.change import Change, changes
from stream_durable.cli.errors import NotFoundError, UsageError
from stream_durable.cli.output import Format, Output, show
from stream_durable.cli.services import HealthPort, host_service, with_health_port
from stream_durable.cli.values import load_settings
from stream_durable.cli.watching import watches
from stream_durable.core.moments import moment

if TYPE_CHECKING:
    from stream_durable.ports import StoredApiToken

tokens = typer.Typer(help="The tokens of the HTTP API.", no_args_is_help=True)

_MISSING = 'the HTTP API takes more packages: pip install "stream-durable[server]"'


@tokens.callback()
def _group() -> None:
    """The tokens of the HTTP API."""


def api(
    port: Annotated[
        int | None, typer.Option(min=0, max=65_535, help="Port to listen on.", show_default="api.port")
    ] = None,
    health_port: HealthPort = None,
) -> None:
    """Serve the HTTP API and the page.

    Run any number. Loopback needs no token; another `api.host` does, see `api-tokens`. SIGTERM or Ctrl-C lets
    requests under way end.

    Example: `stream-durable api --port 8400`
    """
    try:
        from stream_durable.api.serving import role
    except ModuleNotFoundError as error:
        raise UsageError(_MISSING) from error
    settings = with_health_port(health_port)
    if port is not None:
        settings = settings.override({"api.port": port})
    host_service("api", settings, role)


def openapi() -> None:
    """Print the OpenAPI document of the HTTP API.

    Example: `stream-durable openapi > openapi.json`
    """
    try:
        from stream_durable.api.app import written
    except ModuleNotFoundError as error:
        raise UsageError(_MISSING) from error
    typer.echo(written())


@tokens.command("create")
@changes
def create_token(
    name: Annotated[str, typer.Argument(help="Who holds it: written beside everything done with it.")],
    role: Annotated[
        str, typer.Option(help="viewer reads, operator also writes, admin also sees settings and tokens.")
    ] = "viewer",
    payloads: Annotated[
        bool, typer.Option("--payloads", help="May see inputs, outputs, logs and other values of users.")
    ] = False,
    expires: Annotated[
        str | None, typer.Option(help="After this time, such as 90d.", show_default="never")
    ] = None,
    *,
    change: Change,
) -> None:
    """Make a token and print its secret, which nobody can read again.

    Example: `stream-durable api-tokens create alice --role operator --payloads --expires 90d`
    """
    if role not in ("viewer", "operator", "admin"):
        raise UsageError(f"there is no role {role!r}: give viewer, operator or admin")
    what = f"create token {name}"
    if change.dry_run:
        if any(one.name == name for one in asyncio.run(_all())):
            raise UsageError(f"there is a token {name!r} already: `stream-durable api-tokens list` shows it")
        change.would(what, role=role, payloads=payloads)
        return
    secret = asyncio.run(_create(name, role, expires, payloads=payloads))
    change.made(what, secret, secret=secret)


@tokens.command("list")
@watches
def list_tokens(output: Output = Format.TABLE) -> None:
    """List the tokens, without secrets.

    Example: `stream-durable api-tokens list`
    """
    rows = [_row(one) for one in asyncio.run(_all())]
    columns = ("name", "role", "payloads", "created", "expires", "revoked")
    show(rows, columns, output, empty="There is no token: `stream-durable api-tokens create` makes one.")


@tokens.command("revoke")
@changes
def revoke_token(
    name: Annotated[str, typer.Argument(help="The name of the token.")], *, change: Change
) -> None:
    """Revoke a token: every process refuses it within five seconds.

    Example: `stream-durable api-tokens revoke alice`
    """
    what = f"revoke token {name}"
    change.confirm(what)
    if change.dry_run:
        is_there = any(one.name == name and one.revoked is None for one in asyncio.run(_all()))
    else:
        is_there = asyncio.run(_revoke(name))
    if not is_there:
        raise NotFoundError(
            f"there is no token {name!r} that is not revoked", "`stream-durable api-tokens list` shows them."
        )
    if change.dry_run:
        change.would(what)
    else:
        change.made(what, f"Token {name} is revoked.")


async def _create(name: str, role: Any, expires: str | None, *, payloads: bool) -> str:
    import time

    from stream_durable import operating
    from stream_durable.api_tokens import create
    from stream_durable.ports import StoredApiToken
    from stream_durable.sdk.durations import milliseconds

    now = time.time_ns() // 1_000_000
    until = None if expires is None else now + milliseconds(expires)
    async with operating.api_tokens(load_settings()) as found:
        return await create(found, StoredApiToken(name, role, payloads, now, until, None))


async def _all() -> list[StoredApiToken]:
    from stream_durable import operating

    async with operating.api_tokens(load_settings()) as found:
        return await found.all()


async def _revoke(name: str) -> bool:
    import time

    from stream_durable import operating

    async with operating.api_tokens(load_settings()) as found:
        return await found.revoke(name, time.time_ns() // 1_000_000)


def _row(one: StoredApiToken) -> dict[str, Any]:
    return {
        "name": one.name,
        "role": one.role,
        "payloads": one.may_see_payloads,
        "created": moment(one.created),
        "expires": moment(one.expires),
        "revoked": moment(one.revoked),
    }
