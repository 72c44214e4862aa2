"""Dead records as messages again, and remedies."""

from __future__ import annotations

from typing import Final, NamedTuple

from stream_durable.admission import learn, resolved
from stream_durable.client.dead_letters import Letter, plain_name
from stream_durable.client.edge import Edge
from stream_durable.client.replaying import topic_views
from stream_durable.client.starting import check_queue
from stream_durable.core.bindings import Binding, origin_of
from stream_durable.core.errors import RejectedError
from stream_durable.core.messages import LogMessage, StartRun, StartTriggered
from stream_durable.ports import Outgoing, Record
from stream_durable.wire.bindings import read_bound
from stream_durable.wire.dead import Origin
from stream_durable.wire.events import FromOutside, Start, admit
from stream_durable.wire.foreign import Values
from stream_durable.wire.inbox import decode_message
from stream_durable.wire.records import read as read_record
from stream_durable.wire.topics import COMMANDS, EVENTS, FOREIGN, INBOX, RUNS, STEPS, STREAM

#: Codes of faults of the record itself: it is refused again as long as it is the same.
_FAULTS: Final = frozenset(
    {
        "unreadable", "too_large", "wrong_key", "bad_id", "reserved_id", "reserved_key", "bad_name",
        "bad_key", "no_key", "invalid", "unknown_form", "ambiguous", "not_supported", "no_workflow", "nobody",
        "nothing_to_change", "not_changeable", "too_many_changes", "bad_context", "bad_token", "forged_token",
    }
)  # fmt: skip
_RISKS: Final = frozenset({"unfoldable", "crashes", "unstorable", "buried"})


class Advice(NamedTuple):
    """The remedy for a dead record."""

    remedy: str
    #: Whether giving it again has a meaning.
    can_redrive: bool


def advice(letter: Letter) -> Advice:
    """Return the remedy, by origin and reason."""
    origin = letter.found.origin
    if (obstacle := _obstacle(letter)) is not None:
        return Advice(obstacle, can_redrive=False)
    command = f"`stream-durable records redrive {letter.shown.id}`"
    if origin.code in _FAULTS:
        where = plain_name(origin.topic)
        text = f"correct what writes such records, and publish the corrected one on {where}: unchanged it is "
        return Advice(f"{text}refused again, unless what reads it was changed; then {command}", True)  # noqa: FBT003
    if origin.code in _RISKS:
        cause = "install a release without the fault, or mend what held up its partition"
        return Advice(f"{cause}, then {command}", True)  # noqa: FBT003
    return Advice(f"remove the cause that the reason names, then {command}", True)  # noqa: FBT003


async def given_again(edge: Edge, letter: Letter, topic_ids: dict[str, str]) -> Outgoing:
    """Return the message of a dead record. Raises `RejectedError` where there can be none.

    The catalogue is read to its end before. Looked-up ids of topics are kept in `topic_ids`.
    """
    try:
        return await _given_again(edge, letter, topic_ids)
    except RejectedError as error:
        raise not_given(letter, error) from error


def not_given(letter: Letter, error: RejectedError) -> RejectedError:
    """Return the error of a dead record refused again."""
    code = "" if error.code == "not_redrivable" else f"{error.code}: "
    return RejectedError("not_redrivable", f"record {letter.shown.id} cannot be given again: {code}{error}")


async def _given_again(edge: Edge, letter: Letter, topic_ids: dict[str, str]) -> Outgoing:
    record, origin = letter.record, letter.found.origin
    if (obstacle := _obstacle(letter)) is not None:
        raise RejectedError("not_redrivable", obstacle)
    assert record.value is not None, "that is an obstacle"
    if origin.topic == INBOX:
        _check(edge, record.key, record.value)
        return Outgoing(INBOX, None, record.key, record.value)
    first = Record(
        origin.partition, origin.offset, origin.time, record.key, record.value, headers=letter.found.headers
    )
    if origin.topic not in topic_ids:
        topic_ids[origin.topic] = await _topic_id(edge, origin)
    own_id = f"{topic_ids[origin.topic]}-{origin.partition}-{origin.offset}"
    if origin.topic == EVENTS:
        read = read_record(
            first.key, first.value, first.headers, own_id=own_id, ttl_ms=edge.ports.event_ttl_ms,
            time=first.time,
        )  # fmt: skip
        return await _message(edge, read)
    return await _bound(edge, origin, first, own_id)


