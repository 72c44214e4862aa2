"""A partition of the inbox as an entity: messages about all later records."""

from __future__ import annotations

from stream_durable.core.effects import Effects, Handlers
from stream_durable.core.messages import CommandsLost, FormatRaised, RulesDeclared
from stream_durable.core.status import Outcome


class Log:
    """A partition. The format is stored in the partition's row and in the effects of records."""

    __slots__ = ("id", "partition", "updated")

    def __init__(self, key: str, partition: int) -> None:
        """Create the partition of this number."""
        self.id = key
        self.partition = partition
        self.updated = 0

    @property
    def is_over(self) -> bool:
        """Always true: nothing of a partition needs memory."""
        return True

    def weight(self) -> int:
        """Return the approximate memory in bytes."""
        return 0


def home_of_log(key: str, partitions: int) -> int:
    """Return the partition of this number, or -1."""
    return int(key) if key.isascii() and key.isdecimal() and str(int(key)) == key else -1


def raise_format(log: Log, message: FormatRaised, now: int, out: Effects) -> Outcome:
    """Let all later records be folded by a newer format; there is no way back."""
    if message.format <= out.format:
        return Outcome.DUPLICATE
    out.format = message.format
    return Outcome.APPLIED


def ask_again(log: Log, message: CommandsLost, now: int, out: Effects) -> Outcome:
    """Have the open attempts of a queue asked for once more, once this is saved."""
    out.lost_queues.append(message.queue)
    return Outcome.APPLIED


def read_rules(log: Log, message: RulesDeclared, now: int, out: Effects) -> Outcome:
    """Have what is declared read before triggers are asked about the events that come with it."""
    out.has_new_rules = True
    return Outcome.APPLIED


HANDLERS: Handlers = {
    FormatRaised: raise_format,
    CommandsLost: ask_again,
    RulesDeclared: read_rules,
}
