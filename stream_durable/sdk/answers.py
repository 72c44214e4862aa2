"""How a step says that it did not succeed, and how any exception becomes recorded data."""

from __future__ import annotations

import traceback
from typing import Any

import msgspec
from pydantic import ValidationError

from stream_durable.core.failure import MESSAGE_LENGTH_MAX, Failure
from stream_durable.sdk.errors import HandoverError
from stream_durable.sdk.handover import problems
from stream_durable.sdk.plain_json import NotJsonError, write_plain

CODE_LENGTH_MAX = 128
#: The end of a traceback tells most. Long ones come from recursion, and every event carries them.
TRACE_LENGTH_MAX = 8_000
TRACE_FRAMES_MAX = 50
DETAILS_BYTES_MAX = 16_000


class Fail(Exception):
    """Raised by a step to fail with a code of its own; `retryable=False` means: do not try this again.

    >>> raise Fail("too_much", "needs another process", retryable=False)
    Traceback (most recent call last):
    stream_durable.sdk.answers.Fail: needs another process
    """

    def __init__(self, code: str, message: str = "", *, details: Any = None, retryable: bool = True) -> None:
        super().__init__(message or code)
        #: For programs: retries, conditions and alerts choose by it.
        self.code = code
        self.message = message
        #: Any JSON value that helps whoever looks into the failure.
        self.details = details
        self.retryable = retryable


def failure_from(error: BaseException) -> Failure:
    """Return an exception as data that can always be written, whatever its author put into it."""
    if isinstance(error, Fail):
        details, excuse = _details(error.details)
        return Failure(
            code=_cut(str(error.code), CODE_LENGTH_MAX) or "Fail",
            message=_cut(str(error.message) + excuse, MESSAGE_LENGTH_MAX),
            retryable=bool(error.retryable),
            details=details,
        )
    if isinstance(error, HandoverError):
        return Failure(code=error.code, message=_cut(str(error), MESSAGE_LENGTH_MAX), retryable=False)
    return Failure(
        code=_cut(type(error).__name__, CODE_LENGTH_MAX),
        message=_cut(_message(error), MESSAGE_LENGTH_MAX),
        trace=_trace(error),
    )


def _details(value: Any) -> tuple[Any, str]:
    """Return a copy of the details as JSON has them, or the reason why they are missing."""
    try:
        data = write_plain(value)
    except NotJsonError as error:
        return None, f" (its details were left out: {error})"
    if len(data) > DETAILS_BYTES_MAX:
        return None, f" (its details were left out: {len(data)} bytes, more than {DETAILS_BYTES_MAX})"
    return msgspec.json.decode(data), ""


def _message(error: BaseException) -> str:
    if isinstance(error, ValidationError):
        # Pydantic's own text shows the values, and among them secrets.
        return f"{error.title}: {'; '.join(map(str, problems(error)))}"
    try:
        return str(error)
    except Exception as second:  # the author's own `__str__` may do anything
        return f"(no message: {type(second).__name__} while it was made)"


def _trace(error: BaseException) -> str:
    if isinstance(error, ValidationError):
        lines = traceback.format_tb(error.__traceback__, -TRACE_FRAMES_MAX)
        lines += [f"{type(error).__name__}: {_message(error)}\n"]
    else:
        lines = traceback.format_exception(error, limit=-TRACE_FRAMES_MAX)
    text = "".join(lines)
    if len(text) > TRACE_LENGTH_MAX:
        text = "...\n" + text[4 - TRACE_LENGTH_MAX :]
    return _unicode(text)


def _cut(text: str, length: int) -> str:
    return _unicode(text if len(text) <= length else text[: length - 3] + "...")


def _unicode(text: str) -> str:
    """Replace lone surrogates, as in a file's name that was not UTF-8: no encoder takes them."""
    return text.encode("utf-8", "replace").decode()
