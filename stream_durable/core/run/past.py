"""What stays of earlier attempts: results of helpers, and acts of people and other systems for waits."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from stream_durable.core.run.from_outside import Act
from stream_durable.core.run.state import Detail, Step

#: The latest acts that a step keeps.
ACTS_MAX: Final = 50


def is_past(helper: Step) -> bool:
    """Return whether a helper was called in an earlier try, and keeps the result until the next call."""
    return helper.detail is not None and helper.attempt < helper.detail.first


def acts_of(step: Step, wait: str = "") -> tuple[Act, ...]:
    """Return the acts for a step, in earlier attempts and the present attempt."""
    detail = step.detail
    if detail is None:
        return ()
    asked, outside = detail.asked, detail.outside
    changes = () if asked is None else asked.changes
    found = [Act(one.at, one.kind, one.by, one.said, wait) for one in changes]
    found += [Act(sent.at, "came", sent.by, sent.name, wait) for sent in detail.sent if sent.at]
    if outside is not None and outside.id:
        found.append(Act(outside.at, "ended from outside", outside.by, "", wait))
    return (*detail.past, *found)


def keep(detail: Detail, acts: Iterable[Act]) -> None:
    """Keep acts for earlier attempts with a step."""
    detail.past = (*detail.past, *acts)[-ACTS_MAX:]
