"""From effects to records: what is stored with the state and published after it.

The stored form says everything a successor needs to publish the same bytes under the same ids.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from msgspec.structs import replace

from stream_durable.core.effects import CancelAttempt, Command, Effects, Publication
from stream_durable.core.failure import Failure
from stream_durable.core.format import EMITS
from stream_durable.core.lanes import queue_of
from stream_durable.core.lifecycle import StepEvent
from stream_durable.core.messages import (
    AttemptFailed,
    EmissionRefused,
    EventDelivered,
    FormatRaised,
    Message,
)
from stream_durable.core.run.children import undelivered
from stream_durable.engine.partition import fingerprint
from stream_durable.ports import Headers, Outgoing, Record, Refusal
from stream_durable.wire import cloudevents, inbox, lifecycle
from stream_durable.wire.dead import Letter, dead_letter_headers, letter, without_value
from stream_durable.wire.topics import COMMANDS, DEAD, FOREIGN, INBOX, RUNS, STEPS, VERDICTS
from stream_durable.wire.verdicts import Verdict, encode_verdict

#: More are a burst of their own, and a second burst for the rest costs more than it saves.
_WOKEN_AHEAD_MAX = 50

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Outgoing]).decode


def commands(asked: Iterable[tuple[str, Command | CancelAttempt]], partition: int) -> list[Outgoing]:
    """Return the records of commands to lanes."""
    return [
        Outgoing(COMMANDS + lane, partition, command.run.encode(), inbox.encode(command))
        for lane, command in asked
    ]


def outgoing(effects: Effects, partition: int) -> list[Outgoing]:
    """Return the records that effects ask for, in order: commands, public events, messages, emitted records.

    Commands and lifecycle events of an entity go to the partition it lives in: the topics have the
    same number of partitions and the same partitioner.
    """
    messages = commands(effects.commands, partition)
    messages += [
        Outgoing(COMMANDS + lane, chosen, command.run.encode(), inbox.encode(command))
        for lane, chosen, command in effects.redirected
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
    messages += map(_message, effects.messages)
    if effects.publications:
        messages += map(_record, effects.publications)
    return messages


def take_ahead(effects: Effects, partition: int) -> list[Outgoing]:
    """Take out of effects what may be published before the state is saved, and return the records.

    The first commands if they ask for attempts, then, with no command left, the first messages if they are
    events to waiting runs: what is left is published after them, in order.
    """
    asked = effects.commands
    count = next((i for i, (_, one) in enumerate(asked) if type(one) is not Command), len(asked))
    messages, effects.commands = commands(asked[:count], partition), asked[count:]
    if not effects.commands and (woken := _woken(effects)):
        messages += map(_message, effects.messages[:woken])
        del effects.messages[:woken]
    return messages


def _woken(effects: Effects) -> int:
    """Return how many of the messages, the first ones, wake runs; no more than go ahead."""
    for i, message in enumerate(effects.messages):
        if type(message) is not EventDelivered or i == _WOKEN_AHEAD_MAX:
            return i
    return len(effects.messages)


def _message(message: Message) -> Outgoing:
    """Return the record of a message to an entity."""
    return Outgoing(INBOX, None, message.key.encode(), inbox.encode(message))


def _record(publication: Publication) -> Outgoing:
    """Return an emitted record, with the origin in headers."""
    record = publication.record
    headers = {
        _ID: publication.id, _RUN: publication.run, _STEP: publication.step,
        _ATTEMPT: str(publication.attempt), "content-type": record.content, "sd-schema": record.schema,
    }  # fmt: skip
    meta = [(name, text.encode()) for name, text in headers.items() if text]
    return Outgoing(FOREIGN + record.topic, None, record.record_key, record.value, meta)


_ID, _RUN, _STEP, _ATTEMPT = "sd-id", "sd-run", "sd-step", "sd-attempt"


def _emission_refused(message: Outgoing, refusal: Refusal) -> Outgoing:
    """Return the message to the run about a refused emission."""
    headers = {name: value.decode() for name, value in message.meta}
    told = EmissionRefused(
        key=headers[_RUN], id=headers[_ID], format=EMITS, step=headers[_STEP],
        attempt=int(headers[_ATTEMPT]), topic=message.topic.removeprefix(FOREIGN), code=refusal.code,
        reason=refusal.reason[:_FAILURE_LENGTH_MAX],
    )  # fmt: skip
    return Outgoing(INBOX, None, told.key.encode(), inbox.encode(told))


def dead_letter(topic: str, record: Record, code: str, reason: str) -> Outgoing:
    """Return the record keeping an inapplicable record: bytes untouched, with reason and origin."""
    origin = dead_letter_headers(topic, record.partition, record.offset, record.time, code, reason)
    return Outgoing(DEAD, None, *letter(record.key, record.value, record.headers, origin))


def verdict(record: Record, code: str, reason: str) -> Outgoing:
    """Return the record making every later fold refuse a record in the same way."""
    found = Verdict(offset=record.offset, fingerprint=fingerprint(record), code=code, reason=reason)
    key = b"%d/%d" % (record.partition, record.offset)
    return Outgoing(VERDICTS, record.partition, key, encode_verdict(found))


def format_record(partition: int, to: int) -> Outgoing:
    """Return the record raising a partition to this format."""
    message = FormatRaised(key=str(partition), format=to)
    return Outgoing(INBOX, partition, message.key.encode(), inbox.encode(message))


def instead(message: Outgoing, refusal: Refusal) -> Outgoing | None:
    """Return the replacement for a message refused by its topic for good; None for no replacement.

    So a refusal becomes a fact. A command's attempt fails; the run learns of an emission; a public event,
    already shortened, becomes a dead letter; so does a message to another entity, unless a run waits for
    it; a dead letter is kept without its value.
    """
    if message.topic.startswith(COMMANDS):
        return _attempt_failed(message, refusal)
    if message.topic.startswith(FOREIGN):
        return _emission_refused(message, refusal)
    if message.topic == DEAD:
        whole = Letter(*message[2:])
        return Outgoing(DEAD, None, *without_value(whole)) if whole.is_whole else None
    if message.topic == INBOX:
        assert message.value is not None, "a message is never empty"
        told = undelivered(inbox.decode_message(message.value), refusal.reason)
        if told is not None:
            return Outgoing(INBOX, None, told.key.encode(), inbox.encode(told))
    return dead_letter(
        message.topic,
        Record(-1, -1, 0, message.key, message.value),
        f"refused_{refusal.code}",
        refusal.reason,
    )


_META_LENGTH = 6
_FAILURE_LENGTH_MAX = 1_000


def _attempt_failed(message: Outgoing, refusal: Refusal) -> Outgoing:
    """Return the failure of an attempt without any worker to ask.

    A cancellation of the attempt reaches nobody either: the failure is published again, and the second counts
    as a repeat of the first.
    """
    assert message.value is not None, "a command is never empty"
    command = inbox.decode_command(message.value)
    failure = _why_not_asked(queue_of(message.topic.removeprefix(COMMANDS)), len(message.value), refusal)
    failed = AttemptFailed(key=command.run, step=command.step, attempt=command.attempt, failure=failure)
    return Outgoing(INBOX, message.partition, message.key, inbox.encode(failed))


def _why_not_asked(queue: str, size: int, refusal: Refusal) -> Failure:
    match refusal.code:
        case "no_topic":
            remedy = f"`stream-durable topics apply --queue {queue}` makes it; then retry the step"
            return Failure("no_queue", f"queue {queue!r} has no topic: {remedy}", retryable=False)
        case "not_authorised":
            text = (
                f"queue {queue!r} is closed to the reconciler ({refusal.reason}): give it the right to write"
            )
            return Failure(
                "queue_closed", f"{text} to the queue's topic; then retry the step", retryable=False
            )
        case "too_large":
            text = f"the step's input has {size} bytes; queue {queue!r} takes less ({refusal.reason})"
            remedy = (
                "raise max.message.bytes of its topic, see `stream-durable topics plan`; then retry the step"
            )
            return Failure("input_too_large", f"{text}: {remedy}", retryable=False)
        case _:
            return Failure(
                "command_refused", f"queue {queue!r} refuses it: {refusal.reason}", retryable=False
            )


def may_be_shortened(message: Outgoing) -> bool:
    """Return whether this is a public event not yet shortened."""
    return message.topic in (STEPS, RUNS) and len(message.meta) == _META_LENGTH


def shortened_statement(message: Outgoing, refusal: Refusal) -> Outgoing:
    """Return a public event under the same id, without output, failure details and question."""
    assert message.value is not None, "a statement is never empty"
    meta = (*message.meta, f"output and details are left out: {refusal.reason}"[:_FAILURE_LENGTH_MAX])
    return message._replace(value=lifecycle.encode(shortened(lifecycle.decode(message.value))), meta=meta)


def shortened(event: lifecycle.Event) -> lifecycle.Event:
    """Return a public event without output, failure details and question."""
    failure = event.failure
    if failure is not None:
        failure = replace(failure, message=failure.message[:_FAILURE_LENGTH_MAX], details=None, trace=None)
    if isinstance(event, StepEvent):
        return replace(event, output=None, failure=failure, asked=None)
    return replace(event, output=None, failure=failure)


def pack(messages: list[Outgoing]) -> bytes:
    """Return the stored form."""
    return _encode(messages)


def unpack(body: bytes) -> list[Outgoing]:
    """Read the stored form."""
    return _decode(body)


def with_headers(message: Outgoing, source: str) -> tuple[Outgoing, Headers | None]:
    """Return a message with headers for publishing."""
    if message.meta is None:
        return message, None
    if message.topic == DEAD or message.topic.startswith(FOREIGN):
        return message, [(name, value) for name, value in message.meta]
    return message, cloudevents.headers_from(message.meta, source)
