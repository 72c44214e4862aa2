"""Records about present processes other than workers on the control topic.

Records about workers, with queues and load, are in `worker/control.py`.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Final

from stream_durable.core.format import FORMAT
from stream_durable.ports import Clock, Outgoing, Publisher, Refusal
from stream_durable.telemetry import MESSAGE_DROPPED, logger
from stream_durable.wire.control import ProcessHere, encode_control, process_key
from stream_durable.wire.topics import CONTROL

_log = logger(__name__)

#: The interval of the records of a process.
EVERY_MS: Final = 30_000


class _Saying:
    """The records about a process; a record follows the acknowledgement of the last."""

    def __init__(self, publisher: Publisher, key: bytes, here: bytes) -> None:
        self._publisher = publisher
        self._key = key
        self._here = here
        #: Not acknowledged yet: while Kafka is away, records would pile up.
        self._is_under_way = False
        self._refused = ""

    async def run(self, every_ms: int) -> None:
        """Publish until cancelled."""
        while True:
            if not self._is_under_way:
                self._is_under_way = True
                self._send(self._here)
            await asyncio.sleep(every_ms / 1_000)

    def leave(self) -> None:
        """Withdraw the record."""
        self._send(None)

    def _send(self, value: bytes | None) -> None:
        self._publisher.send([(Outgoing(CONTROL, 0, self._key, value), None)], self._settled)

    def _settled(self, refusals: list[Refusal]) -> None:
        self._is_under_way = False
        for refusal in refusals:
            # Without the right to write there, every record is refused: it is said once.
            if refusal.code != self._refused:
                self._refused = refusal.code
                _log.warning(MESSAGE_DROPPED, topic=CONTROL, code=refusal.code, reason=refusal.reason)


@asynccontextmanager
async def present(
    publisher: Publisher, clock: Clock, kind: str, name: str, *, every_ms: int = EVERY_MS
) -> AsyncIterator[None]:
    """Publish the presence of a process while the context is open, then withdraw the record.

    Costs one small record per interval, and nothing to read.
    """
    here = ProcessHere(
        kind=kind, since=clock.now(), every_ms=every_ms, version=version("stream-durable"), format=FORMAT,
        host=socket.gethostname(),
    )  # fmt: skip
    saying = _Saying(publisher, process_key(kind, name), encode_control(here))
    task = asyncio.create_task(saying.run(every_ms))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        saying.leave()
