"""The stream app: a `faust.App` on the topics of an instance, configured by its settings."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Self, TypeVar

import faust
from pydantic import BaseModel

from stream_durable.core.errors import RejectedError
from stream_durable.core.ids import NAME
from stream_durable.core.lifecycle import RunEvent, StepEvent
from stream_durable.kafka.own_topics import missing_topics
from stream_durable.running import with_running
from stream_durable.settings import Settings
from stream_durable.streams.lifecycle import LifecycleCodec, OurTopic
from stream_durable.streams.options import faust_options, is_pickle
from stream_durable.streams.turn import Place, Turn
from stream_durable.wire.lifecycle import EventType
from stream_durable.wire.topics import DEAD, EVENTS, RUNS, STEPS, full_name

TurnFunction = TypeVar("TurnFunction", bound=Callable[[Any], Any])


class _Conf(faust.Settings):
    """Faust's settings with the web server off unless requested for the app.

    `faust worker` turns the server on, on all interfaces; other overrides still count.
    """

    _web_enabled: bool

    @property
    def web_enabled(self) -> bool:
        return self._web_enabled

    @web_enabled.setter
    def web_enabled(self, is_wanted: bool) -> None:
        self._web_enabled = self._web_enabled and is_wanted


class StreamApp(faust.App):
    """A Faust app on the instance's settings, with `turns`, `steps` and `runs`.

    Its consumer group and table topics are named `<prefix>.streams.<name>`.
    """

    def __init__(self, name: str, *, settings: Settings | None = None, **options: Any) -> None:
        """Connect to nothing yet; `options` are Faust's, except those decided by the settings."""
        if not NAME.match(name) or ":" in name:
            raise RejectedError("bad_name", f"{name[:128]!r} is not a name: letters, digits and _ . - only")
        settings = settings or with_running(Settings.load())
        found = faust_options(settings, options)
        if "datadir" not in found:
            found["datadir"] = tempfile.mkdtemp(prefix="stream-durable-streams-")
            weakref.finalize(self, shutil.rmtree, found["datadir"], ignore_errors=True)
        self._settings = settings
        self._instance = settings.prefix
        #: Topics that turns read.
        self._sources: set[str] = set()
        self._turns: set[str] = set()
        self._drain_seconds = settings.worker.drain_ms / 1000
        self._own_id = full_name(settings.prefix, f"streams.{name}")
        super().__init__(self._own_id, **found)
        #: Everything that happens to steps, as `StepEvent`.
        self.steps = self._lifecycle(STEPS, StepEvent)
        #: Everything that happens to runs, as `RunEvent`.
        self.runs = self._lifecycle(RUNS, RunEvent)

    def topic(self, *topics: str, **options: Any) -> Any:
        """Describe a topic as Faust does; reading pickle is refused."""
        for name in ("key_serializer", "value_serializer"):
            if is_pickle(options.get(name)):
                text = f"{name}={options[name]!r} of {', '.join(topics)}: pickle executes its input"
                raise RejectedError("not_supported", text)
        return super().topic(*topics, **options)

    def turns(self, topic: str, *, value: type[BaseModel]) -> Callable[[TurnFunction], TurnFunction]:
        """Register the decorated function to convert each message of a topic.

        It may be async; a plain function must not block. After a crash it is called again for the same
        message, and the second result then changes nothing done by the first.
        """

        def decorate(function: TurnFunction) -> TurnFunction:
            own = getattr(function, "__name__", type(function).__name__)
            if own in self._turns:
                raise RejectedError("duplicate", f"two turns of {self._own_id} are named {own!r}")
            self._turns.add(own)
            name = f"{self._own_id}.{own}"
            place = Place(full_name(self._instance, EVENTS), full_name(self._instance, DEAD))
            turn = Turn(self, name, function, value, place)
            channel = self.topic(
                topic, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw"
            )
            self.agent(channel, name=name)(turn.run)
            self._sources.add(topic)
            return function

        return decorate

    async def on_first_start(self) -> None:
        """Refuse to start without the topics read by turns: Faust would ignore them for ever."""
        wanted = [*sorted(self._sources), full_name(self._instance, EVENTS)] if self._sources else []
        if missing := await missing_topics(self._settings.kafka, wanted):
            remedy = f"`stream-durable topics make {' '.join(missing)}` makes topics of your own"
            if full_name(self._instance, EVENTS) in missing:
                remedy += "; `stream-durable topics apply` makes those of the instance"
            raise RejectedError("topics_missing", f"there is no topic {', '.join(missing)}: {remedy}")
        await super().on_first_start()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Self]:
        """Run the app within this process and loop until the end of the block; an app runs once."""
        await self.start()
        try:
            yield self
        finally:
            await self.stop()
        if self.crash_reason is not None:
            raise self.crash_reason

    async def _consumer_wait_empty(self, consumer: Any, logger: Any) -> None:
        """Wait for messages in progress, when stopping or releasing partitions, up to the drain time; Faust
        waits for ever. Unfinished messages are delivered again.
        """
        waiting = asyncio.ensure_future(super()._consumer_wait_empty(consumer, logger))
        await asyncio.wait({waiting}, timeout=self._drain_seconds)
        # It may overhear this, and then ends with the consumer.
        waiting.cancel()

    def _lifecycle(self, topic: str, event: EventType) -> Any:
        return OurTopic(
            self,
            topics=[full_name(self._instance, topic)],
            key_type=str,
            key_serializer="raw",
            value_serializer=LifecycleCodec(event),
        )


# After the class, in which the name means our settings.
StreamApp.Settings = _Conf
