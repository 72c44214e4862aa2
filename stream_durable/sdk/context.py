"""The context of a running step: queries about the attempt, and values for later steps."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, Literal, ParamSpec, Protocol, Unpack, overload

import msgspec
from msgspec import Raw

from stream_durable.core.attributes import value_of
from stream_durable.core.messages import Change, Emission, Scheduled
from stream_durable.sdk import inner_waits
from stream_durable.sdk.answers import Fail
from stream_durable.sdk.durations import Duration
from stream_durable.sdk.inside import Checkpoint, Inside, Once, Several, Wait, Wanted
from stream_durable.sdk.moments import Until
from stream_durable.sdk.step_log import StepLogger
from stream_durable.sdk.topic import Topic
from stream_durable.sdk.untyped import write_untyped
from stream_durable.sdk.values import Values

if TYPE_CHECKING:
    # The default is for type checkers only, so that a bare `Context` is as good as `Context[Any]`.
    from typing_extensions import TypeVar

    from stream_durable.sdk.step_options import QuestionOptions
    from stream_durable.sdk.steps import Step
    from stream_durable.sdk.workflow import Workflow

    Input = TypeVar("Input", default=Any)
else:
    from typing import TypeVar

    Input = TypeVar("Input")

V = TypeVar("V")
P = ParamSpec("P")
T = TypeVar("T")
_MISSING = object()


class Control(Protocol):
    """The executor of an attempt, queried from the attempt's own thread."""

    @property
    def deadline(self) -> datetime | None: ...

    @property
    def cancelled(self) -> bool: ...

    def progress(self, percent: float, label: str | None, /) -> None: ...

    def token(self, step: str, /) -> str: ...

    def wrote(self, level: str, text: str, /) -> None: ...

    def within(self) -> Inside: ...


