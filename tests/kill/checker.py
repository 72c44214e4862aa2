"""What has to be true when the faults are over, whatever they were.

Everything is read again from its beginning: the topics, the rows, the journals of the handlers. What
is compared was written by different hands: a row by the reconcilers, a token by a handler, an event
is read with the published schemas and a general library, and the state is folded anew from the log.
"""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from confluent_kafka import Message
from public_events import read_event

from kill.instance import QUEUE, Instance
from kill.workflows import app
from stream_durable.core.definition.graph import Graph
from stream_durable.core.definition.nodes import StepNode
from stream_durable.core.effects import Effects
from stream_durable.core.entities import Entity
from stream_durable.core.errors import RejectedError
from stream_durable.core.fold import create, fold
from stream_durable.core.lanes import lanes_of
from stream_durable.core.messages import CommandsLost
from stream_durable.core.run import rows
from stream_durable.core.run.state import Run
from stream_durable.core.status import Outcome
from stream_durable.wire.inbox import decode_message

Attempt = tuple[str, str, int]
Event = dict[str, Any]


class Call(NamedTuple):
    """One call of a handler."""

    token: str
    pid: int
    at: float


@dataclass
class Report:
    """What is worth printing."""

    runs: int
    steps: int
    calls: int
    #: Calls of a handler for an attempt that had been called before.
    repeats: int
    #: How often the attempt that was called most often was called.
    most_calls: int
    #: Repeats that began although the attempt's result had been folded: what was completed was done again.
    repeated_events: int
    outcomes: dict[str, int]
    #: Of the attempts that were called again: who called them and when, and which commands asked for them.
    repeated: list[str]

    def __str__(self) -> str:
        outcomes = ", ".join(f"{n} {name}" for name, n in self.outcomes.items())
        return (
            f"{self.runs} runs, {self.steps} steps, {self.calls} calls ({self.repeats} repeated, "
            f"one attempt {self.most_calls} times at most), {self.repeated_events} events repeated, "
            f"inbox: {outcomes}"
        )


async def prove(
    instance: Instance,
    journals: Path,
    started: dict[str, str],
    answers: dict[str, str],
    *,
    is_newer: bool = False,
) -> Report:
    """Check all invariants of a quiet instance and return what was counted on the way.

    What a newer release has gone on with can be folded by none but that one.
    """
    runs = {row["id"]: row for row in await instance.rows("select * from run")}
    steps = {(row["run_id"], row["name"]): row for row in await instance.rows("select * from step")}
    calls = _journal(journals)
    graphs = {w.fingerprint: Graph(w.definition()) for w in app.workflows.values()}

    _all_completed(runs, started, steps, graphs)
    _outputs_are_from_one_attempt(steps, runs, graphs, calls, answers)
    repeated = _lifecycle_is_gapless(
        _events(await instance.records("steps")),
        _events(await instance.records("runs")),
        runs,
        steps,
    )
    lanes = [await instance.records(f"commands.{lane}") for lane in lanes_of(QUEUE)]
    commands = [partition for lane in lanes for partition in lane]
    _commands_repeat_byte_for_byte(commands)
    inbox = await instance.records("inbox")
    evidence = await _evidence_is_whole(instance, inbox)
    if not is_newer:
        _state_is_the_fold_of_the_log(inbox, evidence, runs, steps, graphs)
    await _nothing_is_left(instance)

    return Report(
        runs=len(runs),
        steps=len(steps),
        calls=sum(len(tokens) for tokens in calls.values()),
        repeats=sum(len(tokens) - 1 for tokens in calls.values()),
        most_calls=max(len(tokens) for tokens in calls.values()),
        repeated_events=repeated,
        outcomes=dict(Counter(Outcome(o).name.lower() for one in evidence.values() for o in one)),
        repeated=_repeated(calls, commands),
    )


def _journal(journals: Path) -> dict[Attempt, tuple[Call, ...]]:
    """The calls of each attempt: their tokens, and who made them when."""
    calls: dict[Attempt, tuple[Call, ...]] = {}
    for journal in journals.iterdir():
        for line in journal.read_text().splitlines():
            call = json.loads(line)
            attempt = (call["run"], call["step"], call["attempt"])
            calls[attempt] = (*calls.get(attempt, ()), Call(call["token"], call["pid"], call["at"]))
    return calls


