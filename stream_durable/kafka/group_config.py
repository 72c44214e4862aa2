"""The configuration of a client reading a topic as a member of a group."""

from __future__ import annotations

from stream_durable.kafka.config import config
from stream_durable.settings import KafkaSettings

#: The client refuses to begin with more.
_QUEUED_KBYTES_MAX = 2_097_151
#: What a broker is asked for at once at the most: the client takes no answer of 100 MB unless it is told to.
_FETCH_BYTES_MAX = 50_000_000


def group_config(
    settings: KafkaSettings, group: str, client: str, bytes_max: int, reset: str
) -> dict[str, object]:
    """Return the configuration of a member holding about `bytes_max` of unread records."""
    return config(
        settings,
        client,
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset=reset,
        partition_assignment_strategy="cooperative-sticky",
        session_timeout_ms=settings.session_timeout_ms,
        heartbeat_interval_ms=settings.heartbeat_ms,
        max_poll_interval_ms=60_000,
        # Else the fetcher sleeps a second whenever the local queue was full for a moment.
        fetch_queue_backoff_ms=5,
        queued_min_messages=20_000,
        queued_max_messages_kbytes=min(max(1_024, bytes_max // 1_024), _QUEUED_KBYTES_MAX),
        fetch_max_bytes=min(max(1_048_576, bytes_max), _FETCH_BYTES_MAX),
    )
