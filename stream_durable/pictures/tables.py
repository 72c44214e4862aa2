"""A report for people."""

from __future__ import annotations

from stream_durable.pictures.columns import Line, laid_out
from stream_durable.pictures.notes import lasting
from stream_durable.pictures.report import Report, StepReport

_HEAD = ("", "step", "status", "attempts", "waited", "ran", "share")


def table(found: Report, *, is_coloured: bool = False) -> str:
    """Return a report as text; `*` marks the steps of the critical chain."""
    begun = [step for step in found.steps if step.attempts]
    lines = [Line(_HEAD), *map(_line, begun)]
    rows = laid_out(lines, is_coloured=is_coloured, right=(3, 4, 5, 6))
    if len(begun) < len(found.steps):
        rows.append(f"   and {len(found.steps) - len(begun)} that have not begun")
    chain = " -> ".join(found.critical) or "nothing has ended yet"
    share = f" ({found.unexplained_ms / found.total_ms:.0%})" if found.total_ms else ""
    return "\n".join(
        [
            f"{found.run}  {found.workflow}  {found.status}",
            "",
            *rows,
            "",
            f"critical path  {chain}",
            f"in all         {lasting(found.total_ms)}",
            f"unexplained    {lasting(found.unexplained_ms)}{share}: nothing on the critical path ran",
            "",
        ]
    )


def _line(step: StepReport) -> Line:
    share = "" if step.share is None else f"{step.share:.0%}"
    cells = (
        "*" if step.is_critical else "",
        step.name,
        step.status,
        str(step.attempts),
        "" if step.waited_ms is None else lasting(step.waited_ms),
        "" if step.ran_ms is None else lasting(step.ran_ms),
        share,
    )
    return Line(cells, step.status, 2)
