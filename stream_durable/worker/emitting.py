"""Prepares emissions for the message: default times to live, and versions of workflows."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from stream_durable.core.errors import RejectedError
from stream_durable.core.format import EMITS
from stream_durable.core.messages import (
    AttemptCancels,
    AttemptCompleted,
    AttemptEmitted,
    AttemptEnd,
    AttemptExpanded,
    AttemptFinished,
    AttemptJumped,
    AttemptMessage,
    AttemptSkipped,
    Emission,
    EmittedEvent,
    EmittedRecord,
    EmittedStart,
)
from stream_durable.ports import Current, Registry
from stream_durable.retrying import retry_transient
from stream_durable.sdk.answers import Fail
from stream_durable.sdk.emitting import Emissions
from stream_durable.sdk.values import Values
from stream_durable.wire.foreign import framed
from stream_durable.worker.ends import Attempt
from stream_durable.worker.job import Job

_ENDS = (AttemptCompleted, AttemptSkipped, AttemptJumped, AttemptExpanded, AttemptFinished, AttemptCancels)
#: How long an event is kept by default, if nobody says otherwise.
DAY_MS = 86_400_000


class Emitting:
    """Resolves emissions, with a catalogue of the definitions."""

    def __init__(
        self,
        catalogue: Current | None = None,
        event_ttl_ms: int = DAY_MS,
        *,
        registry: Registry | None = None,
        schemas: Mapping[tuple[str, str], str] | None = None,
    ) -> None:
        """Without a catalogue, the versions given by authors are believed.

        With a registry, Avro has its frame; `schemas` are texts by topic and fingerprint.
        """
        self._catalogue = catalogue
        self._event_ttl_ms = event_ttl_ms
        self._registry = registry
        self._schemas = {} if schemas is None else schemas
        #: By topic and fingerprint.
        self._numbers: dict[tuple[str, str], int] = {}

    async def prepare(self, emissions: Emissions) -> None:
        """Complete the emissions, or raise the step's failure."""
        for i, emission in enumerate(emissions.list):
            emissions.list[i] = await self._prepared(emission)

    async def _prepared(self, emission: Emission) -> Emission:
        if isinstance(emission, EmittedEvent):
            if not emission.event_key:
                await self._check_taken(emission.event)
            return emission if emission.ttl_ms else replace(emission, ttl_ms=self._event_ttl_ms)
        if isinstance(emission, EmittedStart):
            return await self._start(emission, self._catalogue)
        if isinstance(emission, EmittedRecord) and self._registry is not None and emission.schema:
            return await self._registered(emission, self._registry)
        return emission

    async def _registered(self, emission: EmittedRecord, registry: Registry) -> EmittedRecord:
        """Return a record in Avro with the frame of the registry; waits for an absent registry."""
        of = emission.topic, emission.schema
        if (text := self._schemas.get(of)) is None or emission.value is None:
            return emission
        if of not in self._numbers:
            try:
                self._numbers[of] = await retry_transient(
                    lambda: registry.register(emission.topic, text), "register a schema"
                )
            except RejectedError as error:
                what = f"the value for topic {emission.topic!r} cannot be emitted"
                raise Fail("bad_emission", f"{what}: {error}", retryable=False) from error
        return replace(emission, value=framed(self._numbers[of], emission.value))

    async def _check_taken(self, event: str) -> None:
        """Raise for an event without a key that no trigger takes."""
        catalogue = self._catalogue
        if catalogue is None or catalogue.declared.takes(event):
            return
        await catalogue.catch_up()
        if not catalogue.declared.takes(event):
            text = f"event {event!r} has no key, and no trigger takes it"
            raise Fail("no_key", f"{text}: give key=, or declare a trigger with `app.on`", retryable=False)

    async def _start(self, emission: EmittedStart, catalogue: Current | None) -> EmittedStart:
        if catalogue is None:
            return emission
        fingerprint = emission.fingerprint
        if not fingerprint or catalogue.graph(fingerprint) is None:
            await catalogue.catch_up()
            fingerprint = fingerprint or catalogue.current(emission.workflow) or ""
        if not fingerprint or catalogue.graph(fingerprint) is None:
            raise Fail(
                "unknown_workflow",
                f"workflow {emission.workflow!r} is not registered, so no run of it can be started: name it "
                "in the workflows= of this app, or start a worker that has it",
            )
        refusal = catalogue.about(fingerprint).refusal(emission.workflow, bytes(emission.input))
        if isinstance(refusal, RejectedError):
            raise Fail(refusal.code, f"no run can be started: {refusal}", retryable=False)
        return replace(emission, fingerprint=fingerprint)


def with_emissions(end: AttemptEnd, attempt: Attempt) -> AttemptMessage:
    """Return the message about an attempt's end, with emissions and attributes unless failed."""
    values = attempt.values
    if values is None or (values.emissions is None and not values.attributes) or not isinstance(end, _ENDS):
        return end
    emissions = () if values.emissions is None else tuple(values.emissions.list)
    return AttemptEmitted(
        key=end.key, step=end.step, attempt=end.attempt, worker=end.worker, format=EMITS, end=end,
        emissions=emissions, attributes=tuple(values.attributes.values()),
    )  # fmt: skip


def taken_over(made: AttemptEnd | AttemptEmitted, job: Job) -> AttemptEnd:
    """Return the end of an attempt made by another process; take over emissions, attributes and the cost."""
    end = made.end if isinstance(made, AttemptEmitted) else made
    if end.spent is not None:
        job.values = job.values or Values()
        job.values.spend(end.spent)
    if isinstance(made, AttemptEmitted):
        if job.values is None:
            job.values = Values()
        if made.emissions:
            job.values.emitting().extend(made.emissions)
        job.values.set_attributes(made.attributes)
        return made.end
    return made
