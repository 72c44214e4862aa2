"""How tests share a machine: with `-n 4` four processes work at the same time, then one works alone.

Most real tests wait for services, and meanwhile others compute. Each process starts its own Kafka and
Postgres when the first test asks for them, on ports that are free at that moment; what tests of one module
share is started once. Tests that measure time or count repeats are left for the end, where the process that
pytest was started in runs them one after the other, and prints what they have to say.
"""

from __future__ import annotations

import gc
from collections.abc import Generator
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from xdist.remote import Producer
    from xdist.scheduler import LoadScopeScheduling

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


def pytest_collection_finish() -> None:
    """Have what was collected searched for garbage no more: a million objects, which stay to the end."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop(session: pytest.Session) -> Generator[None, object, object]:
    """Run what runs alone once the others have ended and stopped their services."""
    done = yield
    if _is_spread(session.config):
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
