"""Laws of a run that hold for every graph, every answer and every order of arrival."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from random import Random

import msgspec
import pytest
from builders import RUN, Saved, counters, everything, lasting_picture, picture
from hypothesis import event, given
from hypothesis import strategies as st

from property.shapes import NODE_BYTES, Choices
from property.watch import Watch
from property.world import (
    FORGED,
    MAY_ANSWER_AGAIN,
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
from stream_durable.core.definition.nodes import function_of
from stream_durable.core.effects import Command
from stream_durable.core.entities import Entity
from stream_durable.core.lifecycle import RunEvent, StepEvent
from stream_durable.core.messages import (
    MESSAGE_TYPES,
    AttemptReturned,
    CancelRun,
    ChannelContinued,
    CommandsLost,
    EmissionRefused,
    EventDelivered,
    EventUnkeyed,
    FormatRaised,
    MarkReviewed,
    RequestDoubted,
    RetryRun,
    RulesDeclared,
    RunFollowed,
    SkipStep,
    StartRun,
    StartScheduled,
    StartTriggered,
    WaitChecked,
    WaitOpened,
)
from stream_durable.core.run import portions
from stream_durable.core.run.rows import run_row
from stream_durable.core.run.state import Run
from stream_durable.core.status import RUN_ENDED, STEP_ENDED, Outcome

encode = msgspec.json.Encoder(order="deterministic").encode
#: Hundreds of waits, a message that comes seconds late, another release, lost offsets: tried where these are.
#: So are schedules, an entity of their own, triggers, which no fold knows, and parents of merged runs.
ELSEWHERE = (
    ChannelContinued, CommandsLost, EventUnkeyed, FormatRaised, RequestDoubted, RulesDeclared, RunFollowed,
    StartScheduled, StartTriggered, WaitChecked,
)  # fmt: skip


@pytest.fixture(autouse=True, scope="module")
def small_portions() -> Iterator[None]:
    """Let a record begin a few steps only, so that graphs of these sizes are begun in portions."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(portions, "LOAD_MAX", 4 * portions.STEP_LOAD)
        yield


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

    assert world.run.has_ended, world.stuck()
    assert not [name for kind, _, name in world.timers if kind == "run"], "an ended run has no timer"


@laws
@given(beginnings())
def test_whoever_looks_from_outside_sees_the_semantics_kept(beginning: tuple[World, Choices]) -> None:
    """What depends on what, how many at once, what is asked for again, what is undone: see `Watch`."""
    world, choose = beginning
    watch = Watch(world)

    while not choose.is_used_up:
        watch.tell(world.move(choose))
    for _ in range(30 * world.run.graph.size + 300):
        message = None if world.run.has_ended else world.answer()
        if message is None:
            break
        watch.tell(message)

    assert world.run.has_ended, world.stuck()


@laws
@given(lives())
def test_an_ended_run_leaves_nothing_open_behind_it(world: World) -> None:
    world.answer_everything()

    world.clear_away()

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
    assert not world.left_behind(), "an ended run has no place at a gate and waits at none"
    requests = world.run.requests
    assert requests is None or (requests.held, requests.overdue) == (0, 0)


@laws
@given(lives())
def test_a_step_is_given_what_it_takes_as_it_was_answered(world: World) -> None:
    outputs: dict[str, bytes | None] = {}
    graph, (_, folded) = world.graph, retell(world, world.trail)

    for one in folded:
        completed = [e for e in one.effects.events if isinstance(e, StepEvent) and e.type == "step.completed"]
        before = dict(outputs)
        outputs.update({e.step: e.output for e in completed})
        for _, command in one.effects.commands:
            if type(command) is not Command or command.step not in graph.index:
                continue
            node = graph.nodes[graph.index[command.step]]
            function = function_of(node)
            assert function is not None
            assert set(command.outputs) <= set(function.takes)
            for name, given_output in command.outputs.items():
                said = {outputs.get(name), before.get(name)}
                assert said == {None} or bytes(given_output) in said or None in said


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
        if isinstance(told.message, (*MAY_ANSWER_AGAIN, AttemptReturned)):
            # An attempt may be given back more than once, each time with changes of its own.
            return
        # At least once: a question may be asked again, but only the same one, under the same id.
        assert set(map(encode, commands_of(repeat))) <= set(map(encode, commands_of(first)))
        assert set(map(encode, repeat.effects.messages)) <= set(map(encode, first.effects.messages))
        assert repeat.effects.timers.items() <= first.effects.timers.items()
        assert (repeat.outcome is None) == (first.outcome is None)
        if told.key in once:
            assert lasting_picture(twice[told.key]) == lasting_picture(once[told.key])


