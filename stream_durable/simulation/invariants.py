"""Invariants of every simulated world. Each check names an invariant.

Numbers as in the reliability notes: 1 accepted messages, 2 state, 3 evidence and offsets, 5 commands, 6 and 7
calls, 8 lifecycle events, 9 timers, 10 liveness, 11 dead letters, 14 vacuity.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

import msgspec

from stream_durable.core.channel import rows as channel_rows
from stream_durable.core.definition.nodes import EventNode
from stream_durable.core.effects import Command
from stream_durable.core.gate.rows import GateRow, PlaceRow, TurnRow, write
from stream_durable.core.gate.state import Gate
from stream_durable.core.ids import channel_id
from stream_durable.core.lanes import lanes_of
from stream_durable.core.later.rows import LaterRow
from stream_durable.core.messages import (
    ChannelTimerFired,
    GateTimerFired,
    RunTimerFired,
    StartRun,
)
from stream_durable.core.run.rows import RunRow
from stream_durable.core.run.waiting import event_key
from stream_durable.core.status import COMPLETED, PAUSED, WAITING, Outcome
from stream_durable.core.tables import Rows
from stream_durable.engine.batch import Evidence
from stream_durable.memory.deployment import QUEUE
from stream_durable.simulation.admissions import ADMISSIONS
from stream_durable.simulation.attempts import outputs_come_from_calls
from stream_durable.simulation.causes import (
    commands,
    commands_have_causes,
    differences,
    is_of_what_was_lost,
    lost_commands,
    messages_have_causes,
    passes_inside,
)
from stream_durable.simulation.delivery import DELIVERY
from stream_durable.simulation.due import DUE, expected
from stream_durable.simulation.emitted import EMITTED
from stream_durable.simulation.gates import GATES
from stream_durable.simulation.held import HELD_STEPS
from stream_durable.simulation.oracle import Oracle, Place
from stream_durable.simulation.promises import PROMISES
from stream_durable.simulation.schedules import SCHEDULES
from stream_durable.simulation.statements import lifecycle_is_gapless
from stream_durable.simulation.triggers import TRIGGERS
from stream_durable.simulation.world import World
from stream_durable.wire import inbox
from stream_durable.wire.topics import COMMANDS, DEAD, INBOX
from stream_durable.wire.verdicts import CRASHES

Check = Callable[[World, Oracle], Iterator[str]]

_evidence = msgspec.json.Decoder(Evidence).decode
#: A call's handler may already run when the answer of another call is folded; it takes about this long.
_MS = 1_000
#: What all workers may have answered and not committed yet.
_IN_FLIGHT = 20
#: Clocks may differ by so much.
_EARLY_MS = 1_000


def state_is_the_fold_of_the_log(world: World, oracle: Oracle) -> Iterator[str]:
    """I2: the stored rows equal a fold of the inbox from offset 0."""
    tables = world.store.tables
    yield from differences("run", tables.runs, oracle.run_rows())
    yield from differences("step", tables.steps, oracle.step_rows())
    yield from differences("signal", tables.signals, oracle.signal_rows())
    yield from differences("question", tables.questions, oracle.question_rows())
    yield from differences("signal wait", tables.signal_waits, oracle.signal_wait_rows())
    yield from _channels_differ(world, oracle)
    yield from _gates_differ(world, oracle)
    yield from differences("message for later", tables.rows[LaterRow], oracle.later_rows())
    yield from differences("timer", {key: due for key, (_, due) in tables.timers.items()}, oracle.timers)


def _channels_differ(world: World, oracle: Oracle) -> Iterator[str]:
    events, waits, expired = {}, {}, {}
    for channel in oracle.channels():
        channel.touched_events = dict.fromkeys(channel.events)
        channel.touched_waits = dict.fromkeys([*channel.waits, *channel.takers, *channel.readers])
        rows, lost = Rows(), dict(channel.lost)
        channel_rows.write(channel, rows)
        # Here nothing ever counts as saved.
        channel.lost = lost
        events.update({row[:2]: row for row in rows.of(channel_rows.EventRow)})
        waits.update({row[:3]: row for row in rows.of(channel_rows.WaitRow)})
        expired.update({row[:2]: row for row in rows.of(channel_rows.ExpiredRow)})
    yield from differences("kept event", world.store.tables.events, events)
    yield from differences("wait", world.store.tables.waits, waits)
    yield from differences("expired event", world.store.tables.rows[channel_rows.ExpiredRow], expired)


def _gates_differ(world: World, oracle: Oracle) -> Iterator[str]:
    gates, places, turns = {}, {}, {}
    for gate in oracle.gates():
        # All of it is asked for, not only what has changed since it was last stored.
        gate.is_touched = True
        gate.touched_places = dict.fromkeys([*gate.inside, *gate.waiting])
        if isinstance(gate, Gate):
            gate.line.touched = dict.fromkeys(gate.line.shares)
        rows = Rows()
        write(gate, rows)
        [gates[gate.id]] = rows[GateRow]
        places.update({row[:3]: row for row in rows[PlaceRow]})
        turns.update({row[:2]: row for row in rows.of(TurnRow)})
    yield from differences("gate", world.store.tables.gates, gates)
    yield from differences("place at a gate", world.store.tables.places, places)
    yield from differences("turn at a gate", world.store.tables.rows[TurnRow], turns)


def timers_are_those_entities_wait_for(world: World, oracle: Oracle) -> Iterator[str]:
    """I2: stored timers and the entities' due moments correspond exactly."""
    wanted: dict[tuple[str, str, str], int] = {}
    for run in oracle.runs():
        if run.due is not None:
            wanted["run", run.id, ""] = run.due
        for i, step in run.steps.items():
            if step.due is not None:
                wanted["run", run.id, run.graph.names[i]] = step.due
        wanted.update(expected(run))
    for later in oracle.laters():
        wanted["later", later.id, ""] = later.timer or 0
    with_due = (
        *(("channel", channel.id, channel.due) for channel in oracle.channels()),
        *(("gate", gate.id, gate.due) for gate in oracle.gates()),
        *(("admission", admission.id, admission.due) for admission in oracle.admissions()),
    )
    wanted.update({(kind, key, ""): due for kind, key, due in with_due if due is not None})
    timers = {key: due for key, (_, due) in world.store.tables.timers.items() if key[0] != "schedule"}
    yield from differences("timer of an entity", timers, wanted)


