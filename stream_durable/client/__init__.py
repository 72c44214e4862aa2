"""Starting, signalling, publishing and asking: what programs use that do not run the steps themselves."""

from stream_durable.client.blocking import BlockingClient, BlockingRun
from stream_durable.client.client import AsyncClient
from stream_durable.client.errors import RunCancelled, RunFailed
from stream_durable.client.run import RunHandle
from stream_durable.client.state import RunState, StepState

__all__ = [
    "AsyncClient",
    "BlockingClient",
    "BlockingRun",
    "RunCancelled",
    "RunFailed",
    "RunHandle",
    "RunState",
    "StepState",
]
