"""What waits in a log's hands is counted right, and bounded as the settings say."""

from collections.abc import Callable, Iterator

import pytest

from stream_durable.kafka.arrivals import Held
from stream_durable.kafka.log import GroupLog
from stream_durable.ports import Record
from stream_durable.settings import EngineSettings, KafkaSettings


class Interrupted(list[Record]):
    """Records while whose bytes are added up the other thread has its turn."""

    def __init__(self, records: list[Record], turn: Callable[[], None]) -> None:
        super().__init__(records)
        self._turn = turn

    def __iter__(self) -> Iterator[Record]:
        self._turn()
        return super().__iter__()


def records(count: int) -> list[Record]:
    return [Record(0, offset, 0, b"k", b"x" * 10) for offset in range(count)]


def test_what_is_taken_while_more_is_handed_over_is_held_no_more() -> None:
    held = Held()
    held.hand_over(records(3))

    held.hand_over(Interrupted(records(2), lambda: held.take(records(3))))

    assert (held.records, held.bytes) == (2, 20)


def test_what_is_handed_over_while_others_are_taken_is_held() -> None:
    held = Held()
    held.hand_over(records(3))

    held.take(Interrupted(records(3), lambda: held.hand_over(records(2))))

    assert (held.records, held.bytes) == (2, 20)


def test_a_record_without_a_value_is_held_without_bytes() -> None:
    held = Held()

    held.hand_over([Record(0, 0, 0, b"k", None)])

    assert (held.records, held.bytes) == (1, 0)


@pytest.mark.parametrize("bytes_max", [1_000_000, 8_000_000, 1 << 30])
async def test_a_log_opens_with_every_bound_that_the_settings_take(bytes_max: int) -> None:
    settings = EngineSettings(batch_bytes_max=bytes_max)
    nobody = KafkaSettings(bootstrap="127.0.0.1:1")

    log = GroupLog(nobody, "t", "g", client="c", bytes_max=2 * settings.batch_bytes_max)
    log.open()
    await log.close()
