"""Requests of a run before the beginning, to an admission and then a gate, and the return after the end."""

from __future__ import annotations

from msgspec import Raw

from stream_durable.core.admission.rule import SingleRule, Starts, keeps_inputs
from stream_durable.core.admission.state import admission_id
from stream_durable.core.definition.guards import Gate
from stream_durable.core.effects import Effects
from stream_durable.core.format import ADMISSIONS, GATES
from stream_durable.core.messages import AdmissionAsked, AdmissionBegun, AdmissionLeft, PlaceAsked, PlaceLeft
from stream_durable.core.run.entry import Entry
from stream_durable.core.run.gating import key_at, place_at
from stream_durable.core.run.state import Requests, Run
from stream_durable.core.status import PENDING


def entry_of(run: Run) -> Entry | None:
    """Return where a run stands before its beginning; None: it has asked nothing."""
    return None if run.requests is None else run.requests.entry


def taker_of(requests: Requests | None) -> str | None:
    """Return the taker of a merged run; None: not merged."""
    entry = None if requests is None else requests.entry
    return None if entry is None else entry.into or None


def asks(run: Run) -> bool:
    """Return whether a run has to be let in before it begins."""
    definition = run.graph.definition
    return definition.gate is not None or definition.starts is not None


def is_waiting(run: Run) -> bool:
    """Return whether a run has asked, and has not begun."""
    entry = entry_of(run)
    if run.status != PENDING or entry is None:
        return False
    return bool(entry.gate and not entry.has_passed) or bool(entry.admission and not entry.is_admitted)


def made_entry(run: Run) -> Entry:
    """Return where a run stands before its beginning, for writing."""
    requests = run.requests = run.requests or Requests()
    entry = requests.entry = requests.entry or Entry()
    return entry


def next_turn(run: Run) -> Entry:
    """Begin the next turn; a run begun before needs the gate only, unless the rule is `Single`."""
    entry = made_entry(run)
    entry.turn += 1
    entry.has_passed = False
    entry.into = ""
    if _is_single(run) or run.started is None:
        entry.is_admitted = entry.has_begun = entry.is_single = False
    return entry


def ask(run: Run, entry: Entry, now: int, out: Effects) -> bool:
    """Ask the next in order, once more if need be; return False if nothing is left to be asked.

    Refuses a key that cannot be read.
    """
    definition = run.graph.definition
    if definition.starts is not None and not entry.is_admitted:
        _ask_admission(run, entry, definition.starts, now, out)
        return True
    if definition.gate is not None and not entry.has_passed:
        _ask_gate(run, entry, definition.gate, out)
        return True
    return False


def ask_again(run: Run, out: Effects) -> None:
    """Repeat a request that may be lost."""
    entry = entry_of(run)
    if entry is not None and is_waiting(run):
        ask(run, entry, entry.asked or run.updated, out)


def begun(run: Run, out: Effects) -> None:
    """Report the beginning of the run to the admission."""
    entry = entry_of(run)
    if entry is not None and entry.admission and not entry.has_begun:
        entry.has_begun = True
        out.messages.append(_begun(run, entry))


def heed_single(run: Run, entry: Entry) -> bool:
    """Note the admission's wait for the end of the run; return False if already known."""
    if entry.is_single or _is_single(run):
        return False
    entry.is_single = True
    return True


def answer(run: Run, admission: str, attempt: int, out: Effects) -> None:
    """Report once more the result of the run's turn at the admission."""
    entry = entry_of(run)
    is_its = entry is not None and (entry.admission, entry.turn) == (admission, attempt)
    if entry is not None and is_its and entry.has_begun and not (run.has_ended and _tells_end(run, entry)):
        out.messages.append(_begun(run, entry))
    else:
        out.messages.append(left(run.id, admission, attempt))


def leave(run: Run, out: Effects) -> None:
    """Give back the places of an ended run, or take the run out of the line."""
    entry = entry_of(run)
    if entry is None:
        return
    if entry.gate:
        out.messages.append(PlaceLeft(key=entry.gate, run=run.id, attempt=entry.turn, format=GATES))
        entry.gate = ""
    if entry.admission and (not entry.has_begun or _tells_end(run, entry)):
        out.messages.append(left(run.id, entry.admission, entry.turn))


def left(run: str, admission: str, attempt: int) -> AdmissionLeft:
    """Return the message of a run to be forgotten by the admission."""
    return AdmissionLeft(key=admission, run=run, attempt=attempt, format=ADMISSIONS)


def _begun(run: Run, entry: Entry) -> AdmissionBegun:
    return AdmissionBegun(key=entry.admission, run=run.id, attempt=entry.turn, format=ADMISSIONS)


def _tells_end(run: Run, entry: Entry) -> bool:
    """Return whether the admission waits for the end of the run."""
    return entry.is_single or _is_single(run)


def _is_single(run: Run) -> bool:
    starts = run.graph.definition.starts
    return starts is not None and isinstance(starts.rule, SingleRule)


def _ask_admission(run: Run, entry: Entry, starts: Starts, now: int, out: Effects) -> None:
    workflow = run.graph.name
    key = "" if starts.key is None else key_at(run, starts.key, admission_id(workflow))
    entry.admission, entry.asked = admission_id(workflow, key), now
    out.messages.append(
        AdmissionAsked(
            key=entry.admission, run=run.id, attempt=entry.turn, rule=starts.rule, priority=run.priority,
            is_again=run.started is not None, input=Raw(run.input) if keeps_inputs(starts.rule) else None,
            format=ADMISSIONS, asked=now,
        )
    )  # fmt: skip


def _ask_gate(run: Run, entry: Entry, gate: Gate, out: Effects) -> None:
    entry.gate, share = place_at(run, gate)
    out.messages.append(
        PlaceAsked(
            key=entry.gate, run=run.id, attempt=entry.turn, limits=gate.limits,
            share=share, priority=run.priority, format=GATES,
        )
    )  # fmt: skip
