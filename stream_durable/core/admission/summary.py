"""Admissions for display, from stored rows."""

from __future__ import annotations

from typing import NamedTuple, assert_never

from stream_durable.core.admission.rows import read_rule
from stream_durable.core.admission.rule import BatchRule, DebounceRule, Rule, SingleRule
from stream_durable.core.admission.state import Stage, admission_id
from stream_durable.core.ids import CHILD_MARK


class AdmissionSummary(NamedTuple):
    """The starts of a workflow and a key as a line of a list."""

    workflow: str
    #: Empty: all runs of the workflow meet.
    key: str
    #: That of the definition that asked last.
    rule: Rule | None
    #: Runs that have not begun and were not let in, and those that were, where there is one at a time.
    waiting: int
    under_way: int
    #: When those that wait begin, if no more come; None: that is not a matter of time.
    begins: int | None

    @property
    def id(self) -> str:
        """The id of the entity."""
        return admission_id(self.workflow, self.key)

    @property
    def rule_text(self) -> str:
        """The rule in words."""
        match self.rule:
            case DebounceRule() as rule:
                cap = "" if rule.cap_ms is None else f", at most {rule.cap_ms} ms"
                return f"debounced by {rule.quiet_ms} ms{cap}"
            case BatchRule() as rule:
                return f"batches of {rule.size}, or of {rule.within_ms} ms"
            case SingleRule() as rule:
                return f"one at a time, {rule.busy}"
            case None:
                return ""
            case _:
                assert_never(self.rule)


class AdmissionMember(NamedTuple):
    """A run at an admission."""

    run: str
    stage: Stage
    #: Rises from run to run; it has gaps.
    ordinal: int
    #: When it asked.
    since: int
    priority: int
    #: The run that it goes with; empty: none.
    into: str


def summary_of(
    admission: str, body: bytes, waiting: int, under_way: int, first: int | None, last: int | None
) -> AdmissionSummary:
    """Return the line of an admission; `first` and `last` are the times of requests of waiting runs."""
    workflow, _, key = admission.partition(CHILD_MARK)
    rule = read_rule(body)
    return AdmissionSummary(workflow, key, rule, waiting, under_way, _begins(rule, first, last))


def _begins(rule: Rule | None, first: int | None, last: int | None) -> int | None:
    if first is None or last is None:
        return None
    match rule:
        case DebounceRule():
            quiet = last + rule.quiet_ms
            return quiet if rule.cap_ms is None else min(quiet, first + rule.cap_ms)
        case BatchRule():
            return first + rule.within_ms
        case SingleRule() | None:
            return None
        case _:
            assert_never(rule)
