"""The environment of a sample: separate topics, database, reconciler and worker."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from msgspec import Raw
from pydantic import SecretStr

from stream_durable.bench.app import app
from stream_durable.bench.counts import Counting
from stream_durable.bench.errors import BenchError
from stream_durable.bench.load import PAYLOAD, Load, Watcher, prefixes_of, records_in, remove_topics
from stream_durable.bench.report import PARTS, Percentiles, Sample
from stream_durable.bench.services import Services
from stream_durable.bench.usage import Usage
from stream_durable.bench.workloads import Workload
from stream_durable.core.ids import partition_of
from stream_durable.core.lifecycle import RUN_COMPLETED, RunEvent
from stream_durable.kafka.definitions import KafkaDefinitions
from stream_durable.kafka.publisher import KafkaPublisher
from stream_durable.kafka.topics import Topics
from stream_durable.local.process import Child, dying_with_us
from stream_durable.postgres.migrate import migrate
from stream_durable.settings import DEFAULT_FILE, ENVIRONMENT_PREFIX, PostgresSettings, Settings
from stream_durable.wire.topics import DEAD, INBOX, RUNS, full_name

COMPLETED: Final = prefixes_of(RunEvent, RUN_COMPLETED)
#: More than a worker takes for its drain, with nothing left to drain.
_STOP_SECONDS: Final = 20.0
_COMMANDS: Final = {
    "reconciler": ("stream_durable", "reconciler"),
    "worker": ("stream_durable", "worker", "stream_durable.bench.app:app"),
    "ingress": ("stream_durable", "ingress"),
    "api": ("stream_durable", "api", "--port", "0"),
    "successor": ("stream_durable", "reconciler"),
    "rebuild": ("stream_durable.bench.rebuild",),
}


@dataclass(slots=True)
class Instance:
    """An installation of this package."""

    settings: Settings
    home: Path
    services: Services
    workload: Workload
    load: Load
    #: Sees runs complete.
    completed: Watcher
    processes: dict[str, Child] = field(default_factory=dict)

    def start(self) -> None:
        """Start the services, and let each partition carry a run, so that all is connected."""
        for role in self.workload.roles:
            self.processes[role] = spawn(role, self.home)
        self.settle()

    def settle(self) -> None:
        """Let each partition carry a run to its end, behind everything that is on the inbox."""
        runs = [self._run_on(partition) for partition in range(self.settings.kafka.partitions)]
        self.begin(runs, Raw(self.workload.warm) if self.workload.warm else None)
        self.wake(runs)
        self.completed.wait(runs, self.check)

    def stop(self) -> None:
        """Let both end in good order."""
        running = [child for child in self.processes.values() if child.running]
        for child in running:
            child.send(signal.SIGTERM)
        for child in running:
            if not child.ended_within(_STOP_SECONDS):
                child.end(signal.SIGKILL, seconds=_STOP_SECONDS)
        self.processes.clear()

    def check(self) -> None:
        """Raise if a process has ended, or a record was refused: then something waits for nothing."""
        for role, child in self.processes.items():
            if not child.running:
                raise BenchError(f"the {role} has ended; the end of its log:\n{tail(role, self.home)}")
        if refused := self._records(DEAD):
            raise BenchError(
                f"{refused} records were refused; the topic {full_name(self.settings.prefix, DEAD)} has them"
            )

    def begin(self, runs: Sequence[str], given: Raw | None = None) -> None:
        """Start these runs with this input, or one that suits the workload."""
        for run in runs:
            data = given or (waiting_for(run) if self.workload.waits_for == "event" else PAYLOAD)
            self.load.start(self.workload.workflow, self.workload.fingerprint, run, data)
        self.load.flush()

    def wake(self, runs: Sequence[str]) -> None:
        """Send each of these runs what it waits for, if anything."""
        for run in runs:
            if self.workload.waits_for == "signal":
                self.load.signal(run)
            elif self.workload.waits_for == "event":
                self.load.event(run)
        self.load.flush()

    def another(self, workload: Workload) -> Instance:
        """Return the same installation with another workload, for a base of comparison."""
        return replace(self, workload=workload)

    def measure(
        self,
        runs: Sequence[str],
        action: Callable[[], Sequence[float] | None],
        *,
        forgets_peaks: bool = False,
    ) -> Sample:
        """Measure an action ending with the last of these runs; may return milliseconds per run.

        With `forgets_peaks` the memory of our processes is that during the action, without what came before.
        """
        counting = self.counting()
        usage = Usage(self.services.trees | {role: child.pid for role, child in self.processes.items()})
        if forgets_peaks:
            usage.reset_peaks()
        records, cpu, begin = self._records(), usage.cpu_s(), time.perf_counter()
        latencies = action()
        seconds, used = time.perf_counter() - begin, usage.cpu_s()
        self.check()
        return Sample(
            runs=len(runs),
            steps=len(runs) * self.workload.steps,
            records=self._records() - records,
            seconds=seconds,
            cpu_s={part: used.get(part, 0.0) - cpu.get(part, 0.0) for part in PARTS},
            peak_mb=dict.fromkeys(PARTS, 0.0) | usage.peak_mb(),
            latency=Percentiles.of(latencies) if latencies else None,
            counts=counting.lap(),
        )

    def counting(self) -> Counting:
        """Begin to count work of Postgres and Kafka, after all earlier work is counted."""
        name, services = self.settings.prefix, self.services
        return Counting(services.postgres.dsn(), name, services.kafka.data, name)

    def _records(self, topic: str = INBOX) -> int:
        kafka = self.settings.kafka
        return records_in(kafka, full_name(self.settings.prefix, topic), kafka.partitions)

    def _run_on(self, partition: int) -> str:
        while True:
            run = f"warm-{secrets.token_hex(8)}"
            if partition_of(run, self.settings.kafka.partitions) == partition:
                return run


@contextmanager
def instance(services: Services, workload: Workload) -> Iterator[Instance]:
    """Create an installation, removed with the context. Processes are not started yet."""
    name = f"b{secrets.token_hex(4)}"
    settings = Settings(
        prefix=name,
        kafka=services.kafka_settings,
        postgres=PostgresSettings(dsn=SecretStr(services.postgres.dsn(name))),
    )
    home = services.home / name
    home.mkdir()
    (home / DEFAULT_FILE).write_text(_toml(settings))
    with ExitStack() as stack:
        services.postgres.create_database(name)
        stack.callback(services.postgres.drop_database, name)
        asyncio.run(_prepare(settings))
        stack.callback(remove_topics, settings)
        Usage(services.trees).reset_peaks()
        completed = Watcher(settings, RUNS, COMPLETED)
        stack.callback(completed.close)
        made = Instance(settings, home, services, workload, Load(settings), completed)
        stack.callback(made.stop)
        yield made


def spawn(role: str, home: Path) -> Child:
    """Start a process of ours that knows the settings in `home` and no others."""
    ours = [f"--unset={name}" for name in os.environ if name.startswith(ENVIRONMENT_PREFIX)]
    command = [*dying_with_us("TERM"), "env", *ours, sys.executable, "-m", *_COMMANDS[role]]
    return Child.spawn(role, command, log=_log(role, home), cwd=home)


def waiting_for(key: str) -> Raw:
    """Return the input of a run that waits for the event of this key."""
    return Raw(b'{"key":"%b","in":"%b"}' % (key.encode(), b"b" * 80))


def tail(role: str, home: Path) -> str:
    """Return the last lines of a process's output."""
    return "\n".join(_lines(role, home)[-25:])