def waits_are_open_on_their_channels(world: World, oracle: Oracle) -> Iterator[str]:
    """I10: every open wait of a run is open on the channel, and the channel keeps no matching event."""
    channels = {channel.id: channel for channel in oracle.channels()}
    for run in oracle.runs():
        for i in run.waiting if run.ended is None else ():
            node, step = run.graph.nodes[i], run.steps[i]
            if not isinstance(node, EventNode) or step.status != WAITING:
                continue
            name = channel_id(node.event, event_key(run, node))
            channel = channels.get(name)
            waits = {} if channel is None else channel.takers if node.take else channel.waits
            held = waits.get((run.id, node.name))
            if held is None or held.attempt != step.attempt:
                yield f"{run.id}/{node.name} waits, and channel {name!r} does not know of it: {held}"
            elif channel is not None and any(
                e.expires > channel.updated and (not node.take or e.holder is None)
                for e in channel.events.values()
            ):
                yield f"{run.id}/{node.name} waits on {name!r}, which keeps an event"


def evidence_is_complete(world: World, oracle: Oracle) -> Iterator[str]:
    """I3: each record below the next offset has evidence once, with the right outcome."""
    found: Counter[Place] = Counter()
    for row in world.store.tables.evidence.values():
        evidence = _evidence(row.records)
        columns = (evidence.offsets, evidence.outcomes, evidence.times)
        for offset, outcome, time in zip(*columns, strict=True):
            place = (row.partition, row.generation, offset)
            found[place] += 1
            judged = oracle.judged.get(place)
            if judged is None:
                yield f"there is evidence of {place}, which is not on the log"
            elif (judged.outcome, judged.clock) != (outcome, time):
                yield f"evidence of {place} says {Outcome(outcome).name} at {time}; the fold {judged}"
    for place in oracle.judged:
        if found[place] != 1:
            yield f"record {place} of the inbox has evidence {found[place]} times"


def no_record_is_left_out(world: World, oracle: Oracle) -> Iterator[str]:
    """I3, I5: from its first offset on, a reader gets each record of the log."""
    yield from world.leaps


def offsets_join(world: World, oracle: Oracle) -> Iterator[str]:
    """I3: shares of a partition follow each other without a hole or an overlap up to the next offset."""
    for partition, row in world.store.tables.partitions.items():
        every = [e for e in world.store.tables.evidence.values() if e.partition == partition]
        at = 0
        for generation, life in enumerate(world.lives.of(partition)):
            at = life.start
            for share in sorted(e for e in every if e.generation == generation):
                if share.from_offset != at:
                    yield f"partition {partition} went from {at} to {share.from_offset}"
                at = share.to_offset
            if life.end is not None and at != life.end:
                yield f"partition {partition} ended generation {generation} at {life.end}, not at {at}"
        if at != row.next_offset:
            yield f"partition {partition} stands at {row.next_offset}, its evidence ends at {at}"


