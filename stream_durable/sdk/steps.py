"""What an author holds after defining a step: something to name in `after=`, and to call in a test."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import update_wrapper
from typing import TYPE_CHECKING, Generic, ParamSpec, TypeVar

if TYPE_CHECKING:
    from stream_durable.sdk.workflow import Workflow

P = ParamSpec("P")
R = TypeVar("R")


class Step:
    """A step of a workflow, by name. Waits and sleeps are steps too."""

    def __init__(self, workflow: Workflow, name: str) -> None:
        self.workflow = workflow
        self.name = name

    def __repr__(self) -> str:
        return f"<step {self.name!r} of workflow {self.workflow.name!r}>"


class StepFunction(Step, Generic[P, R]):
    """A step that is a function. Called, it is that function and nothing else, so a test needs no engine."""

    def __init__(self, workflow: Workflow, name: str, function: Callable[P, R]) -> None:
        update_wrapper(self, function)
        super().__init__(workflow, name)
        self.function = function

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the plain function."""
        return self.function(*args, **kwargs)


#: What `after=` takes: a step, its name, or several of them.
After = Step | str | Iterable[Step | str]
