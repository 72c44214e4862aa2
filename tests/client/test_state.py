"""Where a run stands, told from its rows and its graph."""

from typing import Any

import msgspec

from stream_durable import Context, Workflow
from stream_durable.client.state import RunState, run_state
from stream_durable.core.definition.graph import Graph
from stream_durable.core.run.rows import RunRow, StepRow
from stream_durable.ports import StoredRun

flow = Workflow("flow")


@flow.step
async def pick(input: Any) -> str:  # noqa: A002
    return "digital"


way = flow.branch("way", on="pick")


@way.case("digital")
async def email(ctx: Context) -> str:
    return "sent"


@way.otherwise
async def pack(ctx: Context) -> str:
    return "packed"


@flow.step(after=way)
async def close() -> None: ...


@flow.on_success
async def cheer() -> None: ...


def state(status: str = "running", *steps: StepRow, **fields: Any) -> RunState:
    run = RunRow(
        "r", 0, "flow", flow.fingerprint, status, 1_000, 2_000, None, "m", b"{}", None, None, 0, 1, 1, 4,
        None, None, None, None,
    )  # fmt: skip
    return run_state(StoredRun(run._replace(**fields), list(steps)), Graph(flow.definition()))


def step(name: str, status: str, **fields: Any) -> StepRow:
    row = StepRow("r", name, status, 1, None, None, None, None, None, None, None, 0)
    if "detail" in fields:
        fields["detail"] = msgspec.json.encode(fields["detail"])
    return row._replace(**fields)


def test_a_step_without_a_row_is_what_the_graph_says_of_it() -> None:
    found = state()

    assert {name: (s.status, s.attempt) for name, s in found.steps.items()} == {
        "pick": ("ready", 1),
        "way": ("pending", 0),
        "email": ("pending", 0),
        "pack": ("pending", 0),
        "close": ("pending", 0),
    }
    assert (found.current, found.percent, found.helpers) == (("pick",), 25.0, {})


def test_nothing_of_a_run_that_has_not_begun_is_under_way() -> None:
    found = state("pending", due=5_000)

    assert {s.status for s in found.steps.values()} == {"pending"}
    assert found.due is not None
    assert (found.due.timestamp(), found.current) == (5.0, ())


def test_a_step_says_what_it_is_at() -> None:
    found = state(
        "running",
        step("pick", "completed", output=b'"digital"'),
        step("way", "running", detail={"clause": 0}),
        step("email", "running", detail={"percent": 40, "label": "writing"}, started=1_500),
        step("pack", "skipped", detail={"is_idle": True}),
        step("close", "pending", detail={"held": "paused"}),
    ).steps

    assert (found["way"].clause, found["way"].members, found["way"].output) == (
        "digital",
        ("email", "pack"),
        None,
    )
    assert (found["email"].percent, found["email"].label) == (40, "writing")
    assert (found["pack"].status, found["pack"].attempt) == ("skipped", 0)
    assert (found["close"].held, found["close"].attempt) == ("paused", 0)


def test_helpers_stand_apart_from_the_graph() -> None:
    found = state("running", step("pick", "completed", output=b'"x"'), step("~on_success", "running"))

    assert list(found.steps) == ["pick", "way", "email", "pack", "close"]
    assert {name: s.status for name, s in found.helpers.items()} == {"~on_success": "running"}
    assert found.current == ("way",)


def test_what_was_asked_is_told_with_when_and_why() -> None:
    requests = b'{"cancel":{"id":"m1","at":1500,"reason":"enough","compensate":true}}'

    found = state("compensating", requests=requests, context=b'{"a":1}', metadata=b'{"who":"tom"}').requests

    assert found.cancel is not None
    assert (found.cancel.id, found.cancel.at.timestamp(), found.cancel.reason) == ("m1", 1.5, "enough")
    assert (found.cancel.compensate, found.pause, found.resume, found.retry) == (True, None, None, None)