def calls_stay_within_budget(world: World, oracle: Oracle) -> Iterator[str]:
    """I6, I7: undisturbed, each attempt is called once; a disturbance repeats attempts in flight."""
    calls = Counter((c.run, c.step, c.attempt) for c in world.calls.calls)
    repeats = sum(count - 1 for count in calls.values())
    after = 0
    for call in world.calls.calls:
        answers = oracle.answers.get((call.run, call.step, call.attempt))
        if answers and call.began * _MS + world.clock.EPOCH_MS > answers[0][1] + _MS:
            after += 1
    # A process that dies, or loses a partition, leaves what was in flight and what was not committed as done.
    disturbances = sum(world.weather.hits.values()) + sum(g.moves for g in world.broker.groups.values())
    # What is folded again, or asked for again, is on the topics of commands again.
    on_topics = Counter((name, record.value) for name, record in commands(world))
    again = sum(count - 1 for count in on_topics.values())
    again += sum(b'"redriven":true' in (value or b"") for _, value in on_topics)
    budget = 20 * disturbances + oracle.returned + again + passes_inside(world, oracle)
    if repeats > budget:
        yield f"{repeats} calls were repeated; {disturbances} disturbances explain {budget}"
    if after > budget:
        yield f"{after} calls came after the answer; {disturbances} disturbances explain {budget}"
    asked = {(c.run, c.step, c.attempt) for _, c in oracle.commands if isinstance(c, Command)}
    for key in calls:
        if key not in asked and key[0] not in oracle.ahead:
            yield f"{key} was called, and nobody asked for it"


def forgotten_offsets_begin_nothing_anew(world: World, oracle: Oracle) -> Iterator[str]:
    """I6: forgetting the workers' offsets repeats no attempt answered before."""
    if not world.journal.forgotten:
        return
    asked: dict[tuple[str, str, int], int] = {}
    for _, record in commands(world):
        command = inbox.decode_command(record.value or b"")
        asked[command.run, command.step, command.attempt] = record.time
    for moment in world.journal.forgotten:
        again = 0
        for call in world.calls.calls:
            key = (call.run, call.step, call.attempt)
            answers = oracle.answers.get(key)
            is_later = call.began * _MS + world.clock.EPOCH_MS > moment
            again += bool(is_later and answers and answers[0][1] < moment and asked.get(key, moment) < moment)
        if again > _IN_FLIGHT:
            yield f"{again} calls were made again after offsets were forgotten at {moment}"


def timers_fire_in_time(world: World, oracle: Oracle) -> Iterator[str]:
    """I9: no timer fires unrequested, and none changes anything before its log time."""
    for place, judged in oracle.judged.items():
        message = judged.message
        if isinstance(message, RunTimerFired | ChannelTimerFired | GateTimerFired):
            key = (message.kind, message.key, message.timer)
            if (key, message.due) not in oracle.asked:
                yield f"timer {key} fired for {message.due}, which nobody asked for"
            if judged.outcome is Outcome.APPLIED and judged.clock + _EARLY_MS < message.due:
                yield f"timer {key} fired {message.due - judged.clock} ms early at {place}"


def dead_letters_are_garbage(world: World, oracle: Oracle) -> Iterator[str]:
    """I11: the dead letter topic and table hold exactly the garbage sent."""
    isolated = {place for place, judged in oracle.judged.items() if judged.code == CRASHES}
    if isolated and world.weather.crashes < world.engine.stall_takeovers_max:
        yield f"{isolated} were set aside for killing after {world.weather.crashes} crashes"
    garbage = isolated | oracle.untimely() | oracle.of_ahead() | set(_garbage(world, oracle))
    kept = set(world.store.tables.dead)
    yield from differences("dead letter row", dict.fromkeys(kept), dict.fromkeys(garbage))
    judged = {place for place, each in oracle.judged.items() if each.outcome is Outcome.DEAD}
    yield from differences("dead record", dict.fromkeys(judged), dict.fromkeys(garbage))
    lanes = [COMMANDS + lane for lane in lanes_of(QUEUE)]
    said: dict[str, set[tuple[int, int]]] = {topic: set() for topic in (INBOX, *lanes)}
    for record in world.broker.topic(DEAD).records():
        headers = dict(record.headers or ())
        origin = (int(headers["sd_partition"]), int(headers["sd_offset"]))
        topic = headers["sd_topic"].decode()
        if topic not in said:
            yield f"a message for {topic} is a dead letter: {headers['sd_reason']!r}"
        said.setdefault(topic, set()).add(origin)
    origins = {(partition, offset) for partition, _, offset in garbage}
    yield from differences("dead letter", dict.fromkeys(said[INBOX]), dict.fromkeys(origins))
    # Where it is not known what is done, a worker looks at nothing that is there.
    unreadable, unknown = world.journal.garbage_commands, lost_commands(world, oracle)
    found = {(topic, *place) for topic in lanes for place in said[topic]}
    found |= {place for place in unreadable if place[1] in unknown}
    yield from differences("dead command", dict.fromkeys(found), dict.fromkeys(unreadable))


