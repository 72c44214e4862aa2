"""From effects to records: what is stored with the state and published after it.

The stored form says everything a successor needs to publish the same bytes under the same ids.
"""

from __future__ import annotations

import msgspec

from stream_durable.core.effects import Effects
from stream_durable.core.failure import Failure
from stream_durable.core.lifecycle import StepEvent
from stream_durable.core.messages import AttemptFailed
from stream_durable.engine.partition import fingerprint
from stream_durable.ports import Headers, Outgoing, Record
from stream_durable.wire import cloudevents, inbox, lifecycle
from stream_durable.wire.dead import dead_letter_headers
from stream_durable.wire.verdicts import Verdict, encode_verdict

INBOX, STEPS, RUNS, DEAD, VERDICTS = "inbox", "steps", "runs", "dead", "verdicts"
COMMANDS = "commands."

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Outgoing]).decode


def outgoing(effects: Effects, partition: int) -> list[Outgoing]:
    """Return the records that effects ask for, in order.

    Commands and lifecycle events of an entity go to the partition it lives in: the topics have the
    same number of partitions and the same partitioner.
    """
    messages = [
        Outgoing(COMMANDS + queue, partition, command.run.encode(), inbox.encode(command))
        for queue, command in effects.commands
    ]
    messages += [
        Outgoing(
            STEPS if type(event) is StepEvent else RUNS,
            partition,
            event.run.encode(),
            lifecycle.encode(event),
            cloudevents.meta(event),
        )
        for event in effects.events
    ]
    messages += [Outgoing(INBOX, None, m.key.encode(), inbox.encode(m)) for m in effects.messages]
    return messages


def dead_letter(topic: str, record: Record, code: str, reason: str) -> Outgoing:
    """Return the record that keeps what could not be applied: bytes untouched, reason and origin beside."""
    origin = dead_letter_headers(topic, record.partition, record.offset, record.time, code, reason)
    return Outgoing(DEAD, None, record.key, record.value, [*(record.headers or ()), *origin])


def verdict(record: Record, code: str, reason: str) -> Outgoing:
    """Return the record that lets everybody who folds this one again refuse it in the same way."""
    found = Verdict(offset=record.offset, fingerprint=fingerprint(record), code=code, reason=reason)
    key = b"%d/%d" % (record.partition, record.offset)
    return Outgoing(VERDICTS, record.partition, key, encode_verdict(found))


def is_commands(topic: str) -> bool:
    """Say whether a topic is for workers."""
    return topic.startswith(COMMANDS)


def sendable(
    given: tuple[Outgoing, Headers | None], missing: frozenset[str]
) -> tuple[Outgoing, Headers | None]:
    """Return a message, or what is said instead of a command for a queue that has no topic.

    One queue that is not there must hold up nobody else. So the attempt fails, and this is a fact on the
    log like any other. Told to stop what could not begin, nobody hears it: the failure says so again, and
    the second time is the first one's repeat.
    """
    message, _ = given
    if message.topic not in missing or not is_commands(message.topic):
        return given
    assert message.value is not None, "a command is never empty"
    queue = message.topic.removeprefix(COMMANDS)
    command = inbox.decode_command(message.value)
    remedy = f"`stream-durable topics apply --queue {queue}` makes it; then retry the step"
    failed = AttemptFailed(
        key=command.run,
        step=command.step,
        attempt=command.attempt,
        failure=Failure("no_queue", f"queue {queue!r} has no topic: {remedy}", retryable=False),
    )
    return Outgoing(INBOX, None, message.key, inbox.encode(failed)), None


def pack(messages: list[Outgoing]) -> bytes:
    """Return the stored form."""
    return _encode(messages)


def unpack(body: bytes) -> list[Outgoing]:
    """Read the stored form."""
    return _decode(body)


def with_headers(message: Outgoing, source: str) -> tuple[Outgoing, Headers | None]:
    """Return a message with the headers it is published under."""
    if message.meta is None:
        return message, None
    if message.topic == DEAD:
        return message, [(name, value) for name, value in message.meta]
    return message, cloudevents.headers_from(message.meta, source)
