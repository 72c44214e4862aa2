"""A partition owned by this reconciler, from takeover to loss or release."""

from __future__ import annotations

import zlib
from collections import deque
from uuid import UUID

from stream_durable.ports import Claim, Outgoing, Record, Share


class Row:
    """An outbox row."""

    __slots__ = ("ahead", "bytes", "from_offset", "under_way")

    def __init__(self, from_offset: int = 0, size: int = 0) -> None:
        """Begin with nothing published."""
        self.from_offset = from_offset
        self.bytes = size
        #: How many of its messages, the first ones, were handed over before it was saved.
        self.ahead = 0
        #: Deliveries of which not each message was acknowledged, or something else said in its place.
        self.under_way = 0


class HeldRow:
    """A row of commands held back."""

    __slots__ = ("at", "count", "from_offset", "is_out", "messages", "under_way")

    def __init__(self, from_offset: int, count: int) -> None:
        """Begin with nothing published."""
        self.from_offset = from_offset
        self.count = count
        #: Its messages once some of them are published, and how many are.
        self.messages: list[Outgoing] | None = None
        self.at = 0
        #: Whether all are, and deliveries of which not each message was acknowledged.
        self.is_out = False
        self.under_way = 0


class Partition:
    """The fold's progress in one owned partition."""

    __slots__ = (
        "awaits", "begun", "cautious", "clock", "fingerprint", "format", "generation", "held",
        "held_under_way", "id", "is_full", "is_leaving", "is_redriving", "leader_epoch", "lost_queues",
        "next_offset", "published", "token", "topic_id", "unpublished", "unpublished_bytes", "verify_offset",
    )  # fmt: skip

    def __init__(self, claim: Claim, token: UUID) -> None:
        """Take over the partition at the position in the row."""
        self.id = claim.partition
        self.token = token
        self.next_offset = claim.next_offset
        self.clock = claim.clock
        self.leader_epoch = claim.leader_epoch
        self.generation = claim.generation
        self.fingerprint = claim.fingerprint
        self.topic_id = claim.topic_id
        self.format = claim.format
        #: How many records are still to be folded one by one, since the last owners got nowhere.
        self.cautious = 0
        #: The offset whose record must have the fingerprint that was stored; None: nothing to verify.
        self.verify_offset: int | None = None
        #: The record that comes next, where the partition was held at it: what was fetched beyond it before
        #: does not count. None: whatever comes.
        self.awaits: int | None = None
        #: Outbox rows, by first offset, that are acknowledged and go with the next commit.
        self.published: list[int] = []
        #: Outbox rows that are not, in the order in which they were saved.
        self.unpublished: deque[Row] = deque()
        self.unpublished_bytes = 0
        #: Rows of commands held back, the oldest first; and those acknowledged that go with the next commit.
        self.held = deque(HeldRow(*row) for row in claim.held)
        self.begun: list[int] = []
        #: Deliveries of held commands that are not acknowledged yet.
        self.held_under_way = 0
        #: Being given up: no further row of held commands begins.
        self.is_leaving = False
        #: Whether nothing more is fetched until some of them are.
        self.is_full = False
        #: Queues whose open attempts are to be asked for again, and whether that is under way.
        self.lost_queues: set[str] = set()
        self.is_redriving = False

    @property
    def position(self) -> int:
        """The offset to fetch from: the next, or the one before for verifying the log."""
        return self.next_offset if self.verify_offset is None else self.verify_offset

    def share(self) -> Share:
        """Return a share without changes, removing acknowledged outbox rows."""
        share = Share(
            self.id, self.token, self.next_offset, self.next_offset, self.clock, self.leader_epoch,
            self.fingerprint, self.generation,
        )  # fmt: skip
        share.format = self.format
        share.published, self.published = self.published, []
        share.begun, self.begun = self.begun, []
        return share

    def is_due(self, record: Record) -> bool:
        """Whether a record comes before the held record, if any."""
        return self.awaits is None or record.offset < self.awaits

    def moved(self, share: Share) -> None:
        """Record a saved share."""
        self.next_offset = share.to_offset
        self.clock = share.clock
        self.format = share.format
        self.leader_epoch = share.leader_epoch
        self.fingerprint = share.fingerprint


def fingerprint(record: Record) -> int:
    """Return a number that another record at the same offset would not have."""
    crc = zlib.crc32(record.key or b"")
    crc = zlib.crc32(record.value or b"", crc)
    return zlib.crc32(b"%d/%d" % (record.offset, record.time), crc)
