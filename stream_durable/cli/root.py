"""All commands, by name."""

from __future__ import annotations

from typing import Annotated

import typer

from stream_durable.cli import (
    admissions,
    api,
    bench,
    bindings,
    config,
    counting,
    db,
    dead,
    demo,
    dev,
    doctor,
    gates,
    graph,
    history,
    inputs,
    inquiries,
    later,
    messages,
    orders,
    partitions,
    project,
    queues,
    replay,
    report,
    run_changes,
    runs,
    schedules,
    services,
    status,
    tokens,
    top,
    topics,
    triggers,
    versions,
    waits,
    why,
    workflows,
)
from stream_durable.cli.errors import Commands

app = typer.Typer(
    name="stream-durable",
    cls=Commands,
    help="Durable workflows on Kafka topics, reconciled into Postgres exactly once.",
    epilog="Exit codes: 0 done, 1 failure, 2 usage, 3 not found, 4 a check found something.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)

_LAPTOP = "On a laptop"
_SERVICES = "Services"
_RUNS = "Runs"
_OPERATIONS = "Operations"

app.command("new", rich_help_panel=_LAPTOP)(project.new)
app.command("init", rich_help_panel=_LAPTOP)(project.init)
app.command("dev", rich_help_panel=_LAPTOP)(dev.dev)
app.command("demo", rich_help_panel=_LAPTOP)(demo.demo)
app.command("up", rich_help_panel=_SERVICES)(services.up)
app.command("reconciler", rich_help_panel=_SERVICES)(services.reconciler)
app.command("worker", rich_help_panel=_SERVICES)(services.worker)
app.command("ingress", rich_help_panel=_SERVICES)(services.ingress)
app.command("api", rich_help_panel=_SERVICES)(api.api)
runs.app.command("count")(counting.count)
runs.app.command("graph")(graph.graph_run)
runs.app.command("report")(report.report_run)
for order in (
    orders.cancel,
    orders.pause,
    orders.resume,
    orders.skip,
    orders.retry,
    orders.review,
    orders.complete,
    orders.fail,
    run_changes.change,
    orders.again,
):
    runs.app.command(order.__name__)(order)
for look in (
    history.children,
    history.tree,
    history.attempts,
    history.logs,
    history.history,
    history.output,
    history.value,
):
    runs.app.command(look.__name__)(look)
runs.app.command("ask")(inquiries.ask)
runs.app.command("why")(why.runs_why)
app.add_typer(runs.app, name="runs", rich_help_panel=_RUNS)
app.command("why", rich_help_panel=_RUNS)(why.why)
app.add_typer(dead.app, name="dead", rich_help_panel=_RUNS)
app.add_typer(waits.waits, name="waits", rich_help_panel=_RUNS)
app.add_typer(waits.events, name="events", rich_help_panel=_RUNS)
app.add_typer(inputs.app, name="inputs", rich_help_panel=_RUNS)
app.add_typer(tokens.app, name="tokens", rich_help_panel=_RUNS)
app.command("publish", rich_help_panel=_RUNS)(messages.publish)
app.command("signal", rich_help_panel=_RUNS)(messages.signal)
app.add_typer(later.later, name="later", rich_help_panel=_RUNS)
app.add_typer(schedules.schedules, name="schedules", rich_help_panel=_RUNS)
app.add_typer(triggers.triggers, name="triggers", rich_help_panel=_RUNS)
app.add_typer(bindings.bindings, name="bindings", rich_help_panel=_RUNS)
workflows.app.command("graph")(graph.graph_workflow)
workflows.app.command("diff")(versions.diff)
app.add_typer(workflows.app, name="workflows", rich_help_panel=_RUNS)
app.command("status", rich_help_panel=_OPERATIONS)(status.status)
app.command("top", rich_help_panel=_OPERATIONS)(top.top)
app.command("doctor", rich_help_panel=_OPERATIONS)(doctor.doctor)
app.add_typer(queues.queues, name="queues", rich_help_panel=_OPERATIONS)
app.add_typer(queues.workers, name="workers", rich_help_panel=_OPERATIONS)
app.add_typer(gates.app, name="gates", rich_help_panel=_OPERATIONS)
app.add_typer(admissions.app, name="admissions", rich_help_panel=_OPERATIONS)
app.add_typer(api.tokens, name="api-tokens", rich_help_panel=_OPERATIONS)
app.command("openapi", rich_help_panel=_OPERATIONS)(api.openapi)
app.add_typer(topics.app, name="topics", rich_help_panel=_OPERATIONS)
app.add_typer(db.app, name="db", rich_help_panel=_OPERATIONS)
app.add_typer(partitions.app, name="partitions", rich_help_panel=_OPERATIONS)
app.add_typer(replay.app, name="replay", rich_help_panel=_OPERATIONS)
app.add_typer(config.app, name="config", rich_help_panel=_OPERATIONS)
app.command("bench", rich_help_panel=_OPERATIONS)(bench.bench)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"stream-durable {version('stream-durable')}")
        raise typer.Exit


@app.callback()
def _root(
    debug: Annotated[bool, typer.Option("--debug", help="Show the stack trace of an error.")] = False,
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True),
    ] = False,
) -> None:
    """Declare the options common to all commands; `Commands` reads them."""