def _garbage(world: World, oracle: Oracle) -> Iterator[Place]:
    """Return the positions of clients' records without sense, or without sense after the loss of a start."""
    for place, judged in oracle.judged.items():
        is_garbage = (INBOX, judged.record.key, judged.record.value) in world.clients.garbage
        if is_garbage or is_of_what_was_lost(world, judged):
            yield place


def accepted_is_kept(world: World, oracle: Oracle) -> Iterator[str]:
    """I1: acknowledged messages are on the log, and every started run is stored."""
    on_log = {(judged.record.key, judged.record.value) for judged in oracle.judged.values()}
    lost = {(r.key, r.value) for r in world.lives.lost if not world.clients.insist_on(r)}
    for sent in world.clients.acknowledged:
        if sent.topic == INBOX and (sent.key, sent.value) not in on_log | lost:
            yield f"a message that was acknowledged is not on the log: {sent}"
        if sent.is_garbage or sent.value is None or sent.topic != INBOX:
            continue
        message = inbox.decode_message(sent.value)
        if isinstance(message, StartRun) and message.key not in world.store.tables.runs:
            yield f"run {message.key!r} was accepted and is not there"


def everything_has_ended(world: World, oracle: Oracle) -> Iterator[str]:
    """I10: with the faults gone, all runs end, and no message or wait is left."""
    tables = world.store.tables
    for run in tables.runs.values():
        # A log that is read anew pauses once more what has been made anew since, and nobody resumes it.
        if run.ended is None and not (run.status == PAUSED and world.lives.has_losses):
            yield f"run {run.id!r} has not ended: {_steps(world, run)}"
    for place in world.journal.unpublished():
        yield f"the outbox still holds {place}"
    for gate, waiting, step in tables.places:
        yield f"{waiting}/{step} still has a place at gate {gate!r}"


def everything_is_read(world: World, oracle: Oracle) -> Iterator[str]:
    """I10: nothing is left unread."""
    tables = world.store.tables
    for partition, log in enumerate(world.broker.topic(INBOX).partitions):
        row = tables.partitions[partition]
        if log.high != row.next_offset:
            yield f"partition {partition} stands at {row.next_offset} of {log.high}"
    for (name, topic), group in world.broker.groups.items():
        if topic != INBOX:
            for partition, log in enumerate(world.broker.topic(topic).partitions):
                mark = group.offsets.get(partition, (0, ""))[0]
                if mark != log.high:
                    yield f"{name} has committed {mark} of {log.high} in partition {partition}"


def nothing_was_wrong_meanwhile(world: World, oracle: Oracle) -> Iterator[str]:
    """I8, I13: nothing is published before its commit; no process ends by itself or takes foreign work."""
    yield from world.wrong


def something_happened(world: World, oracle: Oracle) -> Iterator[str]:
    """I14: a world without activity proves nothing."""
    if not any(run.ended is not None for run in world.store.tables.runs.values()):
        yield "no run has ended"
    if not any(step.status == COMPLETED for step in world.store.tables.steps.values()):
        yield "no step was completed"


CHECKS: tuple[Check, ...] = (
    everything_has_ended,
    everything_is_read,
    nothing_was_wrong_meanwhile,
    state_is_the_fold_of_the_log,
    timers_are_those_entities_wait_for,
    waits_are_open_on_their_channels,
    evidence_is_complete,
    no_record_is_left_out,
    offsets_join,
    commands_have_causes,
    messages_have_causes,
    outputs_come_from_calls,
    calls_stay_within_budget,
    forgotten_offsets_begin_nothing_anew,
    lifecycle_is_gapless,
    timers_fire_in_time,
    dead_letters_are_garbage,
    accepted_is_kept,
    something_happened,
    *PROMISES,
    *DELIVERY,
    *SCHEDULES,
    *TRIGGERS,
    *EMITTED,
    *GATES,
    *ADMISSIONS,
    *DUE,
    *HELD_STEPS,
)


def violations(world: World, outcomes: Counter[str] | None = None) -> list[str]:
    """Return the violations in a settled world, with invariants; count what messages came to."""
    oracle = Oracle(world.partitions, world.graph)
    oracle.fold_all(world.broker, world.lives)
    if outcomes is not None:
        for judged in oracle.judged.values():
            outcomes[f"{type(judged.message).__name__} {judged.outcome.name.lower()}"] += 1
    return [f"{check.__name__}: {text}" for check in CHECKS for text in check(world, oracle)]


def _steps(world: World, run: RunRow) -> str:
    steps = [s for (r, _), s in world.store.tables.steps.items() if r == run.id]
    return f"{run.status}, due {run.due}; " + "; ".join(
        f"{s.name} {s.status} attempt {s.attempt} due {s.due} by {s.worker}" for s in steps
    )
