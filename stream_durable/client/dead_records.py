"""Records that could not be applied: listed, shown, and given again."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from contextlib import aclosing
from typing import Final, NamedTuple

from stream_durable.client.dead_letters import Backwards, DeadFilter, DeadRecord, Letter, letter_of
from stream_durable.client.edge import Edge
from stream_durable.client.filter import since_epoch
from stream_durable.client.redriving import advice, given_again
from stream_durable.core.declared import redriven
from stream_durable.core.errors import RejectedError
from stream_durable.core.orders import Order
from stream_durable.ports import Outgoing

#: Reasons shown of a redrive of many.
_REASONS_MAX: Final = 10
#: Records given again at once, unless more are asked for.
REDRIVEN_MAX: Final = 1_000


class RecordHeader(NamedTuple):
    """A header of a record."""

    name: str
    value: str


class DeadWhole(NamedTuple):
    """A record that could not be applied, with its content."""

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
    """Records that could not be applied, and their redrive."""

    @property
    @abstractmethod
    def _edge(self) -> Edge: ...

    async def dead_records(
        self, which: DeadFilter | None = None, *, limit: int = 50, after: str | None = None
    ) -> DeadRecords:
        """Return a page of the records that could not be applied, newest first.

        The topic `dead` is read backwards until the page is full: conditions that few records meet cost a
        reading of all records since `since`.
        """
        records = list[DeadRecord]()
        back = await Backwards.of(self._edge, which or DeadFilter(), after)
        async with aclosing(back.letters()) as letters:
            async for letter in letters:
                if len(records) == limit:
                    return DeadRecords(tuple(records), back.before(letter))
                records.append(letter.shown)
        return DeadRecords(tuple(records), None)

    async def dead_record(self, id: str) -> DeadWhole:  # noqa: A002 - the word for it everywhere
        """Return a record that could not be applied, whole. Raises `RejectedError` for an unknown one."""
        letter = await letter_of(self._edge, id)
        value = letter.record.value
        advised = advice(letter.found.origin, letter.shown.id)
        return DeadWhole(
            letter.shown,
            tuple(RecordHeader(name, held.decode(errors="replace")) for name, held in letter.found.headers),
            None if value is None else value.decode(errors="replace"),
            advised.remedy,
            advised.can_redrive,
        )

    async def redrive_record(self, id: str, *, reason: str = "", by: str = "") -> RedrivenRecord:  # noqa: A002
        """Give a record again that could not be applied; who did it and why is kept and shown.

        A record of the inbox is published there again; one of `events`, or of a topic of others, is read
        again, and its message put on the inbox under the id of the first time: nothing is published on the
        topics of others. A record given again before is left alone; one that still cannot be applied is a
        new dead record. Raises `RejectedError` where giving it again would change nothing.
        """
        letter = await letter_of(self._edge, id)
        is_ordered = letter.shown.redriven is None
        if is_ordered:
            made = await _messages(self._edge, letter, {})
            await _redrive(self._edge, letter, made, Order(since_epoch("now", self._edge.now()), by, reason))
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
        """Give all matching records again that nobody gave again yet, newest first; see `redrive_record`.

        Records that cannot be given again are counted and passed over. With `preview` all is checked, and
        nothing is sent. `progress` is called with how many were given.
        """
        edge, topic_ids = self._edge, dict[str, str]()
        told, refused, reasons = 0, 0, list[str]()
        back = await Backwards.of(edge, (which or DeadFilter())._replace(redriven=False), keeps_values=True)
        async with aclosing(back.letters()) as letters:
            async for letter in letters:
                if told + refused == at_most:
                    break
                try:
                    made = await _messages(edge, letter, topic_ids)
                    if not preview:
                        await _redrive(edge, letter, made, Order(since_epoch("now", edge.now()), by, reason))
                except RejectedError as error:
                    refused += 1
                    reasons += [str(error)] if len(reasons) < _REASONS_MAX else []
                else:
                    told += 1
                    if progress is not None:
                        progress(told)
        return Redriven(told + refused, told, refused, tuple(reasons))


async def _messages(edge: Edge, letter: Letter, topic_ids: dict[str, str]) -> list[Outgoing]:
    try:
        return await given_again(edge, letter.record, letter.found, topic_ids)
    except RejectedError as error:
        code = "" if error.code == "not_redrivable" else f"{error.code}: "
        text = f"record {letter.shown.id} cannot be given again: {code}{error}"
        raise RejectedError("not_redrivable", text) from error


async def _redrive(edge: Edge, letter: Letter, made: list[Outgoing], order: Order) -> None:
    """Publish first, and say so after: what was interrupted between is given again, and changes nothing."""
    if made:
        await edge.put(made, f"give record {letter.shown.id} again")
    # By clocks that differ it may seem to be later than the order.
    at = max(order.at, letter.record.time)
    mark = redriven(letter.shown.id, Order(at, order.by, order.reason))
    await edge.ask(lambda: edge.ports.catalogue.declare([mark], tells=False), "say who gave a record again")
