"""Calls of users' functions in a simulated world, with a recording handler."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from stream_durable.memory.process import Process
from stream_durable.sdk.answers import ANSWERS, Finish, Jump
from stream_durable.sdk.handler import Given, Handler
from stream_durable.sdk.untyped import write_untyped


class Call(NamedTuple):
    """A call of a user's function."""

    run: str
    step: str
    attempt: int
    process: str
    began: float


class Calls:
    """All calls of users' functions, with results."""

    def __init__(self) -> None:
        """Nothing called yet."""
        self.calls: list[Call] = []
        #: What the calls of an attempt returned.
        self.outputs: dict[tuple[str, str, int], list[bytes]] = {}


class WatchedHandler(Handler):
    """A handler recording the call, with a possible crash of the process. One per attempt."""

    __slots__ = ("_calls", "_handler", "_key", "_process")

    def __init__(self, handler: Handler, process: Process, calls: Calls) -> None:
        """Wrap a handler."""
        self.stand_for(handler)
        self._handler = handler
        self._process = process
        self._calls = calls
        self._key = ("", "", 0)

    def arguments(self, given: Given) -> list[Any]:
        """Return the values for `call`."""
        about = given.context(None)
        self._key = (about.run_id, about.step, about.attempt)
        return self._handler.arguments(given)

    def call(self, arguments: Sequence[Any]) -> Any:
        """Call the function."""
        self._process.alive()
        now = self._process.weather.loop.time()
        self._calls.calls.append(Call(*self._key, self._process.name, now))
        if self.is_async:
            return self._awaited(arguments)
        return self._noted(self._handler.call(arguments))

    async def _awaited(self, arguments: Sequence[Any]) -> Any:
        await self._process.crash_point("handler, before")
        result = self._noted(await self._handler.call(arguments))
        await self._process.crash_point("handler, after")
        return result

    def _noted(self, result: Any) -> Any:
        if not isinstance(result, ANSWERS):
            self._note(self._handler.encode(result))
        elif isinstance(result, Jump | Finish):
            self._note(write_untyped(result.output))
        return result

    def _note(self, output: bytes) -> None:
        self._calls.outputs.setdefault(self._key, []).append(output)

    def encode(self, result: Any) -> bytes:
        """Return the function's answer as JSON bytes."""
        return self._handler.encode(result)
