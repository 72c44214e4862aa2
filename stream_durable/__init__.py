"""Durable workflows, with commands and results on Kafka and state in Postgres."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stream_durable.client import NoAnswer, NoOutput, RunCancelled, RunFailed, RunFilter
    from stream_durable.connecting import Client
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

#: Each is loaded when asked for: commands do without workflows, and workflows without the drivers of Kafka
#: and Postgres.
_HOMES = {
    "App": "stream_durable.sdk.app",
    "Batch": "stream_durable.sdk.starts",
    "Breaker": "stream_durable.sdk.breaker",
    "BrokenError": "stream_durable.core.errors",
    "Cancel": "stream_durable.sdk.answers",
    "Client": "stream_durable.connecting",
    "Context": "stream_durable.sdk.context",
    "Debounce": "stream_durable.sdk.starts",
    "DefinitionError": "stream_durable.sdk.errors",
    "EndOf": "stream_durable.sdk.moments",
    "Expand": "stream_durable.sdk.answers",
    "Fail": "stream_durable.sdk.answers",
    "Failure": "stream_durable.core.failure",
    "Finish": "stream_durable.sdk.answers",
    "Gate": "stream_durable.sdk.gate",
    "Happened": "stream_durable.sdk.happened",
    "Jump": "stream_durable.sdk.answers",
    "NextBusinessDay": "stream_durable.sdk.moments",
    "NextWeekday": "stream_durable.sdk.moments",
    "NoAnswer": "stream_durable.client",
    "NoOutput": "stream_durable.client",
    "RejectedError": "stream_durable.core.errors",
    "Results": "stream_durable.sdk.results",
    "Retry": "stream_durable.sdk.retry",
    "RunCancelled": "stream_durable.client",
    "RunFailed": "stream_durable.client",
    "RunFilter": "stream_durable.client",
    "Single": "stream_durable.sdk.starts",
    "Skip": "stream_durable.sdk.answers",
    "Snooze": "stream_durable.sdk.answers",
    "TransientError": "stream_durable.core.errors",
    "Workflow": "stream_durable.sdk.workflow",
    "any_of": "stream_durable.sdk.steps",
    "some_of": "stream_durable.sdk.steps",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return found
