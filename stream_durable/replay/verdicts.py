"""Verdicts read from their topic for a rebuild.

A rebuild applies them as given; every other refusal follows from the log again.
"""

from __future__ import annotations

from contextlib import aclosing

from stream_durable.core.errors import RejectedError
from stream_durable.ports import LogReader, Span
from stream_durable.wire.verdicts import Verdict, Verdicts, decode_verdict


async def read_verdicts(topic: LogReader) -> Verdicts:
    """Read all verdicts there are by now; the first one about a record counts."""
    spans = [Span(p, bounds.low, bounds.high) for p, bounds in (await topic.bounds()).items()]
    verdicts: dict[tuple[int, int], Verdict] = {}
    async with aclosing(topic.read(spans)) as batches:
        async for records in batches:
            for record in records:
                try:
                    verdict = decode_verdict(record.value)
                except RejectedError:
                    # Not written by us, so about nothing.
                    continue
                verdicts.setdefault((record.partition, verdict.offset), verdict)
    return verdicts