def _repeated(calls: dict[Attempt, tuple[Call, ...]], commands: Iterable[list[Message]]) -> list[str]:
    repeated = {attempt: made for attempt, made in calls.items() if len(made) > 1}
    asked: dict[Attempt, list[str]] = {}
    for messages in commands:
        for message in messages:
            command = msgspec.json.decode(message.value())
            attempt = (command["run"], command["step"], command.get("attempt", 0))
            if attempt in repeated:
                again = " again" if "redriven" in command else ""
                place = f"{message.partition()}@{message.offset()}"
                asked.setdefault(attempt, []).append(f"{place} at {message.timestamp()[1]} ms{again}")
    return [
        f"{'/'.join(map(str, attempt))}: "
        + ", ".join(f"called by {call.pid} at {call.at:.3f}" for call in sorted(made, key=lambda c: c.at))
        + f"; requested by {', '.join(asked.get(attempt, []))}"
        for attempt, made in repeated.items()
    ]


def _all_completed(
    runs: dict[str, Any], started: dict[str, str], steps: dict[Any, Any], graphs: dict[str, Graph]
) -> None:
    found = {run: row["workflow"] for run, row in runs.items()}
    lost, made_up = started.items() - found.items(), found.items() - started.items()
    assert not lost, f"{len(lost)} of {len(started)} lost: {sorted(lost)}"
    assert not made_up, f"{len(made_up)} of {len(found)} made up: {sorted(made_up)}"
    assert {row["status"] for row in runs.values()} == {"completed"}
    wanted = {(run, name) for run, row in runs.items() for name in graphs[row["fingerprint"]].names}
    assert steps.keys() == wanted
    assert {row["status"] for row in steps.values()} == {"completed"}


def _outputs_are_from_one_attempt(
    steps: dict[Any, Any],
    runs: dict[str, Any],
    graphs: dict[str, Graph],
    calls: dict[Attempt, tuple[Call, ...]],
    answers: dict[str, str],
) -> None:
    for (run, name), row in steps.items():
        token = json.loads(row["output"])["token"]
        graph = graphs[runs[run]["fingerprint"]]
        if type(graph.nodes[graph.index[name]]) is StepNode:
            made = {call.token for call in calls[run, name, row["attempt"]]}
            assert token in made, (run, name, row["attempt"])
        else:
            assert token == answers[run]
        # What it was handed was what is recorded of the steps before it.
        for before, handed in json.loads(row["output"]).items():
            if before != "token":
                assert handed == json.loads(steps[run, before]["output"])["token"], (run, name, before)
    # Nothing but a failure leads to another attempt: here, those of the steps that are made to fail.
    assert {name for (_, name), row in steps.items() if row["attempt"] > 1} == {"unsteady"}
    assert {row["attempt"] for (_, name), row in steps.items() if name == "unsteady"} == {2}


def _events(partitions: Iterable[list[Message]]) -> dict[str, list[Event]]:
    """Read a public topic as a stranger would, from the schemas alone; by run."""
    found: dict[str, list[Event]] = {}
    for messages in partitions:
        for message in messages:
            event = read_event(message.value())
            assert message.key().decode() == event["run"]
            found.setdefault(event["run"], []).append(event)
    return found


def _lifecycle_is_gapless(
    of_steps: dict[str, list[Event]],
    of_runs: dict[str, list[Event]],
    runs: dict[str, Any],
    steps: dict[Any, Any],
) -> int:
    """Drop repeats as a reader would, and compare what is left with the rows; return how many repeats."""
    repeated = 0
    assert of_steps.keys() == of_runs.keys() == runs.keys()
    for run, row in runs.items():
        about_steps, again = _without_repeats(of_steps[run])
        repeated += again
        about_run, again = _without_repeats(of_runs[run])
        repeated += again
        assert [e["type"] for e in about_run] == ["run.started", "run.completed"]
        assert about_run[-1]["output"] == row["output"].decode()
        assert about_run[-1]["sequence"] == row["run_sequence"]
        assert about_run[-1]["step_sequence"] == about_steps[-1]["sequence"] == row["step_sequence"]
        completed = [e for e in about_steps if e["type"] == "step.completed"]
        assert len(completed) == len({e["step"] for e in completed}) == row["total"]
        for event in completed:
            step = steps[run, event["step"]]
            assert event["output"] == step["output"].decode()
            assert event["attempt"] == step["attempt"]
            assert event["worker"] == step["worker"]
    return repeated


