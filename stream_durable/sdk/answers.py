"""Answers of a step other than values, and the conversion of exceptions to recorded data.

A step returns an answer, or raises `Fail`. Any other exception is a failure, coded by the type's name.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import KW_ONLY, dataclass, field
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, final, get_args

import msgspec
from pydantic import ValidationError

from stream_durable.core.definition.nodes import OnMemberError
from stream_durable.core.failure import MESSAGE_LENGTH_MAX, Failure
from stream_durable.core.ids import ID_BYTES_MAX, fits
from stream_durable.sdk.durations import Duration, milliseconds
from stream_durable.sdk.errors import HandoverError, OptionError
from stream_durable.sdk.handover import problems
from stream_durable.sdk.plain_json import NotJsonError, write_plain

if TYPE_CHECKING:
    from stream_durable.sdk.steps import Step

CODE_LENGTH_MAX = 128
#: The end of a traceback tells most. Long ones come from recursion, and every event carries them.
TRACE_LENGTH_MAX = 8_000
TRACE_FRAMES_MAX = 50
#: Frames of files here come before the author's own, and say nothing to the author.
_OURS = str(Path(__file__).parents[1])
DETAILS_BYTES_MAX = 16_000
#: So many steps may be added at once.
EXPAND_MAX = 10_000

#: What a step may be called within an expansion: it is shown in brackets, as in `scan[invoice-7]`.
_MEMBER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:\-]{0,127}\Z")


class Fail(Exception):
    """Raised by a step to fail with a code of its own; `retryable=False` means: do not try this again.

    >>> raise Fail("too_much", "needs another process", retryable=False)
    Traceback (most recent call last):
    stream_durable.sdk.answers.Fail: needs another process
    """

    def __init__(self, code: str, message: str = "", *, details: Any = None, retryable: bool = True) -> None:
        super().__init__(message or code)
        #: The stable code, for retries, conditions and alerts.
        self.code = code
        self.message = message
        #: Any JSON value for people or programs that examine the failure.
        self.details = details
        self.retryable = retryable


@final
@dataclass(frozen=True, slots=True)
class Skip:
    """Return this from a step without work to do: later steps go on without the output."""

    reason: str

    def __post_init__(self) -> None:
        _check_text("Skip", "reason", self.reason)


@final
@dataclass(frozen=True, slots=True)
class Snooze:
    """Returned by a step that is to be asked again after a while; the attempt is not used up.

    >>> Snooze("5m", "the shop is closed").delay_ms
    300000
    """

    duration: Duration
    reason: str = ""

    def __post_init__(self) -> None:
        _check_text("Snooze", "reason", self.reason)
        milliseconds(self.duration)

    @property
    def delay_ms(self) -> int:
        """The duration in milliseconds."""
        return milliseconds(self.duration)


@final
@dataclass(frozen=True, slots=True)
class Jump:
    """Return this from a step to continue at a later step; steps in between are skipped.

    The target must depend on this step, directly or not. `output` becomes the step's output.
    """

    to: Step | str
    output: Any = None

    def __post_init__(self) -> None:
        if not self.target:
            raise OptionError(f"Jump takes a step or its name, not {self.to!r}")
        _check_length("Jump", self.target)

    @property
    def target(self) -> str:
        """The name of the step to go on with."""
        name = self.to if isinstance(self.to, str) else getattr(self.to, "name", "")
        return name if isinstance(name, str) else ""


@final
@dataclass(frozen=True, slots=True)
class Finish:
    """Return this from a step to complete the run now with this output; all other steps are cancelled."""

    output: Any = None


@final
@dataclass(frozen=True, slots=True)
class Cancel:
    """Return this from a reaction to cancel the run; with `compensate` what completed is undone."""

    reason: str = ""
    _: KW_ONLY
    compensate: bool = False

    def __post_init__(self) -> None:
        _check_text("Cancel", "reason", self.reason)


@final
@dataclass(frozen=True, slots=True)
class Graft:
    """A step for `Expand` to add to the run, made by `of` of a template or a step."""

    #: The template or step with the function to call.
    of: str
    #: Not shown: it may be a secret.
    item: Any = field(default=None, repr=False)
    _: KW_ONLY
    #: The name within the expansion; None: the position.
    name: str | None = None
    #: Earlier steps of the same expansion, as objects or by name.
    after: Graft | str | Iterable[Graft | str] = ()

    def __post_init__(self) -> None:
        _check_text("a step to be added", "template", self.of)
        _check_length("a step to be added", self.of)
        if self.name is not None and not _is_member_name(self.name):
            raise OptionError(
                f"{self.name!r} is no name for an added step: 1 to 128 letters, digits and `_ . : -`"
            )


@final
@dataclass(frozen=True, slots=True)
class Expand:
    """Return this from a step to add steps at run time; the step completes after the added steps.

    The output is the list of their outputs, in the given order.
    """

    steps: Iterable[Graft]
    _: KW_ONLY
    #: The number running at once; None: all.
    concurrency: int | None = None
    #: `fail_fast`: the first failure fails the step. `complete_all`: all end, and the step completes.
    on_error: OnMemberError = "fail_fast"
    #: The names of the dependencies of each step within the expansion, in order.
    after: tuple[tuple[str, ...], ...] = field(init=False)

    def __post_init__(self) -> None:
        steps = _grafts(self.steps)
        if len(steps) > EXPAND_MAX:
            raise OptionError(f"Expand takes {EXPAND_MAX} steps at most, not {len(steps)}")
        if self.concurrency is not None and not (type(self.concurrency) is int and self.concurrency > 0):
            raise OptionError(f"concurrency= takes a number from 1, not {self.concurrency!r}")
        if self.on_error not in get_args(OnMemberError):
            raise OptionError(
                f"on_error= takes one of {', '.join(get_args(OnMemberError))}, not {self.on_error!r}"
            )
        object.__setattr__(self, "steps", steps)
        object.__setattr__(self, "after", _order(steps))


def _grafts(value: object) -> tuple[Graft, ...]:
    steps = tuple(value) if isinstance(value, Iterable) else (value,)
    if not all(isinstance(step, Graft) for step in steps):
        raise OptionError("Expand takes a list of what a template's `of` returns, and nothing else")
    return steps


def _is_member_name(value: object) -> bool:
    return isinstance(value, str) and _MEMBER.match(value) is not None


def _order(steps: tuple[Graft, ...]) -> tuple[tuple[str, ...], ...]:
    """Return the names of the earlier steps for each step, or raise for a cycle."""
    names = [str(i) if step.name is None else step.name for i, step in enumerate(steps)]
    known = set(names)
    if len(known) < len(names):
        twice = next(name for i, name in enumerate(names) if name in names[:i])
        raise OptionError(f"Expand: two of its steps are called {twice!r}; give each its own name=")
    by_identity = {id(step): name for step, name in zip(steps, names, strict=True)}
    graph: dict[str, tuple[str, ...]] = {}
    for step, name in zip(steps, names, strict=True):
        after = (step.after,) if isinstance(step.after, Graft | str) else tuple(step.after)
        waits_for = tuple(one if isinstance(one, str) else by_identity.get(id(one), "") for one in after)
        for one, found in zip(after, waits_for, strict=True):
            if found not in known:
                raise OptionError(f"Expand: step {name!r} is after {one!r}, which is not in the expansion")
        graph[name] = waits_for
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        raise OptionError(f"Expand: steps wait for each other: {' -> '.join(error.args[1])}") from None
    return tuple(graph.values())


def _check_text(what: str, field_name: str, value: object) -> None:
    if not isinstance(value, str):
        raise OptionError(f"{what} takes a text as its {field_name}, not {value!r}")


def _check_length(what: str, name: str) -> None:
    if not fits(name):
        raise OptionError(f"{what} takes a name of at most {ID_BYTES_MAX} bytes, not {name[:100]!r}...")


#: Answers other than values.
ANSWERS = (Skip, Snooze, Jump, Expand, Finish, Cancel)


def failure_from(error: BaseException) -> Failure:
    """Convert any exception to data safe for encoding."""
    if isinstance(error, Fail):
        details, excuse = _details(error.details)
        return Failure(
            code=_cut(str(error.code), CODE_LENGTH_MAX) or "Fail",
            message=_cut(str(error.message) + excuse, MESSAGE_LENGTH_MAX),
            retryable=bool(error.retryable),
            details=details,
        )
    if isinstance(error, HandoverError):
        return Failure(code=error.code, message=_cut(str(error), MESSAGE_LENGTH_MAX), retryable=False)
    return Failure(
        code=_cut(type(error).__name__, CODE_LENGTH_MAX),
        message=_cut(_message(error), MESSAGE_LENGTH_MAX),
        trace=_trace(error),
    )


def _details(value: Any) -> tuple[Any, str]:
    """Return a JSON copy of the details, or the reason for leaving them out."""
    try:
        data = write_plain(value)
    except NotJsonError as error:
        return None, f" (its details were left out: {error})"
    if len(data) > DETAILS_BYTES_MAX:
        return None, f" (its details were left out: {len(data)} bytes, more than {DETAILS_BYTES_MAX})"
    return msgspec.json.decode(data), ""


def _message(error: BaseException) -> str:
    if isinstance(error, ValidationError):
        # Pydantic's own text shows the values, and among them secrets.
        return f"{error.title}: {'; '.join(map(str, problems(error)))}"
    try:
        return str(error)
    except Exception as second:  # the author's own `__str__` may do anything
        return f"(no message: {type(second).__name__} while it was made)"


def _trace(error: BaseException) -> str:
    text = "".join(_trace_lines(error, set()))
    if len(text) > TRACE_LENGTH_MAX:
        text = "...\n" + text[4 - TRACE_LENGTH_MAX :]
    return _unicode(text)


def _trace_lines(error: BaseException, seen: set[int]) -> Iterator[str]:
    """Yield the lines of a stack trace with causes, hiding values refused by models."""
    seen.add(id(error))
    cause, between = error.__cause__, "The above exception was the direct cause of the following exception"
    if cause is None and not error.__suppress_context__:
        cause, between = error.__context__, "During handling of the above exception, another one occurred"
    if cause is not None and id(cause) not in seen:
        yield from _trace_lines(cause, seen)
        yield f"\n{between}:\n\n"
    yield "Traceback (most recent call last):\n"
    yield from traceback.format_tb(_from_the_author(error.__traceback__), -TRACE_FRAMES_MAX)
    yield f"{_name_of(type(error))}: {_message(error)}\n"
    yield from (f"{note}\n" for note in getattr(error, "__notes__", ()))
    for number, inner in enumerate(getattr(error, "exceptions", ()), 1):
        if isinstance(inner, BaseException) and id(inner) not in seen:
            yield f"\nException {number} of the group:\n"
            yield from _trace_lines(inner, seen)


def _from_the_author(found: TracebackType | None) -> TracebackType | None:
    """Return a traceback without its first frames, if those are ours and others follow."""
    left = found
    while left is not None and left.tb_frame.f_code.co_filename.startswith(_OURS):
        left = left.tb_next
    return found if left is None else left


def _name_of(kind: type[BaseException]) -> str:
    is_plain = kind.__module__ in ("builtins", "__main__")
    return kind.__qualname__ if is_plain else f"{kind.__module__}.{kind.__qualname__}"


def _cut(text: str, length: int) -> str:
    return _unicode(text if len(text) <= length else text[: length - 3] + "...")


def _unicode(text: str) -> str:
    """Replace lone surrogates, as in a file name outside UTF-8: no encoder accepts them."""
    return text.encode("utf-8", "replace").decode()
