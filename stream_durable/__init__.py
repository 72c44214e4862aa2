"""Durable workflows, with commands and results on Kafka and state in Postgres."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from stream_durable.core.errors import BrokenError, RejectedError, TransientError
from stream_durable.core.failure import Failure
from stream_durable.sdk.answers import Cancel, Expand, Fail, Finish, Jump, Skip, Snooze
from stream_durable.sdk.app import App
from stream_durable.sdk.breaker import Breaker
from stream_durable.sdk.context import Context
from stream_durable.sdk.errors import DefinitionError
from stream_durable.sdk.gate import Gate
from stream_durable.sdk.happened import Happened
from stream_durable.sdk.moments import EndOf, NextBusinessDay, NextWeekday
from stream_durable.sdk.results import Results
from stream_durable.sdk.retry import Retry
from stream_durable.sdk.starts import Batch, Debounce, Single
from stream_durable.sdk.steps import any_of, some_of
from stream_durable.sdk.workflow import Workflow

if TYPE_CHECKING:
    from stream_durable.client import NoAnswer, NoOutput, RunCancelled, RunFailed, RunFilter
    from stream_durable.connecting import Client

__all__ = [
    "App",
    "Batch",
    "Breaker",
    "BrokenError",
    "Cancel",
    "Client",
    "Context",
    "Debounce",
    "DefinitionError",
    "EndOf",
    "Expand",
    "Fail",
    "Failure",
    "Finish",
    "Gate",
    "Happened",
    "Jump",
    "NextBusinessDay",
    "NextWeekday",
    "NoAnswer",
    "NoOutput",
    "RejectedError",
    "Results",
    "Retry",
    "RunCancelled",
    "RunFailed",
    "RunFilter",
    "Single",
    "Skip",
    "Snooze",
    "TransientError",
    "Workflow",
    "any_of",
    "some_of",
]

#: What authors of workflows do not need, and which would load the drivers of Kafka and Postgres.
_WHEN_ASKED_FOR = {
    "Client": "stream_durable.connecting",
    "NoAnswer": "stream_durable.client",
    "NoOutput": "stream_durable.client",
    "RunCancelled": "stream_durable.client",
    "RunFailed": "stream_durable.client",
    "RunFilter": "stream_durable.client",
}


def __getattr__(name: str) -> Any:
    if name not in _WHEN_ASKED_FOR:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_WHEN_ASKED_FOR[name]), name)
