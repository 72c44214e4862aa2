"""Inputs and results of attempts, and their messages: large values are stored elsewhere."""

from __future__ import annotations

import msgspec
from msgspec import Raw

from stream_durable.core.effects import Command
from stream_durable.core.errors import RejectedError
from stream_durable.core.ids import PAYLOAD_BYTES_MAX
from stream_durable.core.messages import (
    AttemptCompleted,
    AttemptEnd,
    AttemptExpanded,
    AttemptFinished,
    AttemptJumped,
)
from stream_durable.payloads import STORED_BYTES_MAX, PayloadLostError, Payloads
from stream_durable.sdk.answers import Fail
from stream_durable.worker.emitting import Emitting
from stream_durable.worker.job import Job

_encode = msgspec.json.Encoder().encode
#: A value that is kept elsewhere takes this much all the same.
_REFERENCE_BYTES = 10_000
#: What says with which value an attempt ended.
_WITH_OUTPUT = (AttemptCompleted, AttemptJumped, AttemptFinished)


class Fitting:
    """Large values of a worker's commands and answers."""

    def __init__(self, payloads: Payloads, inline_bytes_max: int, emitting: Emitting) -> None:
        """Let outputs up to a bound travel within messages."""
        self._emitting = emitting
        self._payloads = payloads
        self._inline_bytes_max = inline_bytes_max

    async def resolved(self, command: Command) -> Command:
        """Return a command with references replaced by values."""

        async def found(value: Raw) -> Raw:
            return Raw(await self._payloads.resolved(bytes(value)))

        try:
            return msgspec.structs.replace(
                command,
                input=await found(command.input),
                outputs={name: await found(value) for name, value in command.outputs.items()},
                inputs=None
                if command.inputs is None
                else tuple([await found(each) for each in command.inputs]),
                item=None if command.item is None else await found(command.item),
                happened=None if command.happened is None else await found(command.happened),
                kept=tuple(
                    [msgspec.structs.replace(kept, value=await found(kept.value)) for kept in command.kept]
                ),
            )
        except PayloadLostError as error:
            raise Fail(error.code, str(error), retryable=False) from None

    async def note(self, command: Command, name: str, value: bytes) -> bytes:
        """Return a value that a function keeps, or the reference to it."""
        if len(value) <= min(PAYLOAD_BYTES_MAX, self._inline_bytes_max):
            return value
        return await self._stored(
            f"{command.run}/{command.step}/{command.attempt}/{name}", value, (), "keeps"
        )

    def is_large(self, end: AttemptEnd) -> bool:
        """Return whether an attempt ended with an output too large for the message."""
        return isinstance(end, _WITH_OUTPUT) and len(end.output) > self._inline_bytes_max

    async def fit(self, job: Job, end: AttemptEnd) -> None:
        """Ensure a result fits into a message together with the attempt's context changes."""
        changes = end.changes if job.values is None else (*job.values.changes, *end.changes)
        room = PAYLOAD_BYTES_MAX - (len(_encode(changes)) if changes else 0)
        if job.values is not None and job.values.emissions is not None:
            await self._emitting.prepare(job.values.emissions)
            room = max(_REFERENCE_BYTES, room - job.values.emissions.size)
        if isinstance(end, AttemptExpanded):
            if (size := len(_encode(end.steps))) > room:
                raise _too_large(size, " of steps to be added", room)
        elif isinstance(end, _WITH_OUTPUT) and len(end.output) > min(room, self._inline_bytes_max):
            command = job.command
            key = f"{command.run}/{command.step}/{command.attempt}"
            end.output = Raw(await self._stored(key, bytes(end.output), command.picks, "returned", room))

    async def _stored(
        self, key: str, output: bytes, picks: tuple[str, ...], did: str, room: int = PAYLOAD_BYTES_MAX
    ) -> bytes:
        """Store a value elsewhere; return the reference."""
        if len(output) > STORED_BYTES_MAX:
            raise _too_large(len(output), "", STORED_BYTES_MAX, did)
        try:
            stored = await self._payloads.stored(key, output, picks)
        except RejectedError as error:
            raise Fail(error.code, str(error)) from None
        if len(stored) > room:
            raise _too_large(len(stored), " at the paths that other steps' options read", room)
        return stored


def _too_large(size: int, what: str, most: int, did: str = "returned") -> Fail:
    return Fail(
        "output_too_large",
        f"the step {did} {size} bytes of JSON{what}; {most} are the most: keep it elsewhere, and pass on "
        "where it is",
        retryable=False,
    )
