"""Our public topics for Faust: values are the core's events."""

from __future__ import annotations

from typing import Any, Never

from faust import Topic
from faust.serializers.codecs import Codec

from stream_durable.core.errors import RejectedError
from stream_durable.wire import lifecycle


class LifecycleCodec(Codec):
    """Decodes events of one kind from Avro. Only the engine writes them."""

    def __init__(self, event: lifecycle.EventType) -> None:
        super().__init__()
        self._event = event

    def _loads(self, s: bytes) -> lifecycle.Event:
        event = lifecycle.decode(s)
        if type(event) is not self._event:
            raise RejectedError("unreadable", f"a {type(event).__name__}, not a {self._event.__name__}")
        return event

    def _dumps(self, _: Any) -> Never:
        raise TypeError("the lifecycle topics are written by the engine alone")


class OurTopic(Topic):
    """A topic created by `stream-durable topics apply`, never by Faust, which would lose data."""

    async def declare(self) -> None:
        """Leave the topic unchanged."""
