"""The definitions topic: graphs, workflows and declarations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from stream_durable.core.declared import Declaration, Declared
from stream_durable.core.definition.about import NOTHING, About
from stream_durable.core.definition.graph import Graph
from stream_durable.core.definition.nodes import Definition


class Definitions(Protocol):
    """The serialised graphs, by fingerprint."""

    def graph(self, fingerprint: str) -> Graph | None:
        """Return an already known graph."""

    def is_newer(self, fingerprint: str) -> bool:
        """Whether a definition exists in a newer format than this release."""

    def lacking(self, fingerprint: str) -> str:
        """Return the reason for a missing graph, with the remedy."""

    async def catch_up(self) -> None:
        """Read all definitions registered until now."""

    async def register(self, definition: Definition, about: About = NOTHING) -> str:
        """Publish a definition; return the fingerprint. Refuses an invalid definition."""


class Current(Definitions, Protocol):
    """The definitions, and the current definition of each name."""

    def current(self, workflow: str) -> str | None:
        """Return the fingerprint registered last under a name, as far as read.

        This release may be unable to fold the definition: then newer releases serve the runs.
        """

    def about(self, fingerprint: str) -> About:
        """Return the latest schemas and descriptions of a definition."""

    @property
    def declared(self) -> Declared:
        """What apps declare beside workflows, as far as read."""


class Catalogue(Current, Protocol):
    """The definitions, for lists."""

    def workflows(self) -> list[str]:
        """Return the names of all workflows read, sorted."""

    def known(self) -> list[Graph]:
        """Return all graphs read."""

    def registered(self, fingerprint: str) -> int | None:
        """Return when a definition was registered last, in milliseconds, as far as read."""

    async def declare(self, declarations: Sequence[Declaration], *, tells: bool = True) -> None:
        """Publish declarations; they count for all that comes to the inbox after this returns.

        `tells` notifies every partition of the inbox. Marks are not folded, and go without.
        """

    async def has_queue(self, queue: str) -> bool:
        """Say whether there is a topic for a queue's commands."""

    async def more(self) -> None:
        """Wait for records beyond those of the last call; the first call waits for nothing."""
