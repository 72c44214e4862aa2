"""Entities loaded beside the batches, which go on meanwhile."""

from __future__ import annotations

from typing import Any

from stream_durable.engine.cache import Cache


class Thing:
    """As much of an entity as a cache looks at."""

    is_over = False
    partition = 0

    def __init__(self, key: str) -> None:
        self.id = key

    def weight(self) -> int:
        return 1


def thing(key: str) -> Any:
    return Thing(key)


def test_what_is_in_memory_is_not_loaded() -> None:
    cache = Cache(10)
    cache.keep("run", thing("a"))

    assert cache.awaiting("run", ["a", "b", "b", "c"]) == ["b", "c"]


def test_what_was_loaded_is_kept() -> None:
    cache, loaded = Cache(10), thing("a")
    cache.awaiting("run", ["a"])
    cache.keep_awaited("run", [loaded])

    assert cache.of("run") == {"a": loaded}
    assert cache.bytes == 1


def test_a_batch_that_has_held_it_meanwhile_is_right_though_it_let_it_go() -> None:
    cache = Cache(10)
    cache.awaiting("run", ["a", "b"])
    cache.keep("run", thing("a"))
    cache.forget("run", "a")
    cache.keep_awaited("run", [thing("a"), thing("b")])

    assert cache.of("run").keys() == {"b"}


def test_nothing_is_kept_once_a_partition_was_given_up() -> None:
    cache = Cache(10)
    cache.awaiting("run", ["a"])
    cache.forget_partitions([3])
    cache.keep_awaited("run", [thing("a")])

    assert not cache.of("run")


def test_what_comes_too_late_is_not_kept() -> None:
    cache = Cache(10)
    cache.awaiting("run", ["a"])
    cache.keep_awaited("run", [])
    cache.keep_awaited("run", [thing("a")])

    assert not cache.of("run")


def test_what_is_not_saved_yet_is_not_loaded_although_the_save_before_let_it_go() -> None:
    cache, changed = Cache(0), thing("a")
    cache.keep("run", changed)
    cache.shrink()
    cache.hold([{("run", "a"): changed}])

    assert cache.awaiting("run", ["a"]) == []
    assert cache.of("run") == {"a": changed}
