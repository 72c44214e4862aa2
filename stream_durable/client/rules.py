"""Triggers: listed, turned off and on, and deleted."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple, Unpack

from stream_durable.admission import failure_of
from stream_durable.client.edge import Edge
from stream_durable.client.filter import since_epoch
from stream_durable.client.latest import OrderState, order_states
from stream_durable.client.replaying import Place, Replay, Replayed, ReplayOptions
from stream_durable.core.declared import (
    Declared,
    Rule,
    forgotten,
    ordered,
    rule_key,
    turned_off,
    turned_on,
)
from stream_durable.core.errors import RejectedError
from stream_durable.core.messages import EventPublished, EventUnkeyed, StartTriggered
from stream_durable.core.moments import moment
from stream_durable.core.orders import Order
from stream_durable.core.schedule.state import Off
from stream_durable.core.triggers import Trigger, start_of
from stream_durable.ports import Catalogue, Outgoing, Record
from stream_durable.wire.inbox import decode_message, encode
from stream_durable.wire.topics import INBOX


class TriggerState(NamedTuple):
    """A trigger."""

    name: str
    event: str
    workflow: str
    #: The path of the run's id; empty: each event has a run of its own.
    id: str
    #: The path of the input, or a path for each field.
    input: str | dict[str, str]
    match: dict[str, Any]
    #: The app whose code declares it, and whether it does no longer.
    app: str
    is_undeclared: bool
    #: Whether it is on; else why not, since when, and who turned it off.
    is_on: bool
    reason: str
    off_since: datetime | None
    off_by: str
    #: The latest order of each act.
    orders: tuple[OrderState, ...]


class RuleOrders:
    """Orders to triggers, and their states."""

    @property
    @abstractmethod
    def _edge(self) -> Edge: ...

    async def triggers(self) -> list[TriggerState]:
        """Return all triggers, by name."""
        declared = await read_declared(self._edge)
        found = sorted(declared.rules.items())
        return [_trigger(declared, key, rule) for key, rule in found if isinstance(rule, Trigger)]

    async def trigger(self, name: str) -> TriggerState:
        """Return a trigger."""
        key, declared = rule_key("trigger", name), await read_declared(self._edge)
        rule = known_rule(declared, "trigger", name)
        assert isinstance(rule, Trigger), "the key says it"
        return _trigger(declared, key, rule)

    async def pause_trigger(self, name: str, reason: str = "", *, by: str = "") -> None:
        """Turn a trigger off, over deployments too. Events meanwhile start nothing, now or later."""
        await turn(self._edge, "trigger", name, "pause", reason, by)

    async def resume_trigger(self, name: str, reason: str = "", *, by: str = "") -> None:
        """Turn a trigger on again, from now on."""
        await turn(self._edge, "trigger", name, "resume", reason, by)

    async def delete_trigger(self, name: str) -> None:
        """Forget a trigger; runs go on. A deployment still declaring the trigger creates it again."""
        await forget(self._edge, "trigger", name)

    async def replay_trigger(
        self, name: str, since: Place, until: Place | None = None, **options: Unpack[ReplayOptions]
    ) -> Replayed:
        """Give events of the inbox from `since` to before `until` to a trigger again, one each `pace`.

        Options and counts are those of `replay_binding`. No event starts a second run.
        """
        edge = self._edge
        trigger = known_rule(await read_declared(edge), "trigger", name)
        assert isinstance(trigger, Trigger), "the key says it"
        catalogue = edge.ports.catalogue

        async def prepare(_: Sequence[Record]) -> None:
            await catalogue.catch_up()

        def make(record: Record, _: str) -> Outgoing | None:
            start = _past_start(trigger, record)
            if start is None:
                return None
            start.fingerprint = catalogue.current(start.workflow) or ""
            if failure := start.failure or failure_of(start, catalogue):
                raise RejectedError(failure.code, failure.message)
            return Outgoing(INBOX, None, start.key.encode(), encode(start))

        replay = Replay(edge, "trigger", name, INBOX, prepare, make)
        return await replay.run(since, until, options)


async def turn(
    edge: Edge, kind: str, name: str, act: Literal["pause", "resume"], reason: str, by: str
) -> None:
    """Turn a rule off, or on; refuse an unknown one."""
    key = rule_key(kind, name)
    known_rule(await read_declared(edge), kind, name)
    now = since_epoch("now", edge.now())
    record = turned_on(key) if act == "resume" else turned_off(key, Off(now, reason, by))
    await edge.ask(
        lambda: edge.ports.catalogue.declare([ordered(key, act, Order(now, by, reason)), record]),
        f"turn {kind} {name!r} off or on",
    )


async def forget(edge: Edge, kind: str, name: str) -> None:
    """Delete a rule; refuse an unknown one."""
    declared, key = await read_declared(edge), rule_key(kind, name)
    known_rule(declared, kind, name)
    records = forgotten(key, declared.skips.get(key, ()))
    await edge.ask(lambda: edge.ports.catalogue.declare(records), f"delete {kind} {name!r}")


async def declare_rules(catalogue: Catalogue, app: str, rules: Mapping[str, Rule], now: int) -> None:
    """Publish the rules of an app, as far as they are not known yet; `now` in milliseconds."""
    if records := catalogue.declared.lacking(app, rules, now):
        await catalogue.declare(records)


async def read_declared(edge: Edge) -> Declared:
    """Return all declarations."""
    await edge.ask(edge.ports.catalogue.catch_up, "read the definitions")
    return edge.ports.catalogue.declared


def known_rule(declared: Declared, kind: str, name: str) -> Rule:
    """Return a rule; refuse an unknown one."""
    found = declared.rules.get(rule_key(kind, name))
    if found is None:
        text = f"there is no {kind} {name[:128]!r}: `stream-durable {kind}s list` shows them"
        raise RejectedError(f"unknown_{kind}", text)
    return found


def _past_start(trigger: Trigger, record: Record) -> StartTriggered | None:
    """Return the start by a trigger for a record of the inbox, if the record is a matching event."""
    try:
        message = decode_message(record.value or b"")
    except RejectedError:
        return None
    if not isinstance(message, EventPublished | EventUnkeyed):
        return None
    return start_of(trigger, message) if message.key.partition("/")[0] == trigger.event else None


def _trigger(declared: Declared, key: str, rule: Trigger) -> TriggerState:
    off = declared.off.get(key)
    return TriggerState(
        rule.name, rule.event, rule.workflow, rule.id, rule.input, rule.match, rule.app,
        declared.is_undeclared(key), off is None, "" if off is None else off.reason,
        None if off is None else moment(off.at), "" if off is None else off.by,
        order_states(declared.orders.get(key, {})),
    )  # fmt: skip
