"""librdkafka's own mock broker: enough of Kafka for a laptop without Java, without persistence.

It runs inside the creating process and listens on loopback, so other processes may use it during that time.
It has no controller: a topic is created on first use, and admin requests are not answered. Its logs are in
memory, bounded, and lost at the end of the process; after a restart every partition has a new log, handled by
`engine.on_lost_log`. Only for `dev`.
"""

from __future__ import annotations

from collections.abc import Iterable

from confluent_kafka import KafkaException, Producer
from confluent_kafka.admin import AdminClient

from stream_durable.core.errors import TransientError
from stream_durable.kafka.config import CALL_SECONDS

#: The number of partitions of every topic of the mock broker; it is fixed.
MOCK_PARTITIONS = 4

_CLUSTER = "mockCluster"
_SYSLOG_ERROR = 3


class MockKafka:
    """A mock cluster of one broker, for the life of this object."""

    def __init__(self) -> None:
        """Start serving at once."""
        # Told here, the address of a real broker would be ignored; and it would complain of that.
        self._owner: Producer | None = Producer({"test.mock.num.brokers": 1, "log_level": _SYSLOG_ERROR})
        try:
            brokers = self._owner.list_topics(timeout=CALL_SECONDS).brokers.values()
        except KafkaException as error:
            raise TransientError(f"the mock broker does not start: {error}") from error
        self.bootstrap = ",".join(f"{broker.host}:{broker.port}" for broker in brokers)

    def close(self) -> None:
        """Stop, and lose all content."""
        self._owner = None


def is_mock(cluster_id: str | None) -> bool:
    """Whether a cluster of this id is a mock."""
    return bool(cluster_id and cluster_id.startswith(_CLUSTER))


def make_topics(admin: AdminClient, names: Iterable[str]) -> None:
    """Create topics in the mock by requesting their metadata."""
    for name in names:
        admin.list_topics(name, timeout=CALL_SECONDS)
