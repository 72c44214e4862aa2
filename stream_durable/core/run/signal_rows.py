"""Converts signals of a run to rows and back: one row per remembered signal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

import msgspec

from stream_durable.core.run.mail import SEEN_MAX, KeptSignal, Mail
from stream_durable.core.run.state import Run

_older = msgspec.json.Decoder(tuple[list[str], list[tuple[str, str, msgspec.Raw]]]).decode


class SignalRow(NamedTuple):
    """A signal seen by a run; without an id, a deletion."""

    run: str
    position: int
    partition: int
    id: str | None
    #: Until a wait takes it; without data, it expired before.
    name: str | None = None
    data: bytes | None = None
    #: Who sent it, when it came, and when it is kept no longer.
    sent_by: str | None = None
    came: int | None = None
    expires: int | None = None


def signal_rows(run: Run) -> list[SignalRow]:
    """Return the rows of changed signals."""
    mail = run.mail
    if mail is None:
        return []
    found = []
    for position, signal_id in mail.touched.items():
        kept = mail.kept.get(position)
        if kept is not None:
            found.append(_row(run, position, kept, kept.data))
        elif position in mail.expired:
            found.append(_row(run, position, mail.expired[position], None))
        else:
            is_seen = mail.seen.get(signal_id) == position
            found.append(SignalRow(run.id, position, run.partition, signal_id if is_seen else None))
    return found


def _row(run: Run, position: int, kept: KeptSignal, data: bytes | None) -> SignalRow:
    return SignalRow(
        run.id, position, run.partition, kept.id, kept.name, data, kept.by or None, kept.at or None,
        kept.expires,
    )  # fmt: skip


def thaw_mail(signals: Iterable[Sequence[Any]], *, has_reactions: bool) -> Mail:
    """Return the mail from rows (run, position, id, name, data, sent by, came, expires)."""
    mail = Mail(has_reactions=has_reactions)
    rows = sorted(signals, key=itemgetter(1))
    for _, position, signal_id, name, data, sent_by, came, expires in rows:
        mail.last = position
        if data is not None:
            mail.keep(position, KeptSignal(signal_id, name, data, came or 0, sent_by or "", expires))
        elif name is not None:
            mail.expired[position] = KeptSignal(signal_id, name, b"", came or 0, sent_by or "", expires)
    # Older rows than the remembered ones exist because their signals are kept.
    remembered = rows if has_reactions else rows[-SEEN_MAX:]
    mail.seen = {row[2]: row[1] for row in remembered}
    return mail


def older_mail(stored: bytes) -> Mail:
    """Read signals from the row of the run, where an older release has left them, to be stored in rows."""
    mail = Mail()
    seen, kept = _older(stored)
    data = {signal_id: (name, bytes(held)) for signal_id, name, held in kept}
    for signal_id in dict.fromkeys([*(i for i in data if i not in seen), *seen]):
        held = data.get(signal_id)
        mail.add(signal_id, None if held is None else KeptSignal(signal_id, *held))
    return mail
