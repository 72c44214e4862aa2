"""A program of somebody's, as a process: starts runs in every partition, one by one, and waits for each.

`python -m fuzz.client FILE` notes one JSON object a run. Half of the runs are started with the client, the
other half by records on the events topic, so that every partition of every topic has somebody to miss it.
"""

import asyncio
import json
import sys
import time
from itertools import count
from pathlib import Path

from confluent_kafka import Producer

from fuzz.workflows import canary
from stream_durable import Client
from stream_durable.core.errors import RejectedError
from stream_durable.core.ids import partition_of
from stream_durable.settings import Settings

#: A run that is not there after this is noted as missing, and the next one begun.
_PATIENCE_SECONDS = 120.0
_PAUSE_SECONDS = 0.2


class Canaries:
    """Runs of one partition, one at a time."""

    def __init__(self, settings: Settings, client: Client, file: Path) -> None:
        self._settings = settings
        self._client = client
        self._file = file.open("a", buffering=1)
        self._producer = Producer(
            {"bootstrap.servers": settings.kafka.bootstrap, "log_level": 0, "linger.ms": 0}
        )
        self._numbers = count()

    async def sing(self, via: str, partition: int) -> None:
        while True:
            begun = time.time()
            note = {"via": via, "partition": partition, "begun": begun}
            try:
                async with asyncio.timeout(_PATIENCE_SECONDS):
                    await self._one(via, partition)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is noted
                note["error"] = f"{type(error).__name__}: {error}"
            self._file.write(json.dumps({**note, "seconds": round(time.time() - begun, 3)}) + "\n")
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _one(self, via: str, partition: int) -> None:
        run = self._id(partition)
        if via == "inbox":
            handle = await self._client.start(canary, run, id=run)
            answer = await handle.result()
        else:
            start = json.dumps({"start": canary.name, "id": run, "input": run}).encode()
            self._producer.produce(f"{self._settings.prefix}.events", start, run.encode(), partition)
            self._producer.poll(0)
            answer = await self._result(run)
        assert answer == run, f"run {run} answered {answer!r}"

    async def _result(self, run: str) -> object:
        """The result of a run that somebody else starts."""
        while True:
            try:
                return await self._client.run(run).result()
            except RejectedError as error:
                if error.code != "unknown_run":
                    raise
                self._producer.poll(0.05)

    def _id(self, partition: int) -> str:
        while True:
            run = f"canary-{partition}-{next(self._numbers)}"
            if partition_of(run, self._settings.kafka.partitions) == partition:
                return run


async def main(file: Path) -> None:
    settings = Settings.load()
    async with Client() as client, asyncio.TaskGroup() as group:
        canaries = Canaries(settings, client, file)
        for partition in range(settings.kafka.partitions):
            for via in ("inbox", "events"):
                group.create_task(canaries.sing(via, partition))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
