"""Runs one service as a process: logs, health, signals, watchdog, and an orderly end.

1. The health server answers before anything else: alive, and not ready. 2. The service is assembled, waiting
for unavailable dependencies. 3. The service works until the first SIGTERM or SIGINT, a request to drain; the
second ends the process.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from importlib.metadata import version
from typing import Any, Final, NamedTuple, TypeVar

from stream_durable.core.errors import BrokenError, RejectedError, StreamDurableError
from stream_durable.local.process import LocalServiceError
from stream_durable.log_lines import configure_logging
from stream_durable.metrics import Metrics
from stream_durable.retrying import retry_transient
from stream_durable.services.collector import spare_the_collector
from stream_durable.services.health import Check, Health
from stream_durable.services.probes import Probe
from stream_durable.services.watchdog import Guard, Watchdog
from stream_durable.settings import HealthSettings, Settings, check_safety, masked
from stream_durable.telemetry import (
    HEALTH_OPENED,
    SERVICE_FAILED,
    SERVICE_STARTED,
    SERVICE_STOPPED,
    SETTINGS_QUESTIONED,
    logger,
)

_log = logger(__name__)

_Answer = TypeVar("_Answer")

_STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


class Service(NamedTuple):
    """An assembled service."""

    #: Works until cancelled, then drains.
    run: Callable[[], Awaitable[None]]
    #: The checks required for readiness.
    checks: Mapping[str, Check]
    #: What keeps some of the checks up to date.
    probes: Iterable[Probe] = ()
    #: What is done while the loop does not turn.
    guard: Guard | None = None


Role = Callable[[Settings, Metrics], AbstractAsyncContextManager[Service]]


def host(name: str, settings: Settings, role: Role) -> None:
    """Run a service until stopped; raises its fatal error."""
    configure_logging(settings.log.level, settings.log.format)
    for note in check_safety(settings):
        _log.warning(SETTINGS_QUESTIONED, note=note)
    with asyncio.Runner(loop_factory=new_loop) as runner, Watchdog(runner.get_loop()) as watchdog:
        runner.run(_serve(name, settings, role, watchdog))


def new_loop() -> asyncio.AbstractEventLoop:
    """Return the fastest loop on this platform."""
    try:
        import uvloop  # noqa: PLC0415 - not on every platform
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


def run_briskly(work: Coroutine[Any, Any, _Answer]) -> _Answer:
    """Run one long piece of work on the fast loop, with less garbage collection."""
    spare_the_collector()
    with asyncio.Runner(loop_factory=new_loop) as runner:
        return runner.run(work)


def run_until_stopped(name: str, settings: Settings, task: Coroutine[Any, Any, None]) -> None:
    """Run a task until stopped; raises its fatal error."""
    configure_logging(settings.log.level, settings.log.format)
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(_until_stopped(name, task))


class _Stop:
    """Turns the first signal into the cancellation of a task, the second into the end."""

    def __init__(self, task: asyncio.Task[None]) -> None:
        self._task = task
        self.asked_at: float | None = None

    def listen(self) -> None:
        loop = asyncio.get_running_loop()
        for number in _STOP_SIGNALS:
            loop.add_signal_handler(number, self._receive, number)

    def _receive(self, number: signal.Signals) -> None:
        if self.asked_at is not None:
            os._exit(128 + number)
        self.asked_at = time.monotonic()
        self._task.cancel()


async def _serve(name: str, settings: Settings, role: Role, watchdog: Watchdog) -> None:
    await _until_stopped(name, _run(name, settings, role, watchdog))


async def _until_stopped(name: str, work: Coroutine[Any, Any, None]) -> None:
    """Await the work until a signal cancels; any other end is logged and raised."""
    task = asyncio.current_task()
    assert task is not None
    stop = _Stop(task)
    stop.listen()
    try:
        await work
    except asyncio.CancelledError:
        if stop.asked_at is None:
            raise
        task.uncancel()
        _log.info(SERVICE_STOPPED, service=name, seconds=round(time.monotonic() - stop.asked_at, 3))
    except BaseExceptionGroup as group:
        error = _first(group)
        log_failure(name, error)
        raise error from None
    except Exception as error:
        log_failure(name, error)
        raise


async def _run(name: str, settings: Settings, role: Role, watchdog: Watchdog) -> None:
    metrics = Metrics()
    checks: dict[str, Check] = {"started": lambda: "it is being started"}
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(_listening(settings.health, checks, metrics))
        service = await assembled(name, settings, role, metrics, stack)
        del checks["started"]
        watchdog.guard = service.guard
        checks.update(service.checks)
        shown = masked(settings)
        _log.info(
            SERVICE_STARTED,
            service=name,
            version=version("stream-durable"),
            kafka=shown["kafka.bootstrap"],
            postgres=shown["postgres.dsn"],
        )
        spare_the_collector()
        await work(service)


async def assembled(
    name: str, settings: Settings, role: Role, metrics: Metrics, stack: AsyncExitStack
) -> Service:
    """Assemble a service, closed with the stack; wait for unavailable dependencies."""
    return await retry_transient(
        lambda: stack.enter_async_context(role(settings, metrics)), f"start the {name}"
    )


async def work(service: Service) -> None:
    """Let a service work until cancelled, and keep the checks up to date meanwhile."""
    async with asyncio.TaskGroup() as group:
        # Also without a health server: probes log a lost dependency, once, and its return.
        probing = [group.create_task(probe.run()) for probe in service.probes]
        await service.run()
        for probe in probing:
            probe.cancel()


@asynccontextmanager
async def _listening(
    where: HealthSettings, checks: Mapping[str, Check], metrics: Metrics
) -> AsyncIterator[Health]:
    """Open the health server, or raise with the reason."""
    health = Health(checks, metrics=metrics, host=where.host, port=where.port)
    try:
        await health.__aenter__()
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise RejectedError(
            "health_port", f"health.port: cannot listen on {where.host}:{where.port}: {reason}"
        ) from error
    async with AsyncExitStack() as stack:
        stack.push_async_exit(health)
        if health.port is not None:
            _log.info(HEALTH_OPENED, host=where.host, port=health.port)
        yield health


def log_failure(name: str, error: BaseException) -> None:
    """Log why a service ends; where in the code, only if the cause may be a fault of ours."""
    error = _first(error)
    is_expected = isinstance(error, StreamDurableError | LocalServiceError) and not isinstance(
        error, BrokenError
    )
    _log.error(SERVICE_FAILED, service=name, reason=str(error), exc_info=None if is_expected else error)


def _first(error: BaseException) -> BaseException:
    """Return the first cause in groups of groups."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
