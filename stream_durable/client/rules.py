"""Triggers: listed, turned off and on, and deleted."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from stream_durable.client.edge import Edge
from stream_durable.client.filter import since_epoch
from stream_durable.client.state import moment
from stream_durable.core.declared import Declared, Rule, forgotten, rule_key, turned_off, turned_on
from stream_durable.core.errors import RejectedError
from stream_durable.core.schedule.state import Off
from stream_durable.core.triggers import Trigger
from stream_durable.ports import Catalogue


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


class RuleOrders:
    """Orders to triggers, and their states."""

    @property
    @abstractmethod
    def _edge(self) -> Edge: ...

    async def triggers(self) -> list[TriggerState]:
        """Return all triggers, by name."""
        declared = await _declared(self._edge)
        found = sorted(declared.rules.items())
        return [_trigger(declared, key, rule) for key, rule in found]

    async def trigger(self, name: str) -> TriggerState:
        """Return a trigger."""
        key, declared = rule_key("trigger", name), await _declared(self._edge)
        return _trigger(declared, key, _known(declared, "trigger", name))

    async def pause_trigger(self, name: str, reason: str = "", *, by: str = "") -> None:
        """Turn a trigger off, over deployments too. Events meanwhile start nothing, now or later."""
        await self._turn("trigger", name, Off(since_epoch("now", self._edge.now()), reason, by))

    async def resume_trigger(self, name: str) -> None:
        """Turn a trigger on again, from now on."""
        await self._turn("trigger", name, None)

    async def delete_trigger(self, name: str) -> None:
        """Forget a trigger; runs go on. A deployment still declaring the trigger creates it again."""
        edge = self._edge
        _known(await _declared(edge), "trigger", name)
        records = forgotten([rule_key("trigger", name)])
        await edge.ask(lambda: edge.ports.catalogue.declare(records), f"delete trigger {name!r}")

    async def _turn(self, kind: str, name: str, off: Off | None) -> None:
        edge, key = self._edge, rule_key(kind, name)
        _known(await _declared(edge), kind, name)
        record = turned_on(key) if off is None else turned_off(key, off)
        await edge.ask(lambda: edge.ports.catalogue.declare([record]), f"turn {kind} {name!r} off or on")


async def declare_rules(catalogue: Catalogue, app: str, rules: Mapping[str, Rule]) -> None:
    """Publish the rules of an app, as far as they are not known yet."""
    if records := catalogue.declared.lacking(app, rules):
        await catalogue.declare(records)


async def _declared(edge: Edge) -> Declared:
    await edge.ask(edge.ports.catalogue.catch_up, "read the definitions")
    return edge.ports.catalogue.declared


def _known(declared: Declared, kind: str, name: str) -> Rule:
    found = declared.rules.get(rule_key(kind, name))
    if found is None:
        text = f"there is no {kind} {name[:128]!r}: `stream-durable {kind}s list` shows them"
        raise RejectedError(f"unknown_{kind}", text)
    return found


def _trigger(declared: Declared, key: str, rule: Trigger) -> TriggerState:
    off = declared.off.get(key)
    return TriggerState(
        rule.name, rule.event, rule.workflow, rule.id, rule.input, rule.match, rule.app,
        declared.is_undeclared(key), off is None, "" if off is None else off.reason,
        None if off is None else moment(off.at), "" if off is None else off.by,
    )  # fmt: skip
