"""The pytest plugin: the fixture `engine`, and a report of runs for failed tests.

Every pytest in an environment with this package loads it, so other imports wait until a test uses the
fixture.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Literal, cast

import pytest

if TYPE_CHECKING:
    from stream_durable.settings import Settings
    from stream_durable.testing.engine import Engine

_OPTION, _INI = "--stream-durable-engine", "stream_durable_engine"
_KINDS = ("memory", "real")
_engine_key = pytest.StashKey["Engine"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that chooses the engine where a test does not."""
    text = "what the fixture `engine` runs on: memory (the default), or a real Kafka and Postgres"
    group = parser.getgroup("stream-durable")
    group.addoption(_OPTION, choices=_KINDS, default=None, help=text)
    parser.addini(_INI, text, default="memory")


@pytest.fixture
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """One instance of everything, on virtual time.

    `@pytest.mark.parametrize("engine", ["memory", "real"], indirect=True)` takes the test through both kinds.
    """
    from stream_durable.testing.engine import Engine

    with ExitStack() as stack:
        if _kind(request) == "real":
            from stream_durable.testing.real import RealBackend

            settings: Settings = request.getfixturevalue("stream_durable_services")
            made = stack.enter_context(Engine(RealBackend(settings)))
        else:
            made = stack.enter_context(Engine.memory())
        request.node.stash[_engine_key] = made
        yield made
        del request.node.stash[_engine_key]


@pytest.fixture(scope="session")
def stream_durable_services() -> Iterator[Settings]:
    """Settings for a Kafka and a Postgres: the configured ones, otherwise local ones."""
    from stream_durable.testing.real import services

    with services() as settings:
        yield settings


@pytest.hookimpl
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run an async test of the fixture on a loop of its own, where no plugin for async tests does so."""
    is_ours = "engine" in pyfuncitem.fixturenames and inspect.iscoroutinefunction(pyfuncitem.obj)
    if not is_ours or any(pyfuncitem.iter_markers("anyio")):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    asyncio.run(pyfuncitem.obj(**arguments))
    return True


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[Any]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show where the runs stand when the test failed, unless the error has done so."""
    report = yield
    made = item.stash.get(_engine_key, None)
    if made is not None and report.when == "call" and report.failed:
        from stream_durable.testing.engine import Stuck

        if call.excinfo is None or not issubclass(call.excinfo.type, Stuck):
            report.sections.append(("runs of the engine", made.last_words()))
    return report


def _kind(request: pytest.FixtureRequest) -> Literal["memory", "real"]:
    config = request.config
    kind = getattr(request, "param", None) or config.getoption(_OPTION) or config.getini(_INI)
    if kind not in _KINDS:
        raise pytest.UsageError(f"there is no engine {kind!r}: take {' or '.join(map(repr, _KINDS))}")
    return cast('Literal["memory", "real"]', kind)
