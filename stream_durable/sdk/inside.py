"""What a function waits for and keeps while it runs: the answers it has, and the order in which it uses them.

A function runs again from its top after a wait. Each time it comes to a wait or a kept call it takes the next
position, and gets what is known for the name there. All attempts of a step share the answers.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Generator, Iterable, Sequence
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import msgspec
from msgspec import Raw

from stream_durable.core.definition.nodes import WaitNode
from stream_durable.core.effects import Kept
from stream_durable.core.failure import Failure
from stream_durable.core.ids import NAME
from stream_durable.core.messages import InnerWait
from stream_durable.core.names import inner
from stream_durable.sdk.answers import Fail
from stream_durable.sdk.kept_values import codec_of, read, returned_by, written
from stream_durable.sdk.standoff import Caller

T = TypeVar("T")
ONCE, CHECKPOINT = "once", "checkpoint"
#: Positions shown of each of two orders that differ.
_SHOWN_MAX = 20
_encode = msgspec.json.Encoder().encode


class Suspended(BaseException):
    """Unwinds a plain function that waits: its attempt goes on with another pass, from the top."""


class Keeper(Protocol):
    """The executor of an attempt, as far as waits and kept values go."""

    @property
    def is_in_thread(self) -> bool:
        """Whether the function is a plain one: then nothing that these return needs a loop."""

    def keep(self, note: Kept) -> Awaitable[None]:
        """Return when a value is on the log."""

    def wait_for(self, waits: Sequence[InnerWait]) -> Awaitable[None]:
        """Return when the waits have ended, or never: then the function runs again from its top."""

    def call(self, function: Callable[[], Any]) -> Awaitable[Any]:
        """Call a plain function in a thread."""


class Place(NamedTuple):
    """A position of an attempt, and the answer known for the name there."""

    name: str
    at: int
    known: Kept | None


class Inside:
    """The answers of an attempt. Not for several threads at a time."""

    __slots__ = ("_keeper", "_known", "_last", "_order", "_position", "_step", "_used",
                 "caller")  # fmt: skip

    def __init__(
        self, step: str, kept: Iterable[Kept] = (), keeper: Keeper | None = None,
        caller: Caller | None = None,
    ) -> None:  # fmt: skip
        """Begin at the top of the function, with the known answers."""
        #: What the step knows of itself, for its calls; None: nothing.
        self.caller = caller
        self._step = step
        self._keeper = keeper
        self._known: dict[str, Kept] = {}
        #: The positions of this attempt's passes before, and of this one.
        self._order: dict[int, Kept] = {}
        self._used: dict[str, tuple[int, str]] = {}
        self._position = 0
        self._last: Kept | None = None
        self.learn(kept)

    def learn(self, kept: Iterable[Kept]) -> None:
        """Add answers."""
        for each in kept:
            if each.kind == CHECKPOINT:
                self._last = each
                continue
            self._known[each.name] = each
            if each.at:
                self._order[each.at] = each

    @property
    def last(self) -> Any:
        """The latest checkpoint as JSON types; the function that reads it goes on from its position."""
        if self._last is None:
            return None
        self._position = max(self._position, self._last.at)
        return msgspec.json.decode(self._last.value)

    async def answers(self, wanted: Sequence[Wanted[Any]]) -> list[Any]:
        """Return the answers to several waits and kept calls; each takes a position, in order."""
        places = [self._place(each) for each in wanted]
        calls = [
            each.make(self, place)
            for each, place in zip(wanted, places, strict=True)
            if place.known is None and isinstance(each, Once)
        ]
        if len(calls) > 1 and not self.is_in_thread:
            import asyncio  # noqa: PLC0415 - not for those who only define

            await asyncio.gather(*calls)
        else:
            for call in calls:
                await call
        missing = [
            InnerWait(place.at, Raw(_encode(each.node(inner(self._step, place.name)))))
            for each, place in zip(wanted, places, strict=True)
            if place.known is None and isinstance(each, Wait)
        ]
        if missing:
            await self.keeper.wait_for(missing)
        return [each.read(self._known[place.name]) for each, place in zip(wanted, places, strict=True)]

    async def checkpoint(self, value: Any) -> None:
        """Keep how far the function has come, in place of the checkpoint before."""
        self._position += 1
        at = self._position
        if self._last is not None and at <= self._last.at:
            return  # made by an earlier pass
        data = written("checkpoint", None, value)
        await self.keep(Kept(CHECKPOINT, CHECKPOINT, at, Raw(data)))

    async def keep(self, note: Kept) -> None:
        """Keep a value before anything else is done."""
        if self._keeper is not None:
            await self._keeper.keep(note)
        self.learn((note,))

    def again(self, note: Kept) -> None:
        """Begin at the top of the function once more, with one value more."""
        self._position = 0
        self._used.clear()
        self.learn((note,))

    @property
    def is_in_thread(self) -> bool:
        """Whether the function is a plain one, in a thread."""
        return self._keeper is not None and self._keeper.is_in_thread

    @property
    def keeper(self) -> Keeper:
        """The executor of the attempt."""
        if self._keeper is None:
            text = "a context made by hand cannot wait: run the step with the testing engine"
            raise Fail("cannot_wait", text, retryable=False)
        return self._keeper

    def blocking(self, awaitable: Awaitable[T]) -> T:
        """Wait for an awaitable in a plain function."""

        async def awaited() -> T:
            return await awaitable

        if self._keeper is None:
            import asyncio  # noqa: PLC0415 - not for those who only define

            return asyncio.run(awaited())
        if not self._keeper.is_in_thread:
            raise Fail("cannot_wait", "an async function awaits instead of calling result()", retryable=False)
        try:
            awaited().send(None)
        except StopIteration as stop:
            result: T = stop.value
            return result
        raise AssertionError("what is awaited in a thread needs no loop")

    def _place(self, wanted: Wanted[Any]) -> Place:
        self._position += 1
        at = self._position
        name = self._name(wanted, at)
        self._used[name] = (at, wanted.kind)
        before, known = self._order.get(at), self._known.get(name)
        is_other = before is not None and (before.name, before.kind) != (name, wanted.kind)
        is_moved = known is not None and (known.kind != wanted.kind or known.at not in (0, at))
        if is_other or is_moved:
            raise self._changed()
        return Place(name, at, known)

    def _name(self, wanted: Wanted[Any], at: int) -> str:
        if wanted.name is None:
            base = wanted.default
            if not base:
                return str(at)
            number = 1
            while (name := base if number == 1 else f"{base}#{number}") in self._used:
                number += 1
            return name
        if not NAME.match(wanted.name):
            text = f"{wanted.name[:200]!r} cannot be a name inside step {self._step!r}: take one as for steps"
            raise Fail("bad_name", text, retryable=False)
        if wanted.name in self._used:
            text = f"step {self._step!r} uses the name {wanted.name!r} twice: take another for each"
            raise Fail("name_used_twice", text, retryable=False)
        return wanted.name

    def _changed(self) -> Fail:
        before = {at: (each.name, each.kind) for at, each in self._order.items()}
        now = {at: (name, kind) for name, (at, kind) in self._used.items()}
        return Fail(
            "order_changed",
            f"step {self._step!r} waits in another order than before. Before: {_shown(before)}. "
            f"Now: {_shown(now)}. It must take the same way each time: keep what may differ with ctx.once()",
            retryable=False,
        )


class Wanted(Generic[T]):
    """Something that a function awaits: `await` it, or call `result()` in a plain function."""

    __slots__ = ("_inside", "default", "kind", "name")

    def __init__(self, inside: Inside, kind: str, name: str | None, default: str = "") -> None:
        self._inside = inside
        self.kind = kind
        #: As given; without a name the default, numbered where it is used again, or the position.
        self.name = name
        self.default = default

    def __await__(self) -> Generator[Any, Any, T]:
        return self._one().__await__()

    def result(self) -> T:
        """Return the answer, in a function that is not async."""
        return self._inside.blocking(self._one())

    async def _one(self) -> T:
        [found] = await self._inside.answers((self,))
        answer: T = found
        return answer

    def read(self, kept: Kept) -> T:
        """Return the answer, or raise the failure."""
        if kept.failure is not None:
            raise _raised(kept.failure)
        return self.value(bytes(kept.value))

    def value(self, data: bytes) -> T:
        """Read the JSON of an answer."""
        raise NotImplementedError


class Several:
    """Several waits and kept calls at the same time: `await` it, or call `result()` in a plain function."""

    __slots__ = ("_inside", "_wanted")

    def __init__(self, inside: Inside, wanted: Sequence[Wanted[Any]]) -> None:
        """Ask for nothing yet."""
        self._inside = inside
        self._wanted = wanted

    def __await__(self) -> Generator[Any, Any, list[Any]]:
        return self._inside.answers(self._wanted).__await__()

    def result(self) -> list[Any]:
        """Return the answers, in a function that is not async."""
        return self._inside.blocking(self._inside.answers(self._wanted))


class Checkpoint:
    """How far a function has come, to be kept: `await` it, or call `result()` in a plain function."""

    __slots__ = ("_inside", "_value")

    def __init__(self, inside: Inside, value: Any) -> None:
        """Keep nothing yet."""
        self._inside = inside
        self._value = value

    def __await__(self) -> Generator[Any, Any, None]:
        return self._inside.checkpoint(self._value).__await__()

    def result(self) -> None:
        """Keep it, in a function that is not async."""
        self._inside.blocking(self._inside.checkpoint(self._value))


class Wait(Wanted[T]):
    """A wait inside a step."""

    __slots__ = ("_codec", "_make")

    def __init__(
        self, inside: Inside, kind: str, name: str | None, make: Callable[[str], WaitNode], *,
        default: str = "", hint: Any = Any,
    ) -> None:  # fmt: skip
        """Ask for nothing yet; `make` returns the node, by its full name."""
        super().__init__(inside, kind, name, default)
        self._make = make
        self._codec = codec_of(hint)

    def node(self, name: str) -> WaitNode:
        """Return the node of the wait."""
        return self._make(name)

    def value(self, data: bytes) -> T:
        """Read the JSON of an answer."""
        answer: T = read(self._codec, data)
        return answer


class Once(Wanted[T]):
    """A call that is made once, however often its step runs."""

    __slots__ = ("_call", "_codec", "_function")

    def __init__(
        self, inside: Inside, name: str, function: Callable[..., Any], call: Callable[[], Any]
    ) -> None:
        """Call nothing yet."""
        super().__init__(inside, ONCE, name)
        self._function = function
        self._call = call
        self._codec = codec_of(returned_by(function))

    async def make(self, inside: Inside, place: Place) -> None:
        """Call the function, and keep the result."""
        result = await self._made(inside)
        await inside.keep(Kept(place.name, ONCE, place.at, Raw(written(place.name, self._codec, result))))

    async def _made(self, inside: Inside) -> Any:
        is_async = inspect.iscoroutinefunction(inspect.unwrap(self._function))
        if inside.is_in_thread:
            import asyncio  # noqa: PLC0415 - not for those who only define

            return asyncio.run(self._call()) if is_async else self._call()
        if is_async or inside._keeper is None:
            result = self._call()
        else:
            result = await inside._keeper.call(self._call)
        return await result if inspect.isawaitable(result) else result

    def value(self, data: bytes) -> T:
        """Read the JSON of the kept value."""
        answer: T = read(self._codec, data)
        return answer


def _raised(failure: Failure) -> Fail:
    return Fail(failure.code, failure.message, details=failure.details, retryable=failure.retryable)


def _shown(order: dict[int, tuple[str, str]]) -> str:
    parts = [f"{at} {kind} {name}" for at, (name, kind) in sorted(order.items())[:_SHOWN_MAX]]
    return ", ".join(parts) + (", …" if len(order) > _SHOWN_MAX else "") or "nothing"
