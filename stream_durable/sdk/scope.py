"""Definition of steps: in a workflow, or in a clause of a branch. Both accept every kind of step."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, Unpack, overload

from stream_durable.core.definition.nodes import (
    BranchNode,
    ParallelNode,
    StepNode,
)
from stream_durable.sdk.draft import ClauseDraft, Draft, Work
from stream_durable.sdk.drafting import (
    Place,
    child_draft,
    each_draft,
    function_draft,
    on_error_of_members,
    order_of,
    own_name,
)
from stream_durable.sdk.durations import Duration
from stream_durable.sdk.gate import Gate, Priority
from stream_durable.sdk.options import Options, name_of
from stream_durable.sdk.origin import author_frame, local_names, origin_of_call, origin_of_function
from stream_durable.sdk.plain_json import write_plain
from stream_durable.sdk.retry import Retry
from stream_durable.sdk.step_options import (
    AddOptions,
    CaseOptions,
    EachOptions,
    NodeOptions,
    OnMembers,
    OrderOptions,
    StepOptions,
)
from stream_durable.sdk.steps import Child, Step, StepFunction, checked_function, plain, read_names, refused
from stream_durable.sdk.wait_scope import WaitScope

if TYPE_CHECKING:
    from stream_durable.sdk.workflow import Workflow

P = ParamSpec("P")
R = TypeVar("R")
_AnyStep = TypeVar("_AnyStep", bound=Step)
#: Stands where no value is given, as None is one.
_NO_VALUE: Any = object()


class Scope(WaitScope):
    """Adds steps to the workflow, with positions."""

    _workflow: Workflow
    _place = Place()

    @overload
    def step(self, function: Callable[P, R], /) -> StepFunction[P, R]: ...

    @overload
    def step(
        self, function: None = None, /, **options: Unpack[StepOptions]
    ) -> Callable[[Callable[P, R]], StepFunction[P, R]]: ...

    def step(self, function: Callable[P, R] | None = None, /, **options: Unpack[StepOptions]) -> Any:
        """Make the decorated function a step, named as it is; with options: `@orders.step(timeout="30s")`."""

        def decorate(decorated: Callable[P, R]) -> StepFunction[P, R]:
            return self._decorated("step", decorated, options)

        return decorate if function is None else decorate(function)

    def add(self, name: str, function: Callable[P, R], **options: Unpack[AddOptions]) -> StepFunction[P, R]:
        """Add a step by a call instead of the decorator, for graphs made from data."""
        draft = function_draft(
            AddOptions, name_of(name), function, origin_of_call(author_frame()), options, self._workflow,
            self._place,
        )  # fmt: skip
        return self._keep(draft, StepFunction(self._workflow, draft, plain(function)))

    def each(
        self, source: Step | str, **options: Unpack[EachOptions]
    ) -> Callable[[Callable[P, R]], StepFunction[P, R]]:
        """Make the decorated function a step for each item of a list; the parameter `item` receives the item.

        The list is the output of a step, or the value at a path such as `input.urls`. The step's output is a
        list of the members' outputs in the order of the items.
        """

        def decorate(decorated: Callable[P, R]) -> StepFunction[P, R]:
            checked_function("each", decorated, self._workflow)
            name = own_name(decorated, options.get("name"))
            origin = origin_of_function(decorated, author_frame())
            draft = each_draft(
                EachOptions, name, source, decorated, origin, options, self._workflow, self._place
            )
            return self._keep(draft, StepFunction(self._workflow, draft, plain(decorated)))

        return decorate

    def parallel(
        self,
        name: str,
        members: Iterable[Step | str],
        *,
        on_error: OnMembers = "fail_fast",
        concurrency: int | None = None,
        gate: Gate | None = None,
        priority: Priority | None = None,
        **options: Unpack[OrderOptions],
    ) -> Step:
        """Make defined steps the members of a group, and wait for the group as for one step.

        Their results go to a parameter named like the group, as `Results`. `fail_fast`: the first failed
        member ends and fails the group. `complete_all`: all members end, and the group completes. `hold`: a
        member that fails is held, unless it has an `on_error` of its own. With `gate=` the group keeps one
        place from the beginning of the first member until the end of the group.
        """
        options_of = Options(f"group {name_of(name)!r}")
        order = order_of(options_of, options, OrderOptions, self._workflow, self._place)
        on_member_error, on_error_of_member = on_error_of_members(options_of, on_error)
        node = ParallelNode(
            name=name_of(name),
            on_member_error=on_member_error,
            concurrency=options_of.count("concurrency=", concurrency),
            gate=options_of.gate(gate),
            priority=options_of.priority(priority),
            **order,
        )
        names = read_names(options_of, "parallel()", members, self._workflow)
        draft = Draft(node, origin_of_call(author_frame()), options_of, members=names)
        draft.holds_members = on_error_of_member == "hold"
        return self._keep(draft, Step(self._workflow, draft))

    def branch(
        self,
        name: str,
        *,
        on: Step | str | Callable[..., Any] | None = None,
        retry: Retry | None = None,
        queue: str | None = None,
        **options: Unpack[NodeOptions],
    ) -> Branch:
        """Begin a branch: one clause runs, and the steps of the other clauses are skipped.

        `on` is the path to the deciding value, or a function returning the value; without `on`, each clause
        has a condition. The branch's output is the output of the last steps in the chosen clause.
        """
        options_of = Options(f"branch {name_of(name)!r}")
        order = order_of(options_of, options, NodeOptions, self._workflow, self._place)
        path = name_of(on.name if isinstance(on, Step) else on) if isinstance(on, str | Step) else None
        tries = options_of.retry(retry, self._workflow._tries)
        draft = Draft(
            BranchNode(name=name_of(name), on=path, **order), origin_of_call(author_frame()), options_of
        )
        draft.selector = StepNode(
            name=name_of(name), retry=tries.policy, queue=self._workflow._queue_of(queue)
        )
        decides = None if path is not None else options_of.function("on=", on)
        if decides is not None:
            draft.work = Work(decides, local_names(author_frame()), delay_after=tries.delay_after)
        return self._keep(draft, Branch(self._workflow, draft))

    def child(
        self,
        name: str,
        workflow: Workflow,
        *,
        input: object = None,  # noqa: A002 - the word for it everywhere
        until: str | None = None,
        again: Mapping[str, str] | None = None,
        at_most: int | None = None,
        every: Duration | None = None,
        retry: Retry | None = None,
        timeout: Duration | None = None,
        on_timeout: object = "fail",
        queue: str | None = None,
        **options: Unpack[NodeOptions],
    ) -> Child:
        """Add a step running another workflow; its output is the child run's.

        `input` is a path, or an object of paths, as in `{"order": "input.id"}`; values other than texts are
        constants, and a text beginning with `=` is JSON. With `until`, a path such as `page.done`, the child
        runs again until the value there is true, `again` copying parts of its output to the next input. On
        time-out the child is cancelled, and the step fails or completes with `on_timeout`. Steps of the child
        without a queue go to `queue`, otherwise to this run's queue.
        """
        options_of = Options(f"child {name_of(name)!r}")
        order = order_of(options_of, options, NodeOptions, self._workflow, self._place)
        started: object = workflow
        if not isinstance(started, Scope) or isinstance(started, Clause):
            text = f"child() takes a name and a workflow, not {started!r}"
            raise refused(self._workflow, "bad_child", text)
        given = {
            "input": input, "until": until, "again": again, "at_most": at_most, "every": every,
            "retry": retry, "timeout": timeout, "on_timeout": on_timeout, "queue": queue,
        }  # fmt: skip
        draft = child_draft(name_of(name), workflow, options_of, order, origin_of_call(author_frame()), given)
        return self._keep(draft, Child(self._workflow, draft))

    def _decorated(
        self, what: str, function: Callable[P, R], options: Mapping[str, Any]
    ) -> StepFunction[P, R]:
        function = plain(checked_function(what, function, self._workflow))
        given = dict(options)
        name = own_name(function, given.pop("name", None))
        origin = origin_of_function(function, author_frame())
        draft = function_draft(AddOptions, name, function, origin, given, self._workflow, self._place)
        return self._keep(draft, StepFunction(self._workflow, draft, function))

    def _keep(self, draft: Draft, step: _AnyStep) -> _AnyStep:
        self._workflow._add_draft(draft)
        return step


class Branch(Step):
    """A branch; clauses are added by decorators or by calls.

    Everything given for the same value, or for the same condition function, belongs to one clause. `clause`
    opens a clause for more than function steps.
    """

    def case(
        self,
        value: object = _NO_VALUE,
        *,
        when: Callable[..., Any] | None = None,
        **options: Unpack[CaseOptions],
    ) -> Callable[[Callable[P, R]], StepFunction[P, R]]:
        """Make the decorated function a step of the clause for this value or condition."""
        clause = self._clause("case", value, when)

        def decorate(decorated: Callable[P, R]) -> StepFunction[P, R]:
            return clause._decorated("case", decorated, options)

        return decorate

    @overload
    def otherwise(self, function: Callable[P, R], /) -> StepFunction[P, R]: ...

    @overload
    def otherwise(
        self, function: None = None, /, **options: Unpack[StepOptions]
    ) -> Callable[[Callable[P, R]], StepFunction[P, R]]: ...

    def otherwise(self, function: Callable[P, R] | None = None, /, **options: Unpack[StepOptions]) -> Any:
        """Make the decorated function a step of the clause for every other value."""
        clause = self._at(ClauseDraft())

        def decorate(decorated: Callable[P, R]) -> StepFunction[P, R]:
            return clause._decorated("otherwise", decorated, options)

        return decorate if function is None else decorate(function)

    def add(
        self, value: object, name: str, function: Callable[P, R], **options: Unpack[AddOptions]
    ) -> StepFunction[P, R]:
        """Add a step to the clause for a value by a call."""
        return self._clause("add", value, None).add(name, function, **options)

    def clause(self, value: object = _NO_VALUE, *, when: Callable[..., Any] | None = None) -> Clause:
        """Return the clause for a value or with a condition; without either, for every other value.

        A clause accepts every kind of step: waits, groups, children, branches in turn.
        """
        if value is _NO_VALUE and when is None:
            return self._at(ClauseDraft())
        return self._clause("clause", value, when)

    def _clause(self, what: str, value: object, when: Callable[..., Any] | None) -> Clause:
        options = self._draft.options
        if value is _NO_VALUE:
            if not callable(when):
                text = f"{what}() takes a value, or a function as when=, not {when!r}"
                raise refused(self.workflow, "bad_clause", text)
            return self._at(ClauseDraft(condition=when, local_names=local_names(author_frame())))
        if when is not None:
            text = f"{what}() takes a value or when=, not both: conditions of a step are for clause().step()"
            options.fault("contradiction", text)
        case = options.json(f"{what}()", value)
        return self._at(ClauseDraft(case if case is not None else write_plain(repr(value)).decode()))

    def _at(self, clause: ClauseDraft) -> Clause:
        clauses = self._draft.clauses
        for i, known in enumerate(clauses):
            if known.case == clause.case and known.condition is clause.condition:
                return Clause(self.workflow, Place(self.name, i))
        self.workflow._check_open(self._draft, origin_of_call(author_frame()))
        clauses.append(clause)
        return Clause(self.workflow, Place(self.name, len(clauses) - 1))


class Clause(Scope):
    """A clause of a branch."""

    def __init__(self, workflow: Workflow, place: Place) -> None:
        self._workflow = workflow
        self._place = place

    def __repr__(self) -> str:
        return f"<clause {self._place.clause} of branch {self._place.branch!r}>"
