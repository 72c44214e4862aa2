"""The only place for applying messages to entities.

`fold` changes the entity in place and collects effects. An invalid message raises `RejectedError` before any
change; any other exception is a bug, and the caller must discard the entity, possibly half changed.
"""

from __future__ import annotations

from stream_durable.core.effects import Effects, Handler
from stream_durable.core.entities import ENTITIES, Entity, Graphs
from stream_durable.core.errors import RejectedError
from stream_durable.core.ids import ID_BYTES_MAX, byte_length, fits
from stream_durable.core.messages import (
    EventGiven,
    Message,
    PlaceGiven,
    ReadClosed,
    RunAdmitted,
    RunFollowed,
    RunMerged,
    StartRun,
    StartScheduled,
)
from stream_durable.core.run import children, entering, following, passing
from stream_durable.core.status import Outcome

HANDLERS: dict[type[Message], Handler] = {
    message: handler for kind in ENTITIES.values() for message, handler in kind.handlers.items()
}


def fold(entity: Entity, message: Message, now: int, out: Effects) -> Outcome:
    """Apply a message to an entity."""
    out.load = 0
    return HANDLERS[type(message)](entity, message, now, out)


def create(message: Message, partition: int, graphs: Graphs) -> Entity:
    """Return the entity a message is the first to reach, or refuse a message that cannot be first."""
    key = message.key
    if not key or not fits(key):
        text = f"an id has 1 to {ID_BYTES_MAX} bytes of UTF-8, this one {byte_length(key)}"
        raise RejectedError("bad_id", text)
    return ENTITIES[message.kind].create(message, partition, graphs)


def check_home(message: Message, partition: int, home: int) -> None:
    """Refuse a message in a partition other than the entity's."""
    if home != partition:
        text = f"{message.kind} {message.key[:128]!r} lives in partition {home}"
        raise RejectedError("wrong_partition", text)


def refuse(message: Message, error: RejectedError, out: Effects) -> None:
    """Add the effects of a refused message: nobody must wait for a run that was never started, or is gone."""
    is_awaited = isinstance(message, StartRun) and (message.parent or isinstance(message, StartScheduled))
    if is_awaited and error.code != "wrong_partition":
        assert isinstance(message, StartRun)
        out.messages.append(children.refused(message, error))
    elif isinstance(message, PlaceGiven) and message.is_held and error.code == "unknown_run":
        out.messages.append(passing.declined(message))
    elif isinstance(message, RunAdmitted | RunMerged) and error.code == "unknown_run":
        out.messages.append(entering.left(message.key, message.admission, message.attempt))
    elif isinstance(message, RunFollowed) and error.code == "unknown_run":
        out.messages.append(following.lost(message, str(error)))
    elif isinstance(message, EventGiven) and error.code == "unknown_run":
        out.messages.append(
            ReadClosed(key=message.channel, run=message.key, reaction=message.reaction,
                       ordinal=message.ordinal, format=message.format)
        )  # fmt: skip
