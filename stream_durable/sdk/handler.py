"""A step's function, prepared so that an attempt only has to read, call and write."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum
from typing import Any, NamedTuple

from stream_durable.sdk.context import Context
from stream_durable.sdk.errors import HandoverError, Problem
from stream_durable.sdk.handover import DOES_NOT_FIT, Read, Write, problems


class Source(IntEnum):
    """Where the value of a parameter comes from."""

    INPUT = 0
    OUTPUT = 1
    CONTEXT = 2
    DEFAULT = 3


class Argument(NamedTuple):
    """One parameter and how its value is made."""

    parameter: str
    source: Source
    #: Reads the run's input (also for a context) or an output; not used for a default.
    read: Read
    default: Any = None


#: Plain numbers, since comparing members of an enum is slower and this is done for every argument.
_OUTPUT, _CONTEXT, _DEFAULT = map(int, (Source.OUTPUT, Source.CONTEXT, Source.DEFAULT))


class Handler:
    """What a worker needs of one step: the arguments, the call, and the answer as bytes.

    Immutable and without state of its own, so that attempts in all threads share it.
    """

    __slots__ = ("_arguments", "_keywords", "_write", "function", "is_async", "step", "takes", "takes_input",
                 "workflow")  # fmt: skip

    def __init__(
        self,
        workflow: str,
        step: str,
        function: Callable[..., Any],
        arguments: Sequence[Argument],
        keywords: Sequence[str],
        write: Write,
        *,
        is_async: bool,
    ) -> None:
        """Prepare the function; the last arguments go by the names in `keywords`, the others by position."""
        self.workflow = workflow
        self.step = step
        self.function = function
        #: Whether the call gives a coroutine to await; else it belongs into a thread.
        self.is_async = is_async
        self._arguments = tuple((int(a.source), a.parameter, a.read, a.default) for a in arguments)
        self._keywords = tuple(keywords)
        self._write = write
        self.takes_input = any(a.source in (Source.INPUT, Source.CONTEXT) for a in arguments)
        #: The steps whose outputs are handed over.
        self.takes = tuple(a.parameter for a in arguments if a.source == Source.OUTPUT)

    def arguments(
        self,
        input: bytes,  # noqa: A002 - the word for it everywhere
        outputs: Mapping[str, bytes],
        context: Callable[[Any], Context[Any]],
    ) -> list[Any]:
        """Return the values for `call`, or raise `HandoverError`; a context is made only if one is taken."""
        values: list[Any] = []
        reader: Read | None = None
        given: Any = None
        parameter = ""
        try:
            for source, parameter, read, default in self._arguments:
                if source == _OUTPUT:
                    values.append(read(outputs[parameter]))
                elif source == _DEFAULT:
                    values.append(default)
                else:
                    if read is not reader:
                        given = read(input)
                        reader = read
                    values.append(context(given) if source == _CONTEXT else given)
        except DOES_NOT_FIT as error:
            # Without its cause, which shows the value.
            raise self._unfit_input(parameter, problems(error)) from None
        except KeyError:
            if parameter in outputs:
                raise
            problem = Problem("", f"the command carries no output of step {parameter!r}")
            raise self._unfit_input(parameter, [problem]) from None
        return values

    def call(self, arguments: Sequence[Any]) -> Any:
        """Call the function; what comes back is a coroutine if `is_async`."""
        if not self._keywords:
            return self.function(*arguments)
        positional = len(arguments) - len(self._keywords)
        return self.function(
            *arguments[:positional], **dict(zip(self._keywords, arguments[positional:], strict=True))
        )

    def encode(self, result: Any) -> bytes:
        """Return what the function answered as JSON bytes, or raise `HandoverError`."""
        try:
            return self._write(result)
        except DOES_NOT_FIT as error:
            raise HandoverError(
                "invalid_output", self.workflow, self.step, "output", problems(error)
            ) from None

    def _unfit_input(self, parameter: str, found: Sequence[Problem]) -> HandoverError:
        return HandoverError("invalid_input", self.workflow, self.step, f"parameter {parameter!r}", found)
