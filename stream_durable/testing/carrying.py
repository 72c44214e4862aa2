"""The app of a test, taking workflows on their first start."""

from __future__ import annotations

from collections.abc import Iterable
from types import MappingProxyType

from stream_durable.core.definition.nodes import AnyNode, Definition, EachNode, StepNode, function_of, undo_of
from stream_durable.sdk.app import App
from stream_durable.sdk.handler import Handler
from stream_durable.sdk.lineage import with_children
from stream_durable.sdk.workflow import Workflow


class GrowingApp(App):
    """An app, empty at the beginning."""

    def __init__(self) -> None:
        self.name = "test"
        self.workflows = MappingProxyType({})
        self.schedules = {}
        self.rules = {}
        self.schemas = {}
        self._handlers: dict[tuple[str, str], Handler] = {}

    def carry(self, workflow: Workflow) -> bool:
        """Add a workflow with all children; return whether new."""
        if self.workflows.get(workflow.name) is workflow:
            return False
        # From the beginning, so that what does not go together is refused as in production.
        super().__init__(self.name, workflows=[*self.workflows.values(), workflow])
        return True

    def deploy(self, workflows: Iterable[Workflow]) -> None:
        """Replace workflows of the same names, with all children."""
        new = with_children(workflows)
        names = {workflow.name for workflow in new}
        others = [workflow for name, workflow in self.workflows.items() if name not in names]
        super().__init__(self.name, workflows=[*others, *new])

    def functions(self) -> dict[str, list[str]]:
        """Return the names of functions in commands, by workflow."""
        found: dict[str, list[str]] = {name: [] for name in self.workflows}
        for workflow, step in self._handlers:
            found[workflow].append(step)
        return found

    def queues(self) -> set[str]:
        """Return the queues named by steps and companions."""
        return {
            step.queue
            for definition in self.definitions()
            for node in (*definition.nodes, *definition.templates, *definition.hooks, *_beside(definition))
            for step in _steps_of(node)
        }


def _beside(definition: Definition) -> Iterable[StepNode]:
    return [each.step for each in definition.beside]


def _steps_of(node: AnyNode) -> Iterable[StepNode]:
    """Return the functions called by workers for a node."""
    made = node.step if isinstance(node, EachNode) else node
    return [step for step in (function_of(node), undo_of(made)) if step is not None]
