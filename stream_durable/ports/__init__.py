"""What the engine and the workers need of the world, and the plain values that cross the border.

Implemented by the Kafka and Postgres adapters and, for tests and the simulator, in memory. No
exception of a driver passes a port: an adapter raises `TransientError` when trying again may help,
`BrokenError` when it cannot.
"""

from stream_durable.ports.api_tokens import ApiTokens, StoredApiToken
from stream_durable.ports.blobs import Blobs
from stream_durable.ports.clock import Clock
from stream_durable.ports.control import Control
from stream_durable.ports.dead import DeadRow
from stream_durable.ports.definitions import Catalogue, Current, Definitions
from stream_durable.ports.figures import FailureCause, LiveVersion, RunFlow, StrandedStep, WorkflowFigures
from stream_durable.ports.log import (
    Assigned,
    BoundLog,
    CommandLog,
    Headers,
    Log,
    LogBounds,
    LogEvent,
    LogLost,
    LogReader,
    Record,
    Revoked,
    Span,
    without,
)
from stream_durable.ports.partitions import PartitionState, PartitionSummary
from stream_durable.ports.publisher import Instead, Outgoing, PlacingPublisher, Publisher, Refusal
from stream_durable.ports.registry import Registry
from stream_durable.ports.run_events import EventFlow, LoggedEvent, RunEvents
from stream_durable.ports.run_lists import (
    NEWEST,
    AttributeTest,
    ListPosition,
    RunOrder,
    RunPage,
    RunPosition,
    RunQuery,
    RunSort,
    RunSummary,
)
from stream_durable.ports.state import Digest, RowMark, State
from stream_durable.ports.store import (
    NOTHING_OWNED,
    Attendance,
    Claim,
    Cursor,
    Keys,
    Loaded,
    Owned,
    Share,
    Store,
    TimerPosition,
    TimerRow,
    check_owned,
)
from stream_durable.ports.stored import (
    StoredEvent,
    StoredEvidence,
    StoredLater,
    StoredRun,
    StoredSchedule,
    StoredSignal,
)
from stream_durable.ports.topics import TopicAction, TopicPlace, TopicStep, TopicViews
from stream_durable.ports.traffic import CommandPlace, GroupMember, InboxReading, Traffic
from stream_durable.ports.verdicts import VerdictLog
from stream_durable.ports.views import OperatorViews, Views
from stream_durable.ports.waits import (
    ChannelRange,
    EventWait,
    QuestionQuery,
    ReactionSource,
    SignalStep,
    SignalWait,
    StoredQuestion,
)

__all__ = [
    "ApiTokens",
    "Assigned",
    "Attendance",
    "AttributeTest",
    "Blobs",
    "BoundLog",
    "Catalogue",
    "ChannelRange",
    "Claim",
    "Clock",
    "CommandLog",
    "CommandPlace",
    "Control",
    "Current",
    "Cursor",
    "DeadRow",
    "Definitions",
    "Digest",
    "EventFlow",
    "EventWait",
    "FailureCause",
    "GroupMember",
    "Headers",
    "InboxReading",
    "Instead",
    "Keys",
    "ListPosition",
    "LiveVersion",
    "StrandedStep",
    "Loaded",
    "Log",
    "LogBounds",
    "LogEvent",
    "LogLost",
    "LogReader",
    "LoggedEvent",
    "NEWEST",
    "NOTHING_OWNED",
    "OperatorViews",
    "Outgoing",
    "Owned",
    "PartitionState",
    "PartitionSummary",
    "PlacingPublisher",
    "Publisher",
    "QuestionQuery",
    "ReactionSource",
    "Record",
    "Refusal",
    "Registry",
    "Revoked",
    "RowMark",
    "RunEvents",
    "RunFlow",
    "RunOrder",
    "RunPage",
    "RunPosition",
    "RunQuery",
    "RunSort",
    "RunSummary",
    "Share",
    "SignalStep",
    "SignalWait",
    "Span",
    "State",
    "Store",
    "StoredApiToken",
    "StoredEvent",
    "StoredEvidence",
    "StoredLater",
    "StoredQuestion",
    "StoredRun",
    "StoredSchedule",
    "StoredSignal",
    "TimerPosition",
    "TimerRow",
    "TopicAction",
    "TopicPlace",
    "TopicStep",
    "TopicViews",
    "Traffic",
    "VerdictLog",
    "Views",
    "WorkflowFigures",
    "without",
    "check_owned",
]
