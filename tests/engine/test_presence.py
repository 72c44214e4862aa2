"""Partitions of a dead owner are adopted by one of the living, and by the next if that one dies or fails."""

from typing import Any, cast

from stream_durable.engine.presence import Presence, heir
from stream_durable.engine.takeover import Takeovers
from stream_durable.memory.store import MemoryStore
from stream_durable.ports import Attendance

LIVING = frozenset({11, 22, 33})
PARTITION, EPOCH = 3, 7
FIRST = heir(PARTITION, LIVING)
assert FIRST is not None
NEXT = heir(PARTITION, LIVING - {FIRST})
assert NEXT is not None


class Adopting:
    """Takeovers that note what is to be adopted, and are under way if that is said."""

    def __init__(self) -> None:
        self.adopted: list[tuple[int, int]] = []
        self.is_under_way = False

    def has(self, partition: int) -> bool:
        return self.is_under_way

    def adopt(self, partition: int, epoch: int) -> None:
        self.adopted.append((partition, epoch))


def looking() -> tuple[Any, Adopting]:
    adopting = Adopting()
    return Presence(MemoryStore(8), set(), cast(Takeovers, adopting)), adopting


def seen(by: int, living: frozenset[int] = LIVING, epoch: int = EPOCH) -> Attendance:
    return Attendance(by, living, {PARTITION: epoch})


def test_an_orphan_is_adopted_by_its_heir_at_the_second_look() -> None:
    presence, adopting = looking()

    presence._judge(seen(by=FIRST))
    assert not adopting.adopted
    presence._judge(seen(by=FIRST))

    assert adopting.adopted == [(PARTITION, EPOCH)]


def test_the_next_heir_adopts_where_the_first_has_died_as_well() -> None:
    presence, adopting = looking()
    for _ in range(3):
        presence._judge(seen(by=NEXT))
    assert not adopting.adopted

    presence._judge(seen(by=NEXT, living=LIVING - {FIRST}))

    assert adopting.adopted == [(PARTITION, EPOCH)]


def test_an_adoption_that_came_to_nothing_is_tried_again() -> None:
    presence, adopting = looking()
    for _ in range(4):
        presence._judge(seen(by=FIRST))

    assert adopting.adopted == [(PARTITION, EPOCH)] * 2


def test_an_adoption_under_way_is_left_alone() -> None:
    presence, adopting = looking()
    for _ in range(2):
        presence._judge(seen(by=FIRST))
    adopting.is_under_way = True
    for _ in range(6):
        presence._judge(seen(by=FIRST))

    assert adopting.adopted == [(PARTITION, EPOCH)]


def test_an_owner_that_is_back_between_two_looks_is_no_orphan() -> None:
    presence, adopting = looking()
    presence._judge(seen(by=FIRST))
    presence._judge(Attendance(FIRST, LIVING, {}))
    presence._judge(seen(by=FIRST))

    assert not adopting.adopted
