"""How the lines of a process's log are written: for people on a terminal, as a JSON object each elsewhere."""

from __future__ import annotations

import logging
import sys
from typing import NamedTuple, TextIO

import structlog
from structlog.stdlib import ProcessorFormatter
from structlog.typing import EventDict, Processor, WrappedLogger

from stream_durable.telemetry import ROOT, Format, Level


class Configured(NamedTuple):
    """The last arguments of `configure_logging`, for child processes with the same logging."""

    level: Level
    format: Format


_configured: Configured | None = None


def configured() -> Configured | None:
    """Return the process's logging configuration; None if left to the embedding program."""
    return _configured


def configure_logging(level: Level, format: Format, *, stream: TextIO | None = None) -> None:  # noqa: A002
    """Send all logs of this process to standard error; only for a process under our control.

    Our loggers log from `level` on, all others as configured, by default from warning. Calling again replaces
    only the previous configuration.
    """
    global _configured  # noqa: PLW0603 - like the logging of the process, which it describes
    _configured = Configured(level, format)
    out = stream or sys.stderr
    handler = _Handler(out)
    is_console = format == "console" or (format == "auto" and out.isatty())
    handler.setFormatter(_formatter(is_console=is_console, is_coloured=out.isatty()))
    root = logging.getLogger()
    for previous in [one for one in root.handlers if isinstance(one, _Handler)]:
        root.removeHandler(previous)
    root.addHandler(handler)
    logging.getLogger(ROOT).setLevel(level.upper())


class _Handler(logging.StreamHandler[TextIO]):
    """Ours, to be known again among the root's handlers."""


def _formatter(*, is_console: bool, is_coloured: bool) -> logging.Formatter:
    render: list[Processor]
    if is_console:
        render = [_as_exception, structlog.dev.ConsoleRenderer(colors=is_coloured)]
    else:
        render = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(default=str)]
    time = structlog.processors.TimeStamper(fmt="iso", utc=True)
    return ProcessorFormatter(
        processors=[_add_origin, time, ProcessorFormatter.remove_processors_meta, *render],
        # What a record carries as `extra`: of a step's lines that is workflow, run, step and attempt.
        foreign_pre_chain=[structlog.stdlib.ExtraAdder()],
    )


def _add_origin(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Add logger name and level."""
    record: logging.LogRecord = event["_record"]
    event["level"], event["logger"] = record.levelname.lower(), record.name
    return event


def _as_exception(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Print a stack trace given as a field below the line, over several lines."""
    if trace := event.pop("trace", None):
        event["exception"] = trace.rstrip()
    return event
