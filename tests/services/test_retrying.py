"""How often the log hears that something is away."""

from __future__ import annotations

import logging

import pytest

from stream_durable import retrying
from stream_durable.core.errors import TransientError
from stream_durable.retrying import retry_transient
from stream_durable.telemetry import DEPENDENCY_FAILED


async def test_what_lasts_is_logged_again(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retrying, "_FIRST_SECONDS", 0.0)
    monkeypatch.setattr(retrying, "_REMIND_SECONDS", 0.0)
    reasons = ["refused", "refused"]

    async def ask() -> str:
        if reasons:
            raise TransientError(reasons.pop(0))
        return "answer"

    with caplog.at_level(logging.WARNING, "stream_durable"):
        await retry_transient(ask, "ask")

    assert [record.msg["reason"] for record in caplog.records] == ["refused", "refused"]


async def test_a_reason_is_logged_once_however_often_it_is_tried(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retrying, "_FIRST_SECONDS", 0.0)
    reasons = ["refused", "refused", "refused", "starting up", "starting up", "refused"]

    async def ask() -> str:
        if reasons:
            raise TransientError(reasons.pop(0))
        return "answer"

    with caplog.at_level(logging.WARNING, "stream_durable"):
        assert await retry_transient(ask, "ask") == "answer"

    logged = [record.msg for record in caplog.records]
    assert [(line["event"], line["reason"]) for line in logged] == [
        (DEPENDENCY_FAILED, "refused"),
        (DEPENDENCY_FAILED, "starting up"),
        (DEPENDENCY_FAILED, "refused"),
    ]
