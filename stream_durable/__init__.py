"""Durable workflows whose commands and results flow over Kafka and whose state is kept in Postgres."""

from stream_durable.sdk.answers import Fail
from stream_durable.sdk.app import App
from stream_durable.sdk.context import Context
from stream_durable.sdk.errors import DefinitionError
from stream_durable.sdk.retry import Retry
from stream_durable.sdk.workflow import Workflow

__all__ = ["App", "Context", "DefinitionError", "Fail", "Retry", "Workflow"]
