"""The logger of a context, and the conversion of log records to lines of an attempt."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    _Adapter = logging.LoggerAdapter[logging.Logger]
else:
    _Adapter = logging.LoggerAdapter

#: The name of the logger that contexts write to.
STEP_LOGGER = "stream_durable.step"

_logger = logging.getLogger(STEP_LOGGER)
_text = logging.Formatter("%(message)s").format


class StepLogger(_Adapter):
    """Adds run, step and attempt to each record, keeps the caller's `extra`, and stores the line.

    Lines reach the attempt at any log level of the process and from any thread.
    """

    def __init__(self, bound: Mapping[str, object], wrote: Callable[[str, str], None] | None) -> None:
        super().__init__(_logger, bound)
        self._wrote = wrote

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        kwargs["extra"] = {**(kwargs.get("extra") or {}), **(self.extra or {})}
        return msg, kwargs

    def log(self, level: int, msg: object, *args: Any, **kwargs: Any) -> None:
        if self._wrote is not None and (level >= logging.INFO or self.isEnabledFor(level)):
            self._wrote(level_of(level), _line(level, msg, args, kwargs.get("exc_info")))
        # We are between the caller and the logger, which says where the caller is.
        kwargs["stacklevel"] = kwargs.get("stacklevel", 1) + 1
        super().log(level, msg, *args, **kwargs)


def level_of(level: int) -> str:
    """Return the name of a level."""
    return logging.getLevelName(level).lower()


def text_of(record: logging.LogRecord) -> str:
    """Return the text of a record, with the stack trace; an unprintable record raises nothing."""
    try:
        return _text(record)
    except Exception as error:  # the author's own `__str__` may do anything
        return f"(a line that could not be written: {type(error).__name__})"


def _line(level: int, msg: object, args: tuple[Any, ...], error: Any) -> str:
    if isinstance(error, BaseException):
        error = (type(error), error, error.__traceback__)
    elif error and not isinstance(error, tuple):
        error = sys.exc_info()
    return text_of(logging.LogRecord(STEP_LOGGER, level, "", 0, msg, args, error or None))
