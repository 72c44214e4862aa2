"""C1, end to end: a function whose own process dies fails its attempt, and its worker makes the next."""

from __future__ import annotations

import os

import pytest
from crashing_flow import crashing
from instances import running

from stream_durable import App, RunFailed
from stream_durable.settings import Settings

pytestmark = pytest.mark.real


async def test_a_process_that_ends_by_itself_fails_the_attempt_and_nothing_else(settings: Settings) -> None:
    async with running(settings, App("crashing", workflows=[crashing])) as instance:
        dies = await instance.client.start(crashing, 1, id="dies")
        beside = await instance.client.start(crashing, 0, id="beside")
        never = await instance.client.start(crashing, 9, id="never")
        assert (await dies.result(timeout="60s"))["attempt"] == 2
        output = await beside.result(timeout="60s")
        assert output["pid"] != os.getpid()
        with pytest.raises(RunFailed, match="process_died"):
            await never.result(timeout="60s")
        first, second = await dies.attempts("work")
        assert first.failure is not None
        assert (first.status, first.failure.code) == ("failed", "process_died")
        assert "3" in first.failure.message
        assert second.status == "completed"
        assert len(await never.attempts("work")) == 3

        after = await instance.client.start(crashing, 0)
        assert (await after.result(timeout="60s"))["attempt"] == 1
