"""What an operator decides on the log: to go on in a newer format, to set a record aside."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing
from typing import Final

from stream_durable.core.errors import NewerFormatError, RejectedError
from stream_durable.core.format import FORMAT
from stream_durable.engine import outbox
from stream_durable.kafka.publisher import KafkaPublisher
from stream_durable.kafka.reader import KafkaReader
from stream_durable.ports import Outgoing, Record, Span
from stream_durable.postgres.formats import Standing, formats
from stream_durable.retrying import retry_transient
from stream_durable.settings import Settings
from stream_durable.wire.topics import INBOX, full_name
from stream_durable.wire.verdicts import BURIED

_CLIENT: Final = "stream-durable-upgrade"


async def check_format(settings: Settings) -> None:
    """Refuse to work after a newer release: before the group assigns unusable partitions."""
    for standing in await formats(settings.postgres):
        if standing.format > FORMAT:
            raise NewerFormatError(f"partition {standing.partition}", standing.format, FORMAT)


async def raise_format(settings: Settings, *, is_rehearsal: bool = False) -> list[Standing]:
    """Raise every partition to the newest format of this release; return the raised ones.

    A rehearsal returns the same and raises none. Refused while the owner of a partition has an older release,
    which would stand still there.
    """
    standing = await formats(settings.postgres)
    if old := [one for one in standing if one.owner is not None and one.owner_format < FORMAT]:
        raise RejectedError(
            "older_owner",
            f"partition {old[0].partition} is owned by {old[0].owner}, which knows format "
            f"{old[0].owner_format} and not {FORMAT}: replace all processes of older releases first",
        )
    behind = [one for one in standing if one.format < FORMAT]
    if not is_rehearsal:
        await _publish(settings, [outbox.format_record(one.partition, FORMAT) for one in behind])
    return behind


async def bury(
    settings: Settings, partition: int, offset: int, reason: str, *, is_rehearsal: bool = False
) -> Record:
    """Set aside the record blocking a partition; later folds of the log do the same.

    A rehearsal refuses for the same reasons, and sets nothing aside.
    """
    record = await _next(settings, partition)
    if record is None or record.offset != offset:
        at = "at the end of its log" if record is None else f"at offset {record.offset}"
        raise RejectedError(
            "not_held", f"partition {partition} stands {at}: only the next record can be set aside"
        )
    if not is_rehearsal:
        await _publish(settings, [outbox.verdict(record, BURIED, reason)])
    return record


async def _next(settings: Settings, partition: int) -> Record | None:
    found = [one for one in await formats(settings.postgres) if one.partition == partition]
    if not found:
        raise RejectedError("unknown_partition", f"there is no partition {partition}")
    inbox = full_name(settings.prefix, INBOX)
    reader = KafkaReader(settings.kafka, inbox, client=_CLIENT, records_max=1, is_hasty=True)
    bounds = (await reader.bounds())[partition]
    span = Span(partition, max(bounds.low, found[0].next_offset), bounds.high)
    async with aclosing(reader.read([span])) as batches:
        async for records in batches:
            return records[0]
    return None


async def _publish(settings: Settings, messages: Sequence[Outgoing]) -> None:
    publisher = KafkaPublisher(settings.kafka, settings.prefix, client=_CLIENT)
    try:
        made = [(message, None) for message in messages]
        await retry_transient(lambda: publisher.publish(made), "publish verdicts")
    finally:
        await publisher.close()
