"""One batch: records in, shares out. Nothing here waits.

A batch is everything arrived from all owned partitions. `read` decodes records, so that missing entities are
loaded with one query; `fold_records` folds record by record, in order per partition; `finish` returns one
share per partition.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec

from stream_durable.core.definition.graph import Graph
from stream_durable.core.effects import Command, Effects
from stream_durable.core.entities import ENTITIES, Entity
from stream_durable.core.errors import RejectedError
from stream_durable.core.fold import check_home, create, fold, refuse
from stream_durable.core.messages import (
    KINDS,
    MESSAGE_TYPES,
    AnyMessage,
    FormatRaised,
    Kind,
    Message,
    StartRun,
    StartScheduled,
    StartTriggered,
    StartWithSignal,
)
from stream_durable.core.run.rows import AttemptRow, attempt_rows
from stream_durable.core.status import Outcome
from stream_durable.engine import outbox
from stream_durable.engine.backlog import Commands, parted
from stream_durable.engine.cache import Cache
from stream_durable.engine.partition import Partition, Row, fingerprint
from stream_durable.ports import DeadRow, Keys, Outgoing, Record, Share, TimerRow
from stream_durable.wire.dead import storable
from stream_durable.wire.inbox import VALUE_BYTES_MAX, UnknownTypeError, decode_message
from stream_durable.wire.topics import INBOX
from stream_durable.wire.verdicts import VERDICT_CODES

_encode = msgspec.json.Encoder().encode
_TYPE_INDEX: dict[type[Message], int] = {t: i for i, t in enumerate(MESSAGE_TYPES)}
_UNREADABLE = -1


class Evidence(msgspec.Struct, omit_defaults=True):
    """The outcome of each record of a share, column by column."""

    offsets: list[int]
    #: Position in the list of message types; -1 for a record that could not be read.
    types: list[int]
    keys: list[str | None]
    outcomes: list[int]
    times: list[int]
    #: Who sent what was not applied, by its position in the columns.
    senders: dict[int, str] = {}


class Unfoldable(Exception):
    """Folding a record raised an error other than a refusal: a bug, repeated on every replay."""

    def __init__(self, record: Record, cause: BaseException) -> None:
        """Name the record."""
        super().__init__(f"{type(cause).__name__}: {cause}")
        self.record = record


#: Records that are refused whatever is in them: (partition, offset) -> why.
Refused = dict[tuple[int, int], RejectedError]


class Read(NamedTuple):
    """A record and the message in it, or why there is none."""

    record: Record
    message: AnyMessage | RejectedError


class Folding:
    """The effects of one partition's records so far."""

    __slots__ = (
        "clock",
        "dead",
        "effects",
        "evidence",
        "exceptions",
        "last",
        "letters",
        "load",
        "partition",
        "row",
        "said",
        "touched",
    )

    def __init__(self, partition: Partition, before: Share | None = None) -> None:
        """Begin where the partition stands, or where the share before stands that is being saved."""
        self.partition = partition
        stands = before or partition
        self.clock = stands.clock
        self.effects = Effects(stands.format)
        self.touched: dict[tuple[Kind, str], Entity] = {}
        self.evidence = Evidence([], [], [], [], [])
        self.exceptions = 0
        #: What the effects weigh.
        self.load = 0
        self.dead: list[DeadRow] = []
        self.letters: list[Outgoing] = []
        self.last: Record | None = None
        #: What was published before the state is saved, and the outbox row to keep it.
        self.said: list[Outgoing] = []
        self.row = Row()


class Finished(NamedTuple):
    """A share to save, with the messages to publish after."""

    share: Share
    messages: list[Outgoing]
    touched: dict[tuple[Kind, str], Entity]
    #: What became of each record, and its place in the list of message types.
    outcomes: Sequence[int] = ()
    types: Sequence[int] = ()
    #: The outbox row that keeps the messages, if there are any.
    row: Row | None = None
    #: Whether commands or messages are published after the save only: nothing later may go ahead of them.
    has_more: bool = False
    #: Steps that were held, and decisions about held steps, to be counted.
    reviews: Sequence[str] | None = None
    #: Runs whose first commands are held back.
    held: Sequence[str] = ()


