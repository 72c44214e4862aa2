"""Services of their own, since they get killed, and one scene per test: an instance under load."""

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from kill.scene import Ground, Scene
from stream_durable.local.kafka import LocalKafka
from stream_durable.local.postgres import LocalPostgres


@pytest.fixture(scope="module")
def ground() -> Iterator[Ground]:
    """A broker and a server that no other test uses."""
    with ExitStack() as stack:
        home = Path(tempfile.mkdtemp(prefix="stream-durable-kill-"))
        stack.callback(shutil.rmtree, home)
        kafka, postgres = LocalKafka(home / "kafka"), LocalPostgres(home / "postgres")
        stack.callback(kafka.stop)
        stack.callback(postgres.stop)
        with ThreadPoolExecutor() as threads:
            starts = [threads.submit(service.start) for service in (kafka, postgres)]
        for start in starts:
            start.result()
        yield Ground(home, kafka, postgres)


@pytest.fixture
async def scene(
    ground: Ground, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> AsyncIterator[Scene]:
    """Two reconcilers and two workers at work on a load that goes on until the test ends it."""
    test = request.node.originalname.removeprefix("test_")

    def say(line: str) -> None:
        with capsys.disabled():
            print(f"\n  {test}: {line}", end="")

    for service in (ground.kafka, ground.postgres):
        # A test that failed may have left it dead.
        if not service.running:
            service.start()
    scene = Scene(ground, say, getattr(request, "param", {}))
    try:
        await scene.begin()
        yield scene
    finally:
        scene.end()
