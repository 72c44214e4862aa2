"""What was tried, in the order in which it was."""

from __future__ import annotations

from stream_durable import Retry, Workflow
from stream_durable.client.attempts import _by_time
from stream_durable.core.run.rows import AttemptRow
from stream_durable.testing import Engine

flow = Workflow("flow", retry=Retry(2, base="30s", jitter=0))


@flow.step
async def zoo(input: None) -> None:  # noqa: A002
    """Comes first in time and last in the alphabet."""


@flow.step(after=zoo)
async def ant() -> None: ...


async def test_attempts_come_in_the_order_in_which_they_were_begun(engine: Engine) -> None:
    engine.fail("zoo")
    engine.fail("ant")
    run = await engine.start(flow)
    await engine.until_idle()

    tried = engine.ask(lambda: engine._target.run(run.id).attempts())

    assert [(one.step, one.attempt) for one in tried] == [("zoo", 1), ("zoo", 2), ("ant", 1), ("ant", 2)]


def test_attempts_of_one_step_stay_in_order_whatever_the_clocks_of_workers_say() -> None:
    def row(step: str, attempt: int, started: int | None) -> AttemptRow:
        return AttemptRow("r", step, attempt, 0, "failed", started, None, "w", None, None)

    rows = [row("a", 1, 50), row("a", 2, 10), row("b", 1, 40), row("b", 2, None), row("c", 1, 45)]

    found = _by_time({(one.step, one.attempt): one for one in rows}, {})

    assert [(one.step, one.attempt) for one in found] == [("b", 1), ("b", 2), ("c", 1), ("a", 1), ("a", 2)]