@laws
@given(lives(), st.binary(min_size=300, max_size=300))
def test_an_ended_run_never_moves_again_by_itself(world: World, more: bytes) -> None:
    world.answer_everything()
    before, choose = picture(world.run), Choices(more)

    while not choose.is_used_up:
        message = world.move(choose)
        # These are told what to do about an ended run, or are kept for people to see.
        is_accepting = isinstance(message, SkipStep) and message.step.endswith("~compensate")
        if is_accepting or isinstance(message, RetryRun | CancelRun | EmissionRefused | MarkReviewed):
            continue
        folded = world.tell(message)
        if message.key == RUN:
            assert folded.outcome in (None, Outcome.DUPLICATE, Outcome.LATE)

    assert picture(world.run) == before


@laws
@given(lives())
def test_what_is_stated_is_numbered_without_a_gap(world: World) -> None:
    world.answer_everything()

    about_steps = [e for e in world.said if isinstance(e, StepEvent)]
    about_run = [e for e in world.said if isinstance(e, RunEvent)]
    assert [e.sequence for e in about_steps] == list(range(1, len(about_steps) + 1))
    assert [e.sequence for e in about_run] == list(range(1, len(about_run) + 1))
    assert about_run[-1].step_sequence == len(about_steps)
    assert about_run[-1].type == f"run.{world.run.status}"
    assert [e.time for e in world.said] == sorted(e.time for e in world.said)
    kinds = ("step.completed", "step.failed")
    ends = Counter((e.step, e.attempt) for e in about_steps if e.type in kinds)
    assert set(ends.values()) <= {1}, "an attempt of a step ends once"


@laws
@given(beginnings())
def test_counters_are_what_counting_would_give(beginning: tuple[World, Choices]) -> None:
    world, choose = beginning
    saved = Saved()
    saved.save(world.run)

    while not choose.is_used_up:
        world.tell(world.move(choose))

        run = world.run
        assert min([run.left, run.active, *run.need, *(len(run.waiting), run.payload)]) >= 0
        assert all(min(o.left, o.running, o.completed, o.lost, o.turn) >= 0 for o in run.open.values())
        row = run_row(run)
        assert 0 <= row.done <= row.total == run.graph.total
        saved.save(run)
        loaded = saved.load(run)
        assert isinstance(loaded, Run)
        assert counters(loaded) == counters(run)


def test_what_the_laws_try_reaches_everything() -> None:
    """A generator that never made a kind of message would prove nothing about it."""
    #: These are entities of their own, and their messages are tried elsewhere.
    others = ("admission", "gate", "schedule")
    kinds = {kind for kind in MESSAGE_TYPES if kind.kind not in others and kind not in ELSEWHERE}
    missing: set[object] = {(kind, True) for kind in kinds if kind is not StartRun}
    missing |= {(kind, False) for kind in kinds}
    missing |= {"ready", "running", "waiting", "retrying", "held", *STEP_ENDED}
    missing |= {("run", status) for status in RUN_ENDED}

    chance = Random(3)
    for _ in range(3_000):
        world, choose = begun(Choices(chance.randbytes(9 * NODE_BYTES)), Choices(chance.randbytes(600)), 9)
        while not choose.is_used_up:
            message = world.move(choose)
            missing.discard((type(message), world.tell(message).outcome is Outcome.APPLIED))
            missing -= {step.status for step in steps_of(world) if step is not None}
        world.answer_everything()
        missing.discard(("run", world.run.status))
        if not missing:
            break
    assert not missing


def steps_of(world: World) -> list:  # type: ignore[type-arg]
    return [world.run.steps.get(i) for i in range(world.run.graph.size)]


def named_steps(world: World) -> list:  # type: ignore[type-arg]
    return list(zip(world.run.graph.names, steps_of(world), strict=True))


def commands_of(folded: Folded) -> list[object]:
    return [command for _, command in folded.effects.commands]
