"""A step's function, prepared so that an attempt only has to read, call and write."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum
from types import CoroutineType
from typing import Any, NamedTuple

import msgspec

from stream_durable.core.definition.nodes import Definition
from stream_durable.core.definition.stranding import Needs
from stream_durable.core.names import results_key
from stream_durable.sdk.context import Context
from stream_durable.sdk.errors import HandoverError, Problem
from stream_durable.sdk.handover import DOES_NOT_FIT, Read, Write, problems
from stream_durable.sdk.plain_json import COROUTINE
from stream_durable.sdk.retry import DelayAfter


class Source(IntEnum):
    """Where the value of a parameter comes from."""

    INPUT = 0
    OUTPUT = 1
    CONTEXT = 2
    DEFAULT = 3
    #: What a member of a group was made for.
    ITEM = 4
    #: The argument of a hook.
    HAPPENED = 5


#: Stands where a parameter has no default.
NO_DEFAULT: Any = object()


class Argument(NamedTuple):
    """A parameter and the source of the value."""

    parameter: str
    source: Source
    #: Reads what the source has; not used for a default.
    read: Read
    default: Any = NO_DEFAULT
    #: Whether it is what each member of a step came to, and not the step's output.
    is_results: bool = False

    @property
    def key(self) -> str:
        """The key of the value within a command."""
        return results_key(self.parameter) if self.is_results else self.parameter


class Given(msgspec.Struct, frozen=True):
    """The values given to an attempt by a command."""

    input: bytes
    #: By step; missing for a step skipped, failed or not awaited.
    outputs: Mapping[str, bytes]
    #: Makes the context, from the run's input in its type.
    context: Callable[[Any], Context[Any]]
    item: bytes | None = None
    happened: bytes | None = None
    #: The inputs of all runs that began as this one.
    inputs: tuple[bytes, ...] | None = None

    def context_for(self, value: Any, read: Read) -> Context[Any]:
        """Return the context, with all inputs as objects of the type."""
        context = self.context(value)
        if self.inputs is not None:
            context.inputs = [read(each) for each in self.inputs]
        return context


#: Plain numbers, since comparing members of an enum is slower and this is done for every argument.
_OUTPUT, _CONTEXT, _DEFAULT, _ITEM, _HAPPENED = map(
    int, (Source.OUTPUT, Source.CONTEXT, Source.DEFAULT, Source.ITEM, Source.HAPPENED)
)


class Handler:
    """A function as called by a worker: arguments, call, and result as bytes.

    Immutable and stateless, so attempts in all threads share it.
    """

    __slots__ = ("_arguments", "_keywords", "_write", "backoff", "condition", "definition", "fingerprint",
                 "function", "in_process", "into", "is_async", "limit", "results", "step", "takes",
                 "takes_context", "takes_input", "tokens", "workflow")  # fmt: skip

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
        #: Whether the function runs in a separate process.
        self.in_process = False
        #: The key of the run's context that also gets the output.
        self.into: str | None = None
        #: Called before the function, with what the same attempt is given; the step is skipped if it says no.
        self.condition: Handler | None = None
        #: Called before the function; returns how long the attempt may take.
        self.limit: Handler | None = None
        #: The workflow as data, and its identity, once it is complete.
        self.definition: Definition | None = None
        self.fingerprint = ""
        #: Decides when to try again in place of the policy; whether to is still the policy's to say.
        self.backoff: DelayAfter | None = None
        #: The steps of the workflow that end by a token.
        self.tokens: tuple[str, ...] = ()
        self._arguments = tuple((int(a.source), a.parameter, a.key, a.read, a.default) for a in arguments)
        self._keywords = tuple(keywords)
        self._write = write
        self.takes_context = any(a.source == Source.CONTEXT for a in arguments)
        self.takes_input = self.takes_context or any(a.source == Source.INPUT for a in arguments)
        #: The steps whose outputs are parameters.
        outputs = [a for a in arguments if a.source == Source.OUTPUT]
        self.takes = tuple(a.parameter for a in outputs if not a.is_results)
        #: The groups whose members' results are parameters.
        self.results = tuple(a.parameter for a in outputs if a.is_results)

    def stand_for(self, other: Handler) -> None:
        """Take the place of another handler towards the worker; a subclass changes only the call."""
        for name in Handler.__slots__:
            if not name.startswith("_"):
                setattr(self, name, getattr(other, name))

    def belong(self, definition: Definition, fingerprint: str) -> None:
        """Note the definition of the function."""
        self.definition, self.fingerprint = definition, fingerprint

    def arguments(self, given: Given) -> list[Any]:
        """Return the values for `call`, or raise `HandoverError`; a context is made only if one is taken."""
        values: list[Any] = []
        reader: Read | None = None
        the_input: Any = None
        outputs = given.outputs
        parameter = ""
        try:
            for source, parameter, key, read, default in self._arguments:
                if source == _OUTPUT:
                    if (output := outputs.get(key)) is not None:
                        values.append(read(output))
                    else:
                        values.append(self._absent(parameter, read, default))
                elif source == _DEFAULT:
                    values.append(default)
                elif source == _ITEM:
                    values.append(self._item(read, default, given.item))
                elif source == _HAPPENED:
                    values.append(read(given.happened or b""))
                else:
                    if read is not reader:
                        the_input = read(given.input)
                        reader = read
                    values.append(given.context_for(the_input, read) if source == _CONTEXT else the_input)
        except DOES_NOT_FIT as error:
            # Without the cause, which shows the value.
            raise self._unfit(f"parameter {parameter!r}", problems(error)) from None
        return values

    def call(self, arguments: Sequence[Any]) -> Any:
        """Call the function; returns a coroutine if `is_async`."""
        if not self._keywords:
            result = self.function(*arguments)
        else:
            positional = len(arguments) - len(self._keywords)
            named = dict(zip(self._keywords, arguments[positional:], strict=True))
            result = self.function(*arguments[:positional], **named)
        if type(result) is CoroutineType and not self.is_async:
            # A coroutine would never be awaited, and would pass for an answer: a condition always true, for
            # example.
            result.close()
            problem = Problem("", COROUTINE)
            raise HandoverError("invalid_output", self.workflow, self.step, "output", [problem])
        return result

    def encode(self, result: Any) -> bytes:
        """Return the function's answer as JSON bytes, or raise `HandoverError`."""
        try:
            return self._write(result)
        except DOES_NOT_FIT as error:
            raise HandoverError(
                "invalid_output", self.workflow, self.step, "output", problems(error)
            ) from None

    def needs(self) -> Needs:
        """Return the needs of the function and of all companions."""
        outputs, needs_input, needs_item = set(), False, False
        for source, _, key, read, default in self._arguments:
            if source == _OUTPUT:
                if default is NO_DEFAULT and not _allows_none(read):
                    outputs.add(key)
            elif source == _ITEM:
                needs_item = needs_item or default is NO_DEFAULT
            elif source not in (_DEFAULT, _HAPPENED):
                needs_input = needs_input or not _allows_none(read)
        own = Needs(frozenset(outputs), needs_input, needs_item)
        return own.with_those_of(each.needs() for each in (self.condition, self.limit) if each is not None)

    def _absent(self, step: str, read: Read, default: Any) -> Any:
        """Return the replacement for a missing output."""
        if default is not NO_DEFAULT:
            return default
        try:
            return read(b"null")
        except DOES_NOT_FIT:
            text = (
                f"step {step!r} has no output (it was skipped, failed or not waited for): "
                "give the parameter a default or allow None"
            )
            raise self._unfit(f"parameter {step!r}", [Problem("", text)]) from None

    def _item(self, read: Read, default: Any, item: bytes | None) -> Any:
        if item is not None:
            return read(item)
        if default is not NO_DEFAULT:
            return default
        raise self._unfit("parameter 'item'", [Problem("", "the command has no item")])

    def _unfit(self, what: str, found: Sequence[Problem]) -> HandoverError:
        return HandoverError("invalid_input", self.workflow, self.step, what, found)


def _allows_none(read: Read) -> bool:
    try:
        read(b"null")
    except DOES_NOT_FIT:
        return False
    return True
