"""Waiting, on the loop, for what a thread does with a client of librdkafka."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from typing import Any, TypeVar

_Answer = TypeVar("_Answer")


async def outcome(future: Future[_Answer]) -> _Answer:
    """Wait for a thread's result; a cancelled wait leaves the thread running."""
    waited = asyncio.wrap_future(future)
    # Nobody may be left to hear of a failure, and asyncio would complain of that on standard error.
    waited.add_done_callback(lambda done: done.cancelled() or done.exception())
    return await asyncio.shield(waited)


def answer(future: asyncio.Future[Any], found: Any) -> None:
    """Pass a thread's result to the caller, if still waiting."""
    if not future.done():
        future.set_result(found)


def fail(future: asyncio.Future[Any], error: Exception) -> None:
    """Pass a thread's error to the caller, if still waiting."""
    if not future.done():
        future.set_exception(error)
