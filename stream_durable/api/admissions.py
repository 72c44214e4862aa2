"""Admissions: runs of a workflow and a key, waiting to begin or under way."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, NamedTuple

from fastapi import APIRouter, Query
from fastapi.responses import Response

from stream_durable.api.callers import TheCaller
from stream_durable.api.conditions import Conditions, Limit, Text
from stream_durable.api.places import Name
from stream_durable.api.problems import documented
from stream_durable.api.shapes import many, model, shape
from stream_durable.api.world import TheWorld
from stream_durable.core.admission.state import Stage
from stream_durable.core.admission.summary import AdmissionMember, AdmissionSummary
from stream_durable.core.moments import moment

router = APIRouter(
    prefix="/admissions", tags=["admissions"], responses=documented(400, 401, 403, 404, 422, 503)
)


class AdmissionShown(NamedTuple):
    """The starts of a workflow and a key."""

    id: str
    workflow: str
    #: Empty: all runs of the workflow meet.
    key: str
    #: The rule of `starts=`, in words.
    rule: str
    #: Runs that were not let in yet.
    waiting: int
    #: Runs that were, where there is one at a time.
    under_way: int
    #: When those that wait begin, if no more come.
    begins: datetime | None


class MemberShown(NamedTuple):
    """A run at an admission."""

    run: str
    stage: Stage
    number: int
    since: datetime | None
    priority: int
    #: The run that it goes with.
    into: str | None


Admissions = model("Admissions", admissions=many(AdmissionShown))
AdmissionWhole = shape(AdmissionShown, "AdmissionWhole", runs=many(MemberShown))


class AdmissionPage(Conditions):
    """A page of admissions."""

    limit: Limit = 1_000
    after: Text = ""


@router.get("", response_model=Admissions)
async def list_admissions(
    world: TheWorld, caller: TheCaller, which: Annotated[AdmissionPage, Query()]
) -> Response:
    """List the admissions in use, by id."""
    found = await world.client.admissions(limit=which.limit, after=which.after)
    return caller.answer({"admissions": list(map(_shown, found))})


@router.get("/{name}", response_model=AdmissionWhole)
async def get_admission(
    world: TheWorld, caller: TheCaller, name: Name, key: Text = "", limit: Limit = 100
) -> Response:
    """Return the rule of a workflow and a key, with the runs waiting and under way, in order."""
    found, members = await world.client.admission(name, key=key, limit=limit)
    return caller.answer(_shown(found)._asdict() | {"runs": list(map(_member_shown, members))})


def _shown(admission: AdmissionSummary) -> AdmissionShown:
    return AdmissionShown(
        admission.id, admission.workflow, admission.key, admission.rule_text, admission.waiting,
        admission.under_way, moment(admission.begins),
    )  # fmt: skip


def _member_shown(member: AdmissionMember) -> MemberShown:
    return MemberShown(
        member.run, member.stage, member.ordinal, moment(member.since), member.priority, member.into or None
    )
