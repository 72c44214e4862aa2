"""The one way in which these tests wait: look again and again, and give up after a time."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

_Answer = TypeVar("_Answer")

_PAUSE_SECONDS = 0.03


async def eventually(look: Callable[[], Awaitable[_Answer]], what: str, *, seconds: float) -> _Answer:
    """Return what `look` answers as soon as that is true; what it answered last is in the failure."""
    deadline = time.monotonic() + seconds
    while not (answer := await look()):
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s in vain: {what}; last: {answer!r}"
        await asyncio.sleep(_PAUSE_SECONDS)
    return answer
