"""A failure as recorded data: what is kept, shown and published when something went wrong."""

from __future__ import annotations

from typing import Any

import msgspec

#: Of an attempt that kept its worker from everything else until the worker was ended.
LOOP_BLOCKED = "loop_blocked"

#: A message longer than this is cut: a failure is read by people and carried by every event.
MESSAGE_LENGTH_MAX = 4_000


class Failure(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why an attempt, a step or a run did not succeed."""

    #: Stable, for programs: an exception's type name, or what `Fail` was given.
    code: str
    #: For people.
    message: str = ""
    retryable: bool = True
    #: JSON value given by the author with `Fail(details=...)`.
    details: Any = None
    trace: str | None = None
    #: The step that failed, when this is the failure of a run or of a group.
    step: str | None = None

    def at(self, step: str) -> Failure:
        """Return the failure with the step that caused it, unless already set."""
        return self if self.step is not None else msgspec.structs.replace(self, step=step)