class Context(Generic[Input]):
    """An attempt, as seen by the function.

    A step receives the context through an annotated parameter, optionally with the type of the run's input.
    Tests construct a context; only the input is required.

    >>> ctx = Context({"id": "42"}, run_id="order-42", step="ship", values={"parcels": 1})
    >>> ctx.increment("parcels")
    >>> ctx.get("parcels"), ctx.idempotency_key
    (2, 'order-42/ship/1')
    """

    __slots__ = ("_control", "_inside", "_log", "_metadata", "_outputs", "_scheduled", "_values",
                 "attempt", "input", "inputs", "run_id", "step", "tags", "workflow")  # fmt: skip

    def __init__(
        self,
        input: Input,  # noqa: A002 - the word for it everywhere
        control: Control | None = None,
        *,
        run_id: str = "run",
        workflow: str = "workflow",
        step: str = "step",
        attempt: int = 1,
        values: Mapping[str, Any] | Values | None = None,
        outputs: Mapping[str, Any] | None = None,
        tags: tuple[str, ...] = (),
        metadata: Any = None,
        scheduled: Scheduled | None = None,
    ) -> None:
        """`values` is the content of the run's context; an output given as raw JSON is decoded on demand."""
        self._control = control
        self._inside: Inside | None = None
        self._log: StepLogger | None = None
        self._values = values if isinstance(values, Values) else Values(write_untyped(values or {}))
        self._outputs = outputs
        self._metadata = metadata
        self._scheduled = scheduled
        #: The run's input, in its type.
        self.input = input
        #: The inputs of all runs that began as this one, in the order of arrival, by `starts=`.
        self.inputs: list[Input] = [input]
        self.run_id = run_id
        self.workflow = workflow
        self.step = step
        #: From 1; a retried step has the next number.
        self.attempt = attempt
        #: The run's tags.
        self.tags = tags

    @property
    def idempotency_key(self) -> str:
        """`run/step/attempt`: the same only where this very attempt is made again, after a crash say."""
        return f"{self.run_id}/{self.step}/{self.attempt}"

    @property
    def metadata(self) -> dict[str, Any]:
        """The metadata given when the run was started."""
        found: dict[str, Any] | None = _read(self._metadata)
        return found or {}

    @property
    def schedule(self) -> str | None:
        """The schedule behind the run, or None."""
        return None if self._scheduled is None else self._scheduled.schedule

    @property
    def moment(self) -> datetime | None:
        """The moment of the schedule's rule for this run, or None."""
        if self._scheduled is None:
            return None
        return datetime.fromtimestamp(self._scheduled.moment / 1_000, UTC)

    @property
    def deadline(self) -> datetime | None:
        """The end of this attempt's time, or None."""
        return self._control.deadline if self._control is not None else None

    @property
    def cancelled(self) -> bool:
        """Whether nobody waits for this attempt any more; a function in a thread looks here and leaves."""
        return self._control is not None and self._control.cancelled

    @property
    def log(self) -> StepLogger:
        """A logger whose records carry `workflow`, `run`, `step` and `attempt`, and stay with the attempt."""
        if self._log is None:
            bound = {
                "workflow": self.workflow,
                "run": self.run_id,
                "step": self.step,
                "attempt": self.attempt,
            }
            self._log = StepLogger(bound, None if self._control is None else self._control.wrote)
        return self._log

    def progress(self, percent: float, label: str | None = None) -> None:
        """Report progress, 0 to 100, with an optional text. Values outside are clamped."""
        if self._control is not None:
            self._control.progress(min(percent, 100) if percent > 0 else 0, label)

    @overload
    def once(
        self, name: str, function: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs
    ) -> Once[T]: ...

    @overload
    def once(self, name: str, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Once[T]: ...

    def once(self, name: str, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Once[Any]:
        """Call a function once, however often this step runs: `await ctx.once("page-1", fetch, url)`.

        What the function returns, async or plain, is JSON, read by its return type, and on the log before the
        next line runs: one acknowledged message. A call that raises is made again by the next attempt. Each
        name is used once.
        """
        return Once(self._within(), name, function, partial(function, *args, **kwargs))

    def checkpoint(self, value: Any) -> Checkpoint:
        """Keep how far this step has come, in place of the checkpoint before: `await ctx.checkpoint(...)`."""
        return Checkpoint(self._within(), value)

    @property
    def last(self) -> Any:
        """The latest checkpoint of this step, by this attempt or an earlier one, as JSON types; or None.

        A function that reads it goes on from there: what it waited for and kept before is over.
        """
        return self._within().last

    def sleep(
        self, duration: Duration | None = None, *, until: Until | None = None, zone: str | None = None,
        name: str | None = None,
    ) -> Wait[None]:  # fmt: skip
        """Wait for a time, or until a moment by the calendar, as `Workflow.sleep` does."""
        return inner_waits.sleep_of(self._within(), duration, until, zone, name)

    def wait_signal(
        self, signal: str | None = None, *, any_of: Iterable[str] | None = None,
        all_of: Iterable[str] | None = None, timeout: Duration | None = None, on_timeout: object = "fail",
        name: str | None = None,
    ) -> Wait[Any]:  # fmt: skip
        """Wait for a signal to the run, and return its data, as `Workflow.wait_signal` does."""
        return inner_waits.signal_of(self._within(), signal, any_of, all_of, timeout, on_timeout, name)

    def wait_event(
        self, event: str, *, key: str | int, take: bool = False, timeout: Duration | None = None,
        on_timeout: object = "fail", name: str | None = None,
    ) -> Wait[Any]:  # fmt: skip
        """Wait for an event of this name and key, itself and not a path, and return its data."""
        return inner_waits.event_of(self._within(), event, key, timeout, on_timeout, name, take=take)

    def ask(self, name: str, **options: Unpack[QuestionOptions]) -> Wait[Any]:
        """Ask people, with the options of `Workflow.ask`, and return the answer in the type of `form`."""
        return inner_waits.question_of(self._within(), name, options)

    @overload
    def call(
        self, workflow: Workflow[Any, T], input: Any = None, *, ref: str | None = None,  # noqa: A002
        timeout: Duration | None = None, on_timeout: object = "fail", queue: str | None = None,
        wait: Literal[True] = True,
    ) -> Wait[T]: ...  # fmt: skip

    @overload
    def call(
        self, workflow: Workflow[Any, Any], input: Any = None, *, ref: str | None = None,  # noqa: A002
        queue: str | None = None, wait: Literal[False], leave: bool = False,
    ) -> Wait[str]: ...  # fmt: skip

    def call(
        self, workflow: Workflow[Any, Any], input: Any = None, *, ref: str | None = None,  # noqa: A002
        timeout: Duration | None = None, on_timeout: object = "fail", queue: str | None = None,
        wait: bool = True, leave: bool = False,
    ) -> Wait[Any]:  # fmt: skip
        """Run another workflow, once per `ref` however often this step runs, and return its output.

        A failed child raises `Fail` with the child's code, a call waiting for its own run with `deadlock`.
        The workflow belongs to an `App` of some worker. With `wait=False` the child is started only: this
        returns its id, and the end of the child changes nothing here. If this run fails or is cancelled, or
        the step begins again, the child is cancelled, unless `leave=True`.
        """
        return inner_waits.child_of(
            self._within(), workflow, input, ref, timeout, on_timeout, queue, wait=wait, leave=leave
        )

    def gather(self, *wanted: Wanted[Any]) -> Several:
        """Wait for several of these at the same time; return the answers in their order.

        All of them end before the first failure among them is raised.
        """
        return Several(self._within(), wanted)

    def _within(self) -> Inside:
        if self._inside is None:
            control = self._control
            self._inside = Inside(self.step) if control is None else control.within()
        return self._inside

    def output(self, step: str, default: Any = _MISSING) -> Any:
        """Return an earlier step's output as JSON types."""
        if self._outputs is not None and step in self._outputs:
            return _read(self._outputs[step])
        if default is not _MISSING:
            return default
        raise Fail(
            "no_output",
            f"step {self.step!r} was handed no output of step {step!r}: name it in the step's reads=, and "
            "give a default here if it may be skipped, fail or not be waited for",
            retryable=False,
        )

    def token(self, step: Step | str) -> str:
        """Return the token of a step added by `wait_token`: everybody who has it may end that step.

        Pass it on to the system that is to end the step, and to nobody else: it is a secret. Every attempt
        gets the same token, until the step is retried by hand. Without an engine, as in a unit test, it is a
        text of no use.
        """
        name = step if isinstance(step, str) else step.name
        if self._control is None:
            return f"token of {self.run_id}/{name}"
        return self._control.token(name)

    @property
    def changes(self) -> tuple[Change, ...]:
        """This attempt's changes of the run's context, in order."""
        return self._values.changes

    def has(self, key: str) -> bool:
        """Return whether the run's context has a value, as seen by this attempt."""
        return self._values.has(key)

    @property
    def values(self) -> dict[str, Any]:
        """A copy of the run's context, including changes by this attempt."""
        return self._values.all()

    def get(self, key: str, default: Any = None) -> Any:
        """Return a copy of a value of the run's context, including changes by this attempt."""
        return self._values.get(key, default)

    def put(self, key: str, value: Any) -> None:
        """Set a value in the run's context, for all steps beginning after the end of this step."""
        self._values.put(key, value)

    def merge(self, values: Any, *, at: str = "", deep: bool = True) -> None:
        """Set several fields: of the context, or of the object at a key.

        Objects are merged recursively, and all other values replaced, lists too; with `deep=False` nested
        objects are replaced. Concurrent merges of several steps all count.
        """
        self._values.merge(values, at, deep=deep)

    def append(self, key: str, value: Any) -> None:
        """Add a value to the end of a list, creating the list if needed."""
        self._values.append(key, value)

    def increment(self, key: str, by: float = 1) -> None:
        """Add to a number, which begins at 0. Concurrent increments of several steps all count."""
        self._values.increment(key, by)

    def delete(self, key: str) -> None:
        """Forget a value."""
        self._values.delete(key)

    def update(self, key: str, function: Callable[[Any], Any], default: Any = None) -> Any:
        """Apply a function to the current value or the default, store the result, and return it.

        The result is stored as a value: of two concurrent updates one is lost.
        """
        return self._values.update(key, function, default)

    def spent(self, units: int) -> None:
        """Report the cost of the call at the gate, in place of `units=`; several reports add up."""
        self._values.spend(units)

    def attribute(self, name: str, value: str | float | bool | Decimal | datetime) -> None:  # noqa: FBT001 - a value
        """Set an attribute of the run, by which lists find it, when the result is saved.

        A text of at most 1,000 bytes, a number, true or false, or a moment with a time zone; a run has up to
        32. A name keeps its kind of value: another kind fails the step as `bad_attribute`.
        """
        self._values.set_attribute(name, value)

    @property
    def attributes(self) -> dict[str, str | float | bool | datetime]:
        """The attributes set by this attempt so far."""
        return {name: value_of(one) for name, one in self._values.attributes.items()}

    @overload
    def emit(self, topic: Topic[V], *, value: V | None, key: str | int | bytes | None = None) -> None: ...

    @overload
    def emit(self, topic: str, *, value: Any, key: str | int | bytes | None = None) -> None: ...

    def emit(self, topic: Topic[Any] | str, *, value: Any, key: str | int | bytes | None = None) -> None:
        """Emit a record to a topic of the cluster, given by `app.topic` or by its full name.

        The record leaves when this attempt's result is saved as the step's, after what was emitted before,
        and not at all if the attempt fails. Its header `sd-id` is the same for a repeat. None is a tombstone.
        """
        self._values.emitting().record(topic, key, value)

    def publish(
        self, event: str, *, key: str | int | None = None, data: Any = None, ttl: Duration | None = None
    ) -> None:
        """Publish an event to every run waiting for it now or within `ttl`, and to triggers.

        It leaves when the result is saved. Without `key` it is for triggers alone.
        """
        self._values.emitting().event(event, key, data, ttl)

    def signal(self, run: str, name: str, data: Any = None, *, ttl: Duration | None = None) -> None:
        """Send another run a signal, when the result is saved; `ttl` as for `Client.signal`."""
        self._values.emitting().signal(run, name, data, ttl)

    def start(
        self,
        workflow: Workflow[Any, Any] | str,
        input: Any = None,  # noqa: A002 - the word for it everywhere
        *,
        id: str,  # noqa: A002 - see above
        tags: Iterable[str] = (),
    ) -> None:
        """Start a run and leave it, when the result is saved; nothing happens if there is one of this id."""
        self._values.emitting().start(workflow, input, id, tuple(tags))

    @property
    def emitted(self) -> tuple[Emission, ...]:
        """The emissions of this attempt so far, in order."""
        emissions = self._values.emissions
        return () if emissions is None else tuple(emissions.list)


def _read(value: Any) -> Any:
    return msgspec.json.decode(value) if isinstance(value, Raw) else value
