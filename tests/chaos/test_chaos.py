"""A short trial; `make chaos MINUTES=60` is the long one, with steps that harm their workers too."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from kill.scene import Ground

from chaos.trial import Setting, Trial
from stream_durable.local.kafka import LocalKafka
from stream_durable.local.postgres import LocalPostgres

pytestmark = [pytest.mark.real, pytest.mark.kill, pytest.mark.timeout(400)]

_SEED = 20_260_102
#: What happens to Postgres is left to the long trial.
_FAULTS = frozenset({"kill", "kill_all", "freeze", "roll", "broker_killed", "broker_restarted"})


@pytest.fixture
def ground() -> Iterator[Ground]:
    with ExitStack() as stack:
        home = Path(tempfile.mkdtemp(prefix="stream-durable-chaos-"))
        stack.callback(shutil.rmtree, home)
        kafka, postgres = LocalKafka(home / "kafka"), LocalPostgres(home / "postgres")
        stack.callback(kafka.stop)
        stack.callback(postgres.stop)
        kafka.start()
        postgres.start()
        yield Ground(home, kafka, postgres)


async def test_nothing_is_lost_whatever_happens_at_once(
    ground: Ground, capsys: pytest.CaptureFixture[str]
) -> None:
    def say(line: str) -> None:
        with capsys.disabled():
            print(f"\n  chaos, seed {_SEED}: {line}", end="")

    setting = Setting(_SEED, seconds=50, rate=8, workers=2, only=_FAULTS, is_harmful=False)
    verdict = await Trial(ground, setting, say).run()

    say(str(verdict.figures))
    assert verdict.holds, "\n".join(verdict.lines())
