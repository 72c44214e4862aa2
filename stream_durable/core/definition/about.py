"""Information about a workflow beside its definition: for people and for callers starting runs.

No run depends on this, so the definition and the fingerprint leave it out: a changed description, or a new
optional input field, creates no new version. Published as a header of the definition's record; the latest
registration wins.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from stream_durable.core.definition.fitting import misfits
from stream_durable.core.definition.schema import Misfit
from stream_durable.core.errors import RejectedError

#: The header of a definition's record with the descriptions.
HEADER: Final = "about"
#: Schemas that are larger are left out: the record has to fit its topic beside the definition.
SCHEMA_BYTES_MAX: Final = 200_000
_PROBLEMS_SHOWN: Final = 5


class About(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Descriptions, tags, metadata and schemas of a workflow."""

    description: str = ""
    tags: tuple[str, ...] = ()
    metadata: dict[str, Any] = {}
    #: The JSON Schemas of a run's input and output; None: anything.
    input: Any = None
    output: Any = None
    #: The JSON Schemas of what inquiries carry, by name of the answer; missing: anything.
    inquiries: dict[str, Any] = {}
    #: The JSON Schemas of the outputs of steps that may be held, by name; missing: anything.
    outputs: dict[str, Any] = {}
    #: What is said about steps, by name.
    steps: dict[str, str] = {}

    def encoded(self) -> bytes:
        """Return deterministic JSON."""
        return _encode(self)

    def refusal(self, workflow: str, data: bytes) -> RejectedError | None:
        """Return the reason for refusing a run's input, or None for an input fit for the schema."""
        return _refusal(self.input, data, f"the input of workflow {workflow!r}")

    def refusal_of_inquiry(self, name: str, data: bytes) -> RejectedError | None:
        """Return the reason for refusing what an inquiry carries, or None."""
        return _refusal(self.inquiries.get(name), data, f"what is asked of {name!r}")

    def refusal_of_output(self, step: str, data: bytes) -> RejectedError | None:
        """Return the reason for refusing a value in place of a held step's output, or None."""
        return _refusal(self.outputs.get(step), data, f"the output of step {step!r}", "invalid_output")


NOTHING: Final = About()

_encode = msgspec.json.Encoder(order="sorted").encode
_decode = msgspec.json.Decoder(About).decode


def read_about(data: bytes | None) -> About:
    """Decode a header; an unreadable header counts as empty, since the definition is valid without."""
    if data is None:
        return NOTHING
    try:
        return _decode(data)
    except (msgspec.DecodeError, RecursionError):
        return NOTHING


def schema_within_bounds(node: Any) -> Any:
    """Return a schema, or None if it is too large to travel."""
    return None if node is None or len(msgspec.json.encode(node)) > SCHEMA_BYTES_MAX else node


def _refusal(schema: Any, data: bytes, what: str, code: str = "invalid_input") -> RejectedError | None:
    if schema is None:
        return None
    try:
        value = msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError):
        return RejectedError(code, f"{what} is no JSON")
    found = misfits(schema, value)
    return RejectedError(code, f"{what} does not fit: {_shown(found)}") if found else None


def _shown(found: list[Misfit]) -> str:
    said = [f"{each.field}: {each.text}" if each.field else each.text for each in found]
    more = "" if len(said) <= _PROBLEMS_SHOWN else f"; and {len(said) - _PROBLEMS_SHOWN} more"
    return "; ".join(said[:_PROBLEMS_SHOWN]) + more
