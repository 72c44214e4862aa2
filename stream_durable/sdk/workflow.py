"""Workflows, defined by decorators or by calls."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import UnionType
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, Unpack, overload

from msgspec.structs import replace

from stream_durable.core.definition import guards
from stream_durable.core.definition.about import About
from stream_durable.core.definition.guards import QueueRule
from stream_durable.core.definition.nodes import HOOKS, Definition, StepNode
from stream_durable.core.names import beside_name, hook_name, undo_name
from stream_durable.sdk.draft import Draft
from stream_durable.sdk.drafting import beside_draft, call_draft, own_name, template_draft
from stream_durable.sdk.durations import Duration
from stream_durable.sdk.errors import DefinitionError
from stream_durable.sdk.gate import Gate
from stream_durable.sdk.handler import Handler
from stream_durable.sdk.options import Options, name_of, refuses_unknown
from stream_durable.sdk.origin import Origin, author_frame, origin_of_call, origin_of_function
from stream_durable.sdk.outline import Outline
from stream_durable.sdk.prepare import Prepared, prepare
from stream_durable.sdk.queue_rule import with_rule
from stream_durable.sdk.retry import Retry
from stream_durable.sdk.scope import Scope
from stream_durable.sdk.starts import Batch, Debounce, Single, read_starts
from stream_durable.sdk.step_options import BesideOptions, CallOptions, OnCallError, TemplateOptions
from stream_durable.sdk.steps import Decorator, F, Template, checked_function, plain

if TYPE_CHECKING:
    # The defaults are for type checkers only, so that a bare `Workflow` is as good as `Workflow[Any, Any]`.
    from typing_extensions import TypeVar as DefaultingTypeVar

    In = DefaultingTypeVar("In", default=Any)
    Out = DefaultingTypeVar("Out", default=Any)
else:
    In, Out = TypeVar("In"), TypeVar("Out")

P = ParamSpec("P")
R = TypeVar("R")


class Workflow(Scope, Generic[In, Out]):
    """A named graph of steps; runs are started with an `In` and return an `Out`.

    A step waits for the steps named by parameters, and gets their outputs; `after=` is for order without
    data. The definition is checked when an `App` or `definition()` takes it: then all faults are raised
    together. From then on the workflow is closed, since runs are started with this definition.

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

    @refuses_unknown
    def __init__(
        self,
        name: str,
        *,
        input: type[In] | UnionType | None = None,  # noqa: A002 - the word for it everywhere
        output: type[Out] | UnionType | None = None,
        timeout: Duration | None = None,
        retry: Retry | None = None,
        restart: Retry | None = None,
        step_timeout: Duration | None = None,
        queue: str | None = None,
        concurrency: int | None = None,
        gate: Gate | None = None,
        starts: Debounce | Batch | Single | None = None,
        description: str = "",
        tags: Iterable[str] = (),
        metadata: Mapping[str, Any] | None = None,
        events: Iterable[str] = (),
        due: Duration | None = None,
    ) -> None:
        """Begin a workflow.

        `timeout` limits a whole run. `retry`, `step_timeout` (of an attempt) and `queue` are defaults for
        functions, and `restart` applies to the graph: a failed run begins again after the clean-up. At most
        `concurrency` functions of a run are with workers at the same time; without the option there is no
        cost. A run is `pending` until its `gate` lets it pass, and keeps the place until it has ended.
        With `starts` runs of a key are debounced, begin in batches, or one at a time; a run that goes with
        another ends as `merged`, and its result is that of the other.
        `description`, `tags` and `metadata` are for people and for tools listing workflows; changing them
        makes no new version. `events` adds optional public events to those of every run: `"step.started"`.
        A run that has not ended so long after its beginning as `due` says is reported as overdue, and goes
        on.
        """
        self.name = name_of(name)
        self.origin = origin_of_call(author_frame())
        self._workflow = self
        options = Options(f"workflow {self.name!r}")
        timeout_ms = options.duration("timeout=", timeout)
        self._tries = options.default_retry(retry)
        restarts = options.plain_retry("restart=", restart).policy
        self._step_timeout = None if options.duration("step_timeout=", step_timeout) is None else step_timeout
        self._queue = "default" if queue is None else name_of(queue)
        options.description = options.text("description=", description)
        about = About(
            description=options.description,
            tags=options.texts("tags=", tags),
            metadata=options.an_object("metadata=", metadata),
        )
        self._outline = Outline(
            self.name,
            input,
            output,
            timeout_ms,
            restarts,
            options,
            self.origin,
            about,
            events=options.texts("events=", events),
            concurrency=options.count("concurrency=", concurrency),
            gate=options.gate(gate),
            due_ms=options.duration("due=", due),
            starts=read_starts(options, starts),
        )
        self._drafts: list[Draft] = []
        self._children: list[Workflow] = []
        self._prepared: Prepared | None = None
        #: Called once before a run ends in this way. A hook never changes the end.
        self.on_success = self._hook("on_success")
        self.on_failure = self._hook("on_failure")
        self.on_cancel = self._hook("on_cancel")
        #: Called for each step beginning, completing, or failing for good, and for each failed attempt.
        self.on_step_start = self._hook("on_step_start")
        self.on_step_complete = self._hook("on_step_complete")
        self.on_step_fail = self._hook("on_step_fail")
        self.on_attempt_fail = self._hook("on_attempt_fail")
        #: Called for the run, or a step, that has not ended by its due time.
        self.on_overdue = self._hook("on_overdue")

    def __repr__(self) -> str:
        return f"<workflow {self.name!r}>"

    @overload
    def template(self, function: Callable[P, R], /) -> Template[P, R]: ...

    @overload
    def template(
        self, function: None = None, /, **options: Unpack[TemplateOptions]
    ) -> Callable[[Callable[P, R]], Template[P, R]]: ...

    def template(self, function: Callable[P, R] | None = None, /, **options: Unpack[TemplateOptions]) -> Any:
        """Register the decorated function as a template for steps added with `Expand`.

        Its parameter `item` receives the argument of `of`.
        """

        def decorate(decorated: Callable[P, R]) -> Template[P, R]:
            called = plain(checked_function("template", decorated, self))
            name = own_name(called, options.get("name"))
            origin = origin_of_function(called, author_frame())
            draft = template_draft(TemplateOptions, name, called, origin, options, self)
            self._add_draft(draft)
            return Template(self, draft, called)

        return decorate if function is None else decorate(function)

    def answers(self, name: str, **options: Unpack[BesideOptions]) -> Callable[[F], F]:
        """Let the decorated function answer inquiries of this name, beside the graph, while a run goes on.

        The parameter `request` receives what an inquiry carries, in its type. What the function returns is
        the answer; what it raises refuses the inquiry, and does nothing to the run. Inquiries of one name to
        a run are answered one by one, in the order of the log; with `concurrency=`, so many at a time.
        """

        def decorate(decorated: F) -> F:
            function = checked_function("answers", decorated, self)
            origin = origin_of_function(function, author_frame())
            called = beside_name(name_of(name))
            draft = beside_draft(f"answer {name!r}", called, function, origin, options, self)
            self._add_draft(draft)
            return decorated

        return decorate

    def on_signal(
        self,
        signal: str,
        *,
        on_error: OnCallError = "fail",
        **options: Unpack[BesideOptions],
    ) -> Callable[[F], F]:
        """Call the decorated function for each signal of this name, beside the graph, while a run goes on.

        The parameter `signal` receives what the signal carries, in its type. The function may return
        `Cancel`, `Jump` or `Finish`, and change the context. Signals are worked off one by one, in the order
        of the log; with `concurrency=`, so many at a time. A failure without attempts left fails the run,
        unless `on_error` is "continue" or "skip".
        """

        def keep(draft: Draft) -> None:
            draft.signal = name_of(signal)

        return self._reaction("on_signal", signal, on_error, options, keep)

    def on_event(
        self,
        event: str,
        *,
        key: str,
        on_error: OnCallError = "fail",
        **options: Unpack[BesideOptions],
    ) -> Callable[[F], F]:
        """Call the decorated function for each event of this name and key while a run goes on.

        `key` is a path to the correlation key in the run's input, such as `input.id`. The parameter `event`
        receives the event's data, in its type. Everything else is as with `on_signal`.
        """

        def keep(draft: Draft) -> None:
            draft.event, draft.key = name_of(event), name_of(key)

        return self._reaction("on_event", event, on_error, options, keep)

    def _reaction(
        self, what: str, to: str, on_error: OnCallError, options: BesideOptions, keep: Callable[[Draft], None]
    ) -> Callable[[F], F]:
        def decorate(decorated: F) -> F:
            function = checked_function(what, decorated, self)
            origin = origin_of_function(function, author_frame())
            called = beside_name(name_of(getattr(function, "__name__", "")))
            draft = beside_draft(f"reaction to {to!r}", called, function, origin, options, self)
            keep(draft)
            if isinstance(draft.node, StepNode):
                draft.node = replace(
                    draft.node, on_error=draft.options.word("on_error=", on_error, OnCallError, "fail")
                )
            self._add_draft(draft)
            return decorated

        return decorate

    @property
    def input_type(self) -> Any:
        """The type of a run's input as it was declared; None: any JSON."""
        return self._outline.input_type

    @property
    def output_type(self) -> Any:
        """The declared type of a run's output; None for the last step's return type."""
        return self._outline.output_type

    @property
    def about(self) -> About:
        """Texts, tags and metadata beside the definition."""
        return self._prepare().about

    @property
    def gate(self) -> guards.Gate | None:
        """The gate that each run passes before it begins."""
        return self._outline.gate

    @property
    def children(self) -> Sequence[Workflow]:
        """The workflows started by steps of this workflow, without repeats."""
        return tuple(dict.fromkeys(self._children))

    def definition(self) -> Definition:
        """Return the workflow as data, or raise one `DefinitionError` with all faults."""
        return self._prepare().definition

    @property
    def fingerprint(self) -> str:
        """The identity of the definition; a run keeps the first."""
        return self._prepare().fingerprint

    def handlers(self) -> Mapping[str, Handler]:
        """Return the prepared functions, by the names used in commands."""
        return self._prepare().handlers

    def _limit_queue(self, rule: QueueRule) -> None:
        """Put a rule for a queue into the definition; children come before parents."""
        prepared = self._prepare()
        children = {child.name: child.fingerprint for child in self.children}
        definition = with_rule(prepared.definition, rule, children)
        fingerprint = definition.fingerprint()
        self._prepared = prepared._replace(definition=definition, fingerprint=fingerprint)
        for handler in prepared.handlers.values():
            handler.belong(definition, fingerprint)

    def _queue_of(self, queue: object) -> str:
        """Return the queue of a function, or the workflow's."""
        return self._queue if queue is None else name_of(queue)

    def _hook(self, name: str) -> Decorator:
        assert name in HOOKS

        def keep(function: Callable[..., Any], options: CallOptions) -> None:
            origin = origin_of_function(function, author_frame())
            draft = call_draft(f"hook {name}", hook_name(name), function, origin, options, self)
            draft.role = "hook"
            self._add_draft(draft)

        return Decorator(name, self, keep)

    def _compensate(self, draft: Draft, function: Callable[..., Any], options: CallOptions) -> None:
        """Keep a compensation."""
        origin = origin_of_function(function, author_frame())
        self._check_open(draft, origin)
        if draft.compensation is not None:
            draft.options.fault("duplicate", "it has two compensations")
            return
        name = draft.node.name
        draft.compensation = call_draft(
            f"compensation of step {name!r}", undo_name(name), function, origin, options, self
        )

    def _add_draft(self, draft: Draft) -> None:
        self._check_open(draft, draft.origin)
        self._drafts.append(draft)
        if draft.child is not None:
            self._children.append(draft.child)

    def _check_open(self, draft: Draft, origin: Origin) -> None:
        """Refuse late steps: runs are started with the definition already taken."""
        if self._prepared is not None:
            name = draft.node.name
            text = f"step {name!r} comes too late: an App, or another caller, has taken the definition"
            raise DefinitionError([self._outline.fault(name, "closed", text, origin)])

    def _prepare(self) -> Prepared:
        if self._prepared is None:
            self._prepared = prepare(self, self._outline, self._drafts)
            self._drafts.clear()
        return self._prepared
