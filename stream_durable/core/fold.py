"""The one place where a message meets its entity.

`fold` changes the entity in place and notes what it asks of the outside. A message that makes no
sense raises `RejectedError` before anything has changed; any other exception is a bug of ours, and
the caller must throw the entity away, since it may have been changed by half.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from stream_durable.core.channel import fold as channel_fold
from stream_durable.core.channel.state import Channel
from stream_durable.core.definition.graph import Graph
from stream_durable.core.effects import Effects
from stream_durable.core.errors import RejectedError
from stream_durable.core.gate import fold as gate_fold
from stream_durable.core.gate.state import Gate
from stream_durable.core.ids import (
    ID_BYTES_MAX,
    PAYLOAD_BYTES_MAX,
    QUEUE,
    QUEUE_RULE,
    RESERVED_RULE,
    byte_length,
    fits,
    is_derived,
)
from stream_durable.core.log import Log, ask_again, raise_format
from stream_durable.core.messages import (
    AttemptCompleted,
    AttemptExpanded,
    AttemptFailed,
    AttemptFinished,
    AttemptHeartbeat,
    AttemptJumped,
    AttemptReturned,
    AttemptSkipped,
    AttemptStarted,
    CancelRun,
    CancelStep,
    ChannelContinued,
    ChannelTimerFired,
    ChildEnded,
    CommandsLost,
    EventDelivered,
    EventPublished,
    FormatRaised,
    GateAsked,
    GateLeft,
    GatePassed,
    GateTimerFired,
    Message,
    PauseRun,
    ResumeRun,
    RetryRun,
    RunContinued,
    RunTimerFired,
    SignalRun,
    SkipStep,
    StartRun,
    WaitChecked,
    WaitClosed,
    WaitOpened,
)
from stream_durable.core.run import answers, attempts, orders, start, waits
from stream_durable.core.run.state import Run
from stream_durable.core.status import Outcome

Entity = Run | Channel | Gate | Log
Handler = Callable[[Any, Any, int, Effects], Outcome]

HANDLERS: dict[type[Message], Handler] = {
    StartRun: start.start,
    CancelRun: start.cancel,
    AttemptStarted: attempts.started,
    AttemptHeartbeat: attempts.heartbeat,
    AttemptCompleted: attempts.completed,
    AttemptFailed: attempts.failed,
    AttemptReturned: attempts.returned,
    AttemptSkipped: answers.skipped,
    AttemptJumped: answers.jumped,
    AttemptExpanded: answers.expanded,
    AttemptFinished: answers.finished,
    GatePassed: attempts.passed_gate,
    PauseRun: orders.pause,
    ResumeRun: orders.resume,
    CancelStep: orders.cancel_step,
    SkipStep: orders.skip_step,
    RetryRun: orders.retry,
    ChildEnded: waits.child,
    SignalRun: waits.signal,
    EventDelivered: waits.event,
    WaitChecked: waits.check,
    RunContinued: orders.go_on,
    RunTimerFired: waits.timer,
    EventPublished: channel_fold.publish,
    WaitOpened: channel_fold.open_wait,
    WaitClosed: channel_fold.close_wait,
    ChannelContinued: channel_fold.go_on,
    ChannelTimerFired: channel_fold.expire,
    GateAsked: gate_fold.ask,
    GateLeft: gate_fold.leave,
    GateTimerFired: gate_fold.fire,
    FormatRaised: raise_format,
    CommandsLost: ask_again,
}


def fold(entity: Entity, message: Message, now: int, out: Effects) -> Outcome:
    """Apply one message to its entity."""
    out.load = 0
    return HANDLERS[type(message)](entity, message, now, out)


def create(message: Message, partition: int, graphs: Callable[[str], Graph | None]) -> Entity:
    """Return the entity a message is the first to reach, or refuse a message that cannot be first."""
    key = message.key
    if not key or not fits(key):
        text = f"an id has 1 to {ID_BYTES_MAX} bytes of UTF-8, this one {byte_length(key)}"
        raise RejectedError("bad_id", text)
    if message.kind == "channel":
        return Channel(key, partition)
    if message.kind == "gate":
        return Gate(key, partition)
    if message.kind == "log":
        return Log(key, partition)
    if type(message) is not StartRun:
        raise RejectedError("unknown_run", f"there is no run {key!r}")
    if is_derived(key) and not message.parent:
        raise RejectedError("reserved_id", f"{key[:128]!r} cannot be a run's id: {RESERVED_RULE}")
    graph = graphs(message.fingerprint)
    if graph is None or graph.name != message.workflow:
        raise RejectedError(
            "unknown_workflow",
            f"workflow {message.workflow[:128]!r} has no definition {message.fingerprint[:64]!r}",
        )
    if message.queue and not QUEUE.match(message.queue):
        raise RejectedError("bad_queue", f"{message.queue[:128]!r} is not a name for a queue: {QUEUE_RULE}")
    if len(bytes(message.input)) > PAYLOAD_BYTES_MAX:
        raise RejectedError("too_large", f"an input has at most {PAYLOAD_BYTES_MAX} bytes of JSON")
    return Run(key, partition, graph)
