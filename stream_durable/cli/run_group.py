"""The group `runs`, with commands of several modules."""

from __future__ import annotations

from stream_durable.cli import (
    counting,
    graph,
    history,
    inquiries,
    orders,
    report,
    run_changes,
    runs,
    step_orders,
    why,
)

app = runs.app
app.command("count")(counting.count)
app.command("graph")(graph.graph_run)
app.command("report")(report.report_run)
for order in (
    orders.cancel,
    orders.pause,
    orders.resume,
    step_orders.skip,
    orders.retry,
    orders.review,
    step_orders.complete,
    step_orders.fail,
    run_changes.change,
    orders.again,
):
    app.command(order.__name__)(order)
for look in (
    history.children,
    history.tree,
    history.attempts,
    history.logs,
    history.history,
    history.output,
    history.value,
):
    app.command(look.__name__)(look)
app.command("ask")(inquiries.ask)
app.command("why")(why.runs_why)
