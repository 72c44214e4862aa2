"""The files of a local broker, created once for each user and shared by all brokers.

The cache directory holds:

    libs/             the jars of Apache Kafka, fetched by Maven as `pom.xml` lists them
    formatted/        a formatted data directory, copied for every new broker
    classes-*.jsa     the loaded classes, making a start four times as fast (0.8 s for 3.4 s)

Each part is created under another name and then renamed, so existing parts are complete. A lock keeps
parallel processes from creating the same part twice.
"""

import hashlib
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

from stream_durable.local.process import (
    LOOPBACK,
    Child,
    LocalServiceError,
    answers,
    cache_home,
    dying_with_us,
    free_ports,
    missing_setpriv,
    only_one,
    run,
)

KAFKA_VERSION = "4.2.0"

_HERE = Path(__file__).parent
_OLDEST_JAVA = 17
_START_SECONDS = 120.0

# A small heap and only the quick compiler: measured, the shortest start and the least memory.
QUICK_JVM = ("-Xms128m", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
#: As Kafka's own scripts start a server: slower to start, and what latency has to be measured against.
SERVER_JVM = (
    "-server", "-Xms1g", "-Xmx1g", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20",
    "-XX:InitiatingHeapOccupancyPercent=35", "-XX:+ExplicitGCInvokesConcurrent",
)  # fmt: skip

# Stock brokers wait 9 s for the registration of their killed predecessor, allow no session under
# 6 s and keep 128 MB for a log cleaner that has nothing to clean. A local broker is killed often,
# is watched by impatient people and is small. It may miss a second on a busy machine without being taken
# for dead.
_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller_port}
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=PLAINTEXT://{host}:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs=data
auto.create.topics.enable=false
num.network.threads=2
num.io.threads=2
log.cleaner.dedupe.buffer.size=16777216
group.initial.rebalance.delay.ms=0
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=4
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
group.min.session.timeout.ms=1000
group.consumer.min.session.timeout.ms=1000
group.consumer.min.heartbeat.interval.ms=300
"""


def _say_nothing(_sentence: str) -> None:
    """Prepare without a word."""


@dataclass(frozen=True)
class KafkaFiles:
    """The cache directory, and commands using its content."""

    cache: Path

    @classmethod
    def at(cls, cache: Path | None) -> "KafkaFiles":
        return cls(cache or cache_home() / "stream-durable" / f"kafka-{KAFKA_VERSION}")

    @property
    def formatted(self) -> Path:
        return self.cache / "formatted"

    def missing(self) -> str | None:
        """Return the missing software with instructions, or None if a broker can be started."""
        if shutil.which("java") is None:
            return (
                f"Java {_OLDEST_JAVA} or newer, which Kafka runs on, is missing: "
                "apt-get install openjdk-17-jre-headless"
            )
        if shutil.which("mvn") is None and not self._libs.is_dir():
            return "Maven (mvn), which fetches Kafka, is missing: apt-get install maven"
        return missing_setpriv()

    def prepare(self, say: Callable[[str], None] = _say_nothing) -> None:
        """Make what is not there yet: some 10 s and 43 MB at first, nothing from then on."""
        if self._complete():
            return
        with only_one(self.cache / "lock"):
            if missing := self.missing():
                raise LocalServiceError(missing)
            _refuse_old_java(self.cache)
            if not self._libs.is_dir():
                self._fetch(say)
            if not self.formatted.is_dir():
                self._format()
            if not self._classes.is_file():
                self._archive_classes(say)

    def start(
        self, home: Path, port: int, controller_port: int, *flags: str, jvm: Sequence[str] = QUICK_JVM
    ) -> Child:
        """Start a broker on a formatted home and wait until it answers."""
        _write_properties(home, port, controller_port)
        archive = [f"-XX:SharedArchiveFile={self._classes}"] if self._classes.is_file() else []
        broker = Child.spawn(
            "Kafka",
            [
                *dying_with_us("KILL"),
                *self._java(*jvm, *archive, *flags),
                "kafka.Kafka",
                "server.properties",
            ],
            log=home / "broker.log",
            cwd=home,
        )
        # The port opens when the broker serves: no need to ask for metadata as well.
        broker.wait_until(lambda: answers(port), seconds=_START_SECONDS)
        return broker

    @property
    def _libs(self) -> Path:
        return self.cache / "libs"

    @cached_property
    def _classes(self) -> Path:
        """The class archive for this Java and class path, useless for any other."""
        java = Path(shutil.which("java") or "java").resolve()
        build = f"{java} {java.stat().st_mtime_ns} {self._libs}" if java.exists() else str(java)
        return self.cache / f"classes-{hashlib.sha256(build.encode()).hexdigest()[:12]}.jsa"

    def _complete(self) -> bool:
        return self._libs.is_dir() and self.formatted.is_dir() and self._classes.is_file()

    def _java(self, *flags: str) -> list[str]:
        """The command up to the class path, sorted because the class archive keeps the order."""
        jars = sorted(str(jar) for jar in self._libs.glob("*.jar"))
        log_config = f"-Dlog4j2.configurationFile={(_HERE / 'log4j2.yaml').as_uri()}"
        return ["java", *flags, log_config, "-cp", ":".join(jars)]

    def _fetch(self, say: Callable[[str], None]) -> None:
        say(f"Fetching Apache Kafka {KAFKA_VERSION} with Maven, about 43 MB")
        partial = _emptied(self.cache / "libs.partial")
        command = ["mvn", "--batch-mode", "--file", str(_HERE / "pom.xml")]
        command += ["dependency:copy-dependencies", "-DincludeScope=runtime"]
        command += [f"-DoutputDirectory={partial}"]
        with subprocess.Popen(  # noqa: S603 - an argument list of ours, and no shell
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as maven:
            assert maven.stdout is not None
            lines = [_told(line, say) for line in maven.stdout]
        if maven.returncode != 0:
            raise LocalServiceError("Maven could not fetch Kafka:\n" + "".join(lines[-25:]))
        partial.rename(self._libs)

    def _format(self) -> None:
        with TemporaryDirectory(dir=self.cache) as name:
            home = Path(name)
            port, controller_port = free_ports(2)
            _write_properties(home, port, controller_port)
            format_tool = [*self._java(*QUICK_JVM), "kafka.tools.StorageTool", "format"]
            # Every broker gets another cluster id.
            nobodys_id = "AAAAAAAAAAAAAAAAAAAAAQ"
            run(
                [*format_tool, "--cluster-id", nobodys_id, "--config", "server.properties"],
                cwd=home,
            )
            (home / "data").rename(self.formatted)

    def _archive_classes(self, say: Callable[[str], None]) -> None:
        """Run a broker once and store the loaded classes, from start to orderly stop.

        Using a topic as well was tried, without a noticeable gain.
        """
        say("Archiving the classes Kafka loads, for quick starts")
        with TemporaryDirectory(dir=self.cache) as name:
            home = Path(name)
            shutil.copytree(self.formatted, home / "data")
            archive = home / "classes.jsa"
            port, controller_port = free_ports(2)
            broker = self.start(home, port, controller_port, f"-XX:ArchiveClassesAtExit={archive}")
            broker.end(signal.SIGTERM, seconds=60)
            if not archive.is_file():
                raise LocalServiceError("Java wrote no class archive:\n" + (home / "broker.log").read_text())
            archive.rename(self._classes)


def _write_properties(home: Path, port: int, controller_port: int) -> None:
    (home / "server.properties").write_text(
        _PROPERTIES.format(host=LOOPBACK, port=port, controller_port=controller_port)
    )


def _emptied(directory: Path) -> Path:
    """An empty directory in place of what an interrupted attempt may have left."""
    if directory.exists():
        shutil.rmtree(directory)
    directory.mkdir(parents=True)
    return directory


def _told(line: str, say: Callable[[str], None]) -> str:
    """Report each large file arriving, out of Maven's output."""
    if arrived := re.search(r"Downloaded .*/([^/ ]+\.jar) \(([\d.]+ MB) at ", line):
        say(f"  {arrived[1]}  {arrived[2]}")
    return line


def _refuse_old_java(directory: Path) -> None:
    version = run(["java", "-version"], cwd=directory)
    found = re.search(r'version "(\d+)', version)
    if found is None or int(found[1]) < _OLDEST_JAVA:
        raise LocalServiceError(
            f"Kafka needs Java {_OLDEST_JAVA} or newer (apt-get install openjdk-17-jre-headless); "
            f"`java -version` says: {version.strip() or 'nothing'}"
        )
