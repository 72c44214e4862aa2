"""The values behind the golden lines: each message and command, with all its fields and with few."""

from __future__ import annotations

from typing import Any

import msgspec
from golden_gates import KEYS, PLACES
from msgspec import Raw

from stream_durable.core.admission.rule import BatchRule, DebounceRule, SingleRule
from stream_durable.core.effects import CancelAttempt, Command, Kept
from stream_durable.core.failure import Failure
from stream_durable.core.messages import (
    AdmissionAsked,
    AdmissionBegun,
    AdmissionLeft,
    AdmissionTimerFired,
    AnswerInput,
    AssignInput,
    AttemptCancels,
    AttemptCompleted,
    AttemptEmitted,
    AttemptExpanded,
    AttemptFailed,
    AttemptFinished,
    AttemptHeartbeat,
    AttemptJumped,
    AttemptNoted,
    AttemptReturned,
    AttemptSkipped,
    AttemptStarted,
    AttemptWaits,
    Attribute,
    BackfillSchedule,
    Call,
    CancelLater,
    CancelRun,
    CancelStep,
    Change,
    ChangeHeld,
    ChannelContinued,
    ChannelTimerFired,
    ChildEnded,
    ClaimInput,
    CommandsLost,
    CommentInput,
    CompleteHeld,
    CompleteStep,
    DeclaredSchedules,
    DeclareSchedule,
    DeleteSchedule,
    EmissionRefused,
    EmittedEvent,
    EmittedRecord,
    EmittedSignal,
    EmittedStart,
    EventDelivered,
    EventGiven,
    EventOffered,
    EventPublished,
    EventReacted,
    EventTaken,
    EventUnkeyed,
    FailHeld,
    FailStep,
    FormatRaised,
    GateAsked,
    GateLeft,
    GatePassed,
    GateTimerFired,
    Grafted,
    HeartbeatStep,
    InnerWait,
    InquireRun,
    LaterTimerFired,
    LogLine,
    MarkReviewed,
    PauseRun,
    PauseSchedule,
    Plan,
    ProbeBreaker,
    ReadClosed,
    ReadOpened,
    RequestDoubted,
    ResetGate,
    ResumeRun,
    ResumeSchedule,
    RetryRun,
    RulesDeclared,
    RunAdmitted,
    RunContinued,
    RunFollowed,
    RunMerged,
    RunTimerFired,
    Scheduled,
    ScheduledRunEnded,
    ScheduleNext,
    ScheduleTimerFired,
    SendLater,
    SetGate,
    SetSchedule,
    SignalRun,
    SkipStep,
    SleepUntil,
    StartRun,
    StartScheduled,
    StartTriggered,
    StartWithSignal,
    TakeOpened,
    TriggerSchedule,
    UndeclareSchedule,
    WaitChecked,
    WaitClosed,
    WaitOpened,
)
from stream_durable.core.policy import RetryPolicy
from stream_durable.core.schedule.rule import Rule
from stream_durable.wire.inbox import encode

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
FINGERPRINT = "0123456789abcdef"
RUN, CHANNEL, GATE = "run-1", "paid/order-7", "bank"
DATA = Raw('{"total": 12.50,"to":"Zoë"}'.encode())
ATTEMPT: dict[str, Any] = {"key": RUN, "step": "charge", "attempt": 2}
CLOCK = {"started": 1_764_000_000_100, "finished": 1_764_000_000_120}
#: What an attempt may leave behind, whichever way it ended.
LEFT: dict[str, Any] = {
    "worker": "w1",
    **CLOCK,
    "changes": (
        Change("put", "card", Raw(b'"visa"')),
        Change("merge", "", Raw(b'{"a":1}')),
        Change("append", "seen", Raw(b"7")),
        Change("increment", "calls", Raw(b"-2")),
        Change("delete", "draft"),
    ),
    "logs": (LogLine(1_764_000_000_110, "INFO", 'called "Zoë"'),),
}

