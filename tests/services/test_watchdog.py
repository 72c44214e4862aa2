"""The watchdog, in processes of their own: it ends them."""

from __future__ import annotations

import subprocess
import sys

from stream_durable.services.watchdog import STUCK_EXIT_CODE


def run(body: str) -> subprocess.CompletedProcess[str]:
    code = (
        "import asyncio, time\n"
        "from stream_durable.services.watchdog import Watchdog\n"
        "async def stuck_in_here():\n"
        f"    {body}\n"
        "with asyncio.Runner() as runner, Watchdog(runner.get_loop(), seconds=0.5):\n"
        "    runner.run(stuck_in_here())\n"
    )
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )


def test_a_stuck_loop_ends_the_process_and_shows_where_it_was_stuck() -> None:
    done = run("time.sleep(60)")

    assert done.returncode == STUCK_EXIT_CODE
    assert "stuck_in_here" in done.stderr
    assert "loop.blocked" in done.stderr


def test_a_loop_that_turns_is_left_alone_however_long_it_runs() -> None:
    done = run("await asyncio.sleep(1.5)")

    assert (done.returncode, done.stderr) == (0, "")


def test_a_short_block_is_forgiven() -> None:
    done = run("time.sleep(0.2); await asyncio.sleep(0.2); time.sleep(0.2); await asyncio.sleep(0.4)")

    assert (done.returncode, done.stderr) == (0, "")
