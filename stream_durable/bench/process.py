"""`python -m stream_durable.bench.process reconciler`, or `worker`: one of our services as a process."""

import asyncio
import signal
import sys

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


if __name__ == "__main__":
    uvloop.run(_serve(sys.argv[1]))