def read(record: Record) -> Read:
    """Decode a record; for an unreadable record return the reason."""
    value = record.value
    if value is None:
        return Read(record, RejectedError("unreadable", "the record has no value"))
    if len(value) > VALUE_BYTES_MAX:
        text = f"the record has {len(value)} bytes, {VALUE_BYTES_MAX} are the most"
        return Read(record, RejectedError("too_large", text))
    try:
        message = decode_message(value)
        if record.key is None or record.key != message.key.encode():
            raise RejectedError("wrong_key", f"the record's key is not the id of its {message.kind}")
    except RejectedError as error:
        return Read(record, error)
    return Read(record, message)


def sliced(records: list[Record], bytes_max: int) -> Iterator[list[Record]]:
    """Cut records into batches of limited bytes; a larger record forms a batch alone."""
    begun = size = 0
    for at, record in enumerate(records):
        more = len(record.value or b"")
        if size + more > bytes_max and at > begun:
            yield records[begun:at]
            begun, size = at, 0
        size += more
    yield records[begun:] if begun else records


def fold_records(  # noqa: C901 - the hottest loop there is: a call less for each record
    reads: list[Read],
    partitions: Mapping[int, Partition],
    cache: Cache,
    graphs: Callable[[str], Graph | None],
    refused: Refused,
    partition_count: int,
    load_max: int = 1 << 62,
    foldings: dict[int, Folding] | None = None,
) -> list[Folding]:
    """Fold decoded records until their effects weigh too much for a batch; go on with `foldings`.

    Entities change in place; raises `Unfoldable` after a possibly half-made change.
    """
    if foldings is None:
        foldings = {}
    load = sum(folding.load for folding in foldings.values())
    held = {kind: cache.of(kind) for kind in KINDS}
    for record, message in reads:
        folding = foldings.get(record.partition)
        if folding is None:
            folding = foldings[record.partition] = Folding(partitions[record.partition])
        now = folding.clock
        if record.time > now:
            now = folding.clock = record.time
        folding.last = record
        try:
            if isinstance(message, RejectedError):
                raise message
            if refused and (refusal := refused.get((record.partition, record.offset))) is not None:
                raise refusal
            kind, key = message.kind, message.key
            entity = held[kind].get(key)
            if entity is None:
                entity = _created(message, record, graphs, partition_count)
                held[kind][key] = entity
                folding.touched[kind, key] = entity
            elif entity.partition != record.partition:
                check_home(message, record.partition, entity.partition)
            outcome = fold(entity, message, now, folding.effects)
        except RejectedError as error:
            _bury(folding, record, message, error, now)
            continue
        except Exception as error:
            raise Unfoldable(record, error) from error
        if outcome is Outcome.APPLIED:
            entity.updated = now
            folding.touched[kind, key] = entity
        else:
            folding.exceptions += 1
        _note(folding.evidence, record, message, outcome, now)
        if weight := folding.effects.load:
            folding.load += weight
            load += weight
            if load > load_max:
                break
    return list(foldings.values())


def take_ahead(folding: Folding) -> list[Outgoing]:
    """Return the messages to publish before the state is saved: those not returned before."""
    _date(folding)
    messages = outbox.take_ahead(folding.effects, folding.partition.id)
    folding.said += messages
    return messages


def _date(folding: Folding) -> None:
    """Put the generation of the log into commands: readers of another one drop them."""
    if folding.partition.generation:
        for _, command in folding.effects.commands:
            if type(command) is Command:
                command.generation = folding.partition.generation


def finish(folding: Folding, *, holds_back: bool = False) -> Finished:
    """Convert a partition's folded records to the share to save, with messages to publish.

    With `holds_back`, commands of runs about to begin are saved apart, and not published.
    """
    share = state_of(folding)
    _date(folding)
    held: Commands = []
    if holds_back:
        folding.effects.commands, held = parted(folding.effects.commands)
        if held:
            share.held, share.held_count = outbox.pack(outbox.commands(held, share.partition)), len(held)
    effects, evidence, row = folding.effects, folding.evidence, None
    messages = folding.said + outbox.outgoing(effects, share.partition) + folding.letters
    if messages:
        share.outbox = outbox.pack(messages)
        row = folding.row
        row.from_offset, row.bytes = share.from_offset, len(share.outbox)
    has_more = bool(held or effects.commands or effects.messages)
    return Finished(
        share, messages, folding.touched, evidence.outcomes, evidence.types, row, has_more, effects.reviews,
        [command.run for _, command in held],
    )  # fmt: skip