def logged(event: str, role: str, home: Path) -> list[dict[str, Any]]:
    """Return the entries of a process's log about an event."""
    entries = [json.loads(line) for line in _lines(role, home) if line.startswith("{")]
    return [entry for entry in entries if entry.get("event") == event]


def _lines(role: str, home: Path) -> list[str]:
    log = _log(role, home)
    return log.read_text(errors="replace").splitlines() if log.exists() else []


async def _prepare(settings: Settings) -> None:
    await migrate(settings.postgres, settings.kafka.partitions)
    await Topics(settings, settings.worker.queues).apply()
    # The worker registers the same at start; but a run started before would be refused.
    publisher = KafkaPublisher(settings.kafka, settings.prefix, client="bench")
    definitions = KafkaDefinitions(settings.kafka, settings.prefix, publisher, client="bench")
    for definition, about in app.registrations():
        await definitions.register(definition, about)
    await publisher.close()
    await definitions.close()


def _log(role: str, home: Path) -> Path:
    return home / f"{role}.log"


def _toml(settings: Settings) -> str:
    """Return the file that a user would write; strings of JSON are strings of TOML."""
    kafka, postgres = settings.kafka, settings.postgres
    return (
        f"prefix = {json.dumps(settings.prefix)}\n"
        f"[kafka]\nbootstrap = {json.dumps(kafka.bootstrap)}\nreplication = {kafka.replication}\n"
        f"[postgres]\ndsn = {json.dumps(postgres.dsn.get_secret_value())}\n"
    )
