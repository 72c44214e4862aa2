"""The questions that wait for people's answers, over all runs: listed, and answered together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import uuid4

import msgspec

from stream_durable.client.edge import Edge
from stream_durable.client.listing import LIMIT_MAX
from stream_durable.client.together import PAGE_RUNS, Progress
from stream_durable.core.definition.nodes import AnswerKind, InputNode
from stream_durable.core.errors import RejectedError
from stream_durable.core.format import ASKS
from stream_durable.core.messages import AnswerInput
from stream_durable.core.moments import moment
from stream_durable.ports import QuestionQuery, StoredQuestion
from stream_durable.sdk.durations import Duration, milliseconds
from stream_durable.sdk.workflow import Workflow
from stream_durable.wire.answers import judge, question_of

_BEFORE_ALL: Final = (0, "", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class InputFilter:
    """Conditions for open questions; a question must meet all given conditions.

    >>> InputFilter(role="warehouse", assignee="")  # doctest: +ELLIPSIS
    InputFilter(workflow=None, wait=None, role='warehouse', assignee='', ...)
    """

    workflow: Workflow | str | None = None
    #: Name of the step that asks.
    wait: str | None = None
    role: str | None = None
    #: Empty: unassigned questions.
    assignee: str | None = None
    #: Of the run.
    tag: str | None = None
    #: Questions closed by their time-out before this time.
    expires_within: Duration | None = None
    #: Only questions whose answer was expected before now, or is before the end of this time.
    overdue: bool = False
    due_within: Duration | None = None

    def query(self, now: datetime) -> QuestionQuery:
        """Return the conditions in the form the state takes."""
        workflow = self.workflow.name if isinstance(self.workflow, Workflow) else self.workflow
        return QuestionQuery(
            workflow, self.wait, self.role, self.assignee, self.tag, _before(self.expires_within, now),
            _before("0s" if self.overdue else self.due_within, now),
        )  # fmt: skip


def _before(within: Duration | None, now: datetime) -> int | None:
    """Return the end of a time from now in milliseconds."""
    if within is None:
        return None
    return int((now + timedelta(milliseconds=milliseconds(within))).timestamp() * 1_000)


class OpenInput(NamedTuple):
    """A question that waits for somebody's answer."""

    run: str
    workflow: str
    #: Name of the step that asks.
    wait: str
    #: How people are asked: `approval`, `choice`, `choices`, `text`, `number`, `date` or `form`.
    answer: AnswerKind
    #: What can be chosen, where people choose.
    choices: tuple[str, ...]
    prompt: str
    role: str
    #: Empty: nobody has it yet.
    assignee: str
    since: datetime
    #: When the answer is expected, and when the step waits no longer.
    due: datetime | None
    until: datetime | None
    #: Of the run.
    tags: tuple[str, ...]


class InputList(NamedTuple):
    """A page of open questions, the oldest first."""

    inputs: list[OpenInput]
    #: What `after=` takes to go on; None: there are no more.
    following: str | None


async def open_inputs(edge: Edge, which: InputFilter, limit: int, after: str | None) -> InputList:
    """Return a page of the open questions meeting all given conditions."""
    if not 1 <= limit <= LIMIT_MAX:
        raise RejectedError("bad_limit", f"limit= takes 1 to {LIMIT_MAX}, not {limit}")
    place = _BEFORE_ALL if after is None else _place(after)
    page = await _page(edge, which.query(edge.now()), place, limit + 1)
    following = msgspec.json.encode(page[limit - 1][:3]).decode() if len(page) > limit else None
    nodes = await _nodes(edge, page[:limit])
    return InputList([_open(one, nodes.get((one.fingerprint, one.wait))) for one in page[:limit]], following)


async def answer_all(
    edge: Edge, which: InputFilter, value: Any, by: str, comment: str, progress: Progress | None
) -> int:
    """Answer all matching questions, after checking the answer against each."""
    data = edge.values.plain(value, "the answer")
    query = which.query(edge.now())
    judged: set[tuple[str, str]] = set()
    async for page in _pages(edge, query):
        for key, node in (await _nodes(edge, page)).items():
            if key not in judged:
                judge(node, bytes(data))
                judged.add(key)
    told = 0
    async for page in _pages(edge, query):
        # Asked since it was judged, by another step perhaps.
        meant = [one for one in page if (one.fingerprint, one.wait) in judged]
        answers = [
            AnswerInput(
                key=one.run, id=uuid4().hex, wait=one.wait, format=ASKS, attempt=one.attempt, answer=data,
                by=by, comment=comment,
            )
            for one in meant
        ]  # fmt: skip
        await edge.send_all(answers, "answer questions")
        told += len(answers)
        if progress is not None:
            progress(told)
    return told


async def _pages(edge: Edge, query: QuestionQuery) -> AsyncIterator[list[StoredQuestion]]:
    place = _BEFORE_ALL
    while page := await _page(edge, query, place, PAGE_RUNS):
        yield page
        place = page[-1][:3]


async def _page(
    edge: Edge, query: QuestionQuery, after: tuple[int, str, str], limit: int
) -> list[StoredQuestion]:
    views = edge.ports.views
    return await edge.ask(lambda: views.open_questions(query, after=after, limit=limit), "list questions")


async def _nodes(edge: Edge, page: list[StoredQuestion]) -> dict[tuple[str, str], InputNode]:
    """Return the steps that ask, by fingerprint and name."""
    catalogue, found = edge.ports.catalogue, dict[tuple[str, str], InputNode]()
    if any(catalogue.graph(one.fingerprint) is None for one in page):
        await edge.ask(catalogue.catch_up, "read the definitions")
    for fingerprint, wait in {(one.fingerprint, one.wait) for one in page}:
        graph = catalogue.graph(fingerprint)
        node = None if graph is None else question_of(graph, wait)
        if node is not None:
            found[fingerprint, wait] = node
    return found


def _open(one: StoredQuestion, node: InputNode | None) -> OpenInput:
    return OpenInput(
        one.run, one.workflow, one.wait, "form" if node is None else node.answer,
        () if node is None else choices_of(node), one.prompt, one.role, one.assignee, moment(one.opened),
        moment(one.due), moment(one.expires),
        () if one.tags is None else tuple(msgspec.json.decode(one.tags)),
    )  # fmt: skip


def choices_of(node: InputNode) -> tuple[str, ...]:
    """Return what can be chosen, where people choose."""
    schema = msgspec.json.decode(node.schema)
    if node.answer == "choices":
        schema = schema.get("items", {})
    return tuple(schema.get("enum", ())) if node.answer in ("choice", "choices") else ()


def _place(cursor: str) -> tuple[int, str, str]:
    try:
        return msgspec.json.decode(cursor, type=tuple[int, str, str])
    except msgspec.DecodeError:
        text = f"{cursor[:128]!r} is no position in a list: pass the value of `following`"
        raise RejectedError("bad_cursor", text) from None
