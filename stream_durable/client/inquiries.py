"""Inquiries to a run: sent once, and answered by a function of the run's workflow."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any, NamedTuple

import msgspec
from msgspec import Raw

from stream_durable.client.early import Found, Stored, awaited
from stream_durable.client.edge import Edge
from stream_durable.client.errors import NoAnswer
from stream_durable.client.stored import graph_of
from stream_durable.core.definition.graph import Graph
from stream_durable.core.errors import RejectedError
from stream_durable.core.format import BESIDE
from stream_durable.core.lifecycle import RunEvent, StepEvent
from stream_durable.core.messages import InquireRun, RunMessage
from stream_durable.core.names import helper_kind, is_helper
from stream_durable.core.run.beside import SLOTS, calls
from stream_durable.core.run.rows import thaw_run
from stream_durable.core.run.state import Run
from stream_durable.core.status import COMPLETED, PENDING, STEP_ENDED
from stream_durable.ports import StoredRun
from stream_durable.sdk.durations import Duration, milliseconds


class Inquiry(NamedTuple):
    """An inquiry on its way."""

    run: str
    name: str
    id: str
    data: Raw

    def message(self) -> InquireRun:
        """Return it for the inbox."""
        return InquireRun(key=self.run, id=self.id, inquiry=self.name, format=BESIDE, data=self.data)


def check_inquiry(edge: Edge, graph: Graph, inquiry: Inquiry) -> None:
    """Refuse an inquiry without an answering function, or of a wrong form."""
    answers = [name for name, node in graph.beside.items() if node.on == "inquiry"]
    if inquiry.name not in answers:
        close = get_close_matches(inquiry.name, answers, 1)
        known = ", ".join(answers) or "none"
        meant = f"is {close[0]!r} meant?" if close else f"it answers: {known}"
        text = f"workflow {graph.name!r} answers no {inquiry.name[:128]!r}; {meant}"
        raise RejectedError("unknown_answer", text)
    refusal = edge.ports.catalogue.about(graph.fingerprint).refusal_of_inquiry(
        inquiry.name, bytes(inquiry.data)
    )
    if refusal is not None:
        raise refusal


async def check_run(edge: Edge, stored: StoredRun, inquiry: Inquiry) -> None:
    """Refuse an inquiry to a run unable to answer."""
    graph = await graph_of(edge, stored.run)
    check_inquiry(edge, graph, inquiry)
    run = thaw_run(stored.run, stored.steps, graph)
    known = list(calls(run, inquiry.name))
    if any(call.id == inquiry.id for _, _, call in known):
        return
    if run.ended is not None:
        text = f"run {run.id!r} has ended as {run.status}, and answers nothing any more: read its state"
        raise RejectedError("has_ended", text)
    if run.status == PENDING:
        raise RejectedError("not_begun", f"run {run.id!r} has not begun, and answers nothing yet: wait")
    if sum(step.status not in STEP_ENDED for _, step, _ in known) >= SLOTS:
        text = f"{SLOTS} inquiries of {inquiry.name!r} wait for run {run.id!r} already: send this one later"
        raise RejectedError("beside_full", text)


async def asked(
    edge: Edge,
    inquiry: Inquiry,
    before: list[RunMessage],
    stored: Stored,
    timeout: Duration | None,  # noqa: ASYNC109
) -> Any:
    """Send an inquiry, and return its answer; raises `NoAnswer`, or `TimeoutError`."""
    seconds = None if timeout is None else milliseconds(timeout) / 1_000
    await edge.send_all([*before, inquiry.message()], f"ask run {inquiry.run!r}")

    async def look() -> Found | None:
        found = await stored()
        run = thaw_run(found.run, found.steps, await graph_of(edge, found.run))
        data = _answer(run, inquiry)
        return None if data is None else Found(msgspec.json.decode(await edge.resolved(data)))

    def matters(event: RunEvent | StepEvent) -> bool:
        if isinstance(event, RunEvent):
            return True
        return is_helper(event.step) and helper_kind(event.step) == inquiry.name

    try:
        return await awaited(edge, inquiry.run, look, matters, seconds)
    except TimeoutError:
        text = f"run {inquiry.run!r} has not answered {inquiry.name!r} within {timeout}; it may still do so"
        raise TimeoutError(f"{text}: ask again with id={inquiry.id!r}") from None


def _answer(run: Run, inquiry: Inquiry) -> bytes | None:
    for _, step, call in calls(run, inquiry.name):
        if call.id != inquiry.id:
            continue
        if step.status == COMPLETED:
            return step.output or b"null"
        if step.status in STEP_ENDED:
            raise NoAnswer(run.id, inquiry.name, step.status, step.failure)
    if run.ended is not None:
        raise NoAnswer(run.id, inquiry.name, run.status, run.failure)
    return None
