"""A workflow as written, with steps neither bound nor checked."""

from __future__ import annotations

from typing import Any, NamedTuple

from stream_durable.core.admission.rule import Starts
from stream_durable.core.definition.about import About
from stream_durable.core.definition.guards import Gate
from stream_durable.core.policy import RetryPolicy
from stream_durable.sdk.errors import DefinitionFault
from stream_durable.sdk.options import Options
from stream_durable.sdk.origin import Origin


class Outline(NamedTuple):
    """A workflow as written, without steps."""

    name: str
    input_type: Any
    output_type: Any
    timeout_ms: int | None
    restart: RetryPolicy
    options: Options
    origin: Origin
    #: The author's description; schemas are added later.
    about: About
    events: tuple[str, ...] = ()
    concurrency: int | None = None
    gate: Gate | None = None
    due_ms: int | None = None
    starts: Starts | None = None

    def fault(self, step: str | None, code: str, message: str, origin: Origin) -> DefinitionFault:
        """Return a fault of this workflow."""
        return DefinitionFault(self.options.label, step, code, message, origin)