#: One value for each line of `inbox.jsonl`, in its order: of each type the barest and the fullest.
MESSAGES = [
    StartRun(key=RUN, id="m1", workflow="order", fingerprint=FINGERPRINT),
    StartRun(
        key=RUN,
        id="m1",
        workflow="order",
        fingerprint=FINGERPRINT,
        input=DATA,
        tags=("eu", "Größe"),
        trace=TRACE,
    ),
    CancelRun(key=RUN, id="m2"),
    CancelRun(key=RUN, id="m2", reason='asked "twice"\n'),
    SignalRun(key=RUN, id="m3", signal="approve"),
    SignalRun(key=RUN, id="m3", signal="approve", data=Raw(b"[1,2]")),
    AttemptStarted(**ATTEMPT),
    AttemptStarted(**ATTEMPT, worker="w1", lease_ms=5_000, timeout_ms=60_000),
    AttemptHeartbeat(**ATTEMPT),
    AttemptHeartbeat(**ATTEMPT, worker="w1", lease_ms=5_000, percent=12.5, label="page 3"),
    AttemptCompleted(**ATTEMPT),
    AttemptCompleted(**ATTEMPT, worker="w1", output=DATA, **CLOCK),
    AttemptFailed(**ATTEMPT, failure=Failure("ValueError")),
    AttemptFailed(
        **ATTEMPT,
        worker="w1",
        failure=Failure("no_card", "no such card", False, {"card": [4, None]}, "Traceback:\n  x", "charge"),
        **CLOCK,
    ),
    EventDelivered(key=RUN, wait="paid", id="m4"),
    EventDelivered(key=RUN, wait="paid", id="m4", data=DATA),
    RunTimerFired(key=RUN, timer="charge", due=1_764_000_000_000),
    RunTimerFired(key=RUN, timer="", due=0),
    EventPublished(key=CHANNEL, id="m5", ttl_ms=60_000),
    EventPublished(key=CHANNEL, id="m5", ttl_ms=60_000, data=Raw(b'"x"')),
    WaitOpened(key=CHANNEL, run=RUN, wait="paid"),
    WaitClosed(key=CHANNEL, run=RUN, wait="paid"),
    ChannelTimerFired(key=CHANNEL, timer="", due=1_764_000_000_000),
    AttemptReturned(**ATTEMPT),
    AttemptReturned(**ATTEMPT, worker="w1", delay_ms=250, reason="drained"),
    StartRun(
        key=RUN,
        id="m1",
        workflow="order",
        fingerprint=FINGERPRINT,
        input=DATA,
        tags=("eu", "Größe"),
        trace=TRACE,
        at=1_764_000_060_000,
        queue="fast",
        priority=-5,
        metadata=Raw(b'{"by":"shop"}'),
        parent="run-0",
        parent_step="ship",
        depth=3,
        picks=("done", "page.next"),
    ),
    CancelRun(key=RUN, id="m2", reason="asked twice", compensate=True),
    AttemptCompleted(**ATTEMPT, **LEFT, output=DATA),
    AttemptFailed(**ATTEMPT, **LEFT, failure=Failure("no_card", "no such card"), delay_ms=1_500),
    AttemptReturned(**ATTEMPT, **LEFT, delay_ms=250, reason="not yet", returns=3),
    PauseRun(key=RUN, id="m6"),
    PauseRun(key=RUN, id="m6", reason="stocktaking"),
    ResumeRun(key=RUN, id="m7"),
    ResumeRun(key=RUN, id="m7", context=Raw(b'{"limit":5}')),
    ResumeRun(key=RUN, id="m7", context=Raw(b'{"limit":5}'), reason="the bank is back", by="tim"),
    CancelStep(key=RUN, id="m8", step="charge"),
    CancelStep(key=RUN, id="m8", step="charge", reason="paid in cash"),
    SkipStep(key=RUN, id="m9", step="charge"),
    SkipStep(key=RUN, id="m9", step="charge", reason="paid in cash"),
    RetryRun(key=RUN, id="m10"),
    RetryRun(key=RUN, id="m10", step="charge", whole=True),
    ChildEnded(key=RUN, step="ship", child="run-1/ship", status="completed"),
    ChildEnded(
        key=RUN,
        step="ship",
        child="run-1/ship/2",
        status="failed",
        output=DATA,
        failure=Failure("no_card", "no such card", step="charge"),
    ),
    AttemptSkipped(**ATTEMPT),
    AttemptSkipped(**ATTEMPT, **LEFT, reason="free of charge"),
    AttemptJumped(**ATTEMPT, to="ship"),
    AttemptJumped(**ATTEMPT, **LEFT, to="ship", output=DATA),
    AttemptExpanded(**ATTEMPT),
    AttemptExpanded(
        **ATTEMPT,
        **LEFT,
        steps=(Grafted(of="scan"), Grafted(of="pack", name="box", item=DATA, after=("0",))),
        concurrency=4,
        complete_all=True,
    ),
    AttemptFinished(**ATTEMPT),
    AttemptFinished(**ATTEMPT, **LEFT, output=DATA),
    GateAsked(key=GATE, run=RUN, step="charge", attempt=2),
    GateAsked(key=GATE, run=RUN, step="charge", attempt=2, failures=3, window_ms=10_000, reset_ms=5_000),
    GateLeft(key=GATE, run=RUN, step="charge", attempt=2),
    GateLeft(key=GATE, run=RUN, step="charge", attempt=2, is_ok=False),
    GateTimerFired(key=GATE, timer="", due=1_764_000_000_000),
    GatePassed(**ATTEMPT),
    GatePassed(**ATTEMPT, gate=GATE),
    EventDelivered(key=RUN, wait="paid", id="m4", data=DATA, attempt=2),
    WaitOpened(key=CHANNEL, run=RUN, wait="paid", attempt=2, since=1_764_000_000_000),
    WaitClosed(key=CHANNEL, run=RUN, wait="paid", attempt=2),
    WaitChecked(key=RUN, wait="paid", channel=CHANNEL),
    WaitChecked(key=RUN, wait="paid", channel=CHANNEL, attempt=2),
    ChannelContinued(key=CHANNEL),
    RunContinued(key=RUN),
    GateLeft(key=GATE, run=RUN, step="charge", attempt=2, is_ok=False, since=1_764_000_000_000),
    FormatRaised(key="3", format=2),
    AttemptCompleted(**ATTEMPT, output=DATA, changes=(Change("merge_deep", "card", Raw(b'{"a":{"b":1}}')),)),
    AttemptHeartbeat(**ATTEMPT, worker="w1", lease_ms=5_000, percent=12.5, label="page 3", reply_to=6),
    CommandsLost(key="3", queue="default"),
    CommandsLost(key="3", queue="default", worker="w1"),
]

