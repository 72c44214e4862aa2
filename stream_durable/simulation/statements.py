"""Invariants of the public events of every world."""

from __future__ import annotations

from collections.abc import Iterator

from stream_durable.engine import outbox
from stream_durable.lanes import size_of
from stream_durable.ports import Outgoing
from stream_durable.simulation.oracle import Oracle
from stream_durable.simulation.world import World
from stream_durable.wire import cloudevents, lifecycle
from stream_durable.wire.topics import RUNS, STEPS


def lifecycle_is_gapless(world: World, oracle: Oracle) -> Iterator[str]:  # noqa: C901 - one look
    """I8: without repeats, the events about a run are 1, 2, 3 and so on, and equal the fold's."""
    for topic, wanted in ((STEPS, oracle.step_events), (RUNS, oracle.run_events)):
        last: dict[str, int] = {}
        for record in world.broker.topic(topic).records():
            headers = dict(record.headers or ())
            run, _, number = headers["ce_id"].decode().rsplit("/", 2)
            sequence = int(number)
            statements = wanted.get(run, ())
            if sequence > len(statements):
                yield f"{topic}: {run} has a statement {sequence}, the fold says {len(statements)}"
                continue
            statement = statements[sequence - 1]
            if (why := headers.pop(cloudevents.SHORTENED, None)) is not None:
                yield from _was_too_large(world, topic, statement, headers, why)
                statement = outbox.shortened(statement)
            if record.value != lifecycle.encode(statement):
                yield f"{topic}: statement {sequence} about {run} is not that of the fold: {statement}"
            if headers != dict(cloudevents.headers(statement, headers["ce_source"].decode())):
                yield f"{topic}: the headers of statement {sequence} about {run} are others"
            if sequence > last.get(run, 0) + 1:
                yield f"{topic}: {run} has statement {sequence} after {last.get(run, 0)}"
            last[run] = max(last.get(run, 0), sequence)
        for run, statements in wanted.items():
            if last.get(run, 0) != len(statements):
                yield f"{topic}: {run} has {last.get(run, 0)} statements, the fold says {len(statements)}"


def _was_too_large(
    world: World, topic: str, statement: lifecycle.Event, headers: dict[str, bytes], why: bytes
) -> Iterator[str]:
    key, value = statement.run.encode(), lifecycle.encode(statement)
    whole = size_of(Outgoing(topic, 0, key, value), list(headers.items()))
    if whole <= world.broker.limits.get(topic, whole):
        yield f"{topic}: a statement about {statement.run} was shortened for no reason: {why!r}"
