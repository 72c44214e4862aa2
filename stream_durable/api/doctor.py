"""What is wrong with the instance, why, and what to do about it."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import Response
from pydantic import Field

from stream_durable.api.callers import TheCaller
from stream_durable.api.conditions import Conditions, Limit
from stream_durable.api.problems import documented
from stream_durable.api.shapes import many, model
from stream_durable.api.world import TheWorld
from stream_durable.services.doctor.finding import CheckName, Finding

router = APIRouter(prefix="/doctor", tags=["instance"], responses=documented(400, 401, 403, 422, 503))

_FINDINGS: dict[str, Any] = {
    "problems": int,
    "warnings": int,
    "checks": dict[str, int],
    "findings": many(Finding),
    "following": int | None,
}
Findings = model("Findings", **_FINDINGS)
Repairs = model("Repairs", repaired=list[str], **_FINDINGS)


class FindingPage(Conditions):
    """A page of findings."""

    check: Annotated[CheckName | None, Field(description="Of this check alone.")] = None
    limit: Limit = 100
    after: Annotated[int, Field(ge=0, description="How many were on the pages before.")] = 0


@router.get("", response_model=Findings)
async def examine(world: TheWorld, caller: TheCaller, which: Annotated[FindingPage, Query()]) -> Response:
    """Examine the instance as `stream-durable doctor` does: each thing that is wrong, the cause, the remedy.

    Reads all open runs, so that it may take seconds; findings are up to five seconds old. The counts are of
    all checks.
    """
    return caller.answer(_page(await world.doctor.findings(), which))


@router.post("/repair", response_model=Repairs)
async def repair(world: TheWorld, caller: TheCaller) -> Response:
    """Make the repairs that are safe at any time, as `stream-durable doctor --fix`; return what is left."""
    done = await world.doctor.repair()
    return caller.answer({"repaired": done.done, **_page(done.left, FindingPage())})


def _page(found: list[Finding], which: FindingPage) -> dict[str, Any]:
    severities = Counter(one.severity for one in found)
    chosen = [one for one in found if which.check in (None, one.check)]
    end = which.after + which.limit
    return {
        "problems": severities["problem"],
        "warnings": severities["warning"],
        "checks": dict(Counter(one.check for one in found)),
        "findings": chosen[which.after : end],
        "following": end if len(chosen) > end else None,
    }
