"""The program of a worker process: receives one attempt at a time and returns the result.

Input and output are JSON, never executable when decoded. The function is found by import: its module's name,
and in the module the step left there by the decorator.
"""

from __future__ import annotations

import signal
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from importlib import import_module
from multiprocessing.connection import Connection
from threading import Lock
from typing import Any

import msgspec

from stream_durable.core.effects import Command
from stream_durable.core.messages import AttemptEnd, AttemptFailed, AttemptHeartbeat, AttemptMessage
from stream_durable.log_lines import configure_logging
from stream_durable.sdk.answers import Fail, failure_from
from stream_durable.sdk.context import Context
from stream_durable.sdk.handler import Handler
from stream_durable.sdk.inside import Inside
from stream_durable.sdk.values import Values
from stream_durable.sdk.workflow import Workflow
from stream_durable.telemetry import Format, Level
from stream_durable.worker.emitting import with_emissions
from stream_durable.worker.ends import context_of, end_of, given_of
from stream_durable.worker.logs import ALL, WRITER, Keeping, Lines, captured, whose
from stream_durable.worker.tokens import unknown_wait

_encode = msgspec.json.Encoder().encode


class Call(msgspec.Struct):
    """A requested attempt."""

    command: Command
    #: Where the function is.
    module: str
    name: str
    #: When it runs out of time, milliseconds since the epoch.
    deadline_ms: int | None = None
    keeping: Keeping = ALL
    #: The tokens of steps, by name: the secret stays with the worker.
    tokens: dict[str, str] = {}


_decode = msgspec.json.Decoder(Call).decode


def serve(connection: Connection, logs: tuple[Level, Format] | None = None) -> None:
    """Make attempts until nobody asks any more, and log as the worker does."""
    if logs is not None:
        configure_logging(*logs)
    # An interrupt from the keyboard goes to all processes; what becomes of us is our worker's to say.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with captured(), suppress(EOFError, OSError):
        while True:
            call = _decode(connection.recv_bytes())
            connection.send_bytes(_encode(_made(call, connection)))


def _made(call: Call, connection: Connection) -> AttemptMessage:
    command = call.command
    who: dict[str, Any] = {"key": command.run, "step": command.step, "attempt": command.attempt}
    attempt = _Attempt(call, who, connection)
    WRITER.set(attempt)
    end: AttemptEnd
    try:
        handler = _handler(call.module, call.name, command.workflow, command.function or command.step)
        result = handler.call(handler.arguments(given_of(command, attempt.context)))
        end = end_of(handler, result, who)
        if attempt.values is not None:
            end.changes = (*attempt.values.changes, *end.changes)
    except Exception as error:
        end = AttemptFailed(**who, failure=failure_from(error))
    if attempt.values is not None:
        end.spent = attempt.values.take_spent()
    end.logs = attempt.lines.taken()
    return with_emissions(end, attempt)


class _Attempt:
    """The attempt as seen by the context in a worker process; a cancel kills the process."""

    cancelled = False

    def __init__(self, call: Call, who: dict[str, Any], connection: Connection) -> None:
        self._command = call.command
        self._tokens = call.tokens
        self._who = who
        self._connection = connection
        self._lock = Lock()
        self.values: Values | None = None
        self.lines = Lines(keeping=call.keeping)
        due = call.deadline_ms
        self.deadline = None if due is None else datetime.fromtimestamp(due / 1_000, UTC)

    def progress(self, percent: float, label: str | None, /) -> None:
        with self._lock:
            self._connection.send_bytes(_encode(AttemptHeartbeat(**self._who, percent=percent, label=label)))

    def context(self, value: Any) -> Context[Any]:
        return context_of(self._command, self, value)

    def token(self, step: str, /) -> str:
        if step not in self._tokens:
            raise unknown_wait(self._command.workflow, step, self._tokens)
        return self._tokens[step]

    def within(self) -> Inside:
        raise Fail(
            "cannot_wait",
            f"step {self._command.step!r} runs in a process of its own, and neither waits nor keeps values: "
            "leave out process=True",
            retryable=False,
        )  # fmt: skip

    @property
    def whose(self) -> Mapping[str, object]:
        return whose(self._command)

    def wrote(self, level: str, text: str, /) -> None:
        self.lines.add(level, text)

    def printed(self, text: str, /) -> None:
        self.lines.print(text)


@cache
def _handler(module: str, name: str, workflow: str, function: str) -> Handler:
    """Find the function of a step by import."""
    try:
        found: Any = import_module(module)
        around = vars(found).values()
        for part in name.split("."):
            found = getattr(found, part)
    except Exception as error:  # a module is code of the author's and may do anything
        raise not_importable(module, name, f"{type(error).__name__}: {error}") from error
    owners = [getattr(found, "workflow", None), *around]
    for owner in owners:
        if isinstance(owner, Workflow) and owner.name == workflow:
            return owner.handlers()[function]
    raise not_importable(module, name, f"there is no workflow {workflow!r} in that module")


def not_importable(module: str, name: str, cause: str) -> Fail:
    """Return the failure of a step whose function another process cannot find."""
    return Fail(
        "not_importable",
        f"a process of its own cannot find the function {name!r} in module {module!r}: {cause}. Define the "
        "function and its workflow at the top of a module, or leave out process=True",
        retryable=False,
    )