MESSAGES.append(msgspec.structs.replace(MESSAGES[25], trigger="event"))

QUESTION: dict[str, Any] = {"key": RUN, "id": "m5", "wait": "approved", "format": 2}
MESSAGES += [
    AnswerInput(**QUESTION, answer=Raw(b"true")),
    AnswerInput(**QUESTION, answer=DATA, attempt=2, by="Zoë", comment="looks fine"),
    ClaimInput(**QUESTION),
    ClaimInput(**QUESTION, attempt=2, by="Zoë"),
    AssignInput(**QUESTION),
    AssignInput(**QUESTION, attempt=2, by="Zoë", to="tom", role="warehouse", comment="yours"),
    CommentInput(**QUESTION, comment="is it paid?"),
    CommentInput(**QUESTION, attempt=2, by="Zoë", comment="is it paid?"),
]

REST: dict[str, Any] = {"key": RUN, "step": "rested", "format": 2}
MESSAGES += [
    SleepUntil(**REST, attempt=1),
    SleepUntil(**REST, attempt=2, at=1_764_000_060_000, failure=Failure("unknown_zone", "none")),
]

MESSAGES += [
    StartWithSignal(
        key=RUN, id="m1", workflow="order", fingerprint=FINGERPRINT, format=2, signal="released"
    ),
    StartWithSignal(
        **{name: getattr(MESSAGES[25], name) for name in MESSAGES[25].__struct_fields__ if name != "trigger"},
        trigger="event", format=2, signal="released", data=DATA,
    ),
]  # fmt: skip

