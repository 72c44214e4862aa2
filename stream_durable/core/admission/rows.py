"""Admissions as rows and back, column by column."""

from __future__ import annotations

from operator import itemgetter
from typing import NamedTuple

import msgspec

from stream_durable.core.admission.rule import Rule
from stream_durable.core.admission.state import Admission, Member, Stage
from stream_durable.core.tables import Parts, Rows, Table

_encode = msgspec.json.Encoder().encode


class AdmissionRow(NamedTuple):
    """An admission without members."""

    id: str
    partition: int
    #: A JSON object; None: the admission is to be forgotten.
    body: bytes | None


class MemberRow(NamedTuple):
    """A run at an admission, now or before."""

    admission: str
    run: str
    partition: int
    #: None: the run is to be forgotten.
    stage: Stage | None
    attempt: int | None = None
    ordinal: int | None = None
    since: int | None = None
    priority: int | None = None
    is_again: bool | None = None
    #: The run that it goes with; empty: none.
    taker: str | None = None
    lease: int | None = None
    #: JSON.
    input: bytes | None = None
    asked: int | None = None


class _Body(msgspec.Struct, omit_defaults=True):
    rule: Rule | None = None
    last: int = 0
    due: int | None = None
    seen: int = 0
    horizon: int = 0


_body = msgspec.json.Decoder(_Body).decode


def read_rule(body: bytes) -> Rule | None:
    """Return the rule of a stored admission."""
    return _body(body).rule


TABLES = (
    Table("admission", AdmissionRow, key=1, needs="body"),
    Table("admission_member", MemberRow, key=2, needs="stage"),
)


def write(admission: Admission, rows: Rows) -> None:
    """Add rows for all changes since the last save."""
    key, partition = admission.id, admission.partition
    if admission.is_touched:
        body = _Body(admission.rule, admission.last, admission.due, admission.seen, admission.horizon)
        row = AdmissionRow(key, partition, None if admission.is_over else _encode(body))
        rows.of(AdmissionRow).append(row)
        admission.is_touched = False
    members = rows.of(MemberRow) if admission.touched else []
    for run in admission.touched:
        member = admission.members.get(run)
        if member is None:
            members.append(MemberRow(key, run, partition, None))
        else:
            members.append(
                MemberRow(
                    key, run, partition, member.stage, member.attempt, member.ordinal, member.since,
                    member.priority, member.is_again, member.into, member.lease, member.input,
                    member.asked,
                )
            )  # fmt: skip
    admission.touched.clear()


def thaw(key: str, partition: int, parts: Parts, graphs: object) -> Admission | None:
    """Return the admission of loaded rows."""
    admissions, members = parts
    if not admissions:
        return None
    [(_, body)] = admissions
    admission, stored = Admission(key, partition), _body(body)
    admission.rule, admission.last = stored.rule, stored.last
    admission.due, admission.seen, admission.horizon = stored.due, stored.seen, stored.horizon
    found = []
    for row in sorted(members, key=itemgetter(4)):
        _, run, stage, attempt, ordinal, since, priority, is_again, into, lease, given, asked = row
        member = Member(attempt, ordinal, since, priority, is_again, stage, into, lease, given, asked)
        found.append((run, member))
    admission.restore(found)
    return admission
