"""Asks again for all outstanding work after a lost log or a rebuild.

The state then lists open attempts and waits, but not whether their requests were ever published. They are
published again under their old ids, so that repeated answers are recognised. Nothing is saved: an interrupted
redrive is repeated whole by the next owner, and the partition's row records the need.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from functools import partial
from uuid import UUID, uuid4

from stream_durable.core.effects import Command, Effects
from stream_durable.core.errors import TransientError
from stream_durable.core.run.redrive import redrive, redrive_commands
from stream_durable.core.run.state import Run
from stream_durable.engine import outbox
from stream_durable.engine.cache import Cache
from stream_durable.engine.loading import load_entities
from stream_durable.engine.partition import Partition
from stream_durable.engine.publishing import Publishing
from stream_durable.engine.resolving import limit
from stream_durable.ports import Current, RunPosition, Store
from stream_durable.retrying import retry_transient
from stream_durable.telemetry import WORK_REQUESTED, logger

_log = logger(__name__)

#: Runs that are in memory at a time.
_PAGE = 500


class Redrive:
    """Requests outstanding work of a partition again."""

    group: asyncio.TaskGroup

    def __init__(
        self, store: Store, definitions: Current, publishing: Publishing, partition_count: int,
        writing: asyncio.Lock,
    ) -> None:  # fmt: skip
        """Read from `store`, publish through `publishing`; `writing` is the lock for saving."""
        self._writing = writing
        self._store = store
        self._definitions = definitions
        self._publishing = publishing
        self._partition_count = partition_count

    async def partition(self, partition: int, token: UUID) -> None:
        """Request all outstanding work again; a log lost meanwhile makes that due once more."""

        def ask(run: Run, out: Effects) -> None:
            before = len(out.commands)
            redrive(run, out)
            for _, command in out.commands[before:]:
                if isinstance(command, Command):
                    command.redriven = True

        await self._must(partition, token, is_due=True)
        await self._must(partition, token, is_due=False, commands=False)
        await self._ask_all(partition, ask)
        await self._must(partition, token, is_due=False)

    async def note(self, partitions: Iterable[Partition]) -> None:
        """Have the next owner request everything again, if this process ends before.

        The partitions get new tokens: only a store that has the note takes the next commit.
        """
        for partition in partitions:
            successor = uuid4()
            await self._must(partition.id, partition.token, is_due=True, successor=successor)
            partition.token = successor

    def begin(self, partition: Partition, queues: Iterable[str]) -> None:
        """Request attempts again on queues with lost commands, beside the batches."""
        partition.lost_queues.update(queues)
        if not partition.is_redriving:
            partition.is_redriving = True
            self.group.create_task(self._queues(partition))

    async def _queues(self, partition: Partition) -> None:
        while partition.lost_queues:
            queues, partition.lost_queues = partition.lost_queues, set()
            await self._ask_all(partition.id, partial(redrive_commands, queues))
            async with self._writing:
                # Not between the note of a batch that names another queue, and its commit.
                if not partition.lost_queues:
                    await self._must(partition.id, partition.token, is_due=False)
        partition.is_redriving = False

    async def _must(
        self, partition: int, token: UUID, *, is_due: bool, commands: bool = True,
        successor: UUID | None = None,
    ) -> None:  # fmt: skip
        await retry_transient(
            lambda: self._store.must_redrive(
                partition, token, is_due=is_due, commands=commands, successor=successor
            ),
            "record the redrive",
        )

    async def _ask_all(self, partition: int, ask: Callable[[Run, Effects], None]) -> None:
        """Publish what all unfinished runs of a partition ask for, page by page."""
        after, count = RunPosition(-1, ""), 0
        while page := await self._page(partition, after):
            after = page[-1]
            count += len(page)
            effects = Effects()
            for run in (await self._load([run.id for run in page])).values():
                assert type(run) is Run
                ask(run, effects)
            limit(effects, self._definitions.declared.gates)
            await self._publishing.publish_now(outbox.outgoing(effects, partition))
        _log.info(WORK_REQUESTED, partition=partition, runs=count)

    async def _page(self, partition: int, after: RunPosition) -> list[RunPosition]:
        return await retry_transient(
            lambda: self._store.unfinished(partition, after, _PAGE), "read unfinished runs"
        )

    async def _load(self, keys: list[str]) -> dict[str, object]:
        # A cache of its own: the one of the batches holds what has been folded, and is not ours to fill.
        cache = Cache(0)
        await retry_transient(lambda: self._load_all(cache, keys), "load unfinished runs")
        return dict(cache.of("run"))

    async def _load_all(self, cache: Cache, keys: list[str]) -> None:
        lacking = await load_entities(
            self._store, self._definitions, cache, {"run": keys}, self._partition_count
        )
        if lacking:
            await self._definitions.catch_up()
            run, fingerprint = next(iter(lacking.items()))
            raise TransientError(f"run {run!r}: {self._definitions.lacking(fingerprint)}")
