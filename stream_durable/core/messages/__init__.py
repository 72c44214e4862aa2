"""Every message to an entity: the vocabulary of the inbox.

A module for each kind of entity, and for a run some more, by subject. Each message names its entity by
`key`, also the Kafka key; `kind` is the kind of entity. A field may be added with a default, never renamed or
removed: every later release reads the log.
"""

from __future__ import annotations

from typing import get_args

from stream_durable.core.messages.admission import (
    AdmissionAsked,
    AdmissionBegun,
    AdmissionLeft,
    AdmissionMessage,
    AdmissionTimerFired,
    RequestDoubted,
    RunAdmitted,
    RunFollowed,
    RunMerged,
)
from stream_durable.core.messages.attempts import (
    AttemptCancels,
    AttemptCompleted,
    AttemptEnd,
    AttemptExpanded,
    AttemptFailed,
    AttemptFinished,
    AttemptHeartbeat,
    AttemptJumped,
    AttemptMessage,
    AttemptReturned,
    AttemptSkipped,
    AttemptStarted,
    Call,
    Change,
    Grafted,
    LogLine,
)
from stream_durable.core.messages.channel import (
    ChannelContinued,
    ChannelMessage,
    ChannelTimerFired,
    EventDelivered,
    EventGiven,
    EventOffered,
    EventPublished,
    EventReacted,
    EventTaken,
    EventUnkeyed,
    ReadClosed,
    ReadMessage,
    ReadOpened,
    TakeOpened,
    WaitChecked,
    WaitClosed,
    WaitOpened,
)
from stream_durable.core.messages.emissions import (
    AttemptEmitted,
    Emission,
    EmissionRefused,
    EmittedEvent,
    EmittedRecord,
    EmittedSignal,
    EmittedStart,
)
from stream_durable.core.messages.fields import (
    NULL,
    Arrival,
    Comment,
    Millis,
    OptionalRaw,
    OptionalText,
    Ordinal,
    Partition,
    Text,
    WaitAttempt,
)
from stream_durable.core.messages.gate import (
    GateAsked,
    GateLeft,
    GateMessage,
    GateOrder,
    GatePassed,
    GateTimerFired,
    PlaceAsked,
    PlaceGiven,
    PlaceLeft,
    ProbeBreaker,
    ResetGate,
    SetGate,
    SetGateKeys,
)
from stream_durable.core.messages.inquiries import InquireRun
from stream_durable.core.messages.later import (
    CancelLater,
    Deferrable,
    LaterMessage,
    LaterTimerFired,
    SendLater,
)
from stream_durable.core.messages.log import CommandsLost, FormatRaised, LogMessage, RulesDeclared
from stream_durable.core.messages.message import KINDS, Kind, Message
from stream_durable.core.messages.orders import CancelRun, CancelStep, PauseRun, ResumeRun, RetryRun, SkipStep
from stream_durable.core.messages.passes import AttemptNoted, AttemptWaits, InnerWait, PassMessage
from stream_durable.core.messages.questions import (
    AnswerInput,
    AssignInput,
    ClaimInput,
    CommentInput,
    InputMessage,
)
from stream_durable.core.messages.reviews import (
    ChangeHeld,
    CompleteHeld,
    FailHeld,
    MarkReviewed,
    ReviewMessage,
)
from stream_durable.core.messages.run import RunContinued, RunMessage, RunTimerFired
from stream_durable.core.messages.schedule import (
    CATCH_UP_MS,
    BackfillSchedule,
    DeclaredSchedules,
    DeclareSchedule,
    DeleteSchedule,
    Overlap,
    PauseSchedule,
    Plan,
    ResumeSchedule,
    ScheduledRunEnded,
    ScheduleFact,
    ScheduleMessage,
    ScheduleNext,
    ScheduleOrder,
    ScheduleTimerFired,
    SetSchedule,
    TriggerSchedule,
    UndeclareSchedule,
)
from stream_durable.core.messages.starts import (
    Attribute,
    AttributeKind,
    Scheduled,
    StartRun,
    StartScheduled,
    StartTriggered,
    StartWithSignal,
)
from stream_durable.core.messages.tokens import CompleteStep, FailStep, HeartbeatStep, OutsideMessage
from stream_durable.core.messages.waits import ChildEnded, SignalRun, SleepUntil

