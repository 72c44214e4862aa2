"""Invariants of commands and of messages between entities: each has a cause."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from stream_durable.core.effects import CancelAttempt, Command
from stream_durable.core.ids import is_derived
from stream_durable.core.messages import (
    AdmissionAsked,
    AttemptNoted,
    CancelRun,
    ChildEnded,
    CommandsLost,
    EventPublished,
    GateAsked,
    Message,
    PlaceAsked,
    RunContinued,
    RunFollowed,
    ScheduledRunEnded,
    SignalRun,
    StartRun,
    StartScheduled,
    WaitOpened,
)
from stream_durable.core.status import Outcome
from stream_durable.ports import Record
from stream_durable.simulation.oracle import Judged, Oracle
from stream_durable.simulation.workload.scripts import FOR_LATER
from stream_durable.simulation.world import World
from stream_durable.wire import inbox
from stream_durable.wire.topics import COMMANDS

#: What is said once more of what is open, after a log was lost.
_ASKED_AGAIN = (
    WaitOpened, StartRun, GateAsked, PlaceAsked, RunContinued, ChildEnded, ScheduledRunEnded, AdmissionAsked,
    RunFollowed,
)  # fmt: skip


def commands_have_causes(world: World, oracle: Oracle) -> Iterator[str]:
    """I5: the commands on the topics are those of the fold, byte for byte.

    Commands repeated after a loss carry the values of that time, and may be marked so.
    """
    as_told = _without_moment if world.lives.has_losses or lost_commands(world, oracle) else _without_kept
    wanted = {(queue, *_identity(command), as_told(command)) for queue, command in oracle.commands}
    found = set()
    for name, record in commands(world):
        assert record.value is not None
        command = inbox.decode_command(record.value)
        key = (name.removeprefix(COMMANDS), *_identity(command), as_told(command))
        if key in wanted or command.run not in oracle.ahead:
            found.add(key)
    yield from differences("command", dict.fromkeys(found), dict.fromkeys(wanted))


def commands(world: World) -> Iterator[tuple[str, Record]]:
    for name in world.broker.names():
        if name.startswith(COMMANDS):
            for record in world.broker.topic(name).records():
                if (name, record.partition, record.offset) not in world.journal.garbage_commands:
                    yield name, record


def passes_inside(world: World, oracle: Oracle) -> int:
    """Return how often functions may be called again for what they wait for and keep.

    Once for each pass; and in these worlds a plain function, which cannot block, once for each kept value.
    """
    passes = {record.value for _, record in commands(world) if b'"passes":' in (record.value or b"")}
    return len(passes) + sum(isinstance(each.message, AttemptNoted) for each in oracle.judged.values())


def lost_commands(world: World, oracle: Oracle) -> set[int]:
    """Return the partitions with unknown command progress."""
    told = {place[0] for place, each in oracle.judged.items() if isinstance(each.message, CommandsLost)}
    return told | {r.partition for r in world.lives.lost if b'"log.commands_lost"' in (r.value or b"")}


def messages_have_causes(world: World, oracle: Oracle) -> Iterator[str]:
    """I5: every message between entities has a cause, and every cause a message on the inbox.

    Exceptions: messages lost before their fold, repeats of open requests, and repeated waits without a start
    time.
    """
    as_told = _without_since if world.lives.has_losses or lost_commands(world, oracle) else _unresolved
    # A client's signal to a merged run goes on as the client's.
    wanted = {as_told(message) for message in oracle.messages if not _is_of_client(message)}
    kinds = {type(message) for message in oracle.messages}
    found = {
        as_told(judged.message)
        for judged in oracle.judged.values()
        if judged.message is not None
        and type(judged.message) in kinds
        and (judged.outcome is not Outcome.DEAD or is_of_what_was_lost(world, judged))
        and not _is_of_client(judged.message)
        and not (world.lives.has_losses and isinstance(judged.message, _ASKED_AGAIN))
    }
    lost = {record.value for record in world.lives.lost}
    wanted = {said for said in wanted if said in found or (said not in lost and not _is_again(world, said))}
    yield from differences("message", dict.fromkeys(found), dict.fromkeys(wanted))


def _is_again(world: World, said: bytes) -> bool:
    """Return whether a message belongs to a kind exempt after repeats."""
    return world.lives.has_losses and isinstance(inbox.decode_message(said), _ASKED_AGAIN)


def is_of_what_was_lost(world: World, judged: Judged) -> bool:
    """Return whether a record was about an unknown run, or message for later, with a lost start."""
    is_unknown = judged.code in ("unknown_run", "unknown_later")
    return is_unknown and judged.record.key in {record.key for record in world.lives.lost}


def differences(what: str, found: Mapping[Any, Any], wanted: Mapping[Any, Any]) -> Iterator[str]:
    for key in found.keys() - wanted.keys():
        yield f"{what} {key} is there and should not be: {found[key]}"
    for key in wanted.keys() - found.keys():
        yield f"{what} {key} is missing: {wanted[key]}"
    for key in found.keys() & wanted.keys():
        if found[key] != wanted[key]:
            yield f"{what} {key} is {found[key]}, and the fold says {wanted[key]}"


def _is_of_client(message: Message) -> bool:
    """Return whether a client sent this, rather than a run or a message for later."""
    if isinstance(message, StartRun):
        return not message.parent and not is_derived(message.id)
    if isinstance(message, SignalRun | EventPublished):
        return not (is_derived(message.id) or message.id.startswith(FOR_LATER))
    return isinstance(message, CancelRun) and not message.id.startswith(
        ("parent/", "schedule/", "admission/")
    )


def _identity(command: Command | CancelAttempt) -> tuple[str, ...]:
    return (type(command).__name__, command.run, command.step, str(command.attempt))


def _without_kept(command: Command | CancelAttempt) -> bytes:
    """Encode a command without what it carries as of the moment when a new owner requests it again."""
    if isinstance(command, Command) and (command.kept or command.is_rest):
        command = msgspec.structs.replace(command, kept=(), is_rest=False, keeper="")
    return inbox.encode(command)


def _without_moment(command: Command | CancelAttempt) -> bytes:
    """Encode a command without what may have changed until it is requested again."""
    if isinstance(command, Command):
        command = msgspec.structs.replace(
            command,
            input=msgspec.Raw(),
            context=None,
            outputs={},
            losses=0,
            generation=0,
            redriven=False,
            kept=(),
            is_rest=False,
            passes=0,
            is_suspect=False,
            tokens={},
        )
    return inbox.encode(command)


def _without_since(message: Message) -> bytes:
    if isinstance(message, WaitOpened):
        message = msgspec.structs.replace(message, since=0)
    return _unresolved(message)


def _unresolved(message: Message) -> bytes:
    """Encode a message without what was found when it was published: versions, and limits of all keys."""
    if isinstance(message, StartScheduled):
        message = msgspec.structs.replace(message, fingerprint="")
    elif isinstance(message, PlaceAsked):
        message = msgspec.structs.replace(message, keys=None)
    return inbox.encode(message)