def state_of(folding: Folding) -> Share:
    """Return the changes of a partition's records as a share without messages."""
    share = folding.partition.share()
    share.format = folding.effects.format
    last = folding.last
    if last is not None:
        share.to_offset = last.offset + 1
        share.clock = folding.clock
        share.leader_epoch = last.leader_epoch
        share.fingerprint = fingerprint(last)
        share.evidence = _encode(folding.evidence)
    share.exceptions = folding.exceptions
    share.dead = folding.dead
    for (kind, _), entity in folding.touched.items():
        ENTITIES[kind].write(entity, share.rows)
    if folding.effects.attempts:
        share.rows[AttemptRow] = attempt_rows(folding.effects)
    share.timers = [
        TimerRow(kind, key, name, share.partition, due)
        for (kind, key, name), due in folding.effects.timers.items()
    ]
    return share


def _created(
    message: Message, record: Record, graphs: Callable[[str], Graph | None], partition_count: int
) -> Entity:
    entity = create(message, record.partition, graphs)
    check_home(message, record.partition, ENTITIES[message.kind].home(message.key, partition_count))
    return entity


def _bury(
    folding: Folding, record: Record, message: AnyMessage | RejectedError, error: RejectedError, now: int
) -> None:
    reason = storable(str(error))
    folding.exceptions += 1
    if not isinstance(message, RejectedError):
        refuse(message, error, folding.effects)
    letter = outbox.dead_letter(INBOX, record, error.code, reason)
    folding.dead.append(
        DeadRow(
            record.partition,
            folding.partition.generation,
            record.offset,
            error.code,
            reason,
            letter.key,
            letter.value,
            record.time,
        )
    )
    if error.code in VERDICT_CODES:
        folding.letters.append(outbox.verdict(record, error.code, reason))
    folding.letters.append(letter)
    _note(folding.evidence, record, message, Outcome.DEAD, now)


def _note(
    evidence: Evidence, record: Record, message: AnyMessage | RejectedError, outcome: Outcome, now: int
) -> None:
    evidence.offsets.append(record.offset)
    if isinstance(message, RejectedError):
        evidence.types.append(_UNREADABLE)
        evidence.keys.append(None)
    else:
        evidence.types.append(_TYPE_INDEX[type(message)])
        evidence.keys.append(message.key)
        if outcome is not Outcome.APPLIED and (by := getattr(message, "by", "")):
            evidence.senders[len(evidence.outcomes)] = by
    evidence.outcomes.append(outcome)
    evidence.times.append(now)


_CHECKED = frozenset(
    {StartRun, StartWithSignal, StartScheduled, StartTriggered, FormatRaised, UnknownTypeError}
)


def unclear(reads: Sequence[Read], graphs: Callable[[str], Graph | None], refused: Refused) -> list[Read]:
    """Return the accepted records not known to be foldable by this process.

    These are starts with an unknown definition, and records possibly of a newer format.
    """
    return [
        read
        for read in reads
        if type(read.message) in _CHECKED
        and (not isinstance(read.message, StartRun) or graphs(read.message.fingerprint) is None)
        and (read.record.partition, read.record.offset) not in refused
    ]


def format_of(read: Read) -> int:
    """Return the format needed to fold a record, as far as declared."""
    message = read.message
    return message.format if isinstance(message, FormatRaised | UnknownTypeError) else 1


def missing(reads: list[Read], cache: Cache, refused: Refused) -> Keys:
    """Return the entities of a batch that are not in memory.

    Refused records concern no entity: a run with an unknown definition could not be loaded.
    """
    if refused:
        reads = [read for read in reads if (read.record.partition, read.record.offset) not in refused]
    held = {kind: cache.of(kind) for kind in KINDS}
    absent: dict[Kind, dict[str, None]] = {}
    for _, message in reads:
        if isinstance(message, RejectedError) or message.key in held[message.kind]:
            continue
        if ENTITIES[message.kind].tables:
            absent.setdefault(message.kind, {})[message.key] = None
    return {kind: list(keys) for kind, keys in absent.items()}
