"""The choice of a branch's clause on a worker."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from stream_durable.core.definition.nodes import BranchNode
from stream_durable.core.definition.stranding import Needs
from stream_durable.core.run.groups import clause_of
from stream_durable.sdk.handler import Given, Handler
from stream_durable.sdk.plain_json import write_plain


class Selector(Handler):
    """Returns the number of a clause, or None, from the author's functions, bound on demand."""

    __slots__ = ("_asked",)

    def __init__(
        self, workflow: str, branch: str, choose: Callable[[Given], Any], asked: Sequence[Handler]
    ) -> None:
        """Prepare the choice among these functions."""
        is_async = any(handler.is_async for handler in asked)
        super().__init__(workflow, branch, choose, (), (), write_plain, is_async=is_async)
        self._asked = tuple(asked)
        self.takes_context = any(handler.takes_context for handler in asked)
        self.takes_input = any(handler.takes_input for handler in asked)
        self.takes = tuple(dict.fromkeys(name for handler in asked for name in handler.takes))
        self.results = tuple(dict.fromkeys(name for handler in asked for name in handler.results))

    def arguments(self, given: Given) -> list[Any]:
        """Return the single argument of `call`: everything given."""
        return [given]

    def needs(self) -> Needs:
        """Return the needs of all conditions."""
        return Needs().with_those_of(handler.needs() for handler in self._asked)


def by_value(workflow: str, node: BranchNode, decide: Handler) -> Selector:
    """Return the selector of the clause by a function's return value."""

    def clause(answer: Any) -> int | None:
        return clause_of(node, msgspec.json.decode(decide.encode(answer)))

    def choose(given: Given) -> int | None:
        return clause(decide.call(decide.arguments(given)))

    async def choose_later(given: Given) -> int | None:
        return clause(await decide.call(decide.arguments(given)))

    return Selector(workflow, node.name, choose_later if decide.is_async else choose, [decide])


def by_condition(
    workflow: str, branch: str, conditions: Sequence[tuple[int, Handler]], otherwise: int | None
) -> Selector:
    """Return a selector of the first clause with a true condition."""
    asked = [handler for _, handler in conditions]

    def choose(given: Given) -> int | None:
        for clause, handler in conditions:
            if handler.call(handler.arguments(given)):
                return clause
        return otherwise

    async def choose_later(given: Given) -> int | None:
        for clause, handler in conditions:
            answer = handler.call(handler.arguments(given))
            if await answer if handler.is_async else answer:
                return clause
        return otherwise

    is_async = any(handler.is_async for handler in asked)
    return Selector(workflow, branch, choose_later if is_async else choose, asked)
