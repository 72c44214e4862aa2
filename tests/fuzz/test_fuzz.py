"""A short campaign; `make fuzz RECORDS=1000000` is the long one."""

from pathlib import Path

import pytest
from budget import DAMAGED_IN_A_WAVE, DAMAGED_RECORDS
from kill.scene import Ground

from fuzz.campaign import Campaign, Plan
from fuzz.corpus import TOPICS
from fuzz.mutations import record
from stream_durable.local.kafka import LocalKafka
from stream_durable.local.postgres import LocalPostgres

_SEED = 20_260_101


@pytest.mark.parametrize("topic", TOPICS)
def test_a_record_follows_from_seed_topic_and_number(topic: str) -> None:
    drawn = [record(_SEED, topic, number) for number in range(50)]

    assert drawn == [record(_SEED, topic, number) for number in range(50)]
    assert len({one.value for one in drawn}) > 30


@pytest.mark.real
@pytest.mark.kill
async def test_nothing_that_is_written_to_any_topic_stops_anybody(
    kafka_broker: LocalKafka,
    postgres_server: LocalPostgres,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def say(line: str) -> None:
        with capsys.disabled():
            print(f"\n  fuzz, seed {_SEED}: {line}", end="")

    plan = Plan(_SEED, TOPICS, records=DAMAGED_RECORDS, wave=DAMAGED_IN_A_WAVE)
    report = await Campaign(Ground(tmp_path, kafka_broker, postgres_server), plan, say).run()

    assert all(report.written[topic] > DAMAGED_RECORDS / 2 for topic in TOPICS if topic != "control")
