"""Retries for everything temporarily unavailable: the only such loop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from stream_durable.core.errors import TransientError
from stream_durable.telemetry import DEPENDENCY_FAILED, logger

_log = logger(__name__)
_Answer = TypeVar("_Answer")

_FIRST_SECONDS = 0.05
_LONGEST_SECONDS = 2.0
#: How often the log is reminded of what lasts.
_REMIND_SECONDS = 60.0


async def retry_transient(call: Callable[[], Awaitable[_Answer]], doing: str) -> _Answer:
    """Call until it succeeds, or the caller is cancelled.

    `TransientError` is retried without limit, after 50 ms at first and 2 s at most. The log gets a line under
    `doing` when the reason changes, and once a minute while it stays.
    """
    delay, logged, due = _FIRST_SECONDS, "", 0.0
    while True:
        try:
            return await call()
        except TransientError as error:
            now = asyncio.get_running_loop().time()
            if (reason := str(error)) != logged or now >= due:
                _log.warning(DEPENDENCY_FAILED, reason=reason, doing=doing)
                logged, due = reason, now + _REMIND_SECONDS
            await asyncio.sleep(delay)
            delay = min(delay * 2, _LONGEST_SECONDS)
