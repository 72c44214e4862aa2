"""What an author holds after defining a step: something to name in `after=`, and to call in a test."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import update_wrapper
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, ParamSpec, TypeVar, Unpack, overload

from stream_durable.core.definition.nodes import Join
from stream_durable.sdk.answers import Graft
from stream_durable.sdk.draft import Draft
from stream_durable.sdk.errors import DefinitionError, DefinitionFault
from stream_durable.sdk.options import Options
from stream_durable.sdk.origin import author_frame, origin_of_call

if TYPE_CHECKING:
    from stream_durable.sdk.step_options import CallOptions
    from stream_durable.sdk.workflow import Workflow

P = ParamSpec("P")
R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., Any])


class Decorator:
    """Takes a function, bare or with options: `@charge.compensate`, `@charge.compensate(timeout="10s")`."""

    def __init__(
        self, what: str, workflow: Workflow, keep: Callable[[Callable[..., Any], CallOptions], None]
    ) -> None:
        self._what = what
        self._workflow = workflow
        self._keep = keep

    @overload
    def __call__(self, function: F, /) -> F: ...

    @overload
    def __call__(self, function: None = None, /, **options: Unpack[CallOptions]) -> Callable[[F], F]: ...

    def __call__(self, function: Any = None, /, **options: Unpack[CallOptions]) -> Any:
        """Keep the function and return the function unchanged."""

        def decorate(decorated: F) -> F:
            self._keep(checked_function(self._what, decorated, self._workflow), options)
            return decorated

        return decorate if function is None else decorate(function)


def checked_function(what: str, function: F, workflow: Workflow) -> F:
    """Return the decorated function, or raise at once: nothing after could be understood."""
    given: object = function
    if callable(given):
        return function
    text = f"{what}() takes the function it decorates, not {given!r}"
    if isinstance(given, str):
        text = f"{what}() takes the function it decorates; a name is given as {what}(name={given!r})"
    raise refused(workflow, "bad_function", text)


def refused(workflow: Workflow, code: str, text: str) -> DefinitionError:
    """Return an error for a refusal on the spot."""
    here = origin_of_call(author_frame())
    return DefinitionError([DefinitionFault(f"workflow {workflow.name!r}", None, code, text, here)])


class Step:
    """A step of a workflow, by name. Waits, groups, branches and children are steps too."""

    def __init__(self, workflow: Workflow, draft: Draft) -> None:
        self.workflow = workflow
        self.name = draft.node.name
        self._draft = draft

    def __repr__(self) -> str:
        return f"<step {self.name!r} of workflow {self.workflow.name!r}>"

    @property
    def even_if_failed(self) -> Ended:
        """For `after=`: wait for the end of this step, successful or not. For clean-up."""
        return Ended(self)

    @property
    def compensate(self) -> Decorator:
        """Record a fault: only functions and children can be undone."""

        def refuse(function: Callable[..., Any], options: CallOptions) -> None:
            self.workflow._check_open(self._draft, origin_of_call(author_frame()))
            self._draft.options.fault(
                "bad_compensation", "only a function or a child can have a compensation"
            )

        return Decorator("compensate", self.workflow, refuse)


class Child(Step):
    """A step running another workflow."""

    @property
    def compensate(self) -> Decorator:
        """Register the decorated function to undo a completed child if the run fails later.

        Parameters are bound like those of a step; the child's output goes by the step's name.
        """
        return Decorator("compensate", self.workflow, self._compensate)

    def _compensate(self, function: Callable[..., Any], options: CallOptions) -> None:
        self.workflow._compensate(self._draft, function, options)


class Function(Generic[P, R]):
    """A function registered as a step or a template. Calling this calls the plain function."""

    name: str
    workflow: Workflow
    _draft: Draft

    def __init__(self, workflow: Workflow, draft: Draft, function: Callable[P, R]) -> None:
        update_wrapper(self, function)
        self.workflow = workflow
        self.name = draft.node.name
        self.function = function
        self._draft = draft

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the plain function: a test needs no engine."""
        return self.function(*args, **kwargs)

    def of(
        self, item: Any = None, *, name: str | None = None, after: Graft | str | Iterable[Graft | str] = ()
    ) -> Graft:
        """Return a step for `Expand` calling this function with the item."""
        return Graft(self.name, item, name=name, after=after)

    @property
    def compensate(self) -> Decorator:
        """Register the decorated function to undo this completed step if the run fails later.

        Parameters are bound like those of a step; the own output goes by the step's name.
        """
        return Decorator("compensate", self.workflow, self._compensate)

    def _compensate(self, function: Callable[..., Any], options: CallOptions) -> None:
        self.workflow._compensate(self._draft, function, options)


