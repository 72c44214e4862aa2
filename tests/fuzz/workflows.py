"""What the worker carries: runs that records are about, and one that must always complete."""

from typing import Any

from stream_durable import App, Workflow
from stream_durable.simulation.workload.scripts import application

#: Those of which a step takes longer than a canary may: they would only fill the worker.
_SLOW = frozenset({"long_steps", "failing", "bounded", "patient", "impatient"})

canary = Workflow("canary")


@canary.step
async def sing(input: Any) -> Any:  # noqa: A002 - the name that binds it
    """Answer with the input."""
    return input


@canary.step
async def echo(sing: Any) -> Any:
    """Answer with what was sung: a step behind another one, so that the run comes by twice."""
    return sing


victims = [workflow for name, workflow in application().workflows.items() if name not in _SLOW]

app = App("fuzz", workflows=[canary, *victims])