TAKER: dict[str, Any] = {"wait": "paid", "attempt": 2, "format": 2}
MESSAGES += [
    EventOffered(key=RUN, wait="paid", id="m4", channel=CHANNEL, format=2),
    EventOffered(**TAKER, key=RUN, id="m4", channel=CHANNEL, data=DATA),
    TakeOpened(key=CHANNEL, run=RUN, wait="paid", format=2),
    TakeOpened(**TAKER, key=CHANNEL, run=RUN, since=1_764_000_000_000),
    EventTaken(**TAKER, key=CHANNEL, run=RUN, id="m4"),
]

OUTSIDE: dict[str, Any] = {"key": RUN, "id": "m6", "step": "delivered", "format": 2}
NAMED: dict[str, Any] = {**OUTSIDE, "attempt": 2, "by": "Zoë"}
LOST = Failure("lost", "on the way", False, {"parcel": 7})
MESSAGES += [
    CompleteStep(**OUTSIDE),
    CompleteStep(**NAMED, output=DATA),
    FailStep(**OUTSIDE, failure=Failure("failed")),
    FailStep(**NAMED, failure=LOST),
    HeartbeatStep(**OUTSIDE),
    HeartbeatStep(**NAMED),
]
LATER = "event:paid/order-7#m5"
MESSAGES += [
    SendLater(key=LATER, format=2, message=EventPublished(key=CHANNEL, id="m5", ttl_ms=60_000)),
    SendLater(
        key=LATER, format=2, message=SignalRun(key=RUN, id="m5", signal="go", data=DATA),
        at=1_764_000_060_000, after_ms=5_000,
    ),
    CancelLater(key=LATER, id="m6", format=2),
    LaterTimerFired(key=LATER, timer="", due=1_764_000_000_000),
]  # fmt: skip

MESSAGES += [
    InquireRun(key=RUN, id="m7", inquiry="quote", format=2),
    InquireRun(key=RUN, id="m7", inquiry="quote", format=2, data=DATA),
]

MESSAGES += [
    AttemptEmitted(**ATTEMPT, format=2, end=AttemptCompleted(**ATTEMPT)),
    AttemptEmitted(
        **ATTEMPT, worker="w1", format=2, end=AttemptCompleted(**ATTEMPT, **LEFT, output=DATA),
        emissions=(
            EmittedRecord(topic="shop.parcels", record_key=b"7", value=b"{}", content="application/json"),
            EmittedRecord(topic="shop.parcels", record_key=b"7"),
            EmittedRecord(topic="t", value=b"\x02", content="avro/binary", schema="0011223344556677"),
            EmittedEvent(event="paid", event_key="order-7", data=DATA, ttl_ms=60_000),
            EmittedSignal(run="run-2", signal="approve", data=DATA),
            EmittedStart(run="run-3", workflow="order", fingerprint=FINGERPRINT, input=DATA, tags=("eu",)),
        ),
    ),
    EmissionRefused(**ATTEMPT, id="run-1//charge/2/1", format=2, topic="shop.parcels"),
    EmissionRefused(
        **ATTEMPT, id="run-1//charge/2/1", format=2, topic="shop.parcels", code="no_topic", reason="none",
    ),
]  # fmt: skip

PASS: dict[str, Any] = {**ATTEMPT, "format": 2}
MESSAGES += [
    AttemptStarted(
        **ATTEMPT, lease_ms=30_001, timeout_ms=60_000, worker="w1", is_repeat=True, passes=3,
        returns=2, losses=1,
    ),
    AttemptNoted(**PASS, note="page-1", at=1),
    AttemptNoted(
        **PASS, worker="w1", passes=3, note="checkpoint", at=7, is_checkpoint=True, value=DATA,
        is_first=True, returns=1, losses=2, lease_ms=10_000, timeout_ms=60_000,
    ),
    AttemptWaits(
        **PASS, waits=(InnerWait(1, Raw(b'{"kind":"sleep","name":"charge/1","duration_ms":60000}')),)
    ),
    AttemptWaits(
        **PASS, worker="w1", passes=3, is_kept=True, returns=1, losses=2,
        waits=(
            InnerWait(4, Raw(b'{"kind":"signal","name":"charge/go","signals":["go"]}')),
            InnerWait(5, Raw(b'{"kind":"event","name":"charge/paid","event":"paid","key":"=\\"42\\""}')),
        ),
    ),
]  # fmt: skip

