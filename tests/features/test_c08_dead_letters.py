"""C8: runs that failed for good are listed, counted, found by age, and redriven; on a whole instance."""

# ruff: noqa: A002, A006 - `input` is what authors write

from __future__ import annotations

import asyncio

import pytest
from instances import SECONDS, running
from waiting import eventually

from stream_durable import App, Fail, Retry, RunFailed, Workflow
from stream_durable.client import RunFilter
from stream_durable.settings import Settings

pytestmark = pytest.mark.real

#: Whether the bank is down, and whether what was paid can be paid back.
BANK: set[str] = set()

pay = Workflow("pay")


@pay.step
async def reserve(input: str) -> str:
    return input


@reserve.compensate
async def release(reserve: str) -> None:
    if reserve == "stuck":
        raise Fail("cannot_release")


@pay.step(retry=Retry(2, base="10ms"))
async def charge(reserve: str) -> str:
    if reserve == "slow":
        await asyncio.Event().wait()
    if "down" in BANK:
        raise Fail("bank_down", f"cannot charge for {reserve}")
    return f"charged for {reserve}"


plain = Workflow("plain")


@plain.step
async def look(input: str) -> str:
    if "down" in BANK:
        raise Fail("bank_down")
    return input


waits = Workflow("waits")
waits.wait_signal("go")


async def test_the_dead_letters_of_runs(settings: Settings) -> None:
    BANK.add("down")
    async with running(settings, App("shop", workflows=[pay, plain, waits])) as instance:
        client = instance.client
        lost = {
            "compensated": await client.start(pay, "well", id="compensated", tags=["eu"]),
            "compensation_failed": await client.start(pay, "stuck", id="compensation_failed"),
            "failed": await client.start(plain, "x", id="failed"),
        }
        for status, run in lost.items():
            with pytest.raises(RunFailed) as failed:
                await run.result(timeout="30s")
            assert failed.value.status == status
        cancelled = await client.start(waits, id="cancelled")
        await cancelled.cancel("not wanted")
        undone = await client.start(pay, "slow", id="undone")
        await client.start(waits, id="waiting")

        async def is_reserved() -> bool:
            return (await undone.state()).steps["reserve"].status == "completed"

        await eventually(is_reserved, "it has something to undo", seconds=SECONDS)
        await undone.cancel("not wanted", compensate=True)

        async def ended() -> bool:
            stands = (await cancelled.state()).status, (await undone.state()).status
            return stands == ("cancelled", "compensated")

        await eventually(ended, "the run is cancelled", seconds=SECONDS)

        # Listed and counted, with why; what was cancelled, or goes on, is no dead letter.
        page = await client.failed()
        assert {run.id: run.status for run in page.runs} == {name: name for name in lost}
        [entry] = (await client.failed(RunFilter(tag="eu"))).runs
        assert entry.failure is not None
        assert (entry.failure.code, entry.failure.step) == ("bank_down", "charge")
        assert (await client.count(RunFilter(failed=True))).found == 3
        assert (await client.count(RunFilter(failed=True, workflow=pay))).found == 2
        first = await client.failed(limit=2)
        rest = await client.failed(limit=2, after=first.following)
        assert [run.id for run in first.runs + rest.runs] == [run.id for run in page.runs]

        # Their time to live is asked for by age.
        assert (await client.failed(RunFilter(updated_before="1h"))).runs == []
        assert len((await client.failed(RunFilter(updated_since="1h"))).runs) == 3

        # Redriven while the cause lasts they are dead again, and afterwards they complete, in place.
        assert await client.retry_all(RunFilter(failed=True, workflow=plain)) == 1

        async def dead_again() -> bool:
            state = await lost["failed"].state()
            return (state.status, state.steps["look"].attempt) == ("failed", 2)

        await eventually(dead_again, "it has failed again", seconds=SECONDS)
        BANK.clear()
        # What could not be undone is seen to first, or it would be done twice.
        assert await client.retry_all(RunFilter(status="compensation_failed")) == 0
        await lost["compensation_failed"].skip_step("reserve~compensate", "released by hand")
        with pytest.raises(RunFailed) as failed:
            await lost["compensation_failed"].result(timeout="30s")

        async def accepted() -> bool:
            return (await lost["compensation_failed"].state()).status == "compensated"

        await eventually(accepted, "the undo that failed is accepted", seconds=SECONDS)
        assert await client.retry_all(RunFilter(failed=True)) == 3

        async def completed() -> bool:
            states = await asyncio.gather(*(run.state() for run in lost.values()))
            return all(state.status == "completed" for state in states)

        await eventually(completed, "all have completed", seconds=SECONDS)
        assert (await client.failed()).runs == []
        assert await lost["compensated"].result(timeout="30s") == "charged for well"
        assert (await cancelled.state()).status == "cancelled"
