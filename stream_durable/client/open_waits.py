"""Open waits of all runs, and events kept for future waits."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec

from stream_durable.client.edge import Edge
from stream_durable.client.listing import LIMIT_MAX
from stream_durable.client.state import moment
from stream_durable.core.definition.nodes import SignalNode, TokenNode
from stream_durable.core.errors import RejectedError
from stream_durable.core.ids import channel_id
from stream_durable.ports import ChannelRange, EventWait, SignalWait, StoredEvent

#: Follows the slash between an event's name and its key.
_AFTER_SLASH: Final = chr(ord("/") + 1)
#: Beyond every place in front of the first.
_NO_CHANNEL: Final = ("", "", "")
_NO_RUN: Final = (0, "", "")


class OpenWait(NamedTuple):
    """A step waiting for an event, for signals, or for its end from outside."""

    run: str
    workflow: str
    step: str
    #: `event`, `signal` or `token`.
    kind: str
    #: Of the event, or of the signals; empty for a token.
    name: str
    #: Of an event.
    key: str | None
    since: datetime | None
    #: When the step waits no longer; None: it has no time-out.
    until: datetime | None


class WaitList(NamedTuple):
    """A page of open waits: for events by name and key, then for signals and tokens by age of the run."""

    waits: list[OpenWait]
    #: What `after=` takes to go on; None: there are no more.
    following: str | None


class KeptEvent(NamedTuple):
    """An event kept until expiry, for later waits."""

    event: str
    key: str
    id: str
    data: Any
    expires: datetime
    #: The time of arrival; None: taken in by an older release.
    published: datetime | None
    #: The time of the first wake-up of a run; None: not taken yet.
    taken: datetime | None


class EventList(NamedTuple):
    """A page of kept events, by name, key and id."""

    events: list[KeptEvent]
    following: str | None


async def open_waits(
    edge: Edge,
    workflow: str | None,
    event: str | None,
    key: str | None,
    signal: str | None,
    limit: int,
    after: str | None,
) -> WaitList:
    """Return a page of the open waits meeting all given conditions."""
    _check(limit)
    place = [] if after is None else _read(after)
    found: list[OpenWait] = []
    last: tuple[Any, ...] = ()
    if signal is None and place[:1] != ["signal"]:
        page = await _of_events(edge, workflow, _channels(event, key), place[1:], limit + 1)
        found += [_event_wait(wait) for wait in page[:limit]]
        if page:
            last = ("event", *page[:limit][-1][:3])
        if len(page) > limit:
            return WaitList(found, _cursor(last))
    if event is None and key is None:
        place = place[1:] if place[:1] == ["signal"] else []
        steps = await _steps(edge, signal)
        left = limit - len(found)
        rest = await _of_signals(edge, steps, workflow, place, left + 1)
        found += [_signal_wait(wait, steps) for wait in rest[:left]]
        if len(rest) > left:
            return WaitList(found, _cursor(("signal", *rest[left - 1][:3]) if left else last))
    return WaitList(found, None)


async def kept_events(
    edge: Edge, event: str | None, key: str | None, limit: int, after: str | None, *, untaken: bool
) -> EventList:
    """Return a page of the kept events."""
    _check(limit)
    views = edge.ports.views
    place = ("", "") if after is None else tuple(_read(after))
    channels = _channels(event, key)
    page = await edge.ask(
        lambda: views.kept_events(channels, after=place, limit=limit + 1, untaken=untaken), "list events"
    )
    following = _cursor(page[limit - 1][:2]) if len(page) > limit else None
    return EventList(list(map(_kept, page[:limit])), following)


async def _of_events(
    edge: Edge, workflow: str | None, channels: ChannelRange, place: list[Any], limit: int
) -> list[EventWait]:
    views, after = edge.ports.views, tuple(place) or _NO_CHANNEL
    return await edge.ask(
        lambda: views.event_waits(channels, workflow, after=after, limit=limit), "list waits"
    )


async def _of_signals(
    edge: Edge, steps: dict[tuple[str, str], str], workflow: str | None, place: list[Any], limit: int
) -> list[SignalWait]:
    if not steps:
        return []
    views, after = edge.ports.views, tuple(place) or _NO_RUN
    return await edge.ask(
        lambda: views.signal_waits(list(steps), workflow, after=after, limit=limit), "list waits"
    )


async def _steps(edge: Edge, signal: str | None) -> dict[tuple[str, str], str]:
    """Return the steps that wait for signals or a token, by (fingerprint, step), with the signals' names."""
    catalogue = edge.ports.catalogue
    await edge.ask(catalogue.catch_up, "read the definitions")
    return {
        (graph.fingerprint, node.name): "" if isinstance(node, TokenNode) else node.named
        for graph in catalogue.known()
        for node in graph.nodes
        if (isinstance(node, SignalNode) and (signal is None or signal in node.signals))
        or (isinstance(node, TokenNode) and signal is None)
    }


def _channels(event: str | None, key: str | None) -> ChannelRange:
    """Return the position of an event's channels, or of the channel of an event and a key."""
    if event is None:
        return ChannelRange(key=key)
    if key is not None:
        channel = channel_id(event, key)
        return ChannelRange(channel, channel + "\x01", key)
    return ChannelRange(channel_id(event, ""), event + _AFTER_SLASH)


def _event_wait(wait: EventWait) -> OpenWait:
    name, _, key = wait.channel.partition("/")
    return OpenWait(
        wait.run, wait.workflow, wait.wait, "event", name, key, _moment(wait.since), _moment(wait.due)
    )


def _signal_wait(wait: SignalWait, steps: dict[tuple[str, str], str]) -> OpenWait:
    names = steps[wait.fingerprint, wait.wait]
    kind = "signal" if names else "token"
    return OpenWait(
        wait.run, wait.workflow, wait.wait, kind, names, None, _moment(wait.since), _moment(wait.due)
    )


def _kept(event: StoredEvent) -> KeptEvent:
    name, _, key = event.channel.partition("/")
    data = msgspec.json.decode(event.data)
    return KeptEvent(
        name, key, event.id, data, moment(event.expires), _moment(event.published), _moment(event.taken)
    )


def _moment(millis: int | None) -> datetime | None:
    return None if millis is None else moment(millis)


def _check(limit: int) -> None:
    if not 1 <= limit <= LIMIT_MAX:
        raise RejectedError("bad_limit", f"limit= takes 1 to {LIMIT_MAX}, not {limit}")


def _cursor(place: tuple[Any, ...]) -> str:
    return msgspec.json.encode(place).decode()


def _read(cursor: str) -> list[Any]:
    try:
        return msgspec.json.decode(cursor, type=list[Any])
    except msgspec.DecodeError:
        text = f"{cursor[:128]!r} is no position in a list: pass the value of `following`"
        raise RejectedError("bad_cursor", text) from None
