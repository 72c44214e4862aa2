"""The one way in which these tests wait: look again and again, and give up after a time."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

_Answer = TypeVar("_Answer")

#: Between looks, which get rarer and add a tenth to the wait: a look may cost more than what is waited for.
_PAUSE_SECONDS, _PAUSE_SECONDS_MAX, _PAUSE_SHARE = 0.03, 0.3, 0.1


async def eventually(look: Callable[[], Awaitable[_Answer]], what: str, *, seconds: float) -> _Answer:
    """Return what `look` answers as soon as that is true; what it answered last is in the failure."""
    began = time.monotonic()
    while not (answer := await look()):
        passed = time.monotonic() - began
        assert passed < seconds, f"waited {seconds:.0f} s in vain: {what}; last: {answer!r}"
        await asyncio.sleep(min(max(_PAUSE_SHARE * passed, _PAUSE_SECONDS), _PAUSE_SECONDS_MAX))
    return answer
