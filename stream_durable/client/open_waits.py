"""Open waits of all runs, and events kept for future waits."""

from __future__ import annotations

from datetime import datetime
from operator import itemgetter
from typing import Any, Final, NamedTuple

import msgspec

from stream_durable.client.edge import Edge
from stream_durable.client.listing import LIMIT_MAX
from stream_durable.core.definition.nodes import SignalNode, TokenNode
from stream_durable.core.errors import RejectedError
from stream_durable.core.ids import channel_id
from stream_durable.core.moments import moment
from stream_durable.core.names import beside_name, hook_kind
from stream_durable.ports import ChannelRange, EventWait, SignalStep, SignalWait, StoredEvent

#: Follows the slash between an event's name and its key.
_AFTER_SLASH: Final = chr(ord("/") + 1)
#: Beyond every place in front of the first.
_NO_CHANNEL: Final = ("", "", "")
_NO_RUN: Final = (0, "", "")


class OpenWait(NamedTuple):
    """A step waiting for an event, for signals, or for its end from outside; or a reaction."""

    run: str
    workflow: str
    #: Of a reaction, its name.
    step: str
    #: `event`, `signal` or `token`; `event reaction` or `signal reaction`.
    kind: str
    #: Of the event, or of the signals; empty for a token.
    name: str
    #: Of an event.
    key: str | None
    since: datetime | None
    #: When the step waits no longer; None: it has no time-out.
    until: datetime | None
    #: Of a reaction: how many events or signals came and are not worked off, the one under way among them.
    behind: int | None = None


class WaitList(NamedTuple):
    """A page of open waits: for events by name and key, then for signals and tokens by age of the run."""

    waits: list[OpenWait]
    #: What `after=` takes to go on; None: there are no more.
    following: str | None


class KeptEvent(NamedTuple):
    """An event kept until expiry, for later waits; or an expired event without any taker."""

    event: str
    key: str
    id: str
    #: None for one that expired: its data is on the log alone.
    data: Any
    expires: datetime
    #: The time of arrival; None: taken in by an older release.
    published: datetime | None
    #: The time of the first wake-up of a run; None: not taken yet.
    taken: datetime | None
    #: Who published it.
    by: str = ""


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
        rest += await _inside(edge, signal, workflow, place, left + 1)
        rest.sort(key=itemgetter(0, 1, 2))
        names = {step[:2]: name for step, name in steps.items()}
        found += [_signal_wait(wait, wait.name or names[wait.fingerprint, wait.wait]) for wait in rest[:left]]
        if len(rest) > left:
            return WaitList(found, _cursor(("signal", *rest[left - 1][:3]) if left else last))
    return WaitList(found, None)


async def kept_events(
    edge: Edge,
    event: str | None,
    key: str | None,
    limit: int,
    after: str | None,
    *,
    untaken: bool,
    expired: bool,
) -> EventList:
    """Return a page of the kept events, or of expired events without any taker."""
    _check(limit)
    views = edge.ports.views
    place = ("", "") if after is None else tuple(_read(after))
    channels = _channels(event, key)
    if expired:
        page = await edge.ask(
            lambda: views.expired_events(channels, after=place, limit=limit + 1), "list expired events"
        )
    else:
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
    edge: Edge, steps: dict[SignalStep, str], workflow: str | None, place: list[Any], limit: int
) -> list[SignalWait]:
    if not steps:
        return []
    views, after = edge.ports.views, tuple(place) or _NO_RUN
    return await edge.ask(
        lambda: views.signal_waits(list(steps), workflow, after=after, limit=limit), "list waits"
    )


async def _inside(
    edge: Edge, signal: str | None, workflow: str | None, place: list[Any], limit: int
) -> list[SignalWait]:
    views, after = edge.ports.views, tuple(place) or _NO_RUN
    return await edge.ask(lambda: views.inner_waits(signal, workflow, after=after, limit=limit), "list waits")


async def _steps(edge: Edge, signal: str | None) -> dict[SignalStep, str]:
    """Return steps that wait for signals or a token, and reactions to signals, with the signals' names."""
    catalogue = edge.ports.catalogue
    await edge.ask(catalogue.catch_up, "read the definitions")
    waits = {
        SignalStep(graph.fingerprint, node.name): "" if isinstance(node, TokenNode) else node.named
        for graph in catalogue.known()
        for node in graph.nodes
        if (isinstance(node, SignalNode) and (signal is None or signal in node.signals))
        or (isinstance(node, TokenNode) and signal is None)
    }
    reactions = {
        SignalStep(graph.fingerprint, beside_name(node.name), name): name
        for graph in catalogue.known()
        for name, node in graph.reactions.items()
        if signal in (None, name)
    }
    return waits | reactions


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
    return _open_wait(wait, "event", name, key)


def _signal_wait(wait: SignalWait, names: str) -> OpenWait:
    return _open_wait(wait, "signal" if names else "token", names, None)


def _open_wait(wait: EventWait | SignalWait, kind: str, name: str, key: str | None) -> OpenWait:
    step = wait.wait
    if wait.behind is not None:
        kind, step = f"{kind} reaction", hook_kind(step)
    return OpenWait(
        wait.run, wait.workflow, step, kind, name, key, moment(wait.since),
        moment(wait.due), wait.behind,
    )  # fmt: skip


def _kept(event: StoredEvent) -> KeptEvent:
    name, _, key = event.channel.partition("/")
    data = None if event.data is None else msgspec.json.decode(event.data)
    return KeptEvent(
        name, key, event.id, data, moment(event.expires), moment(event.published), moment(event.taken),
        event.sent_by or "",
    )  # fmt: skip


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
