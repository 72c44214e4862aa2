"""A single Apache Kafka broker on this machine: KRaft, combined roles, loopback only."""

import base64
import shutil
import signal
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from stream_durable.local.kafka_files import QUICK_JVM, KafkaFiles
from stream_durable.local.process import (
    LOOPBACK,
    Child,
    LocalServiceError,
    free_ports,
    refuse_taken_port,
)

#: An orderly stop takes 0.4 s; more than this and the broker hangs.
_STOP_SECONDS = 20.0


class LocalKafka:
    """A broker with data in `home` and a fixed port for the life of this object.

    May be killed and started again at will: data, port and cluster id stay.
    """

    def __init__(
        self,
        home: Path,
        port: int | None = None,
        *,
        cache: Path | None = None,
        jvm: Sequence[str] = QUICK_JVM,
    ) -> None:
        picked, self._controller_port = free_ports(2)
        self._home = home.absolute()
        self._files = KafkaFiles.at(cache)
        self._jvm = jvm
        self._broker: Child | None = None
        self.port = picked if port is None else port

    @staticmethod
    def available(cache: Path | None = None) -> str | None:
        """Return None if a broker can be started here, else the missing part and how to install the part."""
        return KafkaFiles.at(cache).missing()

    @staticmethod
    def prepare(say: Callable[[str], None] = lambda _: None, cache: Path | None = None) -> None:
        """Fetch Kafka and make its starts quick; once for each user, then at no cost."""
        KafkaFiles.at(cache).prepare(say)

    @property
    def bootstrap(self) -> str:
        return f"{LOOPBACK}:{self.port}"

    @property
    def running(self) -> bool:
        return self._broker is not None and self._broker.running

    @property
    def data(self) -> Path:
        """Where the log is."""
        return self._home / "data"

    @property
    def pid(self) -> int:
        return self._started().pid

    @property
    def code(self) -> int | None:
        """The exit code of a broker that was started and has ended."""
        return self._started().code

    def start(self) -> None:
        """Start the broker with the stored data, and return when ready."""
        if self.running:
            raise LocalServiceError(f"Kafka runs already on {self.bootstrap}, process {self.pid}")
        if missing := self._files.missing():
            raise LocalServiceError(missing)
        self._files.prepare()
        refuse_taken_port("Kafka", self.port)
        self._ensure_formatted()
        self._broker = self._files.start(self._home, self.port, self._controller_port, jvm=self._jvm)

    def stop(self) -> bool:
        """Stop in good order, or by force if the broker does not obey; return whether it ran and obeyed."""
        if not self.running:
            return False
        self.resume()
        return self._started().end(signal.SIGTERM, seconds=_STOP_SECONDS)

    def kill(self) -> None:
        """End the broker with no chance to write anything more."""
        self._started().end(signal.SIGKILL, seconds=_STOP_SECONDS)

    def pause(self) -> None:
        """Freeze the broker: connections stay open and nothing answers."""
        self._started().send(signal.SIGSTOP)

    def resume(self) -> None:
        self._started().send(signal.SIGCONT)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _started(self) -> Child:
        if self._broker is None:
            raise LocalServiceError("Kafka was not started")
        return self._broker

    def _ensure_formatted(self) -> None:
        """Copy the formatted directory under new ids.

        With a shared cluster id a client could not distinguish this broker from another with other data.
        """
        data = self.data
        if data.is_dir():
            return
        partial = self._home / "data.partial"
        shutil.copytree(self._files.formatted, partial, dirs_exist_ok=True)
        (partial / "meta.properties").write_text(
            f"version=1\nnode.id=1\ncluster.id={_kafka_id()}\ndirectory.id={_kafka_id()}\n"
        )
        partial.rename(data)


def _kafka_id() -> str:
    """Return a random id in Kafka's form: base64, and no dash in front, as on command lines."""
    text = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    return _kafka_id() if text.startswith("-") else text
