"""How tests share a machine: with `-n 4` four processes work at the same time, then one works alone.

Most real tests wait for services, and meanwhile others compute. The process that pytest was started in starts
one Kafka for all, since a broker computes even where nobody asks anything of it. Each of the others starts a
Postgres, of which some tests count the work, when the first test asks for it. What tests of one module share
is started once. Tests that measure time or count repeats are left for the end, where the process that
pytest was started in runs them one after the other, and prints what they have to say.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Generator
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from stream_durable.local.kafka import LocalKafka

if TYPE_CHECKING:
    from xdist.remote import Producer
    from xdist.scheduler import LoadScopeScheduling
    from xdist.workermanage import WorkerController

_HERE = Path(__file__).parent

#: What measures times, or counts repeats where a member whose heartbeats come late adds some.
_ALONE = (
    "kill/test_deadly.py", "kill/test_failover.py", "kill/test_memory.py", "kill/test_mixed_releases.py",
    "kill/test_rolling.py",
)  # fmt: skip
#: Long ones first, so that nobody waits for them in the end; those of services between those of seeds.
_FIRST = (
    "kill", "chaos", "docs/test_readme.py", "simulation/test_broken_variants.py", "fuzz",
    "cli/test_cli_laptop.py", "bench", "simulation/test_broken_losses.py", "client/test_client.py",
    "cli/test_cli_running.py", "cli/test_cli_services.py", "property", "simulation", "replay",
    "contract_language", "cli", "streams", "local", "engine", "ingress", "client", "stores", "postgres",
    "testing_kit", "worker",
)  # fmt: skip
#: The broker of all, by the name of its plugin and of what is said of it to other processes.
_SHARED = "shared kafka"
#: A heap for the topics of all tests, which nobody removes, and only the quick compiler.
_JVM = ("-Xms256m", "-Xmx1g", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
#: Modules of long tests that share nothing: each test goes to whoever is free.
_DIVIDED = ("cli/test_cli_laptop.py", "local", "simulation")


def _is_below(path: Path, names: tuple[str, ...]) -> bool:
    return any(path.is_relative_to(_HERE / name) for name in names)


def _is_spread(config: pytest.Config) -> bool:
    """Whether this is the process that has others do the work."""
    return bool(config.getoption("numprocesses", None)) and not hasattr(config, "workerinput")


def _is_elsewhere(path: Path, config: pytest.Config) -> bool:
    """Whether another process runs this test."""
    is_alone = _is_below(path, _ALONE)
    return is_alone if hasattr(config, "workerinput") else _is_spread(config) and not is_alone


class SharedKafka:
    """The broker of a run with several processes, from their start until all have ended."""

    def __init__(self) -> None:
        self._home = Path(tempfile.mkdtemp(prefix="stream-durable-"))
        self._kafka = LocalKafka(self._home, jvm=_JVM)

    def pytest_configure_node(self, node: WorkerController) -> None:
        """Say where the broker is; where none can be started, the process finds out for itself."""
        if not self._kafka.running and LocalKafka.available() is None:
            self._kafka.start()
        if self._kafka.running:
            node.workerinput[_SHARED] = (str(self._home), self._kafka.port, self._kafka.pid)

    def pytest_unconfigure(self) -> None:
        """End the broker, whatever has become of the run."""
        self.stop()

    def stop(self) -> None:
        self._kafka.stop()
        shutil.rmtree(self._home, ignore_errors=True)


class KafkaOfOthers(LocalKafka):
    """A broker that another process has started and will stop."""

    def __init__(self, home: str, port: int, pid: int) -> None:
        super().__init__(Path(home), port)
        self._pid = pid

    @property
    def pid(self) -> int:
        return self._pid


def shared_kafka(config: pytest.Config) -> LocalKafka | None:
    """Return the broker that was started for all processes, if this is one of them."""
    shared = getattr(config, "workerinput", {}).get(_SHARED)
    return None if shared is None else KafkaOfOthers(*shared)


def pytest_configure(config: pytest.Config) -> None:
    if _is_spread(config):
        config.pluginmanager.register(SharedKafka(), _SHARED)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Do not even import what another process runs."""
    return (collection_path.suffix == ".py" and _is_elsewhere(collection_path, config)) or None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep what this process runs, also where modules are named one by one; order what is shared."""
    items[:] = [item for item in items if not _is_elsewhere(item.path, config)]
    if hasattr(config, "workerinput"):
        items.sort(key=_rank)


def _rank(item: pytest.Item) -> int:
    ranks = (rank for rank, name in enumerate(_FIRST) if item.path.is_relative_to(_HERE / name))
    return next(ranks, len(_FIRST))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """Give each process one module after the other, in our order."""
    from xdist.scheduler import LoadScopeScheduling  # noqa: PLC0415 - only where it is used

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            return nodeid if _is_below(config.rootpath / file, _DIVIDED) else file

    config.option.loadscopereorder = False
    return Scheduling(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop(session: pytest.Session) -> Generator[None, object, object]:
    """Run what runs alone once the others have ended and stopped their services."""
    done = yield
    if _is_spread(session.config):
        session.config.pluginmanager.getplugin(_SHARED).stop()
        others = session.testscollected
        session.perform_collect()
        session.testscollected += others
        for item, following in zip_longest(session.items, session.items[1:]):
            session.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if session.shouldfail:
                raise session.Failed(session.shouldfail)
            if session.shouldstop:
                raise session.Interrupted(session.shouldstop)
    return done
