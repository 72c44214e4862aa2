"""Verifies the live state against the log while the live system runs.

1. The log is folded into a scratch schema up to the live partitions' offsets.
2. Step 1 is repeated for newer records until few are left, so that the snapshot of step 3, for which the
   server keeps deleted rows, is open for moments only.
3. A snapshot of live offsets and rows is opened. The scratch schema is folded up to exactly these offsets.
4. The digests of both are compared; differing tables are walked through side by side, by key, and differences
   are reported column by column.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from hashlib import md5
from typing import Any, NamedTuple

from stream_durable.ports import PartitionState, RowMark, State
from stream_durable.replay.digest import Difference, compare
from stream_durable.replay.holes import LeftOut
from stream_durable.replay.rebuild import Progress, World, rebuild

Look = Callable[[], AbstractAsyncContextManager[State]]

#: How often what came meanwhile is folded before the look is opened, and when that is enough.
_ROUNDS_MAX = 5
_LITTLE = 2_000
_SHOWN_CHARACTERS = 80
_MISSING, _PRESENT = "missing", "present"


class RowDifference(NamedTuple):
    """A differing value; for a row on one side only, without a column."""

    table: str
    key: tuple[str, ...]
    column: str | None
    #: Payloads as size and digest, long texts cut.
    live: str
    rebuilt: str


class Verified(NamedTuple):
    """The result of a comparison."""

    #: The offsets at which live and rebuilt state were compared.
    offsets: Mapping[int, int]
    differences: list[Difference]
    #: The first differing rows of each table, column by column.
    rows: list[RowDifference]
    #: Whether there are more differing rows than were named.
    has_more: bool
    #: Rows that were compared, on the live side.
    compared: int
    #: Records folded for the comparison.
    records: int
    seconds: float
    #: Records of the inbox without evidence.
    left_out: LeftOut = LeftOut()

    @property
    def is_equal(self) -> bool:
        """Whether the live state equals the log's."""
        return not self.differences and not self.rows


async def verify(
    world: World,
    live: Look,
    *,
    rows_max: int = 20,
    progress: Callable[[Progress], None] | None = None,
) -> Verified:
    """Rebuild into the schema of `world`, which may hold the beginning of an earlier rebuild, and compare.

    At most `rows_max` differing rows are named of each table.
    """
    started = asyncio.get_running_loop().time()
    records = 0
    for _ in range(_ROUNDS_MAX):
        async with live() as look:
            standing = await look.partitions()
        done = await rebuild(world, standing, resume=True, progress=progress)
        records += done.records
        if done.records < _LITTLE:
            break
    async with live() as look:
        standing = await look.partitions()
        done = await rebuild(world, standing, resume=True, progress=progress)
        async with world.look() as rebuilt:
            found = await _compare(look, rebuilt, standing, rows_max)
    seconds = asyncio.get_running_loop().time() - started
    return found._replace(records=records + done.records, seconds=seconds)


def scratch_schema() -> str:
    """Return a new name for the schema of a rebuild that is dropped after the comparison."""
    return f"sd_verify_{secrets.token_hex(6)}"


async def _compare(
    live: State, rebuilt: State, standing: Sequence[PartitionState], rows_max: int
) -> Verified:
    ours, theirs = await asyncio.gather(live.digests(), rebuilt.digests())
    differences = compare(ours, theirs)
    rows = _partition_rows(standing, await rebuilt.partitions())
    has_more = False
    for table in dict.fromkeys(d.table for d in differences):
        partitions = sorted({d.partition for d in differences if d.table == table})
        keys = await _differing_keys(live, rebuilt, table, partitions, rows_max + 1)
        has_more = has_more or len(keys) > rows_max
        for key in keys[:rows_max]:
            rows += _columns(table, key, await live.row(table, key), await rebuilt.row(table, key))
    offsets = {state.partition: state.next_offset for state in standing}
    return Verified(offsets, differences, rows, has_more, sum(d.rows for d in ours.values()), 0, 0.0)


def _partition_rows(live: Sequence[PartitionState], rebuilt: Sequence[PartitionState]) -> list[RowDifference]:
    """Compare a partition's row with the log: the row decides how the next record is folded."""
    theirs = {state.partition: state for state in rebuilt}
    return [
        RowDifference("partition", (str(state.partition),), column, str(ours), str(other))
        for state in live
        for column, ours, other in (
            ("next_offset", state.next_offset, theirs[state.partition].next_offset),
            ("format", state.format, theirs[state.partition].format),
            ("log_clock", state.clock, theirs[state.partition].clock),
            ("fingerprint", state.fingerprint, theirs[state.partition].fingerprint),
        )
        if ours != other
    ]


async def _differing_keys(
    live: State, rebuilt: State, table: str, partitions: Sequence[int], limit: int
) -> list[tuple[str, ...]]:
    """Walk through both sides by key at once; return the first keys whose rows differ."""
    found: list[tuple[str, ...]] = []
    async with (
        aclosing(live.marks(table, partitions)) as ours,
        aclosing(rebuilt.marks(table, partitions)) as theirs,
    ):
        async for key in _unlike(_Walk(ours), _Walk(theirs)):
            found.append(key)
            if len(found) == limit:
                break
    return found


async def _unlike(ours: _Walk, theirs: _Walk) -> AsyncIterator[tuple[str, ...]]:
    a, b = await ours.next(), await theirs.next()
    while a is not None or b is not None:
        if b is None or (a is not None and a.key < b.key):
            assert a is not None
            yield a.key
            a = await ours.next()
        elif a is None or b.key < a.key:
            yield b.key
            b = await theirs.next()
        else:
            if a.hash != b.hash:
                yield a.key
            a, b = await ours.next(), await theirs.next()


class _Walk:
    """Iterates over marks, loading batches."""

    def __init__(self, batches: AsyncGenerator[list[RowMark], None]) -> None:
        self._batches = batches
        self._rows = iter(list[RowMark]())

    async def next(self) -> RowMark | None:
        """Return the next mark, None at the end."""
        while (mark := next(self._rows, None)) is None:
            batch = await anext(self._batches, None)
            if batch is None:
                return None
            self._rows = iter(batch)
        return mark


def _columns(
    table: str, key: tuple[str, ...], live: Mapping[str, Any] | None, rebuilt: Mapping[str, Any] | None
) -> list[RowDifference]:
    if live is None or rebuilt is None:
        here, there = (_MISSING if row is None else _PRESENT for row in (live, rebuilt))
        return [RowDifference(table, key, None, here, there)]
    return [
        RowDifference(table, key, column, shown(live.get(column)), shown(rebuilt.get(column)))
        for column in {**live, **rebuilt}
        if live.get(column) != rebuilt.get(column)
    ]


def shown(value: object) -> str:
    """Return a value fit for a report: without payloads, which only count as equal or different."""
    if isinstance(value, bytes):
        return f"{len(value)} bytes, md5 {md5(value, usedforsecurity=False).hexdigest()}"
    text = str(value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"