#: Append only: evidence keeps the position of a type.
AnyMessage = (
    StartRun
    | CancelRun
    | SignalRun
    | AttemptStarted
    | AttemptHeartbeat
    | AttemptCompleted
    | AttemptFailed
    | EventDelivered
    | RunTimerFired
    | EventPublished
    | WaitOpened
    | WaitClosed
    | ChannelTimerFired
    | AttemptReturned
    | PauseRun
    | ResumeRun
    | CancelStep
    | SkipStep
    | RetryRun
    | ChildEnded
    | AttemptSkipped
    | AttemptJumped
    | AttemptExpanded
    | AttemptFinished
    | GateAsked
    | GateLeft
    | GateTimerFired
    | GatePassed
    | WaitChecked
    | ChannelContinued
    | RunContinued
    | FormatRaised
    | CommandsLost
    | AnswerInput
    | ClaimInput
    | AssignInput
    | CommentInput
    | SleepUntil
    | StartWithSignal
    | EventOffered
    | TakeOpened
    | EventTaken
    | CompleteStep
    | FailStep
    | HeartbeatStep
    | InquireRun
    | AttemptEmitted
    | EmissionRefused
    | AttemptNoted
    | AttemptWaits
    | SendLater
    | CancelLater
    | LaterTimerFired
    | AttemptCancels
    | StartScheduled
    | SetSchedule
    | DeclareSchedule
    | DeclaredSchedules
    | UndeclareSchedule
    | PauseSchedule
    | ResumeSchedule
    | DeleteSchedule
    | TriggerSchedule
    | BackfillSchedule
    | ScheduleNext
    | ScheduledRunEnded
    | ScheduleTimerFired
    | EventGiven
    | ReadOpened
    | EventReacted
    | ReadClosed
    | PlaceAsked
    | PlaceLeft
    | SetGate
    | ResetGate
    | ProbeBreaker
    | PlaceGiven
    | StartTriggered
    | EventUnkeyed
    | RulesDeclared
    | CompleteHeld
    | FailHeld
    | ChangeHeld
    | AdmissionAsked
    | AdmissionBegun
    | AdmissionLeft
    | AdmissionTimerFired
    | RunAdmitted
    | RunMerged
    | RunFollowed
    | RequestDoubted
    | MarkReviewed
    | SetGateKeys
)

#: The types of messages in this order.
MESSAGE_TYPES: tuple[type[Message], ...] = get_args(AnyMessage)

__all__ = [
    "AdmissionAsked", "AdmissionBegun", "AdmissionLeft", "AdmissionMessage", "AdmissionTimerFired",
    "AnswerInput", "AnyMessage", "Arrival", "AssignInput", "AttemptCancels", "AttemptCompleted",
    "AttemptEmitted", "AttemptEnd", "AttemptExpanded", "AttemptFailed", "AttemptFinished",
    "AttemptHeartbeat", "AttemptJumped", "AttemptMessage", "AttemptNoted", "AttemptReturned",
    "AttemptSkipped", "AttemptStarted", "AttemptWaits", "Attribute", "AttributeKind", "BackfillSchedule",
    "CATCH_UP_MS", "Call", "CancelLater", "CancelRun", "CancelStep", "Change", "ChangeHeld",
    "ChannelContinued", "ChannelMessage", "ChannelTimerFired", "ChildEnded", "ClaimInput", "CommandsLost",
    "Comment", "CommentInput", "CompleteHeld", "CompleteStep", "DeclareSchedule", "DeclaredSchedules",
    "Deferrable", "DeleteSchedule", "Emission", "EmissionRefused", "EmittedEvent", "EmittedRecord",
    "EmittedSignal", "EmittedStart", "EventDelivered", "EventGiven", "EventOffered", "EventPublished",
    "EventReacted", "EventTaken", "EventUnkeyed", "FailHeld", "FailStep", "FormatRaised", "GateAsked",
    "GateLeft", "GateMessage", "GateOrder", "GatePassed", "GateTimerFired", "Grafted", "HeartbeatStep",
    "InnerWait", "InputMessage", "InquireRun", "KINDS", "Kind", "LaterMessage", "LaterTimerFired",
    "LogLine", "LogMessage", "MESSAGE_TYPES", "MarkReviewed", "Message", "Millis", "NULL", "OptionalRaw",
    "OptionalText", "Ordinal", "OutsideMessage", "Overlap", "Partition", "PassMessage", "PauseRun",
    "PauseSchedule", "PlaceAsked", "PlaceGiven", "PlaceLeft", "Plan", "ProbeBreaker", "ReadClosed",
    "ReadMessage", "ReadOpened", "RequestDoubted", "ResetGate", "ResumeRun", "ResumeSchedule", "RetryRun",
    "ReviewMessage", "RulesDeclared", "RunAdmitted", "RunContinued", "RunFollowed", "RunMerged",
    "RunMessage", "RunTimerFired", "ScheduleFact", "ScheduleMessage", "ScheduleNext", "ScheduleOrder",
    "ScheduleTimerFired", "Scheduled", "ScheduledRunEnded", "SendLater", "SetGate", "SetGateKeys",
    "SetSchedule", "SignalRun", "SkipStep", "SleepUntil", "StartRun", "StartScheduled", "StartTriggered",
    "StartWithSignal", "TakeOpened", "Text", "TriggerSchedule", "UndeclareSchedule", "WaitAttempt",
    "WaitChecked", "WaitClosed", "WaitOpened",
]  # fmt: skip
