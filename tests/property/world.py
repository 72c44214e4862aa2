"""An engine without an engine: one run, the channels it meets, and a source of choices.

Everything random is read from a string of bytes, so that Hypothesis can make an example smaller.
Breakers and children are not folded: what they are asked is noted, and the world answers for them. So it does
for a stranger, a run that nobody knows and that asks for places and to begin where ours does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeGuard

from budget import EXAMPLES
from builders import NOON, RUN, everything, lasting_picture, picture
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from msgspec import Raw

from property import answers
from property.shapes import EVENTS, NODE_BYTES, Choices, random_definition
from stream_durable.core.admission.state import Admission
from stream_durable.core.channel.state import Channel
from stream_durable.core.definition.graph import Graph
from stream_durable.core.definition.nodes import BranchNode, InputNode, SignalNode, TokenNode
from stream_durable.core.effects import Command, Effects
from stream_durable.core.entities import Entity, timer_fired
from stream_durable.core.errors import RejectedError
from stream_durable.core.fold import create, fold, refuse
from stream_durable.core.format import ADMISSIONS, ASKS, HOLD, REVIEWED, TAKE, TOKENS
from stream_durable.core.gate.state import Gate
from stream_durable.core.lifecycle import RunEvent, StepEvent
from stream_durable.core.messages import (
    AdmissionAsked,
    AdmissionBegun,
    AdmissionLeft,
    AnswerInput,
    AttemptCompleted,
    AttemptEmitted,
    AttemptEnd,
    AttemptHeartbeat,
    AttemptMessage,
    AttemptReturned,
    AttemptWaits,
    Call,
    CancelRun,
    CancelStep,
    ChannelTimerFired,
    ChildEnded,
    CompleteHeld,
    CompleteStep,
    EventDelivered,
    EventGiven,
    EventOffered,
    EventPublished,
    EventTaken,
    GateAsked,
    GateLeft,
    GatePassed,
    InquireRun,
    MarkReviewed,
    Message,
    PauseRun,
    PlaceGiven,
    ResumeRun,
    RetryRun,
    RunAdmitted,
    RunFollowed,
    RunMerged,
    RunTimerFired,
    SignalRun,
    SkipStep,
    StartRun,
    StartWithSignal,
    WaitChecked,
    WaitClosed,
    WaitOpened,
)
from stream_durable.core.run.state import Run
from stream_durable.core.status import HELD, STEP_ENDED, Outcome

#: How every law is tried; enough to meet each kind of node in each state many times over.
laws = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)

#: Bytes that a message takes from the source of choices, about.
MOVE_BYTES = 7
#: Kinds whose timers fire for ever while somebody is inside: who is there is told once more.
TELL_AGAIN = ("gate", "admission")

SIGNALS = ("go", "stop", "other", "told")
#: What is answered even if it changes nothing: a parent is told again, a gate or an admission that nobody is
#: there, a channel that nobody waits, a worker that its attempt is over; and an early timer is planned again.
MAY_ANSWER_AGAIN = (PlaceGiven,
    AttemptHeartbeat, StartRun, GatePassed, WaitChecked, RunTimerFired, ChannelTimerFired, EventOffered,
    EventGiven, RunAdmitted, RunMerged, RunFollowed, AdmissionAsked,
)  # fmt: skip
#: Id of an event that no channel delivered.
FORGED = "forged"


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
        #: Attempts asked for and not answered, and those answered, by step.
        self.asked: dict[str, int] = {}
        self.answered: dict[str, int] = {}
        #: How often each attempt asked for has been given back.
        self.returns: dict[str, int] = {}
        #: Which call each was asked for last.
        self.calls: dict[str, Call] = {}
        #: Attempts that wait for a gate, by step; the children under way, with the step each is for.
        self.gated: dict[str, int] = {}
        self.children: dict[str, str] = {}
        #: The timers that are set; messages on their way.
        self.timers: dict[tuple[Any, str, str], int] = {}
        self.under_way: list[Message] = []
        #: What another run may ask where ours does.
        self.requests = answers.requests_of(graph.definition)
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
            if not isinstance(message, MAY_ANSWER_AGAIN):
                assert not any(everything(folded.effects)), "what is not applied asks for nothing"
            if entity is not None:
                assert picture(entity) == before, f"{folded} changed something"
        elif ends_attempt(message):
            self.answered[message.step] = self.asked.pop(message.step, message.attempt)
        elif isinstance(message, AttemptWaits):
            self.asked.pop(message.step, None)
        self._note(folded.effects)
        return folded

    def _note(self, effects: Effects) -> None:  # noqa: C901 - a line for each kind
        for _, command in effects.commands:
            if isinstance(command, Command):
                self.asked[command.step] = command.attempt
                self.returns[command.step] = command.returns
                self.calls[command.step] = Call(command.passes, command.returns, command.losses)
            elif not command.must_answer and (known := self.asked.pop(command.step, None)) is not None:
                self.answered[command.step] = known
        for name, due in effects.timers.items():
            if due is None:
                self.timers.pop(name, None)
            else:
                self.timers[name] = due
        for message in effects.messages:
            if isinstance(message, GateAsked):
                self.gated[message.step] = message.attempt
            elif isinstance(message, GateLeft):
                self.gated.pop(message.step, None)
            elif isinstance(message, StartRun):
                self.children[message.key] = message.parent_step
            elif isinstance(message, CancelRun) and message.key not in (RUN, answers.STRANGER):
                # What a cancelled child says comes when it comes.
                self.under_way.append(answers.ended(message.key, self.children.pop(message.key), "cancelled"))
            elif isinstance(message, RunAdmitted) and message.key == answers.STRANGER:
                self.under_way.append(self._admitted_stranger(message))
            else:
                self.under_way.append(message)
        self.said += effects.events

    def _admitted_stranger(self, message: RunAdmitted) -> Message:
        """Return what a run says that is let in: it begins, and has ended when it is told once more."""
        admission = self.entities[message.admission]
        assert isinstance(admission, Admission)
        has_begun = admission.members[message.key].stage != "let_in"
        said = AdmissionLeft if has_begun else AdmissionBegun
        return said(key=message.admission, run=message.key, attempt=message.attempt, format=ADMISSIONS)

    # What may happen next.

    def move(self, choose: Choices) -> Message:  # noqa: C901 - a line for each kind
        """Return any message, sensible or not."""
        if choose.chance(4):
            self.now += choose.of((1, 50, 5_000))
        kind = choose.below(28)
        if kind >= 26 and self._held():
            return answers.about_held(choose, self._held_or_any(choose), len(self.trail))
        if kind == 25 and self.requests:
            return answers.of_stranger(choose, choose.of(self.requests[:256]))
        if kind == 24 and self.timers and choose.chance(50):
            return self._timer(choose)
        if kind < 10:
            return self._report(choose)
        if kind < 13 and self.under_way:
            return self._next_on_its_way(choose)
        if kind < 15 and self.timers:
            return self._timer(choose)
        if kind == 15 and self.children:
            child, step = choose.of(sorted(self.children.items()))
            return answers.of_child(choose, child, step)
        if kind == 16 and self.gated:
            step, attempt = choose.of(sorted(self.gated.items()))
            return GatePassed(key=RUN, step=step, attempt=attempt, gate="bank")
        if kind == 17:
            return SignalRun(
                key=RUN, id=f"s{choose.below(40)}", signal=choose.of(SIGNALS), data=answers.data(choose)
            )
        if kind == 18:
            key = f"{choose.of(EVENTS)}/{choose.of(('k1', 'k2', '7'))}"
            return EventPublished(
                key=key, id=f"e{choose.below(8)}", data=answers.data(choose), ttl_ms=choose.of((5, 900))
            )
        if kind == 21 and self.graph.beside and choose.chance(60):
            return InquireRun(
                key=RUN, id=f"i{choose.below(30)}", inquiry=choose.of([*self.graph.beside, "price"]),
                format=2, data=answers.data(choose),
            )  # fmt: skip
        if kind == 19 and choose.chance(45):
            return answers.later(choose, self.now)
        if kind == 22 and self.graph.tokens:
            return answers.outside(choose, choose.of(self.graph.tokens))
        if kind >= 22 and self._asking():
            return self._about_a_question(choose)
        if kind == 19 and self.trail:
            return self.trail[-1 - choose.below(min(len(self.trail), 256))].message
        if kind in (20, 21):
            return self._order(choose)
        return self._nonsense(choose)

    def _next_on_its_way(self, choose: Choices) -> Message:
        """Return any message on its way; those to the same entity arrive in the order they were sent."""
        key = choose.of(self.under_way[:256]).key
        first = next(i for i, message in enumerate(self.under_way) if message.key == key)
        return self.under_way.pop(first)

    def _report(self, choose: Choices) -> Message:
        asked = self.answered if choose.chance(6) or not self.asked else self.asked
        if not asked:
            return self._nonsense(choose)
        name = choose.of(sorted(asked)[:256])
        message = answers.report(choose, name, asked[name], is_selector=self._is_selector(name))
        if isinstance(message, AttemptReturned):
            message.returns = self.returns.get(name, 0)
        if name not in self.calls:
            return message
        if choose.chance(15):
            return answers.inside(choose, name, asked[name], self.calls[name])
        if choose.chance(3):
            return answers.refused(choose, name, asked[name])
        if isinstance(message, AttemptEnd):
            if choose.chance(10):
                message.call = self.calls[name]
            return answers.emitting(choose, message) if choose.chance(15) else message
        return message

    def _is_selector(self, name: str) -> bool:
        i = self.graph.index.get(name)
        return i is not None and isinstance(self.graph.nodes[i], BranchNode)

    def _timer(self, choose: Choices) -> Message:
        (kind, key, name), due = choose.of(sorted(self.timers.items(), key=lambda t: (t[1], t[0]))[:256])
        # Fired by another clock than the log's, which may be behind.
        self.now = max(self.now, due - choose.of((0, 0, 3)))
        return timer_fired(kind, key, name, due)

    def _order(self, choose: Choices) -> Message:
        """Return something that people order a run to do."""
        number, name = len(self.trail), choose.of(self._names()[:256])
        if RUN in self.entities and self.run.is_paused and choose.chance(60):
            context = choose.of((None, None, Raw(b'{"by":"hand"}'), Raw(b"[]")))
            return ResumeRun(key=RUN, id=f"o{number}", context=context)
        kind = choose.below(10)
        if kind < 3:
            return PauseRun(key=RUN, id=f"o{number}", reason="wait")
        if kind == 3:
            return ResumeRun(key=RUN, id=f"o{number}")
        if kind < 6:
            return CancelStep(key=RUN, id=f"o{number}", step=name, reason=choose.of(("", "why")))
        if kind < 8:
            return SkipStep(key=RUN, id=f"o{number}", step=name)
        if kind == 8:
            return RetryRun(key=RUN, id=f"o{number}", step=choose.of((name, "")), whole=choose.chance(20))
        if choose.chance(10):
            return MarkReviewed(key=RUN, id=f"o{number}", format=REVIEWED, by="ann")
        if choose.chance(30):
            return CancelRun(key=RUN, id="c1", reason=choose.of(("", "why")), compensate=choose.chance(50))
        return self._report(choose)

    def _about_a_question(self, choose: Choices) -> Message:
        """Return what somebody does about a question, which is open more often than not."""
        every = self._asking()
        waiting = [every[i] for i in sorted(self.run.waiting) if i in every] if RUN in self.entities else []
        asking = waiting if waiting and choose.chance(80) else [*every.values()]
        return answers.about_a_question(choose, choose.of(asking[:256]))

    def _asking(self) -> dict[int, str]:
        """Return the names of the steps that ask people."""
        return {i: node.name for i, node in enumerate(self.graph.nodes) if isinstance(node, InputNode)}

    def _held(self) -> list[str]:
        """Return the names of the steps that are held."""
        if RUN not in self.entities:
            return []
        steps, names = self.run.steps, self.run.graph.names
        return [names[i] for i in sorted(steps) if steps[i].status == HELD]

    def _attempt(self, name: str) -> int:
        """Return the attempt of a step, or 1."""
        i = self.run.graph.index.get(name, -1) if RUN in self.entities else -1
        return self.run.steps[i].attempt if i >= 0 and i in self.run.steps else 1

    def _held_or_any(self, choose: Choices) -> str:
        return choose.of((self._held() if choose.chance(75) else self._names())[:256])

    def _names(self) -> list[str]:
        """Return the names of all steps that there are now."""
        return list(self.run.graph.names if RUN in self.entities else self.graph.names)

    def _nonsense(self, choose: Choices) -> Message:  # noqa: C901 - a line for each kind
        name = choose.of([*self._names(), "ghost", "ghost[0]"][:256])
        kind = choose.below(13)
        if kind == 12 and choose.chance(50):
            return answers.about_held(choose, name, len(self.trail))
        if kind == 12:
            name = choose.of((name, name, ""))
            return answers.given_astray(choose, name, self._attempt(name))
        if kind == 11:
            return answers.about_a_reaction(choose, RUN, f"{choose.of(EVENTS)}/k1")
        if kind < 3:
            return answers.report(choose, name, 1 + choose.below(4), is_selector=False)
        if kind == 3:
            return EventDelivered(key=RUN, wait=name, id=FORGED, data=answers.data(choose))
        if kind == 4:
            return RunTimerFired(key=RUN, timer=choose.of((name, "")), due=self.now + choose.of((0, 100)))
        if kind == 5:
            return ChildEnded(key=RUN, step=name, child=f"{RUN}//{name}", status="completed")
        if kind == 6 and choose.chance(60):
            return StartWithSignal(
                key=RUN, id=choose.of(("s1", f"s{len(self.trail)}")), workflow=choose.of(("order", "other")),
                fingerprint=self.graph.fingerprint, signal=choose.of(SIGNALS), data=answers.data(choose),
                format=2,
            )  # fmt: skip
        if kind == 6:
            return StartRun(key=RUN, id="again", workflow="order", fingerprint=self.graph.fingerprint)
        if kind == 7:
            return GatePassed(key=RUN, step=name, attempt=1 + choose.below(2))
        channel = f"{choose.of(EVENTS)}/k1"
        if kind == 8:
            return WaitOpened(key=channel, run="run-2", wait=name)
        if kind == 9 and choose.chance(30):
            return EventTaken(key=channel, id=FORGED, run="run-2", wait=name, attempt=1, format=TAKE)
        if kind == 9:
            return WaitClosed(key=channel, run="run-2", wait=name)
        return ChannelTimerFired(key=channel, timer="", due=self.now)

    # What must happen so that a run ends.

    def answer(self) -> Message | None:  # noqa: C901 - a line for each kind
        """Return the answer to some open question; None when there is no question left."""
        if self.under_way:
            return self.under_way.pop(0)
        if self.run.is_paused:
            return ResumeRun(key=RUN, id=f"answer-{len(self.trail)}")
        for name, attempt in self.asked.items():
            output = b"0" if self._is_selector(name) else answers.GOOD
            return AttemptCompleted(
                key=RUN, step=name, attempt=attempt, worker=self._holder(name), output=Raw(output)
            )
        for child, step in self.children.items():
            return ChildEnded(key=RUN, step=step, child=child, status="completed", output=Raw(answers.GOOD))
        for name, attempt in self.gated.items():
            return GatePassed(key=RUN, step=name, attempt=attempt)
        if (message := self._first_timer(is_told_again=False)) is not None:
            return message
        for key, entity in self.entities.items():
            if isinstance(entity, Channel) and any(run == RUN for run, _ in (*entity.waits, *entity.takers)):
                return EventPublished(key=key, id=f"answer-{len(self.trail)}", data=Raw(b"5"), ttl_ms=1)
        for i in sorted(self.run.waiting):
            node = self.run.graph.nodes[i]
            if isinstance(node, InputNode):
                good = Raw(answers.GOOD)
                return AnswerInput(
                    key=RUN, id=f"answer-{len(self.trail)}", wait=node.name, format=ASKS, answer=good
                )
            if isinstance(node, TokenNode):
                good = Raw(answers.GOOD)
                return CompleteStep(
                    key=RUN, id=f"answer-{len(self.trail)}", step=node.name, format=TOKENS, output=good
                )
            if isinstance(node, SignalNode):
                mail = self.run.mail
                kept = set() if mail is None else {kept.name for kept in mail.kept.values()}
                lacking = [name for name in node.signals if not (node.all_of and name in kept)]
                return SignalRun(key=RUN, id=f"answer-{len(self.trail)}", signal=lacking[0])
        for name in self._held():
            return self._decision(name)
        return self._first_timer(is_told_again=True)

    def _first_timer(self, *, is_told_again: bool) -> Message | None:
        """Return that the first timer is due, of gates and admissions, or of the others."""
        timers = [t for t in self.timers.items() if (t[0][0] in TELL_AGAIN) == is_told_again]
        if not timers:
            return None
        (kind, key, name), due = min(timers, key=lambda t: (t[1], t[0]))
        self.now = max(self.now, due)
        return timer_fired(kind, key, name, due)

    def _decision(self, name: str) -> Message:
        """Return what a person decides about a held step, in the end that it is done."""
        attempt = self.run.steps[self.run.graph.index[name]].attempt
        request = f"answer-{len(self.trail)}"
        if len(self.trail) % 2 and attempt < 4:
            return RetryRun(key=RUN, id=request, step=name)
        return CompleteHeld(key=RUN, id=request, step=name, format=HOLD, output=Raw(answers.GOOD))

    def answer_everything(self) -> None:
        """Answer until the run has ended or there is no question left."""
        for _ in range(30 * self.run.graph.size + 300):
            message = None if self.run.has_ended else self.answer()
            if message is None:
                return
            self.settle(message, self.tell(message))
        raise AssertionError(f"answers lead to questions without an end: {self.stuck()}")

    def clear_away(self) -> None:
        """Let all that is under way arrive, and whatever of the run stands in a line come to its turn."""
        for _ in range(3_000):
            if self.under_way:
                self.tell(self.under_way.pop(0))
            elif not self.left_behind() or (message := self._first_timer(is_told_again=True)) is None:
                return
            else:
                self.tell(message)
        raise AssertionError(f"messages lead to messages without an end: {self.left_behind()}")

    def left_behind(self) -> list[tuple[str, object]]:
        """Return where the run has a place, stands in a line, or is to be let in."""
        found: list[tuple[str, object]] = []
        for entity in self.entities.values():
            if isinstance(entity, Gate):
                found += [(entity.id, key) for key in (*entity.inside, *entity.waiting) if key[0] == RUN]
            elif isinstance(entity, Admission):
                member = entity.members.get(RUN)
                found += [] if member is None or member.stage == "settled" else [(entity.id, member)]
        return found

    def settle(self, message: Message, folded: Folded) -> None:
        """Forget a question whose answer the run does not want."""
        if isinstance(message, ChildEnded):
            self.children.pop(message.child, None)
        elif isinstance(message, GatePassed) and self.gated.get(message.step) == message.attempt:
            self.gated.pop(message.step)
        elif (
            ends_attempt(message)
            and folded.outcome is not Outcome.APPLIED
            and self.asked.get(message.step) == message.attempt
            and not self._is_open(message.step, message.attempt)
        ):
            self.asked.pop(message.step)

    def _is_open(self, name: str, attempt: int) -> bool:
        """Return whether the run waits for the end of an attempt, if perhaps by another worker."""
        i = self.run.graph.index.get(name, -1)
        step = self.run.steps.get(i)
        if step is None:
            return i >= 0 and attempt == 1 and not self.run.need[i] and not self.run.has_ended
        return step.status in ("ready", "running") and i not in self.run.open and step.attempt == attempt

    def _holder(self, name: str) -> str:
        """Return the worker that holds an attempt, if one does."""
        step = self.run.steps.get(self.run.graph.index.get(name, -1))
        return "" if step is None or step.worker is None else step.worker

    def stuck(self) -> str:
        """Return what each step that has not ended stands at, for people."""
        run, graph = self.run, self.run.graph
        lines = [f"run {run.status} left={run.left} active={run.active} failure={run.failure}"]
        for i in range(graph.size):
            step = run.steps.get(i)
            if step is None or step.status not in STEP_ENDED:
                on = [f"{graph.names[j]}:{s.status if (s := run.steps.get(j)) else None}"
                      for j in graph.dependencies[i]]  # fmt: skip
                about = None if step is None else (step.status, step.attempt, step.due, step.detail)
                lines.append(f"  {graph.names[i]} needs {run.need[i]} after {on} is {about}")
                lines.append(f"    {graph.nodes[i]}")
        return "\n".join(lines)


def ends_attempt(message: Message) -> TypeGuard[AttemptMessage]:
    """Return whether this is the last that is said of an attempt."""
    return isinstance(message, AttemptEnd | AttemptEmitted) and not isinstance(message, AttemptReturned)


def fold_into(entities: dict[str, Entity], message: Message, now: int, graph: Graph) -> Folded:
    """Fold a message as a batch does: an entity is made by the first message that may."""
    effects = Effects()
    try:
        entity = entities.get(message.key)
        if entity is None:
            entity = entities[message.key] = create(message, 0, {graph.fingerprint: graph}.get)
        outcome = fold(entity, message, now, effects)
    except RejectedError as error:
        refuse(message, error, effects)
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
        if not isinstance(message := world.move(choose), StartRun):
            world.tell(message)
    world.tell(a_start(world.graph, choose.of(answers.INPUTS)))
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
    world: World
    world, choose = draw(beginnings(size_max, moves_max))
    after_the_end = 0
    while not choose.is_used_up and after_the_end < 10:
        message = world.move(choose)
        world.settle(message, world.tell(message))
        after_the_end += world.run.has_ended
    return world


def a_start(graph: Graph, given: bytes) -> StartRun:
    return StartRun(
        key=RUN, id="start-1", workflow="order", fingerprint=graph.fingerprint, input=Raw(given), trace="00-1"
    )
