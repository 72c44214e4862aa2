"""Dead records: listed, shown, and given again."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from contextlib import aclosing
from typing import Final, NamedTuple

from stream_durable.client.dead_letters import (
    Backwards,
    DeadFilter,
    DeadRecord,
    Letter,
    forwards,
    letter_of,
)
from stream_durable.client.edge import Edge
from stream_durable.client.filter import since_epoch
from stream_durable.client.redriving import advice, given_again, not_given
from stream_durable.core.declared import redriven
from stream_durable.core.errors import RejectedError
from stream_durable.core.orders import Order
from stream_durable.ports import Outgoing

#: Reasons shown of a redrive of many.
_REASONS_MAX: Final = 10
#: Records given again with one acknowledgement.
_TOGETHER: Final = 100
#: Records given again by one call, unless more are asked for.
REDRIVEN_MAX: Final = 1_000


class RecordHeader(NamedTuple):
    """A header of a record."""

    name: str
    value: str


class DeadWhole(NamedTuple):
    """A dead record with its content."""

    record: DeadRecord
    #: The record's own headers. What is no text is shown with replacement characters, as in the value.
    headers: tuple[RecordHeader, ...]
    #: None: there is none, or it was too large to be kept.
    value: str | None
    #: What may help.
    remedy: str
    #: Whether a redrive has a meaning for such a record.
    can_redrive: bool


class DeadRecords(NamedTuple):
    """A page of dead records, newest first."""

    records: tuple[DeadRecord, ...]
    #: For the next page; None: this is the last one.
    following: str | None


class RedrivenRecord(NamedTuple):
    """A dead record given again."""

    id: str
    #: Where it came from.
    topic: str
    #: Whether this gave it again: somebody may have done so before.
    is_ordered: bool


class Redriven(NamedTuple):
    """Dead records given again."""

    #: How many met the conditions and had not been given again.
    records: int
    #: How many were given again, or would be.
    told: int
    #: How many cannot be, and why the first of them cannot.
    refused: int
    reasons: tuple[str, ...]


class DeadOrders:
    """Dead records and their redrive."""

    @property
    @abstractmethod
    def _edge(self) -> Edge: ...

    async def dead_records(
        self, which: DeadFilter | None = None, *, limit: int = 50, after: str | None = None
    ) -> DeadRecords:
        """Return a page of the records impossible to apply, newest first.

        The topic `dead` is read backwards until the page is full, or until 20,000 records or 64 MB were
        looked at: then there are fewer on the page, or none, and `following` goes on from there.
        """
        back = await Backwards.of(self._edge, which or DeadFilter(), after)
        records, following = await back.page(limit)
        return DeadRecords(tuple(records), following)

    async def dead_record(self, id: str) -> DeadWhole:  # noqa: A002 - the word for it everywhere
        """Return a dead record whole. Raises `RejectedError` for an unknown one."""
        letter = await letter_of(self._edge, id)
        value = letter.record.value
        advised = advice(letter)
        return DeadWhole(
            letter.shown,
            tuple(RecordHeader(name, held.decode(errors="replace")) for name, held in letter.found.headers),
            None if value is None else value.decode(errors="replace"),
            advised.remedy,
            advised.can_redrive,
        )

    async def redrive_record(self, id: str, *, reason: str = "", by: str = "") -> RedrivenRecord:  # noqa: A002
        """Give a dead record again; `by` and `reason` are kept and shown.

        A record of the inbox is published there again; one of `events`, or of a topic of others, is read
        again, and its message put on the inbox under the id of the first time: nothing is published on the
        topics of others. A record given again before is left alone; one still impossible to apply
        becomes a new dead record. Raises `RejectedError` where giving it again would change nothing.
        """
        letter = await letter_of(self._edge, id)
        is_ordered = letter.shown.redriven is None
        if is_ordered:
            made = await given_again(self._edge, letter, {})
            await _redrive(self._edge, [(letter, made)], by, reason)
        return RedrivenRecord(letter.shown.id, letter.shown.topic, is_ordered)

    async def redrive_records(
        self,
        which: DeadFilter | None = None,
        *,
        at_most: int = REDRIVEN_MAX,
        preview: bool = False,
        reason: str = "",
        by: str = "",
        progress: Callable[[int], None] | None = None,
    ) -> Redriven:
        """Give all matching records again, each once; see `redrive_record`.

        Records with one key are given in the order of their coming. Records impossible to give again are
        counted and passed over. With `preview` all is checked, and nothing is sent. `progress` is
        called with how many were given so far. All records since `since` are read.
        """
        edge, topic_ids = self._edge, dict[str, str]()
        told, refused, reasons = 0, 0, list[str]()

        def refuse(again: list[str]) -> None:
            nonlocal refused
            refused += len(again)
            reasons.extend(again[: _REASONS_MAX - len(reasons)])

        async def give(made: list[tuple[Letter, Outgoing]]) -> None:
            nonlocal told
            again = [] if preview else await _redrive(edge, made, by, reason)
            refuse(again)
            told += len(made) - len(again)
            if progress is not None:
                progress(told)

        made = list[tuple[Letter, Outgoing]]()
        async with aclosing(forwards(edge, (which or DeadFilter())._replace(redriven=False))) as letters:
            async for letter in letters:
                try:
                    made.append((letter, await given_again(edge, letter, topic_ids)))
                except RejectedError as error:
                    refuse([str(error)])
                if len(made) == min(_TOGETHER, at_most - told):
                    await give(made)
                    made = []
                if told >= at_most:
                    break
        if made:
            await give(made)
        return Redriven(told + refused, told, refused, tuple(reasons))


async def _redrive(edge: Edge, made: list[tuple[Letter, Outgoing]], by: str, reason: str) -> list[str]:
    """Publish first, and mark after: a repeat after an interruption between changes nothing.

    Return the refusals of the topic; raise that of a single record.
    """
    try:
        await edge.put([message for _, message in made], "give dead records again")
    except RejectedError as error:
        if len(made) == 1:
            raise not_given(made[0][0], error) from error
        return [text for one in made for text in await _told(edge, one, by, reason)]
    # By clocks that differ a record may seem to be later than the order.
    at = max(since_epoch("now", edge.now()), *(letter.record.time for letter, _ in made))
    mark = redriven([letter.shown.id for letter, _ in made], Order(at, by, reason))
    await edge.ask(lambda: edge.ports.catalogue.declare([mark], tells=False), "say who gave records again")
    return []


async def _told(edge: Edge, made: tuple[Letter, Outgoing], by: str, reason: str) -> list[str]:
    """Give one alone; return why it could not be."""
    try:
        return await _redrive(edge, [made], by, reason)
    except RejectedError as error:
        return [str(error)]
