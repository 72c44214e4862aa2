"""Admissions: runs of a workflow and a key, waiting to begin or under way."""

from __future__ import annotations

from abc import abstractmethod

from stream_durable.client.edge import Edge
from stream_durable.core.admission.summary import AdmissionMember, AdmissionSummary


class Admissions:
    """The methods of a client about admissions."""

    @property
    @abstractmethod
    def _edge(self) -> Edge: ...

    async def admissions(self, *, limit: int = 1_000, after: str = "") -> list[AdmissionSummary]:
        """Return a page of the admissions in use, by id, beyond the id `after`."""
        return await self._edge.ports.views.admission_list(after=after, limit=limit)

    async def admission_members(
        self, admission: str, *, limit: int = 1_000, after: int = 0
    ) -> list[AdmissionMember]:
        """Return a page of the runs waiting or under way at an admission of this id, by ordinal."""
        return await self._edge.ports.views.admission_members(admission, after=after, limit=limit)