def plain(function: Callable[P, R]) -> Callable[P, R]:
    """Return the plain function of a step."""
    while isinstance(function, Function):
        function = function.function
    return function


class StepFunction(Function[P, R], Step):
    """A function step."""


class Template(Function[P, R]):
    """A function that is in no graph until a step answers with `Expand`."""

    def __repr__(self) -> str:
        return f"<template {self.name!r} of workflow {self.workflow.name!r}>"


@dataclass(frozen=True, slots=True)
class Ended:
    """The end of a step, passed or not."""

    step: Step


@dataclass(frozen=True, slots=True)
class SomeOf:
    """A number of steps out of several."""

    enough: object
    of: tuple[object, ...]
    cancel_rest: object


def any_of(*steps: Step | str, cancel_rest: bool = False) -> SomeOf:
    """For `after=`: wait until the first of these has completed; the others go on, or are cancelled."""
    return SomeOf(1, steps, cancel_rest)


def some_of(enough: int, *steps: Step | str, cancel_rest: bool = False) -> SomeOf:
    """For `after=`: wait until so many of these have completed; the others go on, or are cancelled."""
    return SomeOf(enough, steps, cancel_rest)


#: The values of `after=`: a step, a name, one of the above, or several of them.
After = Step | str | Ended | SomeOf | Iterable[Step | str | Ended | SomeOf]


class Order(NamedTuple):
    """The dependencies of a step."""

    after: tuple[str, ...] = ()
    ended: tuple[str, ...] = ()
    joins: tuple[Join, ...] = ()


def read_after(options: Options, value: object, workflow: Workflow) -> Order:
    """Return the dependencies, each name once."""
    after: dict[str, None] = {}
    plain: set[str] = set()
    ended: dict[str, None] = {}
    joins: list[Join] = []
    for each in _several(value):
        if isinstance(each, SomeOf):
            joins.append(_join(options, each, workflow))
            continue
        name = _name(options, "after=", each.step if isinstance(each, Ended) else each, workflow)
        if not name:
            continue
        after[name] = None
        if isinstance(each, Ended):
            ended[name] = None
        else:
            plain.add(name)
    for name in ended:
        if name in plain:
            text = f"after= names {name!r} as it is and with even_if_failed: one of them is meant"
            options.fault("contradiction", text)
    return Order(tuple(after), tuple(ended), tuple(joins))


def read_names(options: Options, option: str, value: object, workflow: Workflow) -> tuple[str, ...]:
    """Return the names of steps that are given as such or by name."""
    names = [_name(options, option, each, workflow) for each in _several(value)]
    return tuple(name for name in names if name)


def read_takes(options: Options, value: object, workflow: Workflow) -> dict[str, str]:
    """Return step names by parameter."""
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not all(isinstance(each, str) for each in value):
        text = f'takes= takes steps by parameter, such as {{"charge": second_charge}}, not {value!r}'
        options.fault("bad_option", text)
        return {}
    found = {each: _name(options, "takes=", step, workflow) for each, step in value.items()}
    return {each: name for each, name in found.items() if name}


def _several(value: object) -> list[object]:
    single = isinstance(value, str | Step | Ended | SomeOf | Function)
    return [value] if single or not isinstance(value, Iterable) else list(value)


def _join(options: Options, some: SomeOf, workflow: Workflow) -> Join:
    enough = options.count("some_of()", some.enough)
    names = [_name(options, "any_of() and some_of()", each, workflow) for each in some.of]
    return Join(
        of=tuple(name for name in names if name),
        enough=1 if enough is None else enough,
        cancel_rest=options.flag("cancel_rest=", some.cancel_rest),
    )


def _name(options: Options, option: str, step: object, workflow: Workflow) -> str:
    """Return the name of a step, or record a fault and return an empty text."""
    if isinstance(step, str):
        return step
    if isinstance(step, Template):
        text = f"{option} names template {step.name!r}: wait for the step that expands into it"
        options.fault("template", text)
    elif not isinstance(step, Step):
        verb = "take" if " and " in option else "takes"
        options.fault("bad_after", f"{option} {verb} steps and their names, not {step!r}")
    elif step.workflow is not workflow:
        text = f"{option} names {step.name!r} of another workflow, {step.workflow.name!r}"
        options.fault("foreign_step", text)
    else:
        return step.name
    return ""
