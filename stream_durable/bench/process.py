"""`python -m stream_durable.bench.process reconciler|worker|rebuild`: our work as a process of its own."""

import asyncio
import json
import resource
import signal
import sys
import time

import uvloop

from stream_durable import bootstrap
from stream_durable.bench.app import app
from stream_durable.settings import Settings
from stream_durable.telemetry import Metrics, configure_logging


async def _serve(role: str) -> None:
    settings, metrics = Settings.load(), Metrics()
    configure_logging(settings.log.level, settings.log.format)
    made = (
        bootstrap.reconciler(settings, metrics)
        if role == "reconciler"
        else bootstrap.worker(settings, app, metrics)
    )
    async with made as service:
        work = asyncio.ensure_future(service.run())
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, work.cancel)
        await asyncio.wait([work])
        if not work.cancelled():
            work.result()


async def _rebuild() -> None:
    """Fold the log into another schema, and say what that took."""
    settings = Settings.load()
    begin = time.process_time()
    rebuilt = await bootstrap.rebuild(settings, "rebuilt", to_end=True)
    told = {
        "records": rebuilt.records,
        "seconds": rebuilt.seconds,
        "cpu_s": time.process_time() - begin,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1_024 / 1_000_000,
    }
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    uvloop.run(_rebuild() if sys.argv[1] == "rebuild" else _serve(sys.argv[1]))
