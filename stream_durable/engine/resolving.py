"""Resolves the version of a workflow to be started by a schedule: the current one at publication.

The choice does not follow from the inbox, so it goes on the log with the start, in its fingerprint.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from stream_durable.core.errors import TransientError
from stream_durable.engine.batch import Folding
from stream_durable.ports import Current
from stream_durable.retrying import retry_transient

#: Definitions that were known before will do if reading takes longer: others wait with this batch.
_PATIENCE_SECONDS = 1.0


async def resolve(foldings: Iterable[Folding], definitions: Current) -> None:
    """Put current fingerprints into starts; of an unknown workflow the run is refused."""
    starts = [start for folding in foldings for start in folding.effects.starts]
    if not starts:
        return
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            await definitions.catch_up()
    except (TransientError, TimeoutError):
        if any(definitions.current(start.workflow) is None for start in starts):
            await retry_transient(definitions.catch_up, "read the definitions")
    for start in starts:
        start.fingerprint = definitions.current(start.workflow) or ""
