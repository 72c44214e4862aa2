"""The workflows that one deployment carries, checked together."""

from __future__ import annotations

from collections.abc import Iterable
from types import MappingProxyType

from stream_durable.core.definition.nodes import Definition
from stream_durable.core.ids import NAME
from stream_durable.sdk.errors import DefinitionError, DefinitionFault, NotCarriedError
from stream_durable.sdk.handler import Handler
from stream_durable.sdk.options import name_of
from stream_durable.sdk.origin import author_frame, origin_of_call
from stream_durable.sdk.workflow import Workflow


class App:
    """What is deployed: a name and workflows. Raises one `DefinitionError` for the faults of all of them."""

    def __init__(self, name: str, *, workflows: Iterable[Workflow]) -> None:
        self.name = name_of(name)
        self.origin = origin_of_call(author_frame())
        workflows = list(workflows)
        faults = self._faults(workflows)
        if faults:
            raise DefinitionError(faults)
        self.workflows = MappingProxyType({workflow.name: workflow for workflow in workflows})
        self._handlers = {
            (workflow.name, step): handler
            for workflow in workflows
            for step, handler in workflow.handlers().items()
        }

    def __repr__(self) -> str:
        return f"<app {self.name!r}>"

    def definitions(self) -> tuple[Definition, ...]:
        """Return all workflows as data."""
        return tuple(workflow.definition() for workflow in self.workflows.values())

    def handler(self, workflow: str, step: str) -> Handler:
        """Return the prepared function of a step, or raise `NotCarriedError`."""
        try:
            return self._handlers[workflow, step]
        except KeyError:
            raise NotCarriedError(self.name, workflow, step) from None

    def _faults(self, workflows: Iterable[object]) -> list[DefinitionFault]:
        faults: list[DefinitionFault] = []

        def fault(code: str, message: str) -> None:
            faults.append(DefinitionFault(f"app {self.name!r}", None, code, message, self.origin))

        if not NAME.match(self.name):
            fault("bad_name", f"{self.name!r} is not a name for an app")
        if not workflows:
            fault("empty", f"app {self.name!r} has no workflows")
        seen: dict[str, Workflow] = {}
        for workflow in workflows:
            if not isinstance(workflow, Workflow):
                fault("bad_workflow", f"workflows= takes workflows, not {workflow!r}")
            elif seen.get(workflow.name) is workflow:
                fault("duplicate", f"workflow {workflow.name!r} is given twice")
            elif workflow.name in seen:
                same = seen[workflow.name]
                fault(
                    "duplicate",
                    f"two workflows are called {same.name!r}: {same.origin} and {workflow.origin}",
                )
            else:
                seen[workflow.name] = workflow
        for workflow in dict.fromkeys(each for each in workflows if isinstance(each, Workflow)):
            try:
                workflow.definition()
            except DefinitionError as error:
                faults += error.faults
        return faults
