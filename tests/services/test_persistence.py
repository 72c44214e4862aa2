"""How often the log hears that something is away."""

from __future__ import annotations

import logging

import pytest

from stream_durable import persistence
from stream_durable.core.errors import TransientError
from stream_durable.persistence import persist
from stream_durable.telemetry import WORLD_REFUSED


async def test_a_reason_is_logged_once_however_often_it_is_tried(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(persistence, "_FIRST_SECONDS", 0.0)
    reasons = ["refused", "refused", "refused", "starting up", "starting up", "refused"]

    async def ask() -> str:
        if reasons:
            raise TransientError(reasons.pop(0))
        return "answer"

    with caplog.at_level(logging.WARNING, "stream_durable"):
        assert await persist(ask, "ask") == "answer"

    logged = [record.msg for record in caplog.records]
    assert [(line["event"], line["reason"]) for line in logged] == [
        (WORLD_REFUSED, "refused"),
        (WORLD_REFUSED, "starting up"),
        (WORLD_REFUSED, "refused"),
    ]
