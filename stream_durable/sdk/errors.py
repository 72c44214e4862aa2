"""Errors for authors: an unusable definition, an unfit value, an unknown app."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from stream_durable.core.errors import RejectedError
from stream_durable.core.failure import MESSAGE_LENGTH_MAX
from stream_durable.sdk.origin import Origin

#: Problems shown per value; more are counted.
PROBLEMS_SHOWN = 5


class OptionError(RejectedError):
    """An option has an impossible value."""

    def __init__(self, message: str) -> None:
        super().__init__("bad_option", message)


class DefinitionFault(NamedTuple):
    """A fault of a definition, with file and line."""

    #: The subject in words: `workflow 'order'` or `app 'shop'`.
    owner: str
    #: None: a fault of the workflow or the app itself.
    step: str | None
    #: Stable, for programs.
    code: str
    #: For people.
    message: str
    origin: Origin


class DefinitionError(RejectedError):
    """A workflow or an app is unusable; `faults` has every reason, for fixing all of them together."""

    def __init__(self, faults: Iterable[DefinitionFault]) -> None:
        self.faults = tuple(faults)
        lines = []
        for owner in dict.fromkeys(fault.owner for fault in self.faults):
            of_owner = [fault for fault in self.faults if fault.owner == owner]
            lines.append(f"{owner} has {len(of_owner)} fault{'s' if len(of_owner) > 1 else ''}:")
            lines += [f"  {fault.origin}: {fault.message}" for fault in of_owner]
        super().__init__("bad_definition", "\n".join(lines))


class Problem(NamedTuple):
    """A fault of a value. Never contains the value: it may be a secret."""

    #: Path of the field within the value, such as `items.0.price`; empty: the value as a whole.
    field: str
    text: str

    def __str__(self) -> str:
        return f"{self.field}: {self.text}" if self.field else self.text


class HandoverError(RejectedError):
    """A value does not fit what a step takes or answers; trying again would give the same value."""

    def __init__(
        self,
        code: Literal["invalid_input", "invalid_output"],
        workflow: str,
        step: str,
        what: str,
        problems: Sequence[Problem],
    ) -> None:
        self.workflow = workflow
        self.step = step
        #: `input`, `parameter 'order'` or `output`.
        self.what = what
        self.problems = tuple(problems)
        shown = "; ".join(map(str, problems[:PROBLEMS_SHOWN]))
        if len(problems) > PROBLEMS_SHOWN:
            shown += f"; and {len(problems) - PROBLEMS_SHOWN} more"
        message = f"workflow {workflow!r}, step {step!r}: the {what} does not fit: {shown}"
        super().__init__(code, message[:MESSAGE_LENGTH_MAX])


class NotCarriedError(RejectedError):
    """The app has no such step: another version has been deployed."""

    def __init__(self, app: str, workflow: str, step: str) -> None:
        super().__init__(
            "not_carried", f"app {app!r} has no function for step {step!r} of workflow {workflow!r}"
        )


class LoadError(RejectedError):
    """An app could not be loaded; names the search, the cause and the remedy."""

    def __init__(self, code: str, target: str, cause: str, remedy: str) -> None:
        super().__init__(code, f"cannot load {target!r}: {cause}\n{remedy}")
