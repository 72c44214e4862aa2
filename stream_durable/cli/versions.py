"""The effect of a deployment on open runs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from stream_durable.cli.errors import CHECK_FAILED
from stream_durable.cli.output import Format, Output, show
from stream_durable.cli.values import AppTarget, load, load_settings

if TYPE_CHECKING:
    from stream_durable.core.definition.nodes import Definition
    from stream_durable.core.definition.stranding import Carried
    from stream_durable.ports import LiveVersion, OperatorViews
    from stream_durable.sdk.app import App
    from stream_durable.settings import Settings

#: Runs named for each reason.
_SHOWN: Final = 5


def diff(
    target: AppTarget,
    is_alone: Annotated[
        bool,
        typer.Option("--alone", help="There is no other app: a workflow missing here has no workers."),
    ] = False,
    output: Output = Format.TABLE,
) -> None:
    """Compare an app with the open runs, before deployment: list changes since the start of each run, and
    runs bound to fail.

    Exits with 4 if a run would fail. Types are not compared: whether the new version can read outputs of old
    steps shows only at run time.

    Example: `stream-durable workflows diff shop:app`
    """
    found = asyncio.run(_differences(load_settings(), load(target), is_alone=is_alone))
    if output is Format.TABLE:
        _print(found, target)
    else:
        show(found, (), output, empty="")
    if any(version["stranded"] for version in found):
        raise typer.Exit(CHECK_FAILED)


async def _differences(settings: Settings, app: App, *, is_alone: bool) -> list[dict[str, Any]]:
    """Return, for each version of an open run, the differences and their effect."""
    from stream_durable import operating
    from stream_durable.core.definition.stranding import Carried
    from stream_durable.services.definitions import published

    definitions = {graph.fingerprint: graph.definition for graph in await published(settings)}
    carried = {
        name: Carried(workflow.definition(), {k: h.needs() for k, h in workflow.handlers().items()})
        for name, workflow in app.workflows.items()
    }
    async with operating.views(settings) as views:
        return [
            await _version(views, version, definitions, carried, is_alone=is_alone)
            for version in await views.live_versions()
        ]


async def _version(
    views: OperatorViews,
    version: LiveVersion,
    definitions: dict[str, Definition],
    apps: dict[str, Carried],
    *,
    is_alone: bool,
) -> dict[str, Any]:
    from stream_durable.core.definition.difference import changes
    from stream_durable.core.definition.stranding import notices, queues_of, strands

    carried, old = apps.get(version.workflow), definitions.get(version.fingerprint)
    found: dict[str, Any] = {
        "workflow": version.workflow,
        "fingerprint": version.fingerprint,
        "current": None if carried is None else carried.definition.fingerprint(),
        "runs": version.runs,
        "changes": [],
        "stranded": [],
        "notices": [],
    }
    if old is None:
        text = "its definition is not on the definitions topic, so it cannot be compared"
        found["notices"].append({"step": None, "text": text})
        return found
    if found["current"] == version.fingerprint:
        return found
    if carried is None:
        if not is_alone:
            text = "not in this app: another app must have it (--alone: there is no other app)"
            found["notices"].append({"step": None, "text": text})
    else:
        queues = frozenset(queue for each in apps.values() for queue in queues_of(each.definition))
        found["changes"] = [change._asdict() for change in changes(old, carried.definition)]
        found["notices"] = [notice._asdict() for notice in notices(old, carried, queues)]
    for strand in strands(old, apps, definitions, is_alone=is_alone):
        count, ids = await views.live_runs(version, strand.step, strand.safe, _SHOWN)
        if count:
            reason = {**strand._asdict(), "runs": count, "examples": ids}
            del reason["safe"]
            found["stranded"].append(reason)
    return found


def _print(found: list[dict[str, Any]], target: str) -> None:
    for version in found:
        name, old, new = version["workflow"], version["fingerprint"], version["current"]
        if old == new:
            typer.echo(f"{name} {old}: {_runs(version['runs'])}, the version of {target}")
            continue
        typer.echo(f"{name} {old}: {_runs(version['runs'])}; {target} has {new or 'no such workflow'}")
        for change in version["changes"]:
            typer.echo(f"  {_at(change)}{change['text']}")
        for notice in version["notices"]:
            typer.echo(f"  note: {_at(notice)}{notice['text']}")
        for reason in version["stranded"]:
            more = ", …" if reason["runs"] > len(reason["examples"]) else ""
            ids = ", ".join(reason["examples"])
            typer.secho("  STRANDED ", fg="red", bold=True, nl=False)
            typer.echo(f"{_runs(reason['runs'])} ({ids}{more})")
            typer.echo(f"    {_at(reason)}{reason['text']}")
            typer.echo(f"    remedy: {reason['remedy']}")
    if not found:
        typer.echo("No run is under way.")
    elif not any(version["stranded"] for version in found):
        typer.echo(f"No run would be stranded by {target}.")


def _at(said: dict[str, Any]) -> str:
    return "" if said["step"] is None else f"{said['step']}: "


def _runs(count: int) -> str:
    return f"{count} live run{'' if count == 1 else 's'}"
