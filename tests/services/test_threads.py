"""Waiting for what a thread does."""

import asyncio
import gc
from concurrent.futures import Future
from typing import Any

import pytest

from stream_durable.kafka.threads import outcome


async def test_what_a_thread_comes_to_is_returned_or_raised() -> None:
    done: Future[int] = Future()
    failed: Future[int] = Future()
    done.set_result(1)
    failed.set_exception(OSError("gone"))

    assert await outcome(done) == 1
    with pytest.raises(OSError, match="gone"):
        await outcome(failed)


async def test_whoever_stops_waiting_leaves_the_thread_to_its_end_and_hears_no_more_of_it() -> None:
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, complaint: complaints.append(complaint))
    work: Future[int] = Future()

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await outcome(work)
    assert not work.cancelled()
    work.set_exception(OSError("gone"))
    # The loop hears of what is over in turn, so of the work before this.
    over: Future[None] = Future()
    over.set_result(None)
    await outcome(over)
    del work
    gc.collect()

    assert complaints == []
