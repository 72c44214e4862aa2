"""The parts of sending: a broker client with error classes, and lanes."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from stream_durable.ports import Headers, Outgoing

if TYPE_CHECKING:
    from stream_durable.sending import Delivery

LaneKey = tuple[str, int]

#: The client puts so many bytes into one batch at most, but for a single message that is larger.
BATCH_BYTES = 1_000_000
#: How long a lane pauses at first before it tries again.
FIRST_SECONDS = 0.05
#: Bytes of a record and its batch beyond key, value and headers, and of each header beyond its content.
_ENVELOPE_BYTES, _HEADER_BYTES = 100, 10


class Concerns(Enum):
    """The scope of an error of delivery."""

    #: The message, or another of the same batch.
    MESSAGE = auto()
    #: The topic, missing or closed to us.
    TOPIC = auto()
    #: Nothing that lasts: trying again helps.
    MOMENT = auto()


class Trouble(NamedTuple):
    """Why a message was not acknowledged."""

    concerns: Concerns
    code: str
    reason: str


class Wire(Protocol):
    """A client of the broker: keeps the order of a partition as long as nothing fails."""

    #: The error of a message that is said to be there without saying where.
    unplaced: Any

    def produce(
        self, message: Outgoing, headers: Headers | None, settle: Callable[[Any, Any], None]
    ) -> Any | None:
        """Take a message, or return the error for refusing it.

        `settle` is called once per taken message, in any thread, with None or the error, and with a callable
        for the message's offset, if known. After a refusal, messages queued behind in the same lane are
        returned unsent, too.
        """

    def take_back(self, error: Any) -> None:
        """Receive an error, in any thread; for a refusal, return the queued messages."""

    def lane(self, message: Outgoing) -> LaneKey:
        """Say where a message goes."""

    def trouble(self, error: Any) -> Trouble:
        """Classify an error."""

    async def look(self, lane: LaneKey) -> bool:
        """Say whether a lane is there, and learn its topic's limit; `TransientError` if nobody answers."""


class Lane:
    """One partition of one topic, while messages are held back."""

    __slots__ = ("alone", "delay", "flying", "is_held", "key", "logged", "waiting")

    def __init__(self, key: LaneKey) -> None:
        self.key = key
        #: (delivery's number, position, delivery, whether it has to be sent alone), the oldest first.
        self.waiting: list[tuple[int, int, Delivery, bool]] = []
        #: What the client has: (delivery's number, position) -> bytes.
        self.flying: dict[tuple[int, int], int] = {}
        #: The only message in flight.
        self.alone: tuple[int, int] | None = None
        self.is_held = False
        self.delay = FIRST_SECONDS
        #: The last logged reason of a pause.
        self.logged = ""

    def add(self, delivery: Delivery, i: int, *, is_alone: bool) -> None:
        heapq.heappush(self.waiting, (delivery.number, i, delivery, is_alone))

    def forget(self, place: tuple[int, int]) -> None:
        self.flying.pop(place, None)
        if self.alone == place:
            self.alone = None


def size_of(message: Outgoing, headers: Headers | None) -> int:
    """Return a message's largest possible size on the wire, alone in a batch."""
    size = _ENVELOPE_BYTES + len(message.value or b"") + len(message.key or b"")
    if headers:
        size += sum(_HEADER_BYTES + len(name.encode()) + len(value or b"") for name, value in headers)
    return size
