"""What every call of a client goes through: the ports, and a deadline on each wait for the world."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from typing import Final, NamedTuple, TypeVar

from stream_durable.core.errors import RejectedError, TransientError
from stream_durable.core.lifecycle import RunEvent, StepEvent
from stream_durable.core.messages import Message
from stream_durable.core.moments import moment
from stream_durable.core.reference import MARK
from stream_durable.payloads import Payloads
from stream_durable.ports import (
    Blobs,
    Catalogue,
    Control,
    EventFlow,
    Outgoing,
    Publisher,
    Registry,
    RunEvents,
    TopicViews,
    Traffic,
    Views,
)
from stream_durable.retrying import retry_transient
from stream_durable.sdk.given import Values
from stream_durable.wire.events import admit
from stream_durable.wire.tokens import NO_TOKENS, Tokens
from stream_durable.wire.topics import INBOX

_Answer = TypeVar("_Answer")

#: How long a call waits for Kafka, Postgres or a reconciler to answer. Longer than a failover takes.
PATIENCE_SECONDS: Final = 30.0

#: What nobody has acknowledged stays with Kafka's client, which sends it when it can.
_SENT: Final = (
    "it was not acknowledged, and may still happen: under the same id it happens once, however often sent"
)
#: A time so late that no event was published since.
_NEVER: Final = 1 << 50


class Ports(NamedTuple):
    """The adapters needed by a client."""

    publisher: Publisher
    catalogue: Catalogue
    views: Views
    events: RunEvents
    blobs: Blobs
    control: Control
    #: How long an event that nobody waits for is kept, unless it says otherwise.
    event_ttl_ms: int
    #: The address of the instance, for people.
    where: str
    #: Checks and signs tokens.
    tokens: Tokens = NO_TOKENS
    #: Looks at topics and groups; None: that cannot be known here.
    traffic: Traffic | None = None
    #: Looks at records and groups of topics; None: that cannot be known here.
    topics: TopicViews | None = None
    #: Has schemas of topics of others; None: none is configured.
    registry: Registry | None = None
    #: The instance's time in milliseconds, if other than this machine's.
    now: Callable[[], int] | None = None
    #: Whether workers report themselves; those in memory do not.
    reports_workers: bool = True


class Edge:
    """The ports of one client, called with limited patience."""

    def __init__(self, ports: Ports, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self.ports = ports
        self.patience_seconds = patience_seconds
        self.values = Values()
        self._payloads = Payloads(ports.blobs)

    async def ask(
        self, call: Callable[[], Awaitable[_Answer]], doing: str, *, silence: str = "there was no answer"
    ) -> _Answer:
        """Call until success or the end of patience; then raise the last error, or what a silence means."""
        # The words alone: the error leads to the frames of its way here, and to all that they hold.
        cause = ""

        async def attempt() -> _Answer:
            nonlocal cause
            try:
                return await call()
            except TransientError as error:
                cause = str(error)
                raise

        try:
            async with asyncio.timeout(self.patience_seconds):
                return await retry_transient(attempt, doing)
        except TimeoutError:
            why = f"the last answer was: {cause}" if cause else silence
            raise TransientError(
                f"could not {doing} within {self.patience_seconds:g} s; {why}. "
                f"The address is {self.ports.where}: try again later, or correct the address in the settings"
            ) from None

    def now(self) -> datetime:
        """Return the time from which durations are counted."""
        now = self.ports.now
        return datetime.now(UTC) if now is None else moment(now())

    def check(self, message: Message) -> None:
        """Refuse a message for the same reasons as `send`."""
        admit(message)

    async def send(self, message: Message, doing: str) -> None:
        """Publish a message on the inbox; a repeat under the same id changes nothing."""
        await self.send_all([message], doing)

    async def send_all(self, messages: Sequence[Message], doing: str) -> None:
        """Put messages on the inbox, in order as far as they are for the same entity."""
        records = [Outgoing(INBOX, None, one.key.encode(), admit(one)) for one in messages]
        await self.put(records, doing)

    async def put(self, records: Sequence[Outgoing], doing: str) -> None:
        """Publish records of one topic and wait until they are acknowledged."""
        await self.ask(lambda: self._publish(records), doing, silence=_SENT)

    async def _publish(self, records: Sequence[Outgoing]) -> None:
        """Publish; raise why a message is refused, or what has to be there first."""
        for refusal in await self.ports.publisher.publish([(record, None) for record in records]):
            if refusal.code == "no_topic":
                remedy = "`stream-durable topics apply` makes it"
                raise TransientError(f"there is no topic {records[0].topic} ({refusal.reason}): {remedy}")
            raise RejectedError(refusal.code, f"topic {records[0].topic} does not take it: {refusal.reason}")

    async def resolved(self, data: bytes) -> bytes:
        """Return a JSON value with references replaced by the large values."""
        if MARK not in data:
            return data
        return await self.ask(lambda: self._payloads.resolved(data), "read a large value")

    def live(self, run: str) -> AbstractAsyncContextManager[AsyncIterator[RunEvent]]:
        """Follow the public events of a run as a whole from now on."""
        return self._opened(lambda: self.ports.events.live(run), f"follow run {run!r}")

    def past(
        self, run: str, since: int
    ) -> AbstractAsyncContextManager[AsyncIterator[RunEvent | StepEvent | None]]:
        """Read the public events of a run and its steps since a time."""
        return self._opened(lambda: self.ports.events.past(run, since), f"follow run {run!r}")

    def coming(self, run: str) -> AbstractAsyncContextManager[AsyncIterator[RunEvent | StepEvent | None]]:
        """Read the public events of a run and its steps from now on."""
        return self.past(run, _NEVER)

    def flow(self) -> AbstractAsyncContextManager[EventFlow]:
        """Follow the public events of all runs and steps from now on."""
        return self._opened(self.ports.events.flow, "follow all runs")

    @asynccontextmanager
    async def _opened(
        self, opening: Callable[[], AbstractAsyncContextManager[_Answer]], doing: str
    ) -> AsyncIterator[_Answer]:
        async with AsyncExitStack() as stack:
            yield await self.ask(lambda: stack.enter_async_context(opening()), doing)
