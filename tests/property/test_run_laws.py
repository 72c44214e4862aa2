"""Laws of a run that hold for every graph, every answer and every order of arrival."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from random import Random

import msgspec
from builders import RUN, Saved, everything, lasting_picture, picture
from hypothesis import event, given
from hypothesis import strategies as st

from property.world import (
    FORGED,
    NODE_BYTES,
    Choices,
    Folded,
    Told,
    World,
    beginnings,
    begun,
    fold_into,
    lasting_pictures,
    laws,
    lives,
)
from stream_durable.core.channel.state import Channel
from stream_durable.core.effects import Command
from stream_durable.core.fold import Entity
from stream_durable.core.lifecycle import RunEvent, StepEvent
from stream_durable.core.messages import MESSAGE_TYPES, EventDelivered, StartRun, WaitOpened
from stream_durable.core.status import COMPLETED, RUN_ENDED, STEP_ENDED, STEP_PASSED, Outcome

encode = msgspec.json.Encoder(order="deterministic").encode


def retell(world: World, trail: list[Told]) -> tuple[dict[str, Entity], list[Folded]]:
    """Fold the same messages into entities that are new."""
    entities: dict[str, Entity] = {}
    return entities, [fold_into(entities, t.message, t.now, world.graph) for t in trail]


def row_bytes(entities: dict[str, Entity]) -> bytes:
    """Return the rows of all entities, encoded."""
    saved = Saved()
    for entity in entities.values():
        saved.save(entity)
    return encode(saved.all())


@laws
@given(lives())
def test_a_run_ends_when_every_question_is_answered(world: World) -> None:
    event(f"lived to be {world.run.status}")

    world.answer_everything()

    assert world.run.has_ended
    assert world.run.left == sum(s is None or s.status not in STEP_ENDED for s in steps_of(world))
    assert not [name for kind, _, name in world.timers if kind == "run"], "an ended run has no timer"


@laws
@given(lives())
def test_an_ended_run_leaves_nothing_open_behind_it(world: World) -> None:
    world.answer_everything()

    while world.under_way:
        world.tell(world.under_way.pop(0))

    told = [t.message for t in world.trail]
    opened = Counter((m.key, m.run, m.wait) for m in told if isinstance(m, WaitOpened))
    forged = {m.wait for m in told if isinstance(m, EventDelivered) and m.id == FORGED}
    for entity in world.entities.values():
        if isinstance(entity, Channel):
            # What may outlive its run: a wait that a repeated record opened again, and one whose end
            # the channel was never told because it was not the channel that ended it.
            ours = {wait for run, wait in entity.waits if run == RUN and opened[entity.id, run, wait] == 1}
            assert ours <= forged
    assert not [name for name, step in named_steps(world) if step is not None and step.due is not None]
    assert (world.run.active, world.run.waiting, world.run.due) == (0, set(), None)


@laws
@given(beginnings())
def test_no_step_begins_before_its_dependencies_have_ended(beginning: tuple[World, Choices]) -> None:
    world, choose = beginning

    while not choose.is_used_up:
        folded = world.tell(world.move(choose))

        began = {c.step for _, c in folded.effects.commands if type(c) is Command}
        began |= {e.step for e in steps_said(folded.effects.events, "step.waiting")}
        for name in began:
            assert all(world.run.steps[j].status in STEP_PASSED for j in upstream(world, name))


@laws
@given(lives())
def test_a_step_has_what_it_takes_when_it_is_asked_for(world: World) -> None:
    outputs = {
        e.step: e.output for e in world.said if isinstance(e, StepEvent) and e.type == "step.completed"
    }

    _, folded = retell(world, world.trail)

    for _, command in [c for f in folded for c in f.effects.commands]:
        if type(command) is Command:
            node = world.graph.nodes[world.graph.index[command.step]]
            assert {n: bytes(v) for n, v in command.outputs.items()} == {n: outputs[n] for n in node.takes}


@laws
@given(lives())
def test_the_same_messages_give_the_same_rows_byte_for_byte(world: World) -> None:
    entities, _ = retell(world, world.trail)

    assert row_bytes(entities) == row_bytes(world.entities)


@laws
@given(lives())
def test_storing_and_loading_changes_nothing_ever(world: World) -> None:
    """The law the cache relies on: all entities are stored and loaded after every single message."""
    kept: dict[str, Entity] = {}
    loaded: dict[str, Entity] = {}
    saved, never_loaded = Saved(), Saved()

    for told in world.trail:
        expected = fold_into(kept, told.message, told.now, world.graph)
        found = fold_into(loaded, told.message, told.now, world.graph)

        assert found[:2] == expected[:2]
        assert everything(found.effects) == everything(expected.effects)
        if told.key in kept:
            assert lasting_picture(loaded[told.key]) == lasting_picture(kept[told.key])
            never_loaded.save(kept[told.key])
            saved.save(loaded[told.key])
            loaded[told.key] = saved.load(loaded[told.key])
            assert lasting_picture(loaded[told.key]) == lasting_picture(kept[told.key])
    assert encode(saved.all()) == encode(never_loaded.all())


@laws
@given(lives(), st.integers(0, 200))
def test_storing_all_at_once_and_loading_changes_nothing(world: World, prefix: int) -> None:
    entities, _ = retell(world, world.trail[:prefix])
    saved = Saved()
    for key in entities:
        saved.save(entities[key])
        entities[key] = saved.load(entities[key])

    broken = [fold_into(entities, t.message, t.now, world.graph) for t in world.trail[prefix:]]

    _, unbroken = retell(world, world.trail)
    assert [everything(f.effects) for f in broken] == [everything(f.effects) for f in unbroken[prefix:]]
    assert lasting_pictures(entities) == lasting_pictures(world.entities)


@laws
@given(lives())
def test_a_message_folded_twice_is_a_message_folded_once(world: World) -> None:
    once: dict[str, Entity] = {}
    twice: dict[str, Entity] = {}

    for told in world.trail:
        first = fold_into(once, told.message, told.now, world.graph)
        again = fold_into(twice, told.message, told.now, world.graph)
        repeat = fold_into(twice, told.message, told.now, world.graph)

        assert everything(again.effects) == everything(first.effects)
        assert not repeat.effects.events, "nothing is stated twice"
        # At least once: a question may be asked again, but only the same one, under the same id.
        assert set(map(encode, commands_of(repeat))) <= set(map(encode, commands_of(first)))
        assert set(map(encode, repeat.effects.messages)) <= set(map(encode, first.effects.messages))
        assert repeat.effects.timers.items() <= first.effects.timers.items()
        assert (repeat.outcome is None) == (first.outcome is None)
        if told.key in once:
            assert lasting_picture(twice[told.key]) == lasting_picture(once[told.key])


@laws
@given(lives(), st.binary(min_size=300, max_size=300))
def test_an_ended_run_never_moves_again(world: World, more: bytes) -> None:
    world.answer_everything()
    before, choose = picture(world.run), Choices(more)

    while not choose.is_used_up:
        message = world.move(choose)
        folded = world.tell(message)
        if message.key == RUN:
            assert folded.outcome in (None, Outcome.DUPLICATE, Outcome.LATE)
            assert not any(everything(folded.effects))

    assert picture(world.run) == before


@laws
@given(lives())
def test_what_is_stated_is_numbered_without_a_gap(world: World) -> None:
    world.answer_everything()

    about_steps = [e for e in world.said if isinstance(e, StepEvent)]
    about_run = [e for e in world.said if isinstance(e, RunEvent)]
    assert [e.sequence for e in about_steps] == list(range(1, len(about_steps) + 1))
    assert [e.sequence for e in about_run] == [1, 2]
    assert about_run[-1].step_sequence == len(about_steps)
    assert [e.time for e in world.said] == sorted(e.time for e in world.said)
    ends = [e.step for e in about_steps if e.type in ("step.completed", "step.failed", "step.cancelled")]
    assert len(ends) == len(set(ends)), "a step ends once"


@laws
@given(beginnings())
def test_a_completed_step_keeps_its_output(beginning: tuple[World, Choices]) -> None:
    world, choose = beginning
    outputs: dict[str, bytes | None] = {}

    while not choose.is_used_up:
        world.tell(world.move(choose))

        done = {n: s.output for n, s in named_steps(world) if s is not None and s.status == COMPLETED}
        assert outputs.items() <= done.items()
        outputs = done


@laws
@given(beginnings())
def test_no_attempt_is_asked_for_out_of_turn(beginning: tuple[World, Choices]) -> None:
    world, choose = beginning
    latest: dict[str, int] = dict.fromkeys(world.asked, 1)

    while not choose.is_used_up:
        folded = world.tell(world.move(choose))

        for _, command in folded.effects.commands:
            before = latest.get(command.step, 0)
            if type(command) is Command:
                assert command.attempt in ((1,) if not before else (before, before + 1))
                latest[command.step] = command.attempt


@laws
@given(beginnings())
def test_counters_are_what_counting_would_give(beginning: tuple[World, Choices]) -> None:
    world, choose = beginning

    while not choose.is_used_up:
        world.tell(world.move(choose))

        run = world.run
        assert run.left == sum(s is None or s.status not in STEP_ENDED for s in steps_of(world))
        if not run.has_ended:
            passed = [s is not None and s.status in STEP_PASSED for s in steps_of(world)]
            assert run.need == [sum(not passed[j] for j in d) for d in world.graph.dependencies]
            waiting = {i for i, s in run.steps.items() if s.status == "waiting"}
            open_ = {i for i, need in enumerate(run.need) if not need and not passed[i]}
            assert (run.waiting, run.active) == (waiting, len(open_ - waiting))


def test_what_the_laws_try_reaches_everything() -> None:
    """A generator that never made a kind of message would prove nothing about it."""
    chance = Random(7)
    met: set[object] = set()
    for _ in range(60):
        world, choose = begun(Choices(chance.randbytes(20 * NODE_BYTES)), Choices(chance.randbytes(600)), 20)
        while not choose.is_used_up:
            message = world.move(choose)
            met.add((type(message), world.tell(message).outcome is Outcome.APPLIED))
            met |= {step.status for step in steps_of(world) if step is not None}
        world.answer_everything()
        met.add(("run", world.run.status))

    assert {(kind, True) for kind in MESSAGE_TYPES if kind is not StartRun} <= met
    assert {(kind, False) for kind in MESSAGE_TYPES} <= met
    assert {"ready", "running", "waiting", "retrying", "completed", "failed", "cancelled"} <= met
    assert {("run", status) for status in RUN_ENDED} <= met


def steps_of(world: World) -> list:  # type: ignore[type-arg]
    return [world.run.steps.get(i) for i in range(world.graph.size)]


def steps_said(events: Iterable[object], kind: str) -> list[StepEvent]:
    return [e for e in events if isinstance(e, StepEvent) and e.type == kind]


def named_steps(world: World) -> list:  # type: ignore[type-arg]
    return list(zip(world.graph.names, steps_of(world), strict=True))


def upstream(world: World, name: str) -> tuple[int, ...]:
    return world.graph.dependencies[world.graph.index[name]]


def commands_of(folded: Folded) -> list[object]:
    return [command for _, command in folded.effects.commands]
