"""Sends messages with one acknowledgement each; a stuck lane delays no other lane.

A lane is one partition of one topic. Messages of a lane are passed to the client in the order of sending. In
normal operation a lane is only the client's own queue: nothing is stored here, and nothing waits. After a
message without acknowledgement, its lane is queued here until sending works again:

- Broker away or without room: the message is retried after a pause, before later messages of the lane.
- Broker refuses a whole batch because of one record: each message of the batch is retried alone, in order; a
  message refused alone is final, and its callback gets the error.
- Topic missing or not authorised: messages are refused, or wait until the topic is available.

Acknowledged messages are never sent again. If a topic's size limit is known, a larger message is refused here
before sending, at no cost to other messages.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from stream_durable.core.errors import TransientError
from stream_durable.lanes import BATCH_BYTES, FIRST_SECONDS, Concerns, Lane, LaneKey, Trouble, Wire, size_of
from stream_durable.ports import Headers, Instead, Outgoing, Refusal
from stream_durable.telemetry import DEPENDENCY_FAILED, MESSAGE_REFUSED, logger

_log = logger(__name__)

Messages = Sequence[tuple[Outgoing, Headers | None]]

#: What is short of its topic's limit by so much needs no exact measure.
_SLACK_BYTES = 16_384
#: The limit of a topic of which none is known.
_NEVER = 1 << 60
_LONGEST_SECONDS = 2.0


class Delivery:
    """Messages sent together, with the outcome of each."""

    __slots__ = (
        "acknowledged", "done", "instead", "messages", "number", "refusals", "sender", "settled", "taken",
    )  # fmt: skip

    def __init__(
        self,
        sender: Sender,
        messages: Messages,
        done: Callable[[list[Refusal]], None],
        instead: Instead | None = None,
    ) -> None:
        self.sender = sender
        self.instead = instead
        #: In the order in which they were sent.
        self.number = 0
        self.messages = messages
        self.done = done
        #: Counted where acknowledgements arrive; refusals are counted on the loop.
        self.acknowledged = 0
        self.refusals: list[Refusal] = []
        #: Per message: whether it has been acknowledged, or refused.
        self.settled = bytearray(len(messages))
        #: How many have been looked at.
        self.taken = len(messages)

    @property
    def is_over(self) -> bool:
        return self.acknowledged + len(self.refusals) == len(self.messages)

    def settle(self, i: int, error: Any, placed: Any) -> None:
        """Receive, in any thread, the outcome of a message."""
        if error is None and placed is not None and placed.offset() is None:
            # A broker that was not ready for the first batch of a partition, and has taken the second, takes
            # the first for a repeat when it comes again. The client says that it is there, and it is not.
            error = self.sender.unplaced
        if error is None:
            self.settled[i] = 1
            self.acknowledged += 1
            if not (self.sender.has_lanes or self.acknowledged + len(self.refusals) == len(self.messages)):
                return
            self.sender.tell(self, i, None)
            return
        # In this order: what is sent from now on waits, and what is queued in the client comes back.
        self.sender.tell(self, i, error)
        self.sender.has_failed = True
        self.sender.take_back(error)


class Sender:
    """Sends messages over a wire, each until acknowledged or refused."""

    def __init__(self, wire: Wire, limits: Mapping[str, int], *, refuses: Callable[[str], bool]) -> None:
        """Send nothing yet.

        `limits` returns a topic's known size limit for messages, possibly growing. `refuses` returns whether
        messages for a missing or closed topic are refused; messages for other topics wait.
        """
        self._wire = wire
        self.take_back = wire.take_back
        self.unplaced = wire.unplaced
        self._limits = limits
        self._refuses = refuses
        self._loop: asyncio.AbstractEventLoop | None = None
        self._numbers = 0
        #: Not over yet, the oldest first.
        self._outstanding: dict[int, Delivery] = {}
        self._lanes: dict[LaneKey, Lane] = {}
        #: Read wherever acknowledgements arrive: whether each of them is to be told.
        self.has_lanes = False
        #: Set wherever failures arrive: whether one of them has not been handled yet.
        self.has_failed = False
        #: What was told and not heard yet.
        self._told: deque[tuple[Delivery, int, Any]] = deque()
        self._is_called = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_stopped = False

    def send(
        self, messages: Messages, done: Callable[[list[Refusal]], None], instead: Instead | None = None
    ) -> None:
        """Send messages, in order per partition, without waiting.

        `done` is called on the loop for each message, acknowledged or refused; `instead` may supply a message
        of the same lane in place of a refused one.
        """
        self._send(Delivery(self, messages, done, instead))

    async def publish(self, messages: Messages) -> list[Refusal]:
        """Send messages and wait until each is acknowledged or refused; return what was refused."""
        if not messages:
            return []
        settled: asyncio.Future[list[Refusal]] = asyncio.get_running_loop().create_future()

        def done(refusals: list[Refusal]) -> None:
            if not settled.done():
                settled.set_result(refusals)

        self.send(messages, done)
        return await settled

    def _send(self, delivery: Delivery) -> None:
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        self._numbers += 1
        delivery.number = self._numbers
        self._outstanding[delivery.number] = delivery
        messages = delivery.messages
        if not messages:
            self.tell(delivery, -1, None)
        limits, produce, settle = self._limits, self._wire.produce, delivery.settle
        for i, (message, headers) in enumerate(messages):
            limit = limits.get(message.topic, _NEVER)
            if self.has_failed:
                delivery.taken = i
                self._heed()
            if self._lanes or limit < BATCH_BYTES or len(message.value or b"") + _SLACK_BYTES > limit:
                delivery.taken = i
                if self._is_kept(delivery, i, limit):
                    continue
            error = produce(message, headers, partial(settle, i))
            if error is not None:
                delivery.taken = i
                self._failed(delivery, i, error)
        delivery.taken = len(messages)
        if self._lanes:
            self._go_on()

    def tell(self, delivery: Delivery, i: int, error: Any) -> None:
        """Pass a notice to the loop, from any thread."""
        self._told.append((delivery, i, error))
        if not self._is_called:
            self._is_called = True
            assert self._loop is not None
            # A closed loop receives nothing more.
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._hear)

    def _is_kept(self, delivery: Delivery, i: int, limit: int) -> bool:
        """Keep a message waiting for others, or too large, and return True; otherwise return False."""
        message, headers = delivery.messages[i]
        size = size_of(message, headers)
        if size > limit:
            self._refuse(delivery, i, _too_large(message, size, limit))
            return True
        key = self._wire.lane(message)
        lane = self._lanes.get(key)
        if lane is None:
            if limit >= BATCH_BYTES:
                return False
            # A batch of messages that all fit may be more than the topic takes.
            lane = self._open(key)
        lane.add(delivery, i, is_alone=False)
        return True

    def _hear(self) -> None:
        self._is_called = False
        told = self._told
        while told:
            delivery, i, error = told.popleft()
            if error is not None:
                self._failed(delivery, i, error)
            elif self._lanes and i >= 0:
                self._acknowledged(delivery, i)
            if delivery.is_over:
                self._end(delivery)
        if self._lanes:
            self._go_on()

    def _heed(self) -> None:
        """Handle failures at once: a later message of the same lane must not overtake."""
        self.has_failed = False
        told, others = self._told, []
        while told:
            delivery, i, error = told.popleft()
            if error is None:
                others.append((delivery, i, error))
            else:
                self._failed(delivery, i, error)
        told.extendleft(reversed(others))

    def _end(self, delivery: Delivery) -> None:
        if self._outstanding.pop(delivery.number, None) is not None:
            delivery.done(delivery.refusals)

    def _acknowledged(self, delivery: Delivery, i: int) -> None:
        lane = self._lanes.get(self._wire.lane(delivery.messages[i][0]))
        if lane is not None:
            lane.forget((delivery.number, i))
            lane.delay = FIRST_SECONDS

    def _failed(self, delivery: Delivery, i: int, error: Any) -> None:
        """Decide about an unacknowledged message: retry or refuse."""
        message = delivery.messages[i][0]
        trouble = self._wire.trouble(error)
        lane = self._open(self._wire.lane(message))
        place = (delivery.number, i)
        was_alone = lane.alone == place
        lane.forget(place)
        if trouble.concerns is Concerns.MESSAGE:
            if was_alone:
                self._refuse(delivery, i, trouble)
                return
            lane.add(delivery, i, is_alone=True)
            self._hold(lane, self._look_at(lane, trouble))
            return
        lane.add(delivery, i, is_alone=was_alone)
        if trouble.concerns is Concerns.TOPIC:
            self._hold(lane, self._look_at(lane, trouble))
        else:
            self._hold(lane, self._pause(lane, trouble))

    def _open(self, key: LaneKey) -> Lane:
        """Return a lane, kept here from now on."""
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = Lane(key)
            # In this order: from now on outcomes are passed on.
            self.has_lanes = True
            for delivery in self._outstanding.values():
                for i in range(delivery.taken):
                    if not delivery.settled[i] and self._wire.lane(delivery.messages[i][0]) == key:
                        lane.flying[delivery.number, i] = size_of(*delivery.messages[i])
        return lane

    def _hold(self, lane: Lane, until: Any) -> None:
        """Stop a lane until this is over."""
        if lane.is_held or self._is_stopped:
            lane.is_held = True
            until.close()
            return
        lane.is_held = True
        task = asyncio.get_running_loop().create_task(until)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _pause(self, lane: Lane, trouble: Trouble) -> None:
        self._log_refusal(lane, trouble.reason, f"publish to {lane.key[0]}")
        await asyncio.sleep(lane.delay)
        lane.delay = min(lane.delay * 2, _LONGEST_SECONDS)
        lane.is_held = False
        self._go_on()

    async def _look_at(self, lane: Lane, trouble: Trouble) -> None:
        """Look up the topic's metadata, and refuse messages for a missing or closed topic."""
        topic = lane.key[0]
        is_there = True
        try:
            is_there = await self._wire.look(lane.key)
        except TransientError as error:
            self._log_refusal(lane, str(error), f"look at topic {topic}")
        if not is_there or trouble.code == "not_authorised":
            self._log_refusal(lane, trouble.reason, f"publish to {topic}")
            if self._refuses(topic):
                self._refuse_all(lane, trouble)
            else:
                await asyncio.sleep(_LONGEST_SECONDS)
        elif trouble.concerns is not Concerns.MESSAGE:
            await asyncio.sleep(lane.delay)
            lane.delay = min(lane.delay * 2, _LONGEST_SECONDS)
        lane.is_held = False
        self._go_on()

    def _log_refusal(self, lane: Lane, reason: str, doing: str) -> None:
        """Log the reason for a pause of a lane, unless logged before."""
        if reason != lane.logged:
            _log.warning(DEPENDENCY_FAILED, reason=reason, doing=doing)
            lane.logged = reason

    def _refuse_all(self, lane: Lane, trouble: Trouble) -> None:
        waiting, lane.waiting = lane.waiting, []
        for _, i, delivery, _ in waiting:
            self._refuse(delivery, i, trouble)

    def _refuse(self, delivery: Delivery, i: int, trouble: Trouble) -> None:
        message = delivery.messages[i][0]
        _log.warning(MESSAGE_REFUSED, topic=message.topic, code=trouble.code, reason=trouble.reason)
        refusal = Refusal(i, trouble.code, trouble.reason)
        other = None if delivery.instead is None else delivery.instead(refusal)
        if other is not None:
            delivery.messages = [*delivery.messages[:i], other, *delivery.messages[i + 1 :]]
            self._open(self._wire.lane(message)).add(delivery, i, is_alone=False)
            return
        delivery.settled[i] = 1
        delivery.refusals.append(refusal)
        if delivery.is_over:
            self.tell(delivery, -1, None)

    def _go_on(self) -> None:
        for lane in list(self._lanes.values()):
            if not lane.is_held:
                self._run(lane)

    def _run(self, lane: Lane) -> None:
        """Send messages of a lane; an empty lane is released."""
        limit = self._limits.get(lane.key[0], _NEVER)
        window = min(limit, BATCH_BYTES)
        while lane.waiting and not lane.is_held:
            number, i, delivery, is_alone = lane.waiting[0]
            message, headers = delivery.messages[i]
            size = size_of(message, headers)
            if size > limit:
                heapq.heappop(lane.waiting)
                self._refuse(delivery, i, _too_large(message, size, limit))
                continue
            if lane.flying and (
                is_alone or lane.alone is not None or sum(lane.flying.values()) + size > window
            ):
                return
            heapq.heappop(lane.waiting)
            lane.flying[number, i] = size
            lane.alone = (number, i) if is_alone else None
            error = self._wire.produce(message, headers, partial(delivery.settle, i))
            if error is not None:
                self._failed(delivery, i, error)
        if not lane.waiting and not lane.flying and not lane.is_held:
            del self._lanes[lane.key]
            self.has_lanes = bool(self._lanes)

    def stop(self) -> None:
        """Try nothing again, and say nothing of what is abandoned."""
        self._is_stopped = True
        for task in self._tasks:
            task.cancel()


def _too_large(message: Outgoing, size: int, limit: int) -> Trouble:
    text = f"the message has {size} bytes, and topic {message.topic} takes {limit}"
    return Trouble(Concerns.MESSAGE, "too_large", text)
