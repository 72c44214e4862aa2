"""Decisions about records that did not follow from the log alone, read from where they were noted.

All of them are dead letters, which keep where the record was, the code and the reason:

- a record that killed the process which folded it, set aside so that its partition could go on;
- a record on which the fold raised: that was a bug, and it may be mended by now;
- a start whose definition was not registered when it was folded, though it may be by now.

A rebuild takes them as given. Everything else that was refused it refuses again by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import aclosing

from stream_durable.core.errors import RejectedError
from stream_durable.engine.isolation import CRASHES
from stream_durable.engine.outbox import INBOX
from stream_durable.ports import LogReader, Record, Span

CODES = frozenset({CRASHES, "unfoldable", "unknown_workflow"})

#: (partition, offset) of the inbox -> how it was refused.
Verdicts = Mapping[tuple[int, int], RejectedError]


async def read_verdicts(dead: LogReader) -> Verdicts:
    """Read all dead letters there are by now; the first one about a record counts."""
    spans = [Span(p, bounds.low, bounds.high) for p, bounds in (await dead.bounds()).items()]
    verdicts: dict[tuple[int, int], RejectedError] = {}
    async with aclosing(dead.read(spans)) as batches:
        async for records in batches:
            for record in records:
                if (found := _verdict(record)) is not None:
                    verdicts.setdefault(*found)
    return verdicts


def _verdict(record: Record) -> tuple[tuple[int, int], RejectedError] | None:
    # Ours come last: a record may have brought headers of the same names along.
    headers = dict(record.headers or ())
    code = headers.get("sd_code", b"").decode(errors="replace")
    if code not in CODES or headers.get("sd_topic") != INBOX.encode():
        return None
    try:
        position = int(headers["sd_partition"]), int(headers["sd_offset"])
    except (KeyError, ValueError):
        return None
    return position, RejectedError(code, headers.get("sd_reason", b"").decode(errors="replace"))
