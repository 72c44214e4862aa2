"""The moments of a rule. Moments depend on zone data, so the fold takes moments from the log alone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Final

from stream_durable.core.calendar import zone_of
from stream_durable.core.errors import RejectedError
from stream_durable.core.ids import fraction
from stream_durable.core.schedule.cron import next_in_zone, read_cron
from stream_durable.core.schedule.rule import AT_MAX, CRON_MAX, EVERY_MS_MIN, JITTER_MS_MAX, Rule

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
#: A moment beyond the year 9999 is none.
_LAST: Final = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // timedelta(milliseconds=1) - 86_400_000


def next_moment(rule: Rule, after: int, created: int) -> int | None:
    """Return the first moment after another, in milliseconds; None: there is no more.

    `created` is when the schedule was created. Raises `RejectedError` for a rule refused by `check_rule`.
    """
    if rule.start is not None:
        after = max(after, rule.start - 1)
    found = _next(rule, after, created)
    if found is None or found > _LAST or (rule.end is not None and found >= rule.end):
        return None
    return found


def moments(rule: Rule, after: int, created: int, until: int) -> Iterator[int]:
    """Return the moments between two, in order."""
    while (found := next_moment(rule, after, created)) is not None and found < until:
        yield found
        after = found


def next_moments(rule: Rule, after: int, created: int, count: int) -> list[int]:
    """Return the next moments, so many at most."""
    return list(islice(moments(rule, after, created, _LAST + 1), count))


def jittered(rule: Rule, schedule: str, moment: int) -> int:
    """Return the due time of a moment's firing: always the same."""
    if not rule.jitter_ms:
        return moment
    return moment + int(fraction("jitter", schedule, str(moment)) * rule.jitter_ms)


def check_rule(rule: Rule, name: str) -> None:
    """Raise `RejectedError` for an impossible rule, or a rule without any moment."""
    what = f"schedule {name[:128]!r}"
    given = [bool(rule.cron), rule.every_ms is not None, bool(rule.at), rule.after_ms is not None]
    if sum(given) != 1:
        text = "needs one of cron, every, at and after" if not any(given) else "has more than one rule"
        raise RejectedError("bad_schedule", f"{what} {text}: give exactly one of cron, every, at and after")
    _check_bounds(rule, what)
    try:
        zone_of(rule.zone)
    except RejectedError as error:
        raise RejectedError(error.code, f"{what}: {error}; write one such as Europe/Berlin") from error
    try:
        for text in rule.cron:
            read_cron(text)
    except RejectedError as error:
        raise RejectedError(error.code, f"{what}: {error}") from error
    if next_moment(rule, -1, 0) is None:
        why = ", ".join(map(repr, rule.cron)) or "its rule"
        between = " between start and end" if rule.start is not None or rule.end is not None else ""
        raise RejectedError("never_fires", f"{what} never fires: {why} has no moment{between}; correct it")


def _check_bounds(rule: Rule, what: str) -> None:
    if len(rule.cron) > CRON_MAX or len(rule.at) > AT_MAX:
        text = f"has too many rules: {CRON_MAX} expressions and {AT_MAX} moments are the most"
        raise RejectedError("bad_schedule", f"{what} {text}; declare a second schedule")
    if rule.every_ms is not None and rule.every_ms < EVERY_MS_MIN:
        text = f"cannot fire every {rule.every_ms} ms: {EVERY_MS_MIN} ms are the least; give every= more"
        raise RejectedError("bad_schedule", f"{what} {text}")
    if rule.start is not None and rule.end is not None and rule.end <= rule.start:
        raise RejectedError("bad_schedule", f"{what} ends before it starts: give end= a later moment")
    if not 0 <= rule.jitter_ms <= JITTER_MS_MAX:
        text = f"has a jitter of {rule.jitter_ms} ms: give jitter= a day or less"
        raise RejectedError("bad_schedule", f"{what} {text}")


def _next(rule: Rule, after: int, created: int) -> int | None:
    if rule.cron:
        zone = zone_of(rule.zone)
        found = [next_in_zone(read_cron(text), zone, after) for text in rule.cron]
        return min((moment for moment in found if moment is not None), default=None)
    if rule.every_ms is not None:
        anchor = rule.start or 0
        return anchor + max(0, (after - anchor) // rule.every_ms + 1) * rule.every_ms
    if rule.after_ms is not None:
        moment = created + rule.after_ms
        return moment if moment > after else None
    return min((moment for moment in rule.at if moment > after), default=None)
