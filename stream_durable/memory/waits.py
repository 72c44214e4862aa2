"""What is waited for, reacted to and kept, as the store in memory has it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from stream_durable.core.channel.rows import ExpiredRow
from stream_durable.core.names import beside_name, helper_kind
from stream_durable.core.run.rows import RunRow, StepRow
from stream_durable.core.status import STEP_ENDED, WAITING
from stream_durable.memory.tables import Tables
from stream_durable.ports import (
    ChannelRange,
    EventWait,
    ReactionSource,
    SignalStep,
    SignalWait,
    StoredEvent,
    StoredSignal,
)

_signals = msgspec.json.Decoder(list[str]).decode


class WaitViews:
    """The part of the views that is about waits and events."""

    _tables: Tables

    async def event_waits(
        self, channels: ChannelRange, workflow: str | None, *, after: tuple[str, str, str], limit: int
    ) -> list[EventWait]:
        """Return a page of the open waits for events, and of reactions."""
        found = []
        for (channel, run_id, wait), row in sorted(self._tables.waits.items()):
            run, step = self._waiting(run_id, wait)
            is_meant = _is_within(channel, channels) and (channel, run_id, wait) > after
            if run is None or not is_meant or workflow not in (None, run.workflow):
                continue
            if row.cursor is not None:
                behind = self._events_behind(channel, row.cursor)
                found.append(EventWait(channel, run_id, wait, run.workflow, run.started, None, behind))
            elif step is not None:
                found.append(EventWait(channel, run_id, wait, run.workflow, step.started, step.due))
        return found[:limit]

    async def signal_waits(
        self,
        steps: Sequence[SignalStep],
        workflow: str | None,
        *,
        after: tuple[int, str, str],
        limit: int,
    ) -> list[SignalWait]:
        """Return a page of the open waits of these steps, and of reactions, oldest runs first."""
        found = [
            one
            for run in self._tables.runs.values()
            if run.ended is None and workflow in (None, run.workflow)
            for wanted in steps
            if wanted.fingerprint == run.fingerprint and (one := self._signal_wait(run, wanted)) is not None
        ]
        return sorted(one for one in found if one[:3] > after)[:limit]

    async def inner_waits(
        self, signal: str | None, workflow: str | None, *, after: tuple[int, str, str], limit: int
    ) -> list[SignalWait]:
        """Return a page of the open signal waits inside steps, oldest runs first."""
        found = []
        for row in self._tables.signal_waits.values():
            run, step = self._waiting(row.run, row.wait)
            if run is None or step is None or workflow not in (None, row.workflow):
                continue
            if signal is None or signal in _signals(row.signals or "[]"):
                place = (row.created, row.run, row.wait, row.workflow, run.fingerprint)
                found.append(SignalWait(*place, step.started, step.due, name=row.name))
        return sorted(one for one in found if one[:3] > after)[:limit]

    def _signal_wait(self, run: RunRow, wanted: SignalStep) -> SignalWait | None:
        place = (run.created, run.id, wanted.step, run.workflow, run.fingerprint)
        if wanted.reacts_to is not None:
            behind = self._signals_behind(run.id, wanted.reacts_to) + self._open_calls(run.id, wanted.step)
            return SignalWait(*place, run.started, None, behind)
        _, step = self._waiting(run.id, wanted.step)
        return None if step is None else SignalWait(*place, step.started, step.due)

    async def behind(self, run: str, reactions: Sequence[ReactionSource]) -> dict[str, int]:
        """Count the events and kept signals waiting for each reaction of a run."""
        found = {}
        for reaction, channel, signal in reactions:
            if signal is not None:
                found[reaction] = self._signals_behind(run, signal)
            elif (
                channel is not None and (row := self._tables.waits.get((channel, run, reaction))) is not None
            ):
                found[reaction] = self._events_behind(channel, row.cursor or 0)
        return found

    async def expired_events(
        self, channels: ChannelRange, *, after: tuple[str, str], limit: int
    ) -> list[StoredEvent]:
        """Return a page of expired events without any taker."""
        rows = sorted(self._tables.rows[ExpiredRow].items())
        return [
            StoredEvent(row.channel, row.id, None, row.expired, row.published, None, row.sent_by)
            for key, row in rows
            if key > after and _is_within(key[0], channels)
        ][:limit]

    async def run_signals(self, run: str) -> list[StoredSignal]:
        """Return kept and expired signals of a run, oldest first."""
        return [
            StoredSignal(row.id or "", row.name, row.data is not None, row.sent_by, row.came, row.expires)
            for _, row in sorted(self._tables.signals.items())
            if row.run == run and row.name is not None
        ]

    def _events_behind(self, channel: str, cursor: int) -> int:
        numbers = (row.number or 0 for row in self._tables.events.values() if row.channel == channel)
        return sum(number > cursor for number in numbers)

    def _signals_behind(self, run: str, signal: str) -> int:
        rows = self._tables.signals.values()
        return sum(row.run == run and row.name == signal and row.data is not None for row in rows)

    def _open_calls(self, run: str, reaction: str) -> int:
        return sum(
            row.run == run and beside_name(helper_kind(row.name)) == reaction and row.status not in STEP_ENDED
            for row in self._tables.steps.values()
        )

    async def kept_events(
        self, channels: ChannelRange, *, after: tuple[str, str], limit: int, untaken: bool = False
    ) -> list[StoredEvent]:
        """Return a page of the kept events."""
        found = [
            StoredEvent(*key, event.data, event.expires, event.published, event.taken, event.sent_by)
            for key, event in sorted(self._tables.events.items())
            if key > after and _is_within(key[0], channels)
            if event.data is not None and event.expires is not None and not (untaken and event.taken)
        ]
        return found[:limit]

    def _waiting(self, run: str, step: str) -> tuple[RunRow | None, StepRow | None]:
        """Return an unfinished run with a waiting step."""
        row, waiting = self._tables.runs.get(run), self._tables.steps.get((run, step))
        is_open = row is not None and row.ended is None
        is_waiting = waiting is not None and waiting.status == WAITING
        return row if is_open else None, waiting if is_waiting else None


def _is_within(channel: str, channels: ChannelRange) -> bool:
    return (
        (channels.first is None or channel >= channels.first)
        and (channels.last is None or channel < channels.last)
        and channels.key in (None, channel.partition("/")[2])
    )
