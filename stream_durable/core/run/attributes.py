"""Sets attributes of a run; a name keeps its kind of value."""

from __future__ import annotations

from stream_durable.core.attributes import ATTRIBUTES_MAX, DESCRIBED, check, too_many
from stream_durable.core.errors import RejectedError
from stream_durable.core.failure import Failure
from stream_durable.core.messages import Attribute
from stream_durable.core.run.attribute_set import Attributes
from stream_durable.core.run.state import Run


def misfit(run: Run, given: tuple[Attribute, ...]) -> Failure | None:
    """Return the failure of a step with these; None: they fit."""
    held = {} if run.attributes is None else run.attributes.held
    try:
        check(given)
        for one in given:
            before = held.get(one.name)
            if before is not None and before.kind != one.kind:
                raise RejectedError(
                    "bad_attribute",
                    f"attribute {one.name!r} of the run was {DESCRIBED[before.kind]}, {before.value!r}, and "
                    f"becomes {DESCRIBED[one.kind]}, {one.value!r}: a name keeps its kind of value",
                )
        count = len(held.keys() | {one.name for one in given})
        if count > ATTRIBUTES_MAX:
            raise too_many(count)
    except RejectedError as error:
        return Failure(error.code, str(error), retryable=False)
    return None


def put(run: Run, given: tuple[Attribute, ...]) -> None:
    """Set checked attributes."""
    attributes = run.attributes = run.attributes or Attributes()
    for one in given:
        attributes.held[one.name] = one
        attributes.touched[one.name] = None
