"""What a run asks before it begins, and gives back when it has ended: a place at the gate of its workflow."""

from __future__ import annotations

from stream_durable.core.definition.guards import Gate
from stream_durable.core.effects import Effects
from stream_durable.core.format import GATES
from stream_durable.core.messages import PlaceAsked, PlaceLeft
from stream_durable.core.run.entry import Entry
from stream_durable.core.run.gating import place_at
from stream_durable.core.run.state import Requests, Run
from stream_durable.core.status import PENDING


def entry_of(run: Run) -> Entry | None:
    """Return where a run stands before its beginning; None: it has asked nothing."""
    return None if run.requests is None else run.requests.entry


def asks(run: Run) -> bool:
    """Return whether a run has to be let in before it begins."""
    return run.graph.definition.gate is not None


def is_waiting(run: Run) -> bool:
    """Return whether a run has asked, and was not let in yet."""
    entry = entry_of(run)
    return run.status == PENDING and entry is not None and bool(entry.gate) and not entry.has_passed


def next_turn(run: Run) -> Entry:
    """Begin the next turn."""
    requests = run.requests = run.requests or Requests()
    entry = requests.entry = requests.entry or Entry()
    entry.turn += 1
    entry.has_passed = False
    return entry


def ask(run: Run, entry: Entry, out: Effects) -> bool:
    """Ask for a place, once more if need be; return False if nothing is left to be asked.

    Refuses a key that cannot be read.
    """
    gate = run.graph.definition.gate
    if gate is None or entry.has_passed:
        return False
    _ask_gate(run, entry, gate, out)
    return True


def ask_again(run: Run, out: Effects) -> None:
    """Repeat a request that may be lost."""
    entry = entry_of(run)
    if entry is not None and is_waiting(run):
        ask(run, entry, out)


def leave(run: Run, out: Effects) -> None:
    """Give back the place of an ended run, or take the run out of the line."""
    entry = entry_of(run)
    if entry is None or not entry.gate:
        return
    out.messages.append(PlaceLeft(key=entry.gate, run=run.id, attempt=entry.turn, format=GATES))
    entry.gate = ""


def _ask_gate(run: Run, entry: Entry, gate: Gate, out: Effects) -> None:
    entry.gate, share = place_at(run, gate)
    out.messages.append(
        PlaceAsked(
            key=entry.gate, run=run.id, attempt=entry.turn, limits=gate.limits,
            share=share, priority=run.priority, format=GATES,
        )
    )  # fmt: skip
