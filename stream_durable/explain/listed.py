"""A run of a list in a word and a short reason, from the row alone."""

from __future__ import annotations

from typing import Final, Protocol

import msgspec

from stream_durable.core.failure import Failure
from stream_durable.core.ids import CHILD_MARK
from stream_durable.core.run.entry import Entry
from stream_durable.core.run.rows import thaw_requests
from stream_durable.core.status import (
    CANCELLED,
    CANCELLING,
    COMPENSATED,
    COMPENSATING,
    COMPENSATION_FAILED,
    COMPLETED,
    FAILED,
    MERGED,
    PAUSED,
    PENDING,
    RUNNING,
    WAITING,
)
from stream_durable.explain.phrases import counted, quoted
from stream_durable.explain.reason import Word, named

_WORDS: Final[dict[str, Word]] = {
    FAILED: "Needs review", COMPENSATION_FAILED: "Needs review", PAUSED: "Blocked", PENDING: "Waiting",
    WAITING: "Waiting", RUNNING: "Running", CANCELLING: "Running", COMPENSATING: "Running",
    COMPLETED: "Done", COMPENSATED: "Done", CANCELLED: "Done", MERGED: "Done",
}  # fmt: skip
_failure = msgspec.json.Decoder(Failure).decode


class Listed(Protocol):
    """The columns of a run in a list."""

    @property
    def status(self) -> str: ...
    @property
    def done(self) -> int: ...
    @property
    def total(self) -> int: ...
    @property
    def failure(self) -> bytes | None: ...
    @property
    def requests(self) -> bytes | None: ...


def word_of(row: Listed) -> Word:
    """Return the operator's word for a run.

    Without a look at steps, a run held up by a gate, a queue or a partition is `Running` or `Waiting`.
    """
    requests = None if row.requests is None else thaw_requests(row.requests)
    if requests is None:
        return _WORDS[row.status]
    return word_of_status(row.status, is_held=requests.held > 0, is_reviewed=requests.reviewed is not None)


def word_of_status(status: str, *, is_held: bool, is_reviewed: bool) -> Word:
    """Return the operator's word for the status of a run, with or without a held step or a mark."""
    return "Needs review" if is_held else "Done" if is_reviewed else _WORDS[status]


def brief(row: Listed) -> str:
    """Return a short reason for the status of a run; costs the decoding of two columns."""
    failure = None if row.failure is None else _failure(row.failure)
    requests = thaw_requests(row.requests)
    pause = None if requests is None else requests.pause
    cancel = None if requests is None else requests.cancel
    held = 0 if requests is None else requests.held
    if held:
        return f"{counted(held, 'step is', 'steps are')} held"
    late = "overdue, " if requests is not None and requests.overdue else ""
    steps = f"{row.done} of {row.total} steps are done"
    match row.status:
        case "failed" | "compensated" | "compensation_failed" | "compensating" if failure is not None:
            mark = None if requests is None else requests.reviewed
            reviewed = "" if mark is None else f", reviewed{named(mark.by, mark.reason)}"
            return f"{_failed(row.status, failure)}{reviewed}"
        case "paused" if pause is not None:
            return f"paused{f' by {pause.by}' if pause.by else ''}{quoted(pause.reason)}"
        case "cancelling" | "cancelled" if cancel is not None:
            return f"cancelled{f' by {cancel.by}' if cancel.by else ''}{quoted(cancel.reason)}"
        case "pending" | "merged" if requests is not None and requests.entry is not None:
            return _before(requests.entry)
        case "pending":
            return "has not begun"
        case "completed":
            return "completed"
        case "waiting":
            return f"{late}waits, {steps}"
        case _:
            return f"{late}{steps}"


def _before(entry: Entry) -> str:
    if entry.into:
        return f"merged into run {entry.into}"
    if entry.gate:
        name, _, key = entry.gate.partition(CHILD_MARK)
        return f"waits for a place at gate {name}{f': {key}' if key else ''}"
    _, _, key = entry.admission.partition(CHILD_MARK)
    return f"waits to be let in{f': {key}' if key else ''}"


def _failed(status: str, failure: Failure) -> str:
    step = f"{failure.step}: " if failure.step else ""
    text = f"{step}{failure.code}{quoted(failure.message)}"
    return {COMPENSATED: f"undone after {text}", COMPENSATING: f"is being undone after {text}"}.get(
        status, text
    )
