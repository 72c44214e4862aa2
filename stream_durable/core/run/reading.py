"""Registers the reactions of a run with the channels of their events."""

from __future__ import annotations

from collections.abc import Iterator

from stream_durable.core.definition.nodes import BesideNode
from stream_durable.core.effects import Effects
from stream_durable.core.errors import RejectedError
from stream_durable.core.failure import Failure
from stream_durable.core.format import READS
from stream_durable.core.ids import channel_id
from stream_durable.core.messages import EventGiven, EventReacted, ReadClosed, ReadOpened
from stream_durable.core.names import beside_name
from stream_durable.core.run.state import Requests, Run
from stream_durable.core.run.waiting import event_key, forget_key


def ordinal_of(run: Run) -> int:
    """Return the number of registrations of a run."""
    return 0 if run.requests is None else run.requests.reads


def register(run: Run, since: int, out: Effects) -> Failure | None:
    """Register all reactions for events since a time, or return the fault of a key."""
    requests = run.requests = run.requests or Requests()
    for node in run.graph.beside.values():
        forget_key(run, node)
    try:
        channels = list(_channels(run))
    except RejectedError as error:
        return Failure(error.code, str(error), retryable=False)
    requests.reads += 1
    requests.reads_since = since
    _open(run, channels, out)
    return None


def register_again(run: Run, out: Effects) -> None:
    """Repeat a possibly lost registration; events under way are given again."""
    if ordinal_of(run):
        _open(run, list(_channels(run)), out)


def unregister(run: Run, out: Effects) -> None:
    """End all reactions with the run."""
    for node, channel in _channels(run) if ordinal_of(run) else ():
        out.messages.append(_closed(run, channel, beside_name(node.name), ordinal_of(run)))


def acknowledge(run: Run, node: BesideNode, number: int, room: int, out: Effects) -> None:
    """Request so many events after this number."""
    name, channel = beside_name(node.name), channel_id(node.event, event_key(run, node))
    out.messages.append(
        EventReacted(key=channel, run=run.id, reaction=name, ordinal=ordinal_of(run), number=number,
                     room=room, format=READS)
    )  # fmt: skip


def decline(run: Run, message: EventGiven, out: Effects) -> None:
    """Close the registration behind an event."""
    out.messages.append(_closed(run, message.channel, message.reaction, message.ordinal))


def _closed(run: Run, channel: str, reaction: str, ordinal: int) -> ReadClosed:
    return ReadClosed(key=channel, run=run.id, reaction=reaction, ordinal=ordinal, format=READS)


def _open(run: Run, channels: list[tuple[BesideNode, str]], out: Effects) -> None:
    requests = run.requests
    assert requests is not None
    out.messages += (
        ReadOpened(key=channel, run=run.id, reaction=beside_name(node.name), ordinal=requests.reads,
                   since=requests.reads_since, format=READS)
        for node, channel in channels
    )  # fmt: skip


def _channels(run: Run) -> Iterator[tuple[BesideNode, str]]:
    for node in run.graph.beside.values():
        if node.on == "event":
            yield node, channel_id(node.event, event_key(run, node))
