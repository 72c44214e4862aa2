"""The Kafka and the Postgres of one benchmark: started in a temporary directory, gone with it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from stream_durable.local.kafka import LocalKafka
from stream_durable.local.kafka_files import SERVER_JVM
from stream_durable.local.postgres import LocalPostgres
from stream_durable.settings import KafkaSettings


@dataclass(frozen=True, slots=True)
class Services:
    """What runs, and where there is room for more files."""

    home: Path
    kafka: LocalKafka
    postgres: LocalPostgres

    @property
    def kafka_settings(self) -> KafkaSettings:
        """How to reach the broker; what its clients would write to standard error comes to us as errors."""
        return KafkaSettings(bootstrap=self.kafka.bootstrap, replication=1, properties={"log_level": "0"})

    @property
    def trees(self) -> dict[str, int]:
        """The roots of their processes."""
        return {"kafka": self.kafka.pid, "postgres": self.postgres.pids()[0]}

    def renew_postgres(self) -> None:
        """Start the server's processes anew: they keep the pages they have touched, and so their size."""
        self.postgres.stop()
        self.postgres.start()


@contextmanager
def services() -> Iterator[Services]:
    """Start both, and end them with the context."""
    with ExitStack() as stack:
        home = Path(tempfile.mkdtemp(prefix="stream-durable-bench-"))
        stack.callback(shutil.rmtree, home, ignore_errors=True)
        kafka, postgres = LocalKafka(home / "kafka", jvm=SERVER_JVM), LocalPostgres(home / "postgres")
        stack.callback(kafka.stop)
        stack.callback(postgres.stop)
        with ThreadPoolExecutor() as threads:
            for start in [threads.submit(one.start) for one in (kafka, postgres)]:
                start.result()
        yield Services(home, kafka, postgres)
