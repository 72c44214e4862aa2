"""What a channel may lose: there is no such order, so a test says it on the log."""

from stream_durable.core.messages import WaitClosed
from stream_durable.kafka.publisher import KafkaPublisher
from stream_durable.ports import Outgoing
from stream_durable.settings import Settings
from stream_durable.wire.inbox import encode
from stream_durable.wire.topics import INBOX


async def forget(settings: Settings, channel: str, run: str, wait: str) -> None:
    """Take the wait of a run from its channel, as a message of nobody's could."""
    publisher = KafkaPublisher(settings.kafka, settings.prefix, client="test")
    record = Outgoing(INBOX, None, channel.encode(), encode(WaitClosed(key=channel, run=run, wait=wait)))
    try:
        assert not await publisher.publish([(record, None)])
    finally:
        await publisher.close()
