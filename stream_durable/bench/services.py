"""The Kafka and the Postgres of a benchmark: started in a temporary directory, removed together."""

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

#: Threads of the compilers stay, so that the time they used can still be read.
_COUNTED_JVM = ("-XX:-UseDynamicNumberOfCompilerThreads",)


@dataclass(frozen=True, slots=True)
class Services:
    """The running services, and a directory for more files."""

    home: Path
    kafka: LocalKafka
    postgres: LocalPostgres

    @property
    def kafka_settings(self) -> KafkaSettings:
        """The settings for the broker; standard error of clients is turned into errors."""
        return KafkaSettings(bootstrap=self.kafka.bootstrap, replication=1, properties={"log_level": "0"})

    @property
    def trees(self) -> dict[str, int]:
        """The root processes of the services."""
        return {"kafka": self.kafka.pid, "postgres": self.postgres.pids()[0]}

    def renew_postgres(self) -> None:
        """Restart the server's processes: touched pages stay, and with them the measured size."""
        self.postgres.stop()
        self.postgres.start()


@contextmanager
def services() -> Iterator[Services]:
    """Start both, and stop them with the context."""
    with ExitStack() as stack:
        home = Path(tempfile.mkdtemp(prefix="stream-durable-bench-"))
        stack.callback(shutil.rmtree, home, ignore_errors=True)
        jvm = (*SERVER_JVM, *_COUNTED_JVM)
        kafka, postgres = LocalKafka(home / "kafka", jvm=jvm), LocalPostgres(home / "postgres")
        stack.callback(kafka.stop)
        stack.callback(postgres.stop)
        with ThreadPoolExecutor() as threads:
            for start in [threads.submit(one.start) for one in (kafka, postgres)]:
                start.result()
        yield Services(home, kafka, postgres)