MESSAGES += [
    AttemptCancels(**ATTEMPT, format=2),
    AttemptCancels(**ATTEMPT, **LEFT, format=2, reason="called off", compensate=True),
]

ASKED: dict[str, Any] = {"run": RUN, "step": "charge", "attempt": 2}

#: One value for each line of `commands.jsonl`, in its order.
COMMANDS = [
    Command(**ASKED, workflow="order", fingerprint=FINGERPRINT),
    Command(**ASKED, workflow="order", fingerprint=FINGERPRINT, input=Raw(b"null")),
    Command(
        **ASKED,
        workflow="order",
        fingerprint=FINGERPRINT,
        input=DATA,
        outputs={"check": Raw(b"true"), "price": Raw(b'{"net":1}')},
        timeout_ms=60_000,
        trace=TRACE,
    ),
    CancelAttempt(**ASKED),
    Command(
        run=RUN,
        step="charge[3]~compensate",
        attempt=5,
        workflow="order",
        fingerprint=FINGERPRINT,
        input=DATA,
        outputs={"charge": Raw(b"true")},
        timeout_ms=60_000,
        trace=TRACE,
        function="charge~compensate",
        item=DATA,
        context=Raw(b'{"card":"visa"}'),
        happened=Raw(b'{"run":"run-1","step":"charge[3]"}'),
        ordinal=2,
        returns=3,
        priority=-5,
        tags=("eu", "Größe"),
        metadata=Raw(b'{"by":"shop"}'),
        picks=("charge.kind", "charge.total"),
    ),
    CancelAttempt(**ASKED, must_answer=True),
]
COMMANDS.append(msgspec.structs.replace(COMMANDS[4], losses=2))
COMMANDS.append(msgspec.structs.replace(COMMANDS[4], losses=2, redriven=True))
COMMANDS.append(CancelAttempt(**ASKED, must_answer=True, worker="w1"))
COMMANDS.append(msgspec.structs.replace(COMMANDS[4], losses=2, redriven=True, alone=True))
COMMANDS.append(msgspec.structs.replace(COMMANDS[4], losses=2, redriven=True, alone=True, generation=1))

MESSAGES.append(
    msgspec.structs.replace(
        next(one for one in MESSAGES if type(one) is StartRun and one.trigger), timeout_ms=3_600_000
    )
)
MESSAGES.append(
    msgspec.structs.replace(
        next(one for one in MESSAGES if type(one) is StartWithSignal and one.trigger), timeout_ms=3_600_000
    )
)
#: The call of a function that has kept values, with every other field.
MESSAGES += [
    msgspec.structs.replace(
        max((one for one in MESSAGES if type(one) is kind), key=lambda one: len(encode(one))),
        call=Call(3, 2, 1),
    )
    for kind in (
        AttemptStarted, AttemptCompleted, AttemptFailed, AttemptReturned, AttemptSkipped, AttemptJumped,
        AttemptExpanded, AttemptFinished, AttemptCancels,
    )
]  # fmt: skip
NIGHTLY: dict[str, Any] = {"key": "nightly", "format": 2}
SHORT_PLAN = Plan(rule=Rule(every_ms=60_000), workflow="report")
PLAN = Plan(
    rule=Rule(
        cron=("0 2 * * *", "30 0 12 * * MON"), zone="Europe/Berlin", start=1_764_000_000_000,
        end=1_864_000_000_000, jitter_ms=120_000,
    ),
    workflow="report", input=DATA, overlap="queue_one", catch_up_ms=3_600_000, timeout_ms=60_000,
    disable_after=3, tags=("eu", "Größe"), queue="fast", priority=-5, metadata=Raw(b'{"by":"shop"}'),
)  # fmt: skip
FULL_START = msgspec.structs.asdict(next(one for one in MESSAGES if type(one) is StartRun and one.timeout_ms))
MESSAGES += [
    StartScheduled(
        key="nightly//2025-11-24T16:00:00Z", id="nightly//2025-11-24T16:00:00Z", workflow="report",
        fingerprint=FINGERPRINT, format=2, schedule="nightly", moment=1_764_000_000_000,
    ),
    StartScheduled(**FULL_START, format=2, schedule="nightly", moment=1_764_000_000_000),
    SetSchedule(**NIGHTLY, id="m8"),
    SetSchedule(**NIGHTLY, id="m8", plan=PLAN, is_new=True),
    SetSchedule(**NIGHTLY, id="m8", plan=Plan(rule=Rule(at=(1_764_000_000_000,)), workflow="report")),
    SetSchedule(**NIGHTLY, id="m8", plan=Plan(rule=Rule(after_ms=60_000), workflow="report")),
    DeclareSchedule(**NIGHTLY, id="m8", app="shop", plan=SHORT_PLAN),
    DeclaredSchedules(key="shop//", format=2, id="m8", app="shop"),
    DeclaredSchedules(key="shop//", format=2, id="m8", app="shop", names=("hourly", "nightly")),
    UndeclareSchedule(**NIGHTLY, app="shop"),
    PauseSchedule(**NIGHTLY, id="m8"),
    PauseSchedule(**NIGHTLY, id="m8", by="Zoë", reason="holidays"),
    ResumeSchedule(**NIGHTLY, id="m8"),
    DeleteSchedule(**NIGHTLY, id="m8"),
    TriggerSchedule(**NIGHTLY, id="m8"),
    BackfillSchedule(**NIGHTLY, id="m8", moments=(1_764_000_000_000,)),
    BackfillSchedule(**NIGHTLY, id="m8", moments=(1_764_000_000_000, 1_764_003_600_000), pace_ms=5_000),
    ScheduleNext(**NIGHTLY, revision=1, after=1_764_000_000_000),
    ScheduleNext(
        **NIGHTLY, revision=1, after=1_764_000_000_000, at=1_764_003_600_000, missed=3, failure=LOST,
    ),
    ScheduledRunEnded(**NIGHTLY, run="nightly//@m8", status="completed"),
    ScheduledRunEnded(**NIGHTLY, run="nightly//@m8", status="failed", failure=LOST),
    ScheduleTimerFired(key="nightly", timer="", due=1_764_000_000_000),
]  # fmt: skip

