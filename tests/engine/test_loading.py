"""What a batch concerns is brought to memory by looking at each row once, however many entities there are."""

from collections.abc import Iterator, Sequence
from typing import Any, cast

import pytest
from msgspec import Raw

from engine.held_world import PARTITIONS, living, signal, status_of, waiters
from stream_durable.core.channel.rows import EventRow, WaitRow
from stream_durable.core.messages import SignalRun, StartRun
from stream_durable.engine.batch import Read
from stream_durable.engine.cache import Cache
from stream_durable.engine.folding import Folder
from stream_durable.engine.isolation import Refusals
from stream_durable.engine.loading import Loads, load_entities
from stream_durable.engine.reconciler import Reconciler
from stream_durable.ports import Definitions, Keys, Loaded, Owned, Record, Store
from stream_durable.settings import EngineSettings
from stream_durable.simulation.world import World
from stream_durable.wire import inbox


class Rows(list[Any]):
    """Rows that count how often they are looked at."""

    looks = 0

    def __iter__(self) -> Iterator[Any]:
        for row in super().__iter__():
            self.looks += 1
            yield row


class Kept:
    """A store that answers with these rows."""

    def __init__(self, loaded: Loaded) -> None:
        self.loaded = loaded

    async def load(self, keys: Keys, owned: Owned) -> Loaded:
        return self.loaded


class Unasked:
    """Definitions that nobody asks for: channels have none."""

    def graph(self, fingerprint: str) -> None:
        raise AssertionError(fingerprint)


@pytest.mark.parametrize("count", [10, 1_000])
async def test_every_row_is_looked_at_once(count: int) -> None:
    keys = [f"paid/{i}" for i in range(count)]
    events = Rows((key, "e", b"1", 10, *[None] * 7, False, None) for key in keys[::2])
    waits = Rows((key, f"run-{i}", "w", i + 1, 1, False, None, None) for key in keys[1::2] for i in range(5))
    store = Kept({EventRow: events, WaitRow: waits})
    cache = Cache(1 << 30)

    await load_entities(
        cast(Store, store), cast(Definitions, Unasked()), cache, {"channel": [*keys, "paid/none"]}, 8
    )

    assert (events.looks, waits.looks) == (len(events), len(waits))
    assert list(cache.of("channel")) == keys
    assert all(len(cache.of("channel")[key].waits) == 5 for key in keys[1::2])
    assert all(list(cache.of("channel")[key].events) == ["e"] for key in keys[::2])


RECORD = Record(0, 0, 0, b"", b"")
LARGE = 200_000
MANY = 600


class Large(Kept):
    """A store with a large channel for each key, and a record of what was asked."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    async def load(self, keys: Keys, owned: Owned) -> Loaded:
        self.asked.append(len(keys["channel"]))
        data = b"1" * LARGE
        return {EventRow: [(key, "e", data, 10, *[None] * 7, False, None) for key in keys["channel"]]}


async def test_entities_are_loaded_in_portions_until_they_weigh_enough() -> None:
    store, cache = Large(), Cache(1 << 40)
    folder = Folder(cast(Store, store), cast(Definitions, Unasked()), cache, Refusals(), 8)
    keys: Keys = {"channel": [f"paid/{i}" for i in range(MANY)]}

    lacking, left = await folder.load(keys, 1_000_000)
    assert (lacking, store.asked, len(left)) == ({}, [128], MANY - 128)
    assert list(left.take()["channel"]) == [f"paid/{i}" for i in range(128, 384)]

    store.asked.clear()
    _, left = await folder.load(keys, 1 << 40)
    assert (store.asked, len(left)) == ([128, 256, 216], 0)


def test_a_batch_goes_up_to_the_first_record_whose_entity_is_not_loaded() -> None:
    reads = [Read(RECORD, SignalRun(key=f"r{i}", id="s", signal="go")) for i in range(200)]
    left = Loads({"run": [f"r{i}" for i in range(200)]})

    assert left.before(reads) == 0
    left.take()
    assert left.before(reads) == 128
    assert left.before(reads[:100]) == 100


def test_a_batch_for_more_than_fits_is_applied_in_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[int] = []
    fold = Folder.fold

    def counted(self: Folder, reads: Sequence[Read], *rest: Any) -> Any:
        begun.append(len(reads))
        return fold(self, list(reads), *rest)

    async def story(world: World) -> None:
        await world.open()
        runs = [f"run-{i}" for i in range(MANY)]
        for run in runs:
            message = StartRun(
                key=run, id=run, workflow=waiters.name, fingerprint=waiters.fingerprint,
                input=Raw(b'"%s"' % (b"x" * 20_000)),
            )  # fmt: skip
            world.broker.append("inbox", None, run.encode(), inbox.encode(message))
        for run in runs:
            await status_of(world, run, "waiting")
        for slot in world.slots:
            if isinstance(slot.program, Reconciler):
                slot.program._cache.forget_partitions(range(PARTITIONS))
        begun.clear()
        for run in runs:
            signal(world, run)
        for run in runs:
            await status_of(world, run, "completed")

    monkeypatch.setattr(Folder, "fold", counted)
    living(story, engine=EngineSettings(cache_bytes_max=1024 * 1024))

    # The runs of 12 MB are more than the quarter of the cache that is loaded at once.
    assert begun
    # Records of runs that are loaded already may stand between them.
    assert max(begun) <= 256, begun
