"""The demonstration: an order with a bank away at first, and a worker killed in the middle."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from stream_durable.cli.errors import CheckFailedError
from stream_durable.cli.follow import Change, changes, line
from stream_durable.cli.output import lasted

if TYPE_CHECKING:
    from stream_durable.ports import StoredRun
    from stream_durable.services.laptop import Laptop
    from stream_durable.services.supervisor import Program, Supervisor

_TARGET: Final = "stream_durable.examples.shop:app"
_ORDER: Final = {"id": "42", "items": ["tea", "pot", "cups"], "total": 38.5}
_RUN: Final = "order-42"
_KILLED_STEP: Final = "pack"
#: A longer time means a failure.
_SECONDS_MAX: Final = 90.0

#: Shorter times than in production, for those who watch.
_SETTINGS: Final = {
    "kafka.session_timeout_ms": "1500",
    "kafka.heartbeat_ms": "300",
    "worker.started_after_ms": "100",
    "worker.lease_ms": "1500",
    "worker.heartbeat_ms": "400",
    "worker.drain_ms": "500",
    "log.level": "error",
}


def demo(
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep the data and the logs, and print the path.")
    ] = False,
) -> None:
    """Watch an order survive a failing bank and a killed worker, on a real Kafka and a real Postgres.

    Example: `stream-durable demo`
    """
    from stream_durable.log_lines import configure_logging
    from stream_durable.services.laptop import Laptop
    from stream_durable.settings import Settings

    begin = time.monotonic()
    with _home(is_kept=keep) as home:
        # Configured services belong to somebody, so only our own are used.
        settings = Settings().override(_SETTINGS)
        configure_logging("error", "auto")
        _title("An order survives a failing bank and a killed worker")
        it = Laptop(home, settings, "local")
        it.fetch(_say)
        demonstration = _Demonstration(it, home)
        with it.running():
            asyncio.run(demonstration.run())
    _summarise(demonstration, time.monotonic() - begin)


class _Demonstration:
    """One demonstration with observations."""

    def __init__(self, laptop: Laptop, home: Path) -> None:
        from stream_durable.local.process import free_ports

        self._laptop = laptop
        self._home = home
        self._started: set[str] = set()
        self._ports = dict(zip(("reconciler", "worker"), free_ports(2), strict=True))
        self.killed_pid: int | None = None
        self.killed_worker: str | None = None
        self.stored: StoredRun | None = None

    async def run(self) -> None:
        """Start the services, run the order to the end, stop the services."""
        from stream_durable.services.roles import prepare

        await prepare(self._laptop, ("default",))
        _done("Postgres", self._laptop.postgres.partition(",")[0])
        _done("Kafka", self._laptop.kafka.partition(",")[0])
        await self._serve()

    async def _serve(self) -> None:
        from stream_durable.services.supervisor import Program, Supervisor

        environment = {**_variables(_SETTINGS), **self._laptop.environment}
        log = self._home / "services.log"
        supervisor = Supervisor(
            [
                Program("reconciler", ("reconciler", *self._health("reconciler")), environment, log),
                Program("worker", ("worker", _TARGET, *self._health("worker")), environment, log),
            ],
            drain_seconds=1.0,
            on_change=self._on_change,
        )
        services = asyncio.create_task(supervisor.run())
        try:
            async with asyncio.timeout(_SECONDS_MAX):
                await _first_of(self._show(supervisor), services)
        except TimeoutError:
            raise CheckFailedError(f"the run did not end within {_SECONDS_MAX:.0f} s\n{_tail(log)}") from None
        finally:
            services.cancel()
            with suppress(asyncio.CancelledError):
                await services

    def _on_change(self, program: Program, pid: int | None) -> None:
        if pid is None:
            return
        if program.name in self._started:
            _say(f"{'':>10} a new {program.name} is started: process {pid}", "yellow")
        else:
            _done(program.name.capitalize(), f"process {pid}")
        self._started.add(program.name)

    def _health(self, name: str) -> tuple[str, ...]:
        return ("--health-port", str(self._ports[name]))

    async def _show(self, supervisor: Supervisor) -> None:
        from stream_durable import connecting, operating
        from stream_durable.examples.shop import Order, orders
        from stream_durable.services.ready import until_ready

        for port in self._ports.values():
            await until_ready(port)
        async with operating.views(self._laptop.settings) as views:
            async with connecting.client(self._laptop.settings) as client:
                run = await client.start(orders, Order.model_validate(_ORDER), id=_RUN)
            _say(f"\nRun {run.id}: reserve → charge → pack → ship\n")
            async for stored, found in changes(views, run.id):
                self.stored = stored
                for change in found:
                    _say(line(change, stored.run.created), _colour(change))
                if self.killed_pid is None and any(map(_is_to_be_killed, found)):
                    self._kill(supervisor, found)

    def _kill(self, supervisor: Supervisor, found: list[Change]) -> None:
        pid = supervisor.pid("worker")
        assert pid is not None, "it has just reported that it works"
        self.killed_pid = pid
        self.killed_worker = next(change.worker for change in found if _is_to_be_killed(change))
        os.kill(pid, signal.SIGKILL)
        _say(f"{'':>10} kill -9 {pid}: the worker is gone in the middle of {_KILLED_STEP!r}", "red")


def _summarise(demonstration: _Demonstration, seconds: float) -> None:
    """Check the outcome and print a summary."""
    stored = demonstration.stored
    assert stored is not None, "a run that ended was seen"
    steps = {step.name: step for step in stored.steps}
    expected = {
        "the run completed": stored.run.status == "completed",
        "the worker was killed": demonstration.killed_pid is not None,
        "the bank was asked twice": steps["charge"].attempt == 2,
        "another worker packed": steps[_KILLED_STEP].worker not in (None, demonstration.killed_worker),
        "each step has one result": all(step.status == "completed" for step in stored.steps),
    }
    if wrong := [what for what, is_so in expected.items() if not is_so]:
        raise CheckFailedError(f"the demonstration failed; not true: {', '.join(wrong)}")
    packer = steps[_KILLED_STEP].worker
    _title("\nWhat you have just seen")
    _done("The bank failed. The failure was kept, and the bank asked again later: attempt 2.")
    _done(f"kill -9 ended the worker while it packed. Its lease ran out, so {packer} packed.")
    _done("What was done before was not done again: reserve and charge kept their results.")
    _done("All of it went over Kafka; each state was saved in Postgres before it was spoken of.")
    took = lasted(stored.run.created, stored.run.ended)
    _say(f"\nThe run took {took}; with the start and the end of all services it was {seconds:.1f} s.")
    _say("Your own: stream-durable dev shop:app")


def _is_to_be_killed(change: Change) -> bool:
    return change.step == _KILLED_STEP and change.status == "running"


async def _first_of(work: Any, services: asyncio.Task[None]) -> None:
    """Await the work; if the services end before, raise why."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait({task, services}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            await services
        await task
    finally:
        task.cancel()


@contextmanager
def _home(*, is_kept: bool) -> Iterator[Path]:
    if is_kept:
        yield (home := Path(tempfile.mkdtemp(prefix="stream-durable-demo-")))
        _say(f"Kept in {home}")
    else:
        with tempfile.TemporaryDirectory(prefix="stream-durable-demo-", ignore_cleanup_errors=True) as name:
            yield Path(name)


def _variables(values: dict[str, str]) -> dict[str, str]:
    from stream_durable.settings import environment_name

    return {environment_name(path): value for path, value in values.items()}


def _tail(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()[-20:] if log.exists() else []
    return "\n".join(["The end of the services' logs:", *lines])


def _title(text: str) -> None:
    _say(text, None, is_bold=True)


def _done(what: str, detail: str = "") -> None:
    typer.secho("  ✓ ", fg="green", nl=False)
    typer.echo(f"{what:<11} {detail}".rstrip())


def _colour(change: Change) -> str | None:
    return {"completed": "green", "retrying": "yellow", "failed": "red", "running": "cyan"}.get(change.status)


def _say(text: str, colour: str | None = None, *, is_bold: bool = False) -> None:
    typer.secho(text, fg=colour, bold=is_bold)
    # A pipe is read live too.
    sys.stdout.flush()
