"""The workflow as its author writes it: a decorator, or the same by calls."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import UnionType
from typing import Any, ParamSpec, TypeVar, overload

from stream_durable.core.definition.nodes import Definition, EventNode, SignalNode, SleepNode, StepNode
from stream_durable.sdk.durations import Duration
from stream_durable.sdk.errors import DefinitionError
from stream_durable.sdk.handler import Handler
from stream_durable.sdk.options import Options, name_of
from stream_durable.sdk.origin import Origin, author_frame, local_names, origin_of_call, origin_of_function
from stream_durable.sdk.prepare import Draft, Outline, Prepared, prepare
from stream_durable.sdk.retry import Retry
from stream_durable.sdk.steps import After, Step, StepFunction

P = ParamSpec("P")
R = TypeVar("R")


class Workflow:
    """A named graph of steps.

    A step waits for the steps that its parameters are named after, and gets their outputs; `after=` is for
    order without data. Nothing is judged until the definition is asked for, by an `App` or directly: then all
    that is wrong is said at once. From there on the workflow is closed, for runs are started with that.

    >>> orders = Workflow("order", retry=Retry(3))
    >>> @orders.step
    ... def reserve(input: dict[str, list[str]]) -> int:
    ...     return len(input["items"])
    >>> @orders.step(timeout="30s")
    ... def charge(reserve: int) -> str:
    ...     return f"charged for {reserve}"
    >>> charge(2)
    'charged for 2'
    >>> [(node.name, node.after) for node in orders.definition().nodes]
    [('reserve', ()), ('charge', ('reserve',))]
    """

    def __init__(
        self,
        name: str,
        *,
        input: type[Any] | UnionType | None = None,  # noqa: A002 - the word for it everywhere
        timeout: Duration | None = None,
        retry: Retry | None = None,
    ) -> None:
        """Begin a workflow; `timeout` is for a whole run, `retry` for the steps without one of their own."""
        self.name = name_of(name)
        self.origin = origin_of_call(author_frame())
        options = Options(f"workflow {self.name!r}")
        timeout_ms = options.duration("timeout=", timeout)
        self._retry = options.default_retry(retry)
        self._outline = Outline(self.name, input, timeout_ms, options, self.origin)
        self._drafts: list[Draft] = []
        self._prepared: Prepared | None = None

    def __repr__(self) -> str:
        return f"<workflow {self.name!r}>"

    @overload
    def step(self, function: Callable[P, R], /) -> StepFunction[P, R]: ...

    @overload
    def step(
        self,
        function: None = None,
        /,
        *,
        name: str | None = None,
        after: After = (),
        retry: Retry | None = None,
        timeout: Duration | None = None,
        queue: str = "default",
    ) -> Callable[[Callable[P, R]], StepFunction[P, R]]: ...

    def step(
        self,
        function: Callable[P, R] | None = None,
        /,
        *,
        name: str | None = None,
        after: After = (),
        retry: Retry | None = None,
        timeout: Duration | None = None,
        queue: str = "default",
    ) -> Any:
        """Make the decorated function a step, named as it is; with options: `@orders.step(timeout="30s")`."""

        def decorate(decorated: Callable[P, R]) -> StepFunction[P, R]:
            own_name = getattr(decorated, "__name__", decorated) if name is None else name
            origin = origin_of_function(decorated, author_frame())
            return self._add(own_name, decorated, origin, after, retry, timeout, queue)

        given: object = function
        if given is None:
            return decorate
        if not callable(given):
            text = f"step() takes the function it decorates; a name is given as step(name={given!r})"
            here = origin_of_call(author_frame())
            raise DefinitionError([self._outline.fault(None, "bad_function", text, here)])
        return decorate(given)

    def add(
        self,
        name: str,
        function: Callable[P, R],
        *,
        after: After = (),
        retry: Retry | None = None,
        timeout: Duration | None = None,
        queue: str = "default",
    ) -> StepFunction[P, R]:
        """Add a step by a call: what the decorator does, for graphs that are made from data."""
        origin = origin_of_call(author_frame())
        return self._add(name, function, origin, after, retry, timeout, queue)

    def sleep(self, name: str, duration: Duration, *, after: After = ()) -> Step:
        """Add a step that ends after a time."""
        step, options = self._begin("step", name)
        length = options.duration("a sleep", duration)
        node = SleepNode(name=step.name, after=options.after(after, Step, self), duration_ms=length or 0)
        return self._keep(step, Draft(node, origin_of_call(author_frame()), options))

    def wait_signal(
        self,
        name: str,
        signal: str | None = None,
        *,
        any_of: Iterable[str] | None = None,
        after: After = (),
        timeout: Duration | None = None,
        on_timeout: object = "fail",
    ) -> Step:
        """Add a step that ends when a signal comes to the run; its output is what the signal carries.

        The signal is named like the step unless another is named. With more than one in `any_of` the
        output is `{"signal": name, "data": ...}`. When the time is over the step fails with the code
        `timeout`, or `on_timeout` is its output.
        """
        step, options = self._begin("wait", name)
        if signal is not None and any_of is not None:
            options.fault("contradiction", "a wait takes one signal or any_of= several, not both")
        several: object = any_of
        if isinstance(several, str) or not isinstance(several, Iterable | None):
            options.fault("bad_option", f"any_of= takes several names, not {several!r}")
            any_of = [step.name]
        signals = [step.name if signal is None else signal] if any_of is None else any_of
        limit_ms, output = options.time_limit(timeout, on_timeout)
        node = SignalNode(
            name=step.name,
            after=options.after(after, Step, self),
            signals=tuple(map(name_of, signals)),
            timeout_ms=limit_ms,
            on_timeout=output,
        )
        return self._keep(step, Draft(node, origin_of_call(author_frame()), options))

    def wait_event(
        self,
        name: str,
        event: str,
        *,
        key: str,
        after: After = (),
        timeout: Duration | None = None,
        on_timeout: object = "fail",
    ) -> Step:
        """Add a step that ends when an event of this name and key happens, or has happened before.

        Its output is what the event carries. `key` is a path to the correlation key, such as `input.id`, or
        `charge.number`, which makes the wait come after that step.
        """
        step, options = self._begin("wait", name)
        limit_ms, output = options.time_limit(timeout, on_timeout)
        node = EventNode(
            name=step.name,
            after=options.after(after, Step, self),
            event=name_of(event),
            key=name_of(key),
            timeout_ms=limit_ms,
            on_timeout=output,
        )
        return self._keep(step, Draft(node, origin_of_call(author_frame()), options))

    @property
    def input_type(self) -> Any:
        """The type of a run's input as it was declared; None: any JSON."""
        return self._outline.input_type

    def definition(self) -> Definition:
        """Return the workflow as data, or raise one `DefinitionError` with all that is wrong with it."""
        return self._prepare().definition

    @property
    def fingerprint(self) -> str:
        """What the definition is known by; a run keeps the one that it was started with."""
        return self._prepare().fingerprint

    def handlers(self) -> Mapping[str, Handler]:
        """Return the prepared functions by the names of their steps."""
        return self._prepare().handlers

    def _begin(self, kind: str, name: object) -> tuple[Step, Options]:
        step = Step(self, name_of(name))
        return step, Options(f"{kind} {step.name!r}")

    def _add(
        self,
        name: object,
        function: Callable[P, R],
        origin: Origin,
        after: After,
        retry: Retry | None,
        timeout: Duration | None,
        queue: str,
    ) -> StepFunction[P, R]:
        while isinstance(function, StepFunction):
            function = function.function
        step = StepFunction(self, name_of(name), function)
        options = Options(f"step {step.name!r}")
        node = StepNode(
            name=step.name,
            after=options.after(after, Step, self),
            queue=name_of(queue),
            retry=options.retry(retry, self._retry),
            timeout_ms=options.duration("timeout=", timeout),
        )
        given: object = function
        if callable(given):
            draft = Draft(node, origin, options, function, local_names(author_frame()))
        else:
            options.fault("bad_function", f"{function!r} is not a function")
            draft = Draft(node, origin, options)
        return self._keep(step, draft)

    def _keep(self, step: _AnyStep, draft: Draft) -> _AnyStep:
        if self._prepared is not None:
            text = f"step {step.name!r} comes too late: an App, or somebody else, has taken the definition"
            raise DefinitionError([self._outline.fault(step.name, "closed", text, draft.origin)])
        self._drafts.append(draft)
        return step

    def _prepare(self) -> Prepared:
        if self._prepared is None:
            self._prepared = prepare(self._outline, self._drafts)
            self._drafts.clear()
        return self._prepared


_AnyStep = TypeVar("_AnyStep", bound=Step)