def _without_repeats(events: list[Event]) -> tuple[list[Event], int]:
    """Drop `sequence <= last`; what is dropped is what was read under that number before."""
    kept: list[Event] = []
    for event in events:
        if event["sequence"] <= len(kept):
            assert event == kept[event["sequence"] - 1], "one sequence number, two events"
        else:
            assert event["sequence"] == len(kept) + 1, f"a gap before {event}"
            kept.append(event)
    return kept, len(events) - len(kept)


def _commands_repeat_byte_for_byte(partitions: Iterable[list[Message]]) -> None:
    """Whoever asks for an attempt again asks for the same thing.

    After its worker was lost or has given it back it says so, and hands over the context as it is by then;
    nothing else differs.
    """
    first: dict[tuple[Attempt, int, int], bytes] = {}
    asked: dict[Attempt, Any] = {}
    for messages in partitions:
        for message in messages:
            command = msgspec.json.decode(message.value())
            if command["type"] == "cancel":
                continue
            attempt = (command["run"], command["step"], command["attempt"])
            times = (command.pop("losses", 0), command.pop("returns", 0))
            said = first.setdefault((attempt, *times), message.value())
            assert said == message.value(), (attempt, times, said, message.value())
            command.pop("context", None)
            command.pop("is_suspect", None)
            before = asked.setdefault(attempt, command)
            assert before == command, (attempt, before, command)


async def _evidence_is_whole(instance: Instance, inbox: list[list[Message]]) -> dict[int, list[int]]:
    """Each offset below `next_offset` once and in order; returns the outcomes, by partition."""
    found: dict[int, list[tuple[int, int]]] = {p: [] for p in range(instance.partitions)}
    for row in await instance.rows("select partition, records from evidence order by partition, from_offset"):
        share = msgspec.json.decode(row["records"])
        found[row["partition"]] += zip(share["offsets"], share["outcomes"], strict=True)
    cursors = await instance.cursors()
    for partition, records in found.items():
        assert [offset for offset, _ in records] == list(range(cursors[partition].next_offset))
        left = [message.value() for message in inbox[partition][len(records) :]]
        assert not left, f"not all of the inbox has been folded: {left[:5]}"
    seen = await instance.value("select count(*) from evidence_record")
    assert seen == sum(map(len, inbox)), "the view shows something else"
    return {partition: [outcome for _, outcome in records] for partition, records in found.items()}


def _state_is_the_fold_of_the_log(
    inbox: list[list[Message]],
    evidence: dict[int, list[int]],
    runs: dict[str, Any],
    steps: dict[Any, Any],
    graphs: dict[str, Graph],
) -> None:
    """Fold the log once more, with no faults, and come out at the same rows and outcomes."""
    for partition, messages in enumerate(inbox):
        folded: dict[tuple[str, str], Entity] = {}
        now = 0
        outcomes = []
        in_format = 1
        for record in messages:
            message = decode_message(record.value())
            now = max(now, record.timestamp()[1])
            if isinstance(message, CommandsLost):
                # About a queue, and no run.
                outcomes.append(int(Outcome.APPLIED))
                continue
            try:
                about = (message.kind, message.key)
                entity = folded.get(about) or create(message, partition, graphs.get)
                folded[about] = entity
                effects = Effects(in_format)
                outcome = fold(entity, message, now, effects)
                in_format = effects.format
                if outcome is Outcome.APPLIED:
                    entity.updated = now
            except RejectedError:
                outcome = Outcome.DEAD
            outcomes.append(int(outcome))
        assert outcomes == evidence[partition], f"partition {partition} was judged otherwise"
        for (_, key), run in folded.items():
            if not isinstance(run, Run):
                # That an app declares no schedules, which changes nothing.
                continue
            assert _same(rows.run_row(run), runs[key]), key
            run.touched = dict.fromkeys(run.steps)
            for step in rows.step_rows(run):
                assert _same(step, steps[key, step.name]), (key, step.name)


def _same(folded: Any, stored: Any) -> bool:
    """Whether a row that was folded is the one that is stored."""
    names = ("run_id" if name == "run" else name for name in folded._fields)
    return all(stored[name] == value for name, value in zip(names, folded, strict=True))


async def _nothing_is_left(instance: Instance) -> None:
    assert sum(await instance.ends("dead")) == 0
    for table in ("outbox", "timer", "dead_letter", "channel_event", "channel_wait"):
        assert await instance.value(f"select count(*) from {table}") == 0, table
