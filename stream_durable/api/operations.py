"""Acts on all runs of a filter, and past or dead records given again, as operations of this process.

Each has progress and a stop.

An operation lives as long as the process. Requests on the log by then are carried out. After a stop, or the
end of the process, the same request begins the operation again: finished runs do not match any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal, NamedTuple

from stream_durable.client import Replayed
from stream_durable.core.errors import RejectedError, StreamDurableError
from stream_durable.sdk.given import drawn
from stream_durable.telemetry import API_FAILED, logger

_log = logger(__name__)

#: Operations that are remembered; the oldest that has ended is forgotten first.
OPERATIONS_MAX: Final = 100

OperationStatus = Literal["running", "completed", "stopped", "failed"]

#: How many runs were told, or what was given to a rule.
Reached = int | Replayed
#: Does the work; is given what hears of progress, and returns how far it came.
Act = Callable[[Callable[[Reached], None]], Awaitable[Reached]]


class OperationState(NamedTuple):
    """Where an operation stands."""

    id: str
    #: `cancel`, `pause`, `resume`, `retry`, `review`, `skip`, `complete`, `fail`, `replay` or `redrive`.
    act: str
    #: The rule that is given past records, such as `binding orders:order`; or `dead records`; empty: runs are
    #: told.
    subject: str
    status: OperationStatus
    #: How many runs were told so far, and how many matched at the beginning; or how many records were read,
    #: or given again, of how many at most.
    told: int
    found: int
    #: Whether there are exactly so many.
    is_exact: bool
    #: What a replay has given so far, and which records it could not give.
    replayed: Replayed | None
    by: str
    reason: str
    begun: datetime
    ended: datetime | None
    #: Why it failed.
    error: str | None


@dataclass(slots=True)
class _Operation:
    state: OperationState
    task: asyncio.Task[None] | None = None


class Operations:
    """The operations of a process."""

    def __init__(self) -> None:
        """Begin without any."""
        self._operations: dict[str, _Operation] = {}

    def begin(
        self,
        act: str,
        do: Act,
        *,
        found: int,
        is_exact: bool,
        by: str,
        reason: str,
        subject: str = "",
        id: str | None = None,  # noqa: A002 - the word for it everywhere
    ) -> OperationState:
        """Begin an operation, unless there is one of this id; return its state.

        Raises `RejectedError` where too many are under way.
        """
        name = id or drawn()
        if name in self._operations:
            return self._operations[name].state
        self._forget()
        now = datetime.now(UTC)
        state = OperationState(
            name, act, subject, "running", 0, found, is_exact, None, by, reason, now, None, None
        )
        operation = _Operation(state)
        self._operations[name] = operation
        operation.task = asyncio.create_task(self._run(operation, do))
        return operation.state

    def all(self) -> list[OperationState]:
        """Return all operations, the latest first."""
        return [operation.state for operation in reversed(self._operations.values())]

    def state(self, operation: str) -> OperationState:
        """Return an operation; raises `RejectedError` for an unknown operation."""
        return self._known(operation).state

    async def stop(self, operation: str) -> OperationState:
        """Stop an operation after the page under way; requests sent so far stay."""
        found = self._known(operation)
        if found.task is not None and not found.task.done():
            found.task.cancel()
            await asyncio.wait([found.task])
        return found.state

    async def close(self) -> None:
        """Stop all operations."""
        for operation in list(self._operations):
            await self.stop(operation)

    async def _run(self, operation: _Operation, do: Act) -> None:
        def progress(reached: Reached) -> None:
            operation.state = _reached(operation.state, reached)

        try:
            reached = await do(progress)
        except asyncio.CancelledError:
            self._end(operation, "stopped")
        except StreamDurableError as error:
            self._end(operation, "failed", str(error))
        except Exception as error:
            # A bug of ours: without an end the operation would be under way for ever.
            _log.error(API_FAILED, reason=type(error).__name__, exc_info=error)
            text = f"it raised {type(error).__name__}: see the log of this process, and report it"
            self._end(operation, "failed", text)
        else:
            progress(reached)
            self._end(operation, "completed")

    def _end(self, operation: _Operation, status: OperationStatus, error: str | None = None) -> None:
        operation.state = operation.state._replace(status=status, ended=datetime.now(UTC), error=error)

    def _known(self, operation: str) -> _Operation:
        if operation not in self._operations:
            text = (
                f"there is no operation {operation[:128]!r} here: list the operations to see those there are"
            )
            raise RejectedError("unknown_operation", text)
        return self._operations[operation]

    def _forget(self) -> None:
        if len(self._operations) < OPERATIONS_MAX:
            return
        ended = next((name for name, one in self._operations.items() if one.state.status != "running"), None)
        if ended is None:
            text = f"{OPERATIONS_MAX} operations are under way: wait for one, or stop one"
            raise RejectedError("too_many_operations", text)
        del self._operations[ended]


def _reached(state: OperationState, reached: Reached) -> OperationState:
    if isinstance(reached, int):
        return state._replace(told=reached)
    return state._replace(told=reached.records, found=reached.total, replayed=reached)
