"""The client: start runs, send signals, publish events and read state, from any program."""

from stream_durable.client.admissions import AdmissionState
from stream_durable.client.attempts import AttemptState, LogEntry
from stream_durable.client.attention import Attention, Need
from stream_durable.client.bindings import BindingState, BoundPartition
from stream_durable.client.blocking import BlockingClient, BlockingRun
from stream_durable.client.bulk_steps import StepRuns
from stream_durable.client.changing import Changed
from stream_durable.client.client import AsyncClient
from stream_durable.client.dead_letters import DeadFilter, DeadRecord
from stream_durable.client.dead_records import (
    DeadRecords,
    DeadWhole,
    RecordHeader,
    Redriven,
    RedrivenRecord,
)
from stream_durable.client.errors import NoAnswer, NoOutput, RunCancelled, RunFailed
from stream_durable.client.figures import Deployment, Flow, Stretch, WorkflowEntry
from stream_durable.client.filter import RunFilter
from stream_durable.client.gates import GateState
from stream_durable.client.history import Happening
from stream_durable.client.input_list import InputFilter, InputList, OpenInput
from stream_durable.client.later import Planned, PlannedList
from stream_durable.client.latest import OrderState
from stream_durable.client.listing import Family, Member, RunCount, RunEntry, RunList, RunStatuses
from stream_durable.client.open_waits import EventList, KeptEvent, OpenWait, WaitList
from stream_durable.client.processes import ProcessState, Release
from stream_durable.client.questions import Change, Question
from stream_durable.client.queues import PauseState, QueueState, WorkerState
from stream_durable.client.replaying import Replayed
from stream_durable.client.requests import Request, Requests
from stream_durable.client.reviews import Review
from stream_durable.client.rules import TriggerState
from stream_durable.client.run import RunHandle
from stream_durable.client.schedules import Backfill, FiringState, ScheduleState
from stream_durable.client.skipping import SkippedRecord
from stream_durable.client.state import RunState, StepState
from stream_durable.client.where import Where
from stream_durable.explain.checks import Check
from stream_durable.explain.explained import Explanation

__all__ = [
    "AdmissionState",
    "AsyncClient",
    "AttemptState",
    "Attention",
    "Backfill",
    "BindingState",
    "BlockingClient",
    "BlockingRun",
    "BoundPartition",
    "Change",
    "Changed",
    "Check",
    "DeadFilter",
    "DeadRecord",
    "DeadRecords",
    "DeadWhole",
    "Deployment",
    "EventList",
    "Explanation",
    "Family",
    "FiringState",
    "Flow",
    "Happening",
    "GateState",
    "InputFilter",
    "InputList",
    "KeptEvent",
    "LogEntry",
    "Member",
    "Need",
    "NoAnswer",
    "NoOutput",
    "OpenInput",
    "OpenWait",
    "OrderState",
    "Planned",
    "PauseState",
    "PlannedList",
    "ProcessState",
    "Question",
    "QueueState",
    "RecordHeader",
    "Redriven",
    "RedrivenRecord",
    "Release",
    "Replayed",
    "Request",
    "Requests",
    "Review",
    "RunCancelled",
    "RunCount",
    "RunEntry",
    "RunFailed",
    "RunFilter",
    "RunHandle",
    "RunList",
    "RunState",
    "RunStatuses",
    "ScheduleState",
    "SkippedRecord",
    "StepRuns",
    "StepState",
    "Stretch",
    "TriggerState",
    "WaitList",
    "WorkerState",
    "Where",
    "WorkflowEntry",
]
