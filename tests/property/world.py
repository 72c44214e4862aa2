"""An engine without an engine: one run, the channels it meets, and a source of choices.

Everything random is read from a string of bytes, so that Hypothesis can make an example smaller.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

from builders import NOON, RUN, event, everything, lasting_picture, picture, signal, sleep, step
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from msgspec import Raw

from stream_durable.core.channel.state import Channel
from stream_durable.core.definition.graph import Graph
from stream_durable.core.definition.nodes import AnyNode, Definition, SignalNode
from stream_durable.core.definition.validate import validate
from stream_durable.core.effects import Command, Effects
from stream_durable.core.errors import RejectedError
from stream_durable.core.failure import Failure
from stream_durable.core.fold import Entity, create, fold
from stream_durable.core.lifecycle import RunEvent, StepEvent
from stream_durable.core.messages import (
    AttemptCompleted,
    AttemptFailed,
    AttemptHeartbeat,
    AttemptReturned,
    AttemptStarted,
    CancelRun,
    ChannelTimerFired,
    EventDelivered,
    EventPublished,
    Message,
    RunTimerFired,
    SignalRun,
    StartRun,
    WaitClosed,
    WaitOpened,
    timer_fired,
)
from stream_durable.core.policy import RetryPolicy
from stream_durable.core.run.state import Run
from stream_durable.core.status import Outcome

T = TypeVar("T")

#: How every law is tried; enough to meet each kind of node in each state many times over.
laws = settings(
    max_examples=50,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)

#: Bytes that a node and a message take from the source of choices, about.
NODE_BYTES, MOVE_BYTES = 14, 6

#: What a wait's key is read from; once in a while there is none.
OUTPUTS = (*[b'{"id":"k1"}', b'{"id": 7, "more": [1, 2]}'] * 12, b"null", b'"x"', b'{"id":null}')
INPUTS = (*[b'{"id":"k1"}', b'{"id":7}'] * 6, b"null")
SIGNALS = ("go", "stop", "other")
EVENTS = ("paid", "shipped")
#: Id of an event that no channel delivered.
FORGED = "forged"
WORKERS = ("w1", "w1", "w1", "w1", "w2", "")


class Choices:
    """Choices read from bytes; when these are used up, always the first."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def is_used_up(self) -> bool:
        return self._at >= len(self._data)

    def below(self, bound: int) -> int:
        """Return a number from 0 up to a bound of 256 at the most."""
        if self.is_used_up or bound <= 1:
            return 0
        self._at += 1
        return self._data[self._at - 1] % bound

    def of(self, values: Sequence[T]) -> T:
        return values[self.below(len(values))]

    def chance(self, of_hundred: int) -> bool:
        return self.below(100) >= 100 - of_hundred


def random_definition(choose: Choices, size: int) -> Definition:
    """Return a sound definition of this many nodes, of all kinds."""
    nodes: list[AnyNode] = []
    for i in range(size):
        names = [node.name for node in nodes]
        after = tuple(dict.fromkeys(choose.of(names[-8:]) for _ in range(choose.below(4)) if names))
        nodes.append(_random_node(choose, f"n{i}", after))
    # A definition may name its nodes in any order.
    if choose.chance(50):
        nodes.reverse()
    made = Definition(name="order", nodes=tuple(nodes), timeout_ms=60_000 if choose.chance(20) else None)
    assert not validate(made)
    return made


def _random_node(choose: Choices, name: str, after: tuple[str, ...]) -> AnyNode:
    kind = choose.below(8)
    limit: dict[str, Any] = {}
    if choose.chance(30):
        limit = {"timeout_ms": 3_000, "on_timeout": choose.of(('"late"', '{"id":"k2"}', '{"id":7}', None))}
    if kind == 5:
        return sleep(name, *after, ms=choose.of((0, 10, 1_000)))
    if kind == 6:
        return signal(name, *after, signals=choose.of((("go",), ("go", "stop"), ("stop",))), **limit)
    if kind == 7:
        key = f"{choose.of(after)}.id" if after and choose.chance(40) else "input.id"
        return event(name, *after, of=choose.of(EVENTS), key=key, **limit)
    retry = RetryPolicy(attempts=1 + choose.below(8), base_ms=choose.of((10, 100)), jitter=0.5)
    takes = tuple(a for a in after if choose.chance(50))
    return step(
        name, *after, retry=retry, takes=takes, takes_input=choose.chance(50), queue=choose.of(("q", "r"))
    )


class Told(NamedTuple):
    """A message, the entity it is for, and the log time of its record."""

    key: str
    message: Message
    now: int


class Folded(NamedTuple):
    """What came of a message; no outcome: it was refused, with this code."""

    outcome: Outcome | None
    code: str
    effects: Effects


