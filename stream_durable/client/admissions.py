"""Admissions: runs of a workflow and a key, waiting to begin or under way."""

from __future__ import annotations

from abc import abstractmethod
from typing import NamedTuple

from stream_durable.client.edge import Edge
from stream_durable.core.admission.state import admission_id
from stream_durable.core.admission.summary import AdmissionMember, AdmissionSummary
from stream_durable.core.errors import RejectedError
from stream_durable.ports import Views


class AdmissionState(NamedTuple):
    """The starts of a workflow and a key, with runs."""

    admission: AdmissionSummary
    #: Waiting, or under way, in order.
    members: list[AdmissionMember]


async def read_admission(
    views: Views, workflow: str, *, key: str = "", limit: int = 100, after: int = 0
) -> AdmissionState:
    """Return the admission of a workflow and a key, with so many runs beyond an ordinal."""
    one = admission_id(workflow, key)
    found = await views.admission_get(one)
    if found is None:
        about = f"{workflow[:128]!r} with key {key[:128]!r}" if key else repr(workflow[:128])
        text = f"no run of workflow {about} waits for others: where each key has its runs, give the key"
        raise RejectedError(
            "unknown_admission", f"{text}; `stream-durable admissions list` shows those there are"
        )
    return AdmissionState(found, await views.admission_members(one, after=after, limit=limit))


class Admissions:
    """The methods of a client about admissions."""

    @property
    @abstractmethod
    def _edge(self) -> Edge: ...

    async def admissions(self, *, limit: int = 1_000, after: str = "") -> list[AdmissionSummary]:
        """Return a page of the admissions in use, by id, beyond the id `after`."""
        return await self._edge.ports.views.admission_list(after=after, limit=limit)

    async def admission(
        self, workflow: str, *, key: str = "", limit: int = 100, after: int = 0
    ) -> AdmissionState:
        """Return the rule for a workflow and a key, with a page of the runs waiting or under way.

        Raises `RejectedError` if no run waits or waited lately.
        """
        views = self._edge.ports.views
        return await self._edge.ask(
            lambda: read_admission(views, workflow, key=key, limit=limit, after=after),
            f"read the starts of workflow {workflow!r}",
        )

    async def admission_members(
        self, admission: str, *, limit: int = 1_000, after: int = 0
    ) -> list[AdmissionMember]:
        """Return a page of the runs waiting or under way at an admission of this id, by ordinal."""
        return await self._edge.ports.views.admission_members(admission, after=after, limit=limit)
