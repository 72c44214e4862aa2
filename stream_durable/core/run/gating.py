"""Places at gates: a step, a section or a whole run asks for one, and gives it back."""

from __future__ import annotations

from stream_durable.core.definition.guards import Gate
from stream_durable.core.definition.nodes import StepNode
from stream_durable.core.definition.paths import root_of, value_at
from stream_durable.core.effects import Effects
from stream_durable.core.errors import RejectedError
from stream_durable.core.format import GATES
from stream_durable.core.gate.limits import COUNT_MAX
from stream_durable.core.gate.state import gate_id
from stream_durable.core.ids import ID_BYTES_MAX, byte_length, fits
from stream_durable.core.messages import GateLeft, PlaceAsked, PlaceLeft
from stream_durable.core.run import inside
from stream_durable.core.run.routing import queue_of
from stream_durable.core.run.state import Run, Step
from stream_durable.core.run.values import root_value


def ask_place(
    run: Run, i: int, step: Step, gate: Gate, out: Effects, *, priority: int | None = None,
    units: str | None = None, of_queue: bool = False,
) -> None:  # fmt: skip
    """Ask a gate of a step or a queue for a place; refuse an unreadable key or cost."""
    place, share = place_at(run, gate)
    cost = None if units is None else _units_at(run, units)
    detail = step.detailed()
    detail.held = "gate"
    if of_queue:
        detail.queue_place = place
    else:
        detail.place = place
    out.messages.append(
        PlaceAsked(
            key=place, run=run.id, step=run.graph.names[i], attempt=step.attempt,
            passes=turn_of(step), limits=gate.limits, share=share,
            priority=run.priority if priority is None else priority, units=cost, format=GATES,
        )
    )  # fmt: skip


def place_at(run: Run, gate: Gate) -> tuple[str, str]:
    """Return the id to ask at for a run, and the key of the turn; refuse an unreadable key."""
    key = "" if gate.per is None else key_at(run, gate.per, gate_id(gate.name))
    if gate.limits.weights is None:
        return gate_id(gate.name, key), ""
    return gate_id(gate.name), key


def queue_gate(run: Run, node: StepNode) -> Gate | None:
    """Return the gate of a function's queue, if the queue is limited as a whole."""
    limited = run.graph.limited
    return limited.get(queue_of(run, node)) if limited else None


def turn_of(step: Step) -> int:
    """Return the number of an attempt's turn at its gates: it asks again for each pass and after each snooze.

    An answer to an earlier turn may come late, and lets nobody in.
    """
    return inside.passes_of(step) + (0 if step.detail is None else step.detail.snoozes)


def leave_place(run: Run, i: int, step: Step, out: Effects) -> None:
    """Give back the places of a step, or take the step out of the lines, if it has asked gates."""
    detail = step.detail
    if detail is None:
        return
    if detail.place:
        _leave(run, i, step, detail.place, out, units=detail.spent)
        detail.place, detail.spent = "", None
    if detail.queue_place:
        _leave(run, i, step, detail.queue_place, out)
        detail.queue_place = ""


def leave_turn(run: Run, i: int, step: Step, out: Effects) -> None:
    """Give back the places of an attempt that asks for others later."""
    leave_place(run, i, step, out)
    step.detailed().snoozes += 1


def _leave(run: Run, i: int, step: Step, gate: str, out: Effects, *, units: int | None = None) -> None:
    out.messages.append(
        PlaceLeft(
            key=gate, run=run.id, step=run.graph.names[i], attempt=step.attempt,
            passes=turn_of(step), units=units, format=GATES,
        )
    )  # fmt: skip
    run.touched[i] = None


def note_spent(step: Step, units: int) -> None:
    """Keep the cost of a call for the gate of the step; several calls of an attempt add up."""
    if step.detail is not None and step.detail.place:
        step.detail.spent = min((step.detail.spent or 0) + units, COUNT_MAX)


def key_at(run: Run, path: str, before: str) -> str:
    """Read a key of a run that an id ends with."""
    value = _read(run, path, "key")
    if isinstance(value, bool) or not isinstance(value, str | int):
        text = f"{path!r} holds a {type(value).__name__}; a key is a text or a whole number"
        raise RejectedError("bad_key", text)
    key = str(value)
    if not key or not fits(before + key):
        text = f"behind {before!r} a key has 1 to {ID_BYTES_MAX - byte_length(before)} bytes of UTF-8"
        raise RejectedError("bad_key", f"the key at {path!r} has {byte_length(key)} bytes: {text}")
    if "\x00" in key:
        raise RejectedError("bad_key", f"the key at {path!r} holds a NUL character")
    return key


def _units_at(run: Run, path: str) -> int:
    value = int(path[1:]) if path.startswith("=") else _read(run, path, "units")
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= COUNT_MAX:
        text = f"{path!r} holds {str(value)[:100]!r}; units are a whole number from 0 to {COUNT_MAX}"
        raise RejectedError("bad_units", text)
    return value


def _read(run: Run, path: str, what: str) -> object:
    try:
        return value_at(path, root_value(run, root_of(path)))
    except RejectedError as error:
        if error.code == "bad_json":
            raise RejectedError(f"bad_{what}", f"no {what} can be read at {path!r}: {error}") from error
        raise


def leave_gate(
    run: Run, i: int, step: Step, out: Effects, *, is_ok: bool | None = None, since: int = 0
) -> None:
    """Tell the gate that a passed or waiting attempt ended; `since` is the time of a failure."""
    node = run.graph.nodes[i]
    if type(node) is StepNode and node.breaker is not None:
        name, breaker = run.graph.names[i], node.breaker.name
        left = GateLeft(key=breaker, run=run.id, step=name, attempt=step.attempt, is_ok=is_ok, since=since)
        out.messages.append(left)
