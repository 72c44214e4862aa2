"""What a batch concerns is brought to memory by looking at each row once, however many entities there are."""

from collections.abc import Iterator
from typing import Any, cast

import pytest

from stream_durable.core.channel.rows import EventRow, WaitRow
from stream_durable.engine.cache import Cache
from stream_durable.engine.loading import load_entities
from stream_durable.ports import Definitions, Keys, Loaded, Store


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

    async def load(self, keys: Keys) -> Loaded:
        return self.loaded


class Unasked:
    """Definitions that nobody asks for: channels have none."""

    def graph(self, fingerprint: str) -> None:
        raise AssertionError(fingerprint)


@pytest.mark.parametrize("count", [10, 1_000])
async def test_every_row_is_looked_at_once(count: int) -> None:
    keys = [f"paid/{i}" for i in range(count)]
    events = Rows((key, "e", b"1", 10, None, None, None, None, None, None, None, False) for key in keys[::2])
    waits = Rows((key, f"run-{i}", "w", i + 1, 1, False) for key in keys[1::2] for i in range(5))
    store = Kept({EventRow: events, WaitRow: waits})
    cache = Cache(1 << 30)

    await load_entities(
        cast(Store, store), cast(Definitions, Unasked()), cache, {"channel": [*keys, "paid/none"]}, 8
    )

    assert (events.looks, waits.looks) == (len(events), len(waits))
    assert list(cache.of("channel")) == keys
    assert all(len(cache.of("channel")[key].waits) == 5 for key in keys[1::2])
    assert all(list(cache.of("channel")[key].events) == ["e"] for key in keys[::2])
