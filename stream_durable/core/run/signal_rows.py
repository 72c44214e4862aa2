"""Converts signals of a run to rows and back: one row per remembered signal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

import msgspec

from stream_durable.core.run.mail import SEEN_MAX, Mail
from stream_durable.core.run.state import Run

_older = msgspec.json.Decoder(tuple[list[str], list[tuple[str, str, msgspec.Raw]]]).decode


class SignalRow(NamedTuple):
    """A signal seen by a run; without an id, a deletion."""

    run: str
    position: int
    partition: int
    id: str | None
    #: Both until a wait takes it.
    name: str | None = None
    data: bytes | None = None


def signal_rows(run: Run) -> list[SignalRow]:
    """Return the rows of changed signals."""
    mail = run.mail
    if mail is None:
        return []
    found = []
    for position, signal_id in mail.touched.items():
        kept = mail.kept.get(position)
        if kept is not None:
            found.append(SignalRow(run.id, position, run.partition, *kept))
        else:
            is_seen = mail.seen.get(signal_id) == position
            found.append(SignalRow(run.id, position, run.partition, signal_id if is_seen else None))
    return found


def thaw_mail(signals: Iterable[Sequence[Any]], *, has_reactions: bool) -> Mail:
    """Return the mail from rows (run, position, id, name, data)."""
    mail = Mail(has_reactions=has_reactions)
    rows = sorted(signals, key=itemgetter(1))
    for _, position, signal_id, name, data in rows:
        mail.last = position
        if data is not None:
            mail.kept[position] = (signal_id, name, data)
            mail.size += len(data)
    # Older rows than the remembered ones exist because their signals are kept.
    remembered = rows if has_reactions else rows[-SEEN_MAX:]
    mail.seen = {signal_id: position for _, position, signal_id, _, _ in remembered}
    return mail


def older_mail(stored: bytes) -> Mail:
    """Read signals from the row of the run, where an older release has left them, to be stored in rows."""
    mail = Mail()
    seen, kept = _older(stored)
    data = {signal_id: (name, bytes(held)) for signal_id, name, held in kept}
    for signal_id in dict.fromkeys([*(i for i in data if i not in seen), *seen]):
        mail.add(signal_id, *data.get(signal_id, ("", None)))
    return mail
