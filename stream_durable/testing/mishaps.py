"""Arranged misfortune of tests: failing attempts, stubs, dying workers.

Sits between the worker and its functions, so everything else is as in production.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from inspect import isawaitable
from itertools import chain
from typing import Any, Literal, NamedTuple, Protocol

from stream_durable.core.errors import RejectedError
from stream_durable.sdk.answers import Fail
from stream_durable.sdk.handler import Given, Handler


class Named(Protocol):
    """A step, as known to the workflow."""

    name: str
    workflow: Any


#: A step; its name, or that of a member such as `resize[3]`; or the function of a hook or a compensation.
Target = Named | str | Callable[..., Any]


class Place(NamedTuple):
    """The steps concerned by a mishap."""

    workflow: str | None = None
    name: str | None = None
    function: Callable[..., Any] | None = None

    @classmethod
    def of(cls, target: Target) -> Place:
        """Return the steps of a target: for a name, those of every workflow."""
        if isinstance(target, str):
            return cls(name=target)
        workflow = getattr(target, "workflow", None)
        if workflow is not None:
            return cls(workflow.name, target.name)  # type: ignore[union-attr]  # what has a workflow is a step
        return cls(function=target)  # type: ignore[arg-type]

    def is_known(self, functions: Mapping[str, Sequence[str]]) -> bool:
        """Whether the named workflow is served; refuse a step without a function."""
        if self.name is None or (self.workflow is not None and self.workflow not in functions):
            return self.name is None
        known = functions[self.workflow] if self.workflow is not None else list(chain(*functions.values()))
        # A member, such as `resize[3]`, is made of a step, and is there when its run is.
        if self.name in known or self.name.partition("[")[0] in known:
            return True
        close = get_close_matches(self.name, known, 1)
        meant = f"; is {close[0]!r} meant?" if close else "."
        text = (
            f"no step {self.name!r} that calls a function is in workflow {' or '.join(map(repr, functions))}"
            f"{meant} There are: {', '.join(known)}. Of a workflow that starts later, give the step itself"
        )
        raise RejectedError("unknown_step", text)

    def is_at(self, handler: Handler, step: str) -> bool:
        """Whether a step calling this function is concerned."""
        if self.function is not None:
            return handler.function is self.function
        return self.workflow in (None, handler.workflow) and self.name in (handler.step, step)


@dataclass(slots=True)
class _Failure:
    place: Place
    times: int
    error: BaseException


@dataclass(slots=True)
class _Crash:
    place: Place
    when: Literal["before", "after"]
    times: int


class Mishaps:
    """Arranged mishaps, and recorded calls."""

    def __init__(self) -> None:
        """Nothing out of the ordinary."""
        self._failures: list[_Failure] = []
        self._stubs: list[tuple[Place, Any]] = []
        self._crashes: list[_Crash] = []
        self._calls: Counter[tuple[Handler, str]] = Counter()
        #: Mishaps for steps of workflows not started yet.
        self._unchecked: list[Place] = []

    def expect(self, target: Target) -> None:
        """Record a concerned step, for `check`."""
        self._unchecked.append(Place.of(target))

    def check(self, functions: Mapping[str, Sequence[str]]) -> None:
        """Refuse mishaps for steps unknown to the served workflows, by name."""
        if functions:
            unchecked, self._unchecked = self._unchecked, []
            self._unchecked = [place for place in unchecked if not place.is_known(functions)]

    def fail(self, target: Target, times: int, error: BaseException | None) -> None:
        """Let the next attempts fail without a call of the function."""
        if error is None:
            error = Fail("arranged", "the test lets this attempt fail")
        self._failures.append(_Failure(Place.of(target), times, error))

    def stub(self, target: Target, answer: Any) -> None:
        """Answer in place of the function; the last answer counts."""
        self._stubs.insert(0, (Place.of(target), answer))

    def crash(self, target: Target, when: Literal["before", "after"], times: int) -> None:
        """Let the worker die around the next calls of the function."""
        self._crashes.append(_Crash(Place.of(target), when, times))

    def calls(self, target: Target) -> int:
        """Return the number of calls of the function, or of the stub."""
        place = Place.of(target)
        return sum(times for (handler, step), times in self._calls.items() if place.is_at(handler, step))

    def count(self, handler: Handler, step: str) -> None:
        """Note a call."""
        self._calls[handler, step] += 1

    def stub_of(self, handler: Handler) -> tuple[Any] | None:
        """Return the stub of a function, if any."""
        return next(((answer,) for place, answer in self._stubs if place.is_at(handler, handler.step)), None)

    def failure_of(self, handler: Handler, step: str) -> BaseException | None:
        """Return and use up the failure arranged for this attempt."""
        for failure in self._failures:
            if failure.times > 0 and failure.place.is_at(handler, step):
                failure.times -= 1
                return failure.error
        return None

    def must_crash(self, handler: Handler, step: str, when: Literal["before", "after"]) -> bool:
        """Return whether the worker is to die now, and use up this crash."""
        for crash in self._crashes:
            if crash.when == when and crash.times > 0 and crash.place.is_at(handler, step):
                crash.times -= 1
                return True
        return False


class ArrangedHandler(Handler):
    """A handler with arranged mishaps. One per attempt."""

    __slots__ = ("_die", "_handler", "_mishaps", "_row", "_stub")

    def __init__(self, handler: Handler, mishaps: Mishaps, die: Callable[[], None]) -> None:
        """Wrap a handler; `die` ends the worker on the spot."""
        self.stand_for(handler)
        #: In a separate process it would be out of reach.
        self.in_process = False
        self._handler = handler
        self._mishaps = mishaps
        self._die = die
        self._stub = mishaps.stub_of(handler)
        self._row = handler.step
        if self._stub is not None:
            self.is_async = True

    def arguments(self, given: Given) -> list[Any]:
        """Return the values for `call`."""
        self._row = given.context(None).step
        return self._handler.arguments(given)

    def call(self, arguments: Sequence[Any]) -> Any:
        """Call the function, or do the arranged mishap instead."""
        failure = self._mishaps.failure_of(self._handler, self._row)
        if failure is not None:
            raise failure
        if self.is_async:
            return self._awaited(arguments)
        if self._must_crash("before"):
            return self._die()
        result = self._answered(arguments)
        return self._die() if self._must_crash("after") else result

    async def _awaited(self, arguments: Sequence[Any]) -> Any:
        if self._must_crash("before"):
            await self._gone()
        result = self._answered(arguments)
        if isawaitable(result):
            result = await result
        if self._must_crash("after"):
            await self._gone()
        return result

    def encode(self, result: Any) -> bytes:
        """Return the answer as JSON bytes."""
        return self._handler.encode(result)

    def _answered(self, arguments: Sequence[Any]) -> Any:
        self._mishaps.count(self._handler, self._row)
        if self._stub is None:
            return self._handler.call(arguments)
        (answer,) = self._stub
        if not callable(answer):
            return answer
        given = len(arguments) - len(self._handler._keywords)
        names = zip(self._handler._keywords, arguments[given:], strict=True)
        return answer(*arguments[:given], **dict(names))

    def _must_crash(self, when: Literal["before", "after"]) -> bool:
        return self._mishaps.must_crash(self._handler, self._row, when)

    async def _gone(self) -> None:
        """Die, and never come back."""
        self._die()
        await asyncio.get_running_loop().create_future()
