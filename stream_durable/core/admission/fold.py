"""Handlers for each message to an admission.

A request joins the line; then the rule decides about everyone in the line.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Final, assert_never

from msgspec import Raw

from stream_durable.core.admission.rule import (
    TOGETHER_MAX,
    BatchRule,
    DebounceRule,
    Rule,
    SingleRule,
    keeps_inputs,
)
from stream_durable.core.admission.state import UNDER_WAY, Admission, Member, Stage
from stream_durable.core.effects import Effects, Handlers
from stream_durable.core.errors import RejectedError
from stream_durable.core.format import ADMISSIONS
from stream_durable.core.ids import CHILD_MARK, PAYLOAD_BYTES_MAX, clipped
from stream_durable.core.messages import (
    AdmissionAsked,
    AdmissionBegun,
    AdmissionLeft,
    AdmissionMessage,
    AdmissionTimerFired,
    CancelRun,
    RequestDoubted,
    RunAdmitted,
    RunMerged,
)
from stream_durable.core.status import Outcome

#: After this time a run is told once more what it was told: the message, or the answer, may be lost.
LEASE_MS: Final = 300_000
#: A request older than this is in doubt at an admission without runs: what was there may be forgotten, and
#: clocks differ a little.
MEMORY_MS: Final = LEASE_MS * 9 // 10
#: So many are told with one record, and the others with the next.
PORTION: Final = 500
PORTION_MS: Final = 100

_TIMER: Final = ""


def create(message: AdmissionMessage, partition: int) -> Admission:
    """Return the admission of a workflow and key."""
    if CHILD_MARK not in message.key:
        text = f"{message.key[:128]!r} is no admission: its id is a workflow, two slashes and a key"
        raise RejectedError("wrong_key", text)
    return Admission(message.key, partition)


def ask(admission: Admission, message: AdmissionAsked, now: int, out: Effects) -> Outcome:
    """Let a run in, or let it wait or go with another."""
    run = message.run
    member = admission.members.get(run)
    if member is not None:
        if message.attempt < member.attempt:
            return Outcome.LATE
        if message.attempt == member.attempt:
            return _tell_again(admission, run, member, out)
        _leave(admission, run, member)
    elif message.asked:
        horizon = admission.horizon if admission.last else now - MEMORY_MS
        if message.asked <= horizon:
            after = max(now, horizon + 1)
            out.messages.append(
                RequestDoubted(
                    key=run, admission=admission.id, attempt=message.attempt, asked=message.asked,
                    after=after, format=ADMISSIONS,
                )
            )  # fmt: skip
            return Outcome.LATE
    if not admission.last:
        admission.horizon = now - MEMORY_MS
    _go_by(admission, message.rule, out)
    given = None if message.input is None else bytes(message.input)
    if given is not None and admission.size and _waiting_size(admission) + len(given) > PAYLOAD_BYTES_MAX:
        # What the run that begins is given has a bound: those that wait go without the one that comes.
        _let_in(admission, _fitting(admission, TOGETHER_MAX), now, out)
    ordinal = admission.next_ordinal()
    admission.keep(
        run,
        Member(
            message.attempt,
            ordinal,
            now,
            message.priority,
            message.is_again,
            input=given,
            asked=message.asked,
        ),
    )
    return _settle(admission, now, now, out)


def _go_by(admission: Admission, rule: Rule, out: Effects) -> None:
    """Take over a rule; under a rule of one at a time, ask the runs let in to report the end."""
    before, admission.rule = admission.rule, rule
    if isinstance(rule, SingleRule) and before is not None and not isinstance(before, SingleRule):
        for run in admission.under_way:
            _admit(admission, run, out)


def begun(admission: Admission, message: AdmissionBegun, now: int, out: Effects) -> Outcome:
    """Merge the members of a run, now begun."""
    run, member = message.run, admission.members.get(message.run)
    if member is None or member.attempt != message.attempt or member.stage not in ("let_in", "replaced"):
        return Outcome.LATE
    joined = list(admission.joined.get(run, ()))
    if member.stage == "replaced":
        admission.put_back(joined)
    else:
        for other in joined:
            _merge(admission, other, run, now, out)
    if isinstance(admission.rule, SingleRule):
        stage: Stage = "begun" if member.stage == "let_in" else "replaced"
        admission.move(run, stage, lease=now + LEASE_MS)
    else:
        admission.settle(run)
    return _settle(admission, now, now, out)


def leave(admission: Admission, message: AdmissionLeft, now: int, out: Effects) -> Outcome:
    """Let the next run in; members of a run without beginning wait again."""
    member = admission.members.get(message.run)
    if member is None or member.attempt != message.attempt or member.stage == "settled":
        return Outcome.LATE
    _leave(admission, message.run, member)
    return _settle(admission, now, now, out)


def fire(admission: Admission, message: AdmissionTimerFired, now: int, out: Effects) -> Outcome:
    """Handle a due time: of the rule, or for telling runs once more."""
    if message.due != admission.due or out.plan_again(("admission", admission.id, _TIMER), message.due, now):
        return Outcome.LATE
    moment = max(now, message.due)
    admission.due = None
    admission.is_touched = True
    out.timers["admission", admission.id, _TIMER] = None
    if len(admission.settled) == len(admission.members) and admission.seen + LEASE_MS <= moment:
        admission.forget()
        return Outcome.APPLIED
    for _ in range(PORTION):
        lease = admission.next_lease()
        if lease is None or lease[0] > moment:
            break
        run = lease[1]
        member = admission.members[run]
        admission.keep(run, member._replace(lease=moment + LEASE_MS))
        _tell_again(admission, run, member, out)
    return _settle(admission, admission.seen, moment, out)


def _tell_again(admission: Admission, run: str, member: Member, out: Effects) -> Outcome:
    """Repeat the last answer to a run."""
    match member.stage:
        case "waiting" | "joined":
            return Outcome.DUPLICATE
        case "let_in" | "begun":
            _admit(admission, run, out)
        case "replaced":
            _admit(admission, run, out)
            _replace(admission, run, out)
        case "merged":
            _tell_merged(admission, run, member.into, out)
        case "settled":
            return Outcome.LATE
        case _:
            assert_never(member.stage)
    return Outcome.APPLIED


def _leave(admission: Admission, run: str, member: Member) -> None:
    """Forget a run; the members wait again."""
    joined = list(admission.joined.get(run, ()))
    admission.settle(run)
    if joined and member.stage in UNDER_WAY:
        admission.put_back(joined)


def _settle(admission: Admission, seen: int, moment: int, out: Effects) -> Outcome:
    """Go by the rule, and plan the next time."""
    admission.seen = seen
    admission.is_touched = True
    rule = admission.rule
    match rule:
        case DebounceRule():
            _debounce(admission, rule, moment, out)
        case BatchRule():
            _batch(admission, rule, moment, out)
        case SingleRule():
            _single(admission, rule, moment, out)
        case None:
            pass
        case _:
            assert_never(rule)
    if admission.due is None:
        lease = admission.next_lease()
        if lease is not None:
            _plan(admission, lease[0], out)
        elif not admission.line.waiting:
            # The time to forget what nobody uses.
            _plan(admission, admission.seen + LEASE_MS, out)
    return Outcome.APPLIED


def _debounce(admission: Admission, rule: DebounceRule, moment: int, out: Effects) -> None:
    _let_in_alone(admission, rule, moment, out)
    waiting = admission.line.waiting
    if not waiting:
        return
    if len(waiting) >= TOGETHER_MAX and not rule.is_for_all:
        # The oldest stays: the cap counts from it.
        [second, _] = next(islice(waiting, 1, None))
        _merge(admission, second, admission.newest, moment, out)
    members = admission.members
    due = members[admission.newest].since + rule.quiet_ms
    if rule.cap_ms is not None:
        due = min(due, members[admission.oldest].since + rule.cap_ms)
    if due > moment and len(waiting) < TOGETHER_MAX:
        _plan(admission, due, out)
        return
    while waiting:
        _let_in(admission, _fitting(admission, TOGETHER_MAX), moment, out)


def _batch(admission: Admission, rule: BatchRule, moment: int, out: Effects) -> None:
    _let_in_alone(admission, rule, moment, out)
    while admission.line.waiting:
        due = admission.members[admission.oldest].since + rule.within_ms
        if len(admission.line.waiting) < rule.size and due > moment:
            _plan(admission, due, out)
            return
        _let_in(admission, _fitting(admission, rule.size), moment, out)


def _single(admission: Admission, rule: SingleRule, moment: int, out: Effects) -> None:
    waiting = admission.line.waiting
    if waiting and not admission.under_way:
        _let_next_in(admission, rule, moment, out)
    if rule.busy == "queue" or len(waiting) == len(admission.again):
        return
    is_crowded = len(waiting) > TOGETHER_MAX
    match rule.busy:
        case "skip":
            first = admission.first_under_way()
            if admission.members[first].stage == "begun":
                _merge_waiting(admission, first, moment, out)
            elif is_crowded:
                _merge(admission, admission.newest, admission.oldest, moment, out)
        case "newest" | "replace":
            if is_crowded:
                oldest = next(run for run, _ in waiting if run not in admission.again)
                _merge(admission, oldest, admission.newest, moment, out)
            if rule.busy == "replace":
                _replace_others(admission, moment, out)
        case _:
            assert_never(rule.busy)


def _merge_waiting(admission: Admission, into: str, moment: int, out: Effects) -> None:
    """Merge waiting runs into the run under way, and leave further runs to a timer."""
    mergeable = (run for run in admission.waiting if run not in admission.again)
    for run in list(islice(mergeable, PORTION)):
        _merge(admission, run, into, moment, out)
    if len(admission.line.waiting) > len(admission.again):
        _plan(admission, moment + PORTION_MS, out)


def _replace_others(admission: Admission, moment: int, out: Effects) -> None:
    """Have the runs under way cancelled."""
    for run in list(admission.under_way):
        if admission.members[run].stage != "replaced":
            admission.move(run, "replaced", lease=moment + LEASE_MS)
            _replace(admission, run, out)


def _let_next_in(admission: Admission, rule: SingleRule, moment: int, out: Effects) -> None:
    """Let a run in, with members."""
    again = next(iter(admission.again), None)
    if rule.busy == "queue":
        [run, _] = admission.line.first()
        _let_in(admission, [run], moment, out)
    elif again is not None:
        _let_in(admission, [again], moment, out)
    elif rule.busy == "skip":
        first, *others = admission.waiting[: TOGETHER_MAX + 1]
        _let_in(admission, [*others, first], moment, out)
    else:
        _let_in(admission, admission.waiting[-TOGETHER_MAX - 1 :], moment, out)


def _let_in_alone(admission: Admission, rule: Rule, moment: int, out: Effects) -> None:
    """Let in, each alone, runs begun before, and runs without an input to hand over to another."""
    alone = list(admission.again)
    if keeps_inputs(rule):
        alone += [run for run in admission.waiting if admission.members[run].input is None]
    for run in dict.fromkeys(alone):
        _let_in(admission, [run], moment, out)


def _let_in(admission: Admission, runs: list[str], moment: int, out: Effects) -> None:
    """Let the last run in, with the others as members."""
    *others, first = runs
    for run in others:
        admission.move(run, "joined", into=first)
    admission.move(first, "let_in", lease=moment + LEASE_MS)
    _admit(admission, first, out)


def _admit(admission: Admission, run: str, out: Effects) -> None:
    member = admission.members[run]
    inputs: tuple[Raw, ...] = ()
    joined = admission.joined.get(run)
    if joined and admission.rule is not None and keeps_inputs(admission.rule):
        found = (admission.members[each].input for each in (*joined, run))
        inputs = tuple(Raw(each) for each in found if each is not None)
    out.messages.append(
        RunAdmitted(
            key=run, admission=admission.id, attempt=member.attempt, inputs=inputs, format=ADMISSIONS,
            is_single=isinstance(admission.rule, SingleRule),
        )
    )  # fmt: skip


def _merge(admission: Admission, run: str, into: str, moment: int, out: Effects) -> None:
    admission.move(run, "merged", into=into, lease=moment + LEASE_MS)
    _tell_merged(admission, run, into, out)


def _tell_merged(admission: Admission, run: str, into: str, out: Effects) -> None:
    attempt = admission.members[run].attempt
    out.messages.append(
        RunMerged(key=run, admission=admission.id, attempt=attempt, into=into, format=ADMISSIONS)
    )


def _replace(admission: Admission, run: str, out: Effects) -> None:
    attempt = admission.members[run].attempt
    # The turn first: with a long id of the run it would be cut off, and a later request taken for a repeat.
    request = clipped(f"admission/{attempt}/{run}")
    out.messages.append(CancelRun(key=run, id=request, reason="a later run takes its place"))


def _fitting(admission: Admission, size: int) -> list[str]:
    """Return the oldest waiting runs, as many as go together."""
    found, left = list[str](), PAYLOAD_BYTES_MAX
    for run in islice(admission.waiting, size):
        left -= len(admission.members[run].input or b"")
        if left < 0 and found:
            break
        found.append(run)
    return found


def _waiting_size(admission: Admission) -> int:
    waiting: Iterable[tuple[str, str]] = admission.line.waiting
    return sum(len(admission.members[run].input or b"") for run, _ in waiting)


def _plan(admission: Admission, due: int, out: Effects) -> None:
    """Set the timer, unless an earlier time is set."""
    if admission.due is None or due < admission.due:
        admission.due = due
        admission.is_touched = True
        out.timers["admission", admission.id, _TIMER] = due


HANDLERS: Handlers = {
    AdmissionAsked: ask,
    AdmissionBegun: begun,
    AdmissionLeft: leave,
    AdmissionTimerFired: fire,
}
