"""Folding as shared by the reconciler and a rebuild."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, Literal

from stream_durable.core.errors import TransientError
from stream_durable.engine import batch
from stream_durable.engine.cache import Cache
from stream_durable.engine.isolation import Refusals
from stream_durable.engine.loading import Loads, load_entities
from stream_durable.engine.partition import Partition
from stream_durable.ports import Cursor, Definitions, Keys, Owned, Record, Share, Store

NO_LOAD_MAX = 1 << 62
NO_PARTITIONS: Final[Mapping[int, Partition]] = {}
#: Runs loaded before they are needed may weigh about so much.
_RECALLED_BYTES_MAX = 8_000_000


class Folder:
    """Decodes records, loads the entities concerned, and folds."""

    def __init__(
        self,
        store: Store,
        definitions: Definitions,
        cache: Cache,
        refusals: Refusals,
        partition_count: int,
        load_max: int = NO_LOAD_MAX,
        partitions: Mapping[int, Partition] = NO_PARTITIONS,
    ) -> None:
        """Fold into `cache`, stopping when a batch's loaded entities weigh more than `load_max`.

        Nothing is loaded while one of these partitions has another owner.
        """
        self._store = store
        self._definitions = definitions
        self._cache = cache
        self._refusals = refusals
        self._partition_count = partition_count
        self._load_max = load_max
        self._partitions = partitions
        #: Whether entities were loaded since this was last set to False: their rows may have been set back.
        self.has_loaded = False

    @property
    def _owned(self) -> Owned:
        return {partition.id: partition.token for partition in self._partitions.values()}

    def read(self, records: Iterable[Record]) -> list[batch.Read]:
        """Decode records; what cannot be read, or is known to be refused, becomes the reason why."""
        return [self._refusals.read(record) for record in records]

    def missing(self, reads: list[batch.Read]) -> Keys:
        """Return the entities concerned but not in memory."""
        return batch.missing(reads, self._cache, self._refusals.known)

    async def load(self, keys: Keys, bytes_max: int) -> tuple[dict[str, str], Loads]:
        """Load entities in growing portions, until they weigh more than `bytes_max`.

        Returns runs with an unknown definition, by fingerprint, and what is left to load. The first of the
        keys is never left. Raises `ReplacedError`.
        """
        lacking: dict[str, str] = {}
        left = Loads(keys)
        weight = self._cache.bytes
        while left and self._cache.bytes - weight <= bytes_max:
            portion = left.take()
            lacking |= await load_entities(
                self._store, self._definitions, self._cache, portion, self._partition_count, self._owned
            )
            self.has_loaded |= any(
                not self._cache.of(kind).keys().isdisjoint(of_kind) for kind, of_kind in portion.items()
            )
        return lacking, left

    async def recall(self, runs: Iterable[str]) -> None:
        """Load runs about to begin, in few queries beside the batches; batches load the rest."""
        if not (absent := self._cache.awaiting("run", runs)):
            return
        loaded, left = Cache(NO_LOAD_MAX), Loads({"run": absent})
        try:
            while left and loaded.bytes < _RECALLED_BYTES_MAX:
                await load_entities(
                    self._store, self._definitions, loaded, left.take(), self._partition_count, self._owned
                )
        except TransientError:
            return
        self.has_loaded = True
        self._cache.keep_awaited("run", loaded.of("run").values())

    def is_ready_for(self, reads: list[batch.Read]) -> bool:
        """Whether records can be folded at once: all that they concern is known and in memory."""
        known = self._refusals.known
        return not self.missing(reads) and not batch.unclear(reads, self._definitions.graph, known)

    def fold(
        self,
        reads: list[batch.Read],
        partitions: Mapping[int, Partition],
        foldings: dict[int, batch.Folding] | None = None,
    ) -> list[batch.Folding] | None:
        """Fold what was read; None: a record was set aside, and all has to be loaded and folded again.

        With `foldings`, go on with them.
        """
        try:
            return batch.fold_records(
                reads, partitions, self._cache, self._definitions.graph, self._refusals.known,
                self._partition_count, self._load_max, foldings,
            )  # fmt: skip
        except batch.Unfoldable as error:
            # What may have been changed by half is read anew.
            self._refusals.set_aside(error)
            self._cache.forget_partitions({read.record.partition for read in reads})
            return None


def standing(share: Share, cursor: Cursor) -> Literal["saved", "unsaved", "taken"]:
    """Decide from a partition's row whether a share with an unknown commit outcome was saved.

    Never guessed: the owner's token at the new offset means saved, at the old offset not saved; any other row
    means another owner.
    """
    if cursor.token == share.token:
        if cursor.next_offset == share.from_offset:
            return "unsaved"
        if cursor.next_offset == share.to_offset:
            return "saved"
    return "taken"
