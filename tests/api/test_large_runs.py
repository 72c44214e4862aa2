"""A large run holds up no other request."""

import asyncio

from stream_durable import Workflow
from stream_durable.api.callers import as_json
from stream_durable.api.drawn import shown_run
from stream_durable.client.state import run_state
from stream_durable.core.definition.graph import Graph
from stream_durable.core.run.rows import RunRow
from stream_durable.ports import StoredRun

STEPS = 1_000


def work() -> None:
    """Do nothing."""


async def test_others_have_their_turn_while_a_large_run_is_made_into_json() -> None:
    flow = Workflow("flow")
    for i in range(STEPS):
        flow.add(f"step-{i}", work)
    graph = Graph(flow.definition())
    row = RunRow(
        "r", 0, "flow", flow.fingerprint, "running", 1_000, 2_000, None, "m", b"{}", None, None, 0, 1, 0,
        STEPS, None, None, None, None,
    )  # fmt: skip
    turns = 0

    async def take_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    other = asyncio.create_task(take_turns())
    shown = await shown_run(run_state(StoredRun(row, []), graph), graph, may_see=True)
    other.cancel()

    assert turns >= 3
    assert as_json(shown).body.count(b'"name":"step-') == STEPS