class World:
    """Entities that are told messages; notes everything that is asked and not yet answered."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.now = NOON
        self.entities: dict[str, Entity] = {}
        self.trail: list[Told] = []
        #: Attempts asked for, by step; the timers that are set; messages on their way.
        self.asked: dict[str, int] = {}
        self.timers: dict[tuple[Any, str, str], int] = {}
        self.under_way: list[Message] = []
        self.said: list[StepEvent | RunEvent] = []

    @property
    def run(self) -> Run:
        run = self.entities[RUN]
        assert isinstance(run, Run)
        return run

    def tell(self, message: Message) -> Folded:
        """Fold a message, and hold it to what holds for every message."""
        self.trail.append(Told(message.key, message, self.now))
        entity = self.entities.get(message.key)
        before = None if entity is None else picture(entity)
        folded = fold_into(self.entities, message, self.now, self.graph)
        if folded.outcome is not Outcome.APPLIED:
            assert not any(everything(folded.effects)), "what is not applied asks for nothing"
            if entity is not None:
                assert picture(entity) == before, f"{folded} changed something"
        self._note(folded.effects)
        return folded

    def _note(self, effects: Effects) -> None:
        for _, command in effects.commands:
            if type(command) is Command:
                self.asked[command.step] = command.attempt
            else:
                self.asked.pop(command.step, None)
        for name, due in effects.timers.items():
            if due is None:
                self.timers.pop(name, None)
            else:
                self.timers[name] = due
        self.under_way += effects.messages
        self.said += effects.events

    # What may happen next.

    def move(self, choose: Choices) -> Message:
        """Return any message, sensible or not."""
        if choose.chance(4):
            self.now += choose.of((1, 50, 5_000))
        kind = choose.below(16)
        if kind < 6:
            return self._report(choose)
        if kind < 8 and self.under_way:
            return self._next_on_its_way(choose)
        if kind < 10 and self.timers:
            return self._timer(choose)
        if kind == 10:
            return SignalRun(
                key=RUN, id=f"s{choose.below(40)}", signal=choose.of(SIGNALS), data=_data(choose)
            )
        if kind == 11:
            key = f"{choose.of(EVENTS)}/{choose.of(('k1', 'k2', '7'))}"
            return EventPublished(
                key=key, id=f"e{choose.below(8)}", data=_data(choose), ttl_ms=choose.of((5, 900))
            )
        if kind == 12 and self.trail:
            return self.trail[-1 - choose.below(min(len(self.trail), 256))].message
        return self._nonsense(choose)

    def _next_on_its_way(self, choose: Choices) -> Message:
        """Return any message on its way; those to the same entity arrive in the order they were sent."""
        key = choose.of(self.under_way[:256]).key
        first = next(i for i, message in enumerate(self.under_way) if message.key == key)
        return self.under_way.pop(first)

    def _report(self, choose: Choices) -> Message:
        if not self.asked:
            return self._nonsense(choose)
        name = choose.of(sorted(self.asked)[:256])
        attempt = self.asked[name]
        return report(choose, name, attempt)

    def _timer(self, choose: Choices) -> Message:
        (kind, key, name), due = choose.of(sorted(self.timers.items(), key=lambda t: (t[1], t[0]))[:256])
        # Fired by another clock than the log's, which may be behind.
        self.now = max(self.now, due - choose.of((0, 0, 3)))
        return timer_fired(kind, key, name, due)

    def _nonsense(self, choose: Choices) -> Message:
        name = choose.of([*self.graph.names, "ghost"][:256])
        kind = choose.below(10)
        if kind < 3:
            return report(choose, name, 1 + choose.below(4))
        if kind == 3:
            return EventDelivered(key=RUN, wait=name, id=FORGED, data=_data(choose))
        if kind == 4:
            return RunTimerFired(key=RUN, timer=choose.of((name, "")), due=self.now + choose.of((0, 100)))
        if kind == 5 and choose.chance(10):
            return CancelRun(key=RUN, id="c1", reason=choose.of(("", "why")))
        if kind == 6:
            return StartRun(key=RUN, id="again", workflow="order", fingerprint=self.graph.fingerprint)
        channel = f"{choose.of(EVENTS)}/k1"
        if kind == 7:
            return WaitOpened(key=channel, run="run-2", wait=name)
        if kind == 8:
            return WaitClosed(key=channel, run="run-2", wait=name)
        return ChannelTimerFired(key=channel, timer="", due=self.now)

    # What must happen so that a run ends.

    def answer(self) -> Message | None:
        """Return the answer to some open question; None when there is no question left."""
        if self.under_way:
            return self.under_way.pop(0)
        for name, attempt in self.asked.items():
            return AttemptCompleted(key=RUN, step=name, attempt=attempt, output=Raw(b'{"id":"k9"}'))
        if self.timers:
            (kind, key, name), due = min(self.timers.items(), key=lambda t: (t[1], t[0]))
            self.now = max(self.now, due)
            return timer_fired(kind, key, name, due)
        for key, entity in self.entities.items():
            if isinstance(entity, Channel) and any(run == RUN for run, _ in entity.waits):
                return EventPublished(key=key, id=f"answer-{len(self.trail)}", data=Raw(b"5"), ttl_ms=1)
        for i in sorted(self.run.waiting):
            node = self.graph.nodes[i]
            if isinstance(node, SignalNode):
                return SignalRun(key=RUN, id=f"answer-{len(self.trail)}", signal=node.signals[0])
        return None

    def answer_everything(self) -> None:
        """Answer until the run has ended or there is no question left."""
        for _ in range(20 * self.graph.size + 100):
            message = None if self.run.has_ended else self.answer()
            if message is None:
                return
            folded = self.tell(message)
            if isinstance(message, AttemptCompleted) and folded.outcome is not Outcome.APPLIED:
                self.asked.pop(message.step, None)
        raise AssertionError("answers lead to questions without an end")


def report(choose: Choices, name: str, attempt: int) -> Message:
    """Return anything a worker may say of an attempt."""
    kind = choose.below(8)
    about: dict[str, Any] = {"key": RUN, "step": name, "attempt": attempt, "worker": choose.of(WORKERS)}
    if kind < 3:
        return AttemptCompleted(**about, output=Raw(choose.of(OUTPUTS)), started=5, finished=6)
    if kind == 3:
        failure = Failure(choose.of(("Oops", "Other")), "broken", retryable=not choose.chance(3))
        return AttemptFailed(**about, failure=failure)
    if kind == 4:
        return AttemptHeartbeat(**about, lease_ms=choose.of((40, 2_000)))
    if kind == 5:
        return AttemptReturned(**about, delay_ms=choose.of((0, 30)))
    return AttemptStarted(
        **about, lease_ms=choose.of((40, 2_000)), timeout_ms=choose.of((None, None, None, 30, 900))
    )


def _data(choose: Choices) -> Raw:
    return Raw(choose.of(OUTPUTS))


def fold_into(entities: dict[str, Entity], message: Message, now: int, graph: Graph) -> Folded:
    """Fold a message as a batch does: an entity is made by the first message that may."""
    effects = Effects()
    try:
        entity = entities.get(message.key)
        if entity is None:
            entity = entities[message.key] = create(message, 0, {graph.fingerprint: graph}.get)
        outcome = fold(entity, message, now, effects)
    except RejectedError as error:
        return Folded(None, error.code, effects)
    if outcome is Outcome.APPLIED:
        entity.updated = now
    return Folded(outcome, "", effects)


def lasting_pictures(entities: dict[str, Entity]) -> dict[str, dict[str, Any]]:
    return {key: lasting_picture(entity) for key, entity in entities.items()}


def begun(shape: Choices, choose: Choices, size: int) -> tuple[World, Choices]:
    """Return a world in which a run has begun, though some messages for it may have come before."""
    world = World(Graph(random_definition(shape, size)))
    for _ in range(choose.below(3)):
        world.tell(world.move(choose))
    world.tell(a_start(world.graph, choose.of(INPUTS)))
    return world, choose


@st.composite
def beginnings(draw: Callable[[Any], Any], size_max: int = 60, moves_max: int = 150) -> tuple[World, Choices]:
    """A world in which a run of a random graph has begun, or will, and choices for what comes then."""
    size = draw(st.integers(1, size_max))
    moves = draw(st.integers(0, moves_max))
    shape = Choices(draw(st.binary(min_size=size * NODE_BYTES, max_size=size * NODE_BYTES)))
    choose = Choices(draw(st.binary(min_size=moves * MOVE_BYTES, max_size=moves * MOVE_BYTES)))
    return begun(shape, choose, size)


@st.composite
def lives(draw: Callable[[Any], Any], size_max: int = 60, moves_max: int = 150) -> World:
    """A world in which a run has been through anything, and has not necessarily ended."""
    world, choose = draw(beginnings(size_max, moves_max))
    after_the_end = 0
    while not choose.is_used_up and after_the_end < 10:
        world.tell(world.move(choose))
        after_the_end += world.run.has_ended
    return world


def a_start(graph: Graph, given: bytes) -> StartRun:
    return StartRun(
        key=RUN, id="start-1", workflow="order", fingerprint=graph.fingerprint, input=Raw(given), trace="00-1"
    )
