"""Lists and counts of runs."""

from __future__ import annotations

from abc import abstractmethod

from stream_durable.client.edge import Edge
from stream_durable.client.filter import LOST, RunFilter
from stream_durable.client.listing import (
    COUNT_MAX,
    NEWEST_FIRST,
    RunCount,
    RunList,
    RunStatuses,
    counted,
    listed,
    statuses,
)


class RunLists:
    """Runs by conditions: lists and counts."""

    @property
    @abstractmethod
    def _edge(self) -> Edge: ...

    async def list(
        self,
        which: RunFilter | None = None,
        *,
        limit: int = 50,
        after: str | None = None,
        sort: str = NEWEST_FIRST,
    ) -> RunList:
        """Return a page of runs; `after` takes `following` of the previous page.

        `sort` is `created`, `started`, `updated`, `duration` (of ended runs) or an attribute, with - before
        it the greatest first; runs without a value are left out. Runs that come or change between two pages
        are neither missed nor repeated, unless the value changes that they are sorted by.
        """
        return await listed(self._edge, which or RunFilter(), limit, after, sort=sort)

    async def count(self, which: RunFilter | None = None, *, at_most: int = COUNT_MAX) -> RunCount:
        """Count runs, exactly up to `at_most`."""
        return await counted(self._edge, which or RunFilter(), at_most)

    async def statuses(self, which: RunFilter | None = None, *, at_most: int = 1_000_000) -> RunStatuses:
        """Count runs by status in one call, exactly up to `at_most` runs."""
        return await statuses(self._edge, which or RunFilter(), at_most)

    async def failed(
        self, which: RunFilter | None = None, *, limit: int = 50, after: str | None = None
    ) -> RunList:
        """Return a page of the dead letters: of the runs that ended as `failed=True` says."""
        return await listed(self._edge, which or RunFilter(), limit, after, among=LOST)
