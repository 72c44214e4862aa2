"""Measurement of runs started by records of a topic of others."""

from __future__ import annotations

import asyncio
import time
from contextlib import closing
from typing import Final

from confluent_kafka.admin import AdminClient
from pydantic import BaseModel

from stream_durable import App
from stream_durable.bench.app import app
from stream_durable.bench.instance import Instance
from stream_durable.bench.load import PATIENCE_SECONDS, Watcher, prefixes_of
from stream_durable.bench.report import Sample
from stream_durable.bench.work import new_runs
from stream_durable.client.rules import declare_rules
from stream_durable.core.lifecycle import RUN_STARTED, RunEvent
from stream_durable.kafka.config import config
from stream_durable.kafka.definitions import KafkaDefinitions
from stream_durable.kafka.own_topics import make_own_topics
from stream_durable.kafka.publisher import KafkaPublisher
from stream_durable.wire.topics import RUNS, full_name

_STARTED: Final = prefixes_of(RunEvent, RUN_STARTED)


class Theirs(BaseModel):
    """The declared type of values: a check of each is part of the cost."""

    id: str
    data: dict[str, str]


def bound(made: Instance, n: int) -> Sample:
    """Measure records of a bound topic, from the first one until the last run has begun."""
    topic = full_name(made.settings.prefix, "theirs")
    asyncio.run(_declare(made, topic))
    made.start()
    try:
        with closing(Watcher(made.settings, RUNS, _STARTED)) as started:

            def begin(runs: list[str]) -> None:
                for run in runs:
                    made.load.record(topic, run)
                made.load.flush()
                started.wait(runs, made.check)

            # The ingress has joined the group, and every partition was read.
            begin(new_runs(10 * made.settings.kafka.partitions))
            runs = new_runs(n)
            return made.measure(runs, lambda: begin(runs))
    finally:
        made.stop()
        admin = AdminClient(config(made.settings.kafka, "bench"))
        admin.delete_topics([topic])[topic].result(PATIENCE_SECONDS)


async def _declare(made: Instance, topic: str) -> None:
    """Make the topic, and bind the topic as apps do."""
    kafka = made.settings.kafka
    await make_own_topics(kafka, [topic], kafka.partitions)
    binding = App("binding", workflows=[app.workflows["bound"]])
    theirs = binding.topic(topic, value=Theirs)
    binding.on(theirs, start=app.workflows["bound"], id="id", since="earliest", name="theirs")
    publisher = KafkaPublisher(kafka, made.settings.prefix, client="bench")
    definitions = KafkaDefinitions(kafka, made.settings.prefix, publisher, client="bench")
    await definitions.catch_up()
    await declare_rules(definitions, binding.name, binding.rules, time.time_ns() // 1_000_000)
    await publisher.close()
    await definitions.close()
