"""Finds a run by id or prefix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stream_durable.cli.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    from stream_durable.ports import OperatorViews
    from stream_durable.settings import Settings

#: Candidates named where the beginning of an id could mean several.
_SHOWN: Final = 5


async def find_run(settings: Settings, written: str) -> str:
    """Return the id of the only run with this id or prefix."""
    from stream_durable import operating

    async with operating.views(settings) as views:
        return await find_in(views, written)


async def find_in(views: OperatorViews, written: str) -> str:
    """Return the only id equal to a text or beginning with the text; an equal id wins."""
    found = await views.run_ids(written, _SHOWN + 1) if written else []
    if written in found or len(found) == 1:
        return written if written in found else found[0]
    if not found:
        raise NotFoundError(f"there is no run {written!r}", "`stream-durable runs list` shows the newest.")
    shown = ", ".join(found[:_SHOWN]) + (", …" if len(found) > _SHOWN else "")
    raise UsageError(f"{written!r} could be any of {shown}: write more of it")