def _check(edge: Edge, key: bytes | None, value: bytes) -> None:
    """Raise for a record refused again by the inbox, or holding up its partition."""
    message = decode_message(value)
    if isinstance(message, LogMessage):
        text = (
            "it is about a partition of the inbox as a whole, as that was at its place: processes make others"
        )
        raise RejectedError("not_redrivable", text)
    if key != message.key.encode():
        raise RejectedError(
            "wrong_key", f"the record's key is not {message.key!r}: publish it under that key"
        )
    if isinstance(message, StartTriggered) and message.failure is not None:
        remedy = f"`stream-durable triggers replay {message.on}` makes the start again from the event"
        raise RejectedError(message.failure.code, f"{message.failure.message}; {remedy}")
    catalogue = edge.ports.catalogue
    if isinstance(message, StartRun) and catalogue.graph(message.fingerprint) is None:
        text = f"the definition of workflow {message.workflow!r} that it names is not registered"
        raise RejectedError("unknown_workflow", f"{text}: {catalogue.lacking(message.fingerprint)}")


async def _bound(edge: Edge, origin: Origin, record: Record, own_id: str) -> Outgoing:
    """Return the message of the binding named by the reason."""
    topic, ports = plain_name(origin.topic), edge.ports
    binding = _binding_of(edge, origin)
    if binding is None:
        text = f"the binding of topic {topic!r} that could not take it is not declared any more: declare it "
        raise RejectedError("not_redrivable", f"{text}again, or give it to another by `bindings replay`")
    values = Values(binding, has_registry=ports.registry is not None)
    await edge.ask(lambda: learn(values, [record.value], ports.registry), "look up what a record takes")
    read = read_bound(binding, values, record, own_id, ports.event_ttl_ms)
    if read is None:
        text = f"binding {binding.name!r} takes no such record by now, for its match= is not met"
        raise RejectedError("not_redrivable", f"{text}: change the binding, or leave the record")
    return await _message(edge, read)


def _binding_of(edge: Edge, origin: Origin) -> Binding | None:
    """Return the binding named at the beginning of the reason."""
    topic = plain_name(origin.topic)
    for binding in edge.ports.catalogue.declared.bindings().values():
        if binding.topic == topic and origin.reason.startswith(origin_of(binding.name)):
            return binding
    return None


async def _message(edge: Edge, read: FromOutside) -> Outgoing:
    if isinstance(read, Start):
        await check_queue(edge, read.queue)
    message = resolved(read, edge.ports.catalogue, edge.ports.tokens)
    return Outgoing(INBOX, None, message.key.encode(), admit(message))


async def _topic_id(edge: Edge, origin: Origin) -> str:
    """Return the id of a record's topic, part of the ids of messages made of the record."""
    reader = topic_views(edge).reader(origin.topic)
    bounds = await edge.ask(reader.bounds, f"look at topic {plain_name(origin.topic)!r}")
    return next(found.topic_id for found in bounds.values())


def _obstacle(letter: Letter) -> str | None:
    """Return the lasting reason against giving a record again, with the remedy; None: there is none."""
    origin = letter.found.origin
    if not (origin.topic in (INBOX, EVENTS) or origin.topic.startswith(FOREIGN)):
        return _elsewhere(origin)
    if letter.record.value is None:
        cause = "it has no value" if letter.found.is_whole else "its value was too large to be kept"
        return f"{cause}: publish it on {plain_name(origin.topic)} anew"
    return None


def _elsewhere(origin: Origin) -> str:
    """Return the remedy for a record of no use on the inbox."""
    if origin.topic.startswith(STREAM):
        text = f"a function of yours reads {plain_name(origin.topic)}: mend it, and publish the record there"
        return f"{text} again. A repeat is a new record to all who read that topic"
    if origin.topic.startswith(COMMANDS):
        return "it is no command, or of a newer release; lost commands are requested again by themselves"
    if origin.topic in (STEPS, RUNS):
        return (
            f"the topic {origin.topic} refused this public event; raise its max.message.bytes for later ones"
        )
    return "nobody of ours wrote it: publish it on the topic that it is meant for"