COMMANDS.append(msgspec.structs.replace(COMMANDS[-1], tokens={"delivered": 2}))
COMMANDS.append(
    msgspec.structs.replace(
        COMMANDS[-1], is_suspect=True, passes=3, is_rest=True, keeper="w1",
        kept=(
            Kept("page-1", "once", 1, DATA),
            Kept("3", "sleep"),
            Kept("thanks", "child", 4, failure=Failure("late", "too late")),
        ),
    )
)  # fmt: skip
COMMANDS.append(msgspec.structs.replace(COMMANDS[-1], scheduled=Scheduled("nightly", 1_764_000_000_000)))


READ: dict[str, Any] = {"key": CHANNEL, "run": RUN, "reaction": "~changed", "ordinal": 2, "format": 2}
GIVEN: dict[str, Any] = {**READ, "key": RUN, "id": "m4", "number": 7, "channel": CHANNEL}
del GIVEN["run"]
MESSAGES += [
    EventGiven(**GIVEN),
    EventGiven(**GIVEN, data=DATA, at=1_764_000_000_000),
    ReadOpened(**READ),
    ReadOpened(**READ, since=1_764_000_000_000),
    EventReacted(**READ, number=7),
    ReadClosed(**READ),
    SignalRun(key=RUN, id="m3", signal="approve", data=Raw(b"[1,2]"), by="tom", ttl_ms=60_000),
    EventPublished(key=CHANNEL, id="m5", ttl_ms=60_000, data=Raw(b'"x"'), by="till 4"),
    EventDelivered(key=RUN, wait="paid", id="m4", data=DATA, attempt=2, by="till 4", at=1_764_000_000_000),
    EventGiven(**GIVEN, data=DATA, at=1_764_000_000_000, by="till 4"),
    EventOffered(**TAKER, key=RUN, id="m4", channel=CHANNEL, data=DATA, by="till 4", at=1_764_000_000_000),
    StartWithSignal(
        **{
            name: getattr(MESSAGES[25], name)
            for name in MESSAGES[25].__struct_fields__
            if name not in ("trigger", "timeout_ms")
        },
        trigger="event",
        format=2,
        signal="released",
        data=DATA,
        by="tom",
        timeout_ms=60_000,
    ),
]

