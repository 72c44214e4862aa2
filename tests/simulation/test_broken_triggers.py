"""Triggers broken on purpose: each breach must be found."""

import pytest
from simulation.broken import found

from stream_durable.core.effects import Effects
from stream_durable.core.triggers import Trigger
from stream_durable.engine import resolving

fire = resolving._fire


def test_an_event_without_its_start_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def forget_one(effects: Effects, by_event: dict[str, list[Trigger]]) -> None:
        del effects.happened[:1]
        fire(effects, by_event)

    monkeypatch.setattr(resolving, "_fire", forget_one)

    found(20, by="events_fire_their_triggers", only=("informed",))


def test_a_start_without_its_event_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def match_nothing(effects: Effects, by_event: dict[str, list[Trigger]]) -> None:
        of = {event: [_any(trigger) for trigger in triggers] for event, triggers in by_event.items()}
        fire(effects, of)

    monkeypatch.setattr(resolving, "_fire", match_nothing)

    found(20, by="events_fire_their_triggers", only=("informed",))


def _any(trigger: Trigger) -> Trigger:
    return Trigger(name=trigger.name, app=trigger.app, event=trigger.event, workflow=trigger.workflow)
