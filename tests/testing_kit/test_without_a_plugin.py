"""The fixture needs no plugin for async tests, and none has to be set up."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_TEST = """\
import asyncio

from stream_durable import Workflow

doubled = Workflow("doubled")


@doubled.step
async def twice(input: int) -> int:
    return 2 * input


async def test_it(engine):
    run = await engine.start(doubled, 2)
    await engine.until(run, "completed")
    assert run.output == 4


async def test_that_fails(engine):
    assert await asyncio.sleep(0, "told") == "other"
"""


def test_async_tests_run_without_any(tmp_path: Path) -> None:
    (tmp_path / "test_doubled.py").write_text(_TEST)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    options = ("-q", "-p", "no:asyncio", "-p", "no:anyio", "-p", "no:cacheprovider")

    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert "1 failed, 1 passed" in done.stdout, done.stdout
    assert "'told' == 'other'" in done.stdout


def test_they_run_with_one_that_is_strict(tmp_path: Path) -> None:
    (tmp_path / "test_doubled.py").write_text(_TEST)
    (tmp_path / "pytest.ini").write_text("[pytest]\nasyncio_mode = strict\n")

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert "1 failed, 1 passed" in done.stdout, done.stdout