#: A start of each kind with all fields.
MESSAGES += [
    msgspec.structs.replace(next(one for one in MESSAGES if type(one) is kind and one.timeout_ms), **more)
    for kind, more in (
        (StartRun, {"is_awaited": False}),
        (StartWithSignal, {"is_awaited": False, "by": "tom"}),
        (StartScheduled, {"is_awaited": False}),
    )
]

#: Who asked, and why a command was given back.
MESSAGES += [
    CancelRun(key="run-1", id="m2", reason="asked twice", compensate=True, by="tom"),
    PauseRun(key="run-1", id="m6", reason="stocktaking", by="tom"),
    msgspec.structs.replace(
        next(one for one in MESSAGES if type(one) is AttemptReturned and one.call), is_not_carried=True
    ),
]
MESSAGES += PLACES
TRIGGERED: dict[str, Any] = {
    "format": 2, "on": "order.created:order", "event": "order.created", "event_id": "m4",
}  # fmt: skip
MESSAGES += [
    StartTriggered(
        key="order.created:order//42#m4", id="order.created:order/m4", workflow="order",
        fingerprint=FINGERPRINT, **TRIGGERED,
    ),
    StartTriggered(
        **{**FULL_START, "is_awaited": False}, **TRIGGERED,
        failure=Failure("invalid_input", "id is missing", retryable=False),
    ),
    EventUnkeyed(key="order.created/m4", id="m4", format=2),
    EventUnkeyed(key="order.created/m4", id="m4", format=2, data=DATA, by="till 4"),
    RulesDeclared(key="3", format=2),
]  # fmt: skip

HELD: dict[str, Any] = {"key": RUN, "id": "m9", "step": "charge", "format": 2}
BY: dict[str, Any] = {"key": RUN, "id": "m9", "reason": "the bank is back", "by": "tom"}
MESSAGES += [
    CancelRun(**BY, compensate=True),
    CancelStep(**BY, step="charge"),
    SkipStep(**BY, step="charge"),
    RetryRun(**BY, step="charge", whole=True),
    CompleteHeld(**HELD),
    CompleteHeld(**HELD, attempt=3, by="tom", reason="looked up", output=DATA),
    FailHeld(**HELD),
    FailHeld(**HELD, attempt=3, by="tom", reason="no", failure=Failure("lost", "no", retryable=False)),
]

ATTRIBUTES = (
    Attribute("amount", "number", 9.5),
    Attribute("count", "number", 3),
    Attribute("region", "text", "Größe"),
    Attribute("vip", "truth", True),  # noqa: FBT003 - a value
    Attribute("due", "moment", 1_764_000_000_000),
)
MESSAGES += [
    msgspec.structs.replace(
        next(one for one in MESSAGES if type(one) is AttemptEmitted and one.emissions), attributes=ATTRIBUTES
    ),
    *(
        msgspec.structs.replace([one for one in MESSAGES if type(one) is kind][-1], attributes=ATTRIBUTES)
        for kind in (StartRun, StartWithSignal, StartScheduled, StartTriggered)
    ),
]

#: How long a signal is kept that comes with a start, or from a step.
MESSAGES += [
    msgspec.structs.replace([one for one in MESSAGES if type(one) is StartWithSignal][-1], ttl_ms=60_000),
    AttemptEmitted(
        key=RUN,
        step="charge",
        attempt=2,
        format=2,
        end=AttemptCompleted(key=RUN, step="charge", attempt=2, output=DATA),
        emissions=(EmittedSignal(run="run-2", signal="approve", data=DATA, ttl_ms=60_000),),
    ),
]
MESSAGES += [
    StartRun(key=RUN, id="m1", workflow="order", fingerprint="0123456789abcdef", due_ms=3_600_000),
    msgspec.structs.replace([one for one in MESSAGES if type(one) is StartRun][-1], due_at=1_764_000_060_000),
    RunTimerFired(key=RUN, timer="charge~due", due=1_764_000_000_000),
]
MESSAGES += [
    msgspec.structs.replace(
        next(one for one in reversed(MESSAGES) if type(one) is kind and one.attributes),
        due_ms=3_600_000, due_at=1_764_000_060_000,
    )
    for kind in (StartRun, StartWithSignal, StartScheduled, StartTriggered)
]  # fmt: skip

