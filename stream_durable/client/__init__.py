"""Starting, signalling, publishing and asking: what programs use that do not run the steps themselves."""

from stream_durable.client.attempts import AttemptState, LogEntry
from stream_durable.client.blocking import BlockingClient, BlockingRun
from stream_durable.client.client import AsyncClient
from stream_durable.client.errors import RunCancelled, RunFailed
from stream_durable.client.filter import RunFilter
from stream_durable.client.listing import Family, Member, RunCount, RunEntry, RunList
from stream_durable.client.run import RunHandle
from stream_durable.client.state import Request, Requests, RunState, StepState

__all__ = [
    "AsyncClient",
    "AttemptState",
    "BlockingClient",
    "BlockingRun",
    "Family",
    "LogEntry",
    "Member",
    "Request",
    "Requests",
    "RunCancelled",
    "RunCount",
    "RunEntry",
    "RunFailed",
    "RunFilter",
    "RunHandle",
    "RunList",
    "RunState",
    "StepState",
]
