"""All services for one app on one machine, which take up its code anew when it changes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final

from stream_durable.services.definitions import DefinitionKeeper
from stream_durable.services.laptop import Laptop
from stream_durable.services.reload import changes, code_of
from stream_durable.services.running import is_configured
from stream_durable.services.supervisor import Program, Supervisor
from stream_durable.settings import Settings, environment_name

_WORKER: Final = "worker"
#: Whoever waits for their own edit does not wait for a long attempt; it is given back.
_DRAIN_MS: Final = 1_000


def quiet(settings: Settings) -> Settings:
    """Return settings under which only what matters is logged, unless somebody said otherwise."""
    return settings if is_configured(settings, "log.level") else settings.override({"log.level": "warning"})


async def develop(
    laptop: Laptop, target: str, home: Path, say: Callable[[str], None], *, is_reloading: bool
) -> None:
    """Run until cancelled; `say` hears of each reload."""
    supervisor = Supervisor(
        _programs(laptop, target), drain_seconds=_DRAIN_MS / 1_000, keep_unusable=is_reloading
    )
    async with asyncio.TaskGroup() as group:
        background = []
        if laptop.is_mock:
            keeper = DefinitionKeeper(laptop.settings, home / "definitions")
            await keeper.restore()
            background.append(group.create_task(keeper.run()))
        if is_reloading:
            background.append(group.create_task(_reload(supervisor, target, say)))
        await supervisor.run()
        for task in background:
            task.cancel()


async def _reload(supervisor: Supervisor, target: str, say: Callable[[str], None]) -> None:
    here = Path.cwd()
    async for changed in changes(code_of(target, here)):
        shown = ", ".join(str(file.relative_to(here)) for file in changed[:3])
        more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
        say(f"{shown}{more} changed: the worker starts anew")
        supervisor.restart(_WORKER)


def _programs(laptop: Laptop, target: str) -> list[Program]:
    common = laptop.environment
    quietly = {environment_name("log.level"): quiet(laptop.settings).log.level}
    drain = {environment_name("worker.drain_ms"): str(_DRAIN_MS)}
    return [
        Program("reconciler", ("reconciler",), {**common, **quietly}),
        Program("ingress", ("ingress",), {**common, **quietly}),
        Program(_WORKER, ("worker", target, "--for-dev"), {**common, **drain}),
    ]