#: What a call has cost, with every other field.
MESSAGES += [
    msgspec.structs.replace(
        max((one for one in MESSAGES if type(one) is kind), key=lambda one: len(encode(one))), spent=1_200
    )
    for kind in (
        AttemptCompleted, AttemptFailed, AttemptReturned, AttemptSkipped, AttemptJumped, AttemptExpanded,
        AttemptFinished, AttemptCancels, AttemptWaits,
    )
]  # fmt: skip
CHANGE: dict[str, Any] = {"key": RUN, "id": "m9", "format": 2}
MESSAGES += [
    ChangeHeld(**CHANGE),
    ChangeHeld(
        **CHANGE, workflow="order", input=DATA, context={"order.total": Raw(b"5"), "seen": Raw(b"null")},
        step="charge", retry=RetryPolicy(5, "fixed", 500), attempts=6, timeout_ms=60_000, total_ms=3_600_000,
        by="tom", reason="a wrong account",
    ),
]  # fmt: skip
MAIL: dict[str, Any] = {"key": "mail//zoë", "run": RUN, "format": 2}
LET: dict[str, Any] = {"key": RUN, "admission": "mail//zoë", "attempt": 2, "format": 2}
FOLLOWED: dict[str, Any] = {
    "key": "run-2",
    "parent": "run-0",
    "parent_step": "ship",
    "child": RUN,
    "format": 2,
}
MESSAGES += [
    AdmissionAsked(**MAIL, attempt=1, rule=DebounceRule(quiet_ms=5_000)),
    AdmissionAsked(
        **MAIL, attempt=2, rule=DebounceRule(quiet_ms=5_000, cap_ms=60_000, is_for_all=True), priority=-5,
        is_again=True, input=DATA,
    ),
    AdmissionAsked(**MAIL, attempt=1, rule=BatchRule(size=100, within_ms=10_000), input=DATA),
    AdmissionAsked(**MAIL, attempt=1, rule=SingleRule()),
    AdmissionAsked(**MAIL, attempt=1, rule=SingleRule(busy="newest")),
    AdmissionBegun(**MAIL, attempt=2),
    AdmissionLeft(**MAIL, attempt=2),
    AdmissionTimerFired(key="mail//zoë", timer="", due=1_764_000_060_000),
    RunAdmitted(**LET),
    RunAdmitted(**LET, inputs=(DATA, Raw(b"null"))),
    RunMerged(**LET, into="run-2"),
    RunFollowed(**FOLLOWED),
    RunFollowed(**FOLLOWED, picks=("done", "page.next")),
    AdmissionAsked(
        **MAIL, attempt=1, rule=BatchRule(size=2, within_ms=1), priority=1, is_again=True, input=DATA,
        asked=1_764_000_000_000,
    ),
    RequestDoubted(**LET, asked=1_764_000_000_000, after=1_764_000_300_000),
]  # fmt: skip
COMMANDS.append(msgspec.structs.replace(COMMANDS[-1], inputs=(DATA, Raw(b"null"))))
#: Orders with the one who gives them, with every other field.
ORDERED = [
    msgspec.structs.replace(
        max((one for one in MESSAGES if type(one) is kind), key=lambda one: len(encode(one))),
        by="Zoë",
        reason="it is slow",
    )
    for kind in (
        SetSchedule, ResumeSchedule, DeleteSchedule, TriggerSchedule, BackfillSchedule, SetGate, ResetGate,
        ProbeBreaker,
    )
]  # fmt: skip
MESSAGES += ORDERED
REVIEW: dict[str, Any] = {"key": RUN, "id": "m12", "format": 2}
MESSAGES += [MarkReviewed(**REVIEW), MarkReviewed(**REVIEW, by="Zoë", reason="paid by hand")]
MESSAGES += KEYS
MESSAGES += [RunAdmitted(**LET, inputs=(DATA, Raw(b"null")), is_single=True)]
MESSAGES += [
    EventGiven(**GIVEN, data=DATA, at=1_764_000_000_000, by="till 4", more=15),
    EventReacted(**READ, number=7, room=16),
]
