"""Every screen in a real browser, in both themes and several widths, and what people do by keyboard."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from stream_durable import Workflow
from stream_durable.testing.engine import Engine

pytest.importorskip("stream_durable.api.app", reason="the page is served by the API")

from page_site import Site, served  # noqa: E402 - it imports the API

ROOT = Path(__file__).parents[2]
DASHBOARD = ROOT / "dashboard"
#: Pictures of all screens, to be looked at.
PICTURES = ROOT / ".artefacts" / "page"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        shutil.which("node") is None
        or not (DASHBOARD / "node_modules/playwright-core").is_dir()
        or not (ROOT / "stream_durable/api/page/index.html").is_file(),
        reason="needs Node 20.19 or newer with npm, and `make page`",
    ),
]


#: What `make browser` asks for: more widths.
MORE = ["--more"] if "BROWSER" in os.environ else []
#: How a drive ends where no browser starts.
NO_BROWSER = 77


def drive(script: str, *arguments: str) -> str:
    """Run a script on the page; its faults fail the test. Returns what it printed."""
    command = ["node", f"browser/{script}", *arguments]
    done = subprocess.run(command, cwd=DASHBOARD, check=False, capture_output=True, text=True)
    if done.returncode == NO_BROWSER:
        pytest.skip(done.stdout.strip())
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_screens_have_no_fault_and_acts_reach_the_engine() -> None:
    with Engine.memory() as engine:
        site = Site(engine)
        site.seed()
        with served(site) as address:
            drive("drive.mjs", address, str(PICTURES), *MORE)
        state = engine.tell(engine._backend.client.run("order-1").state)
        assert state.steps["approve"].output is True
        decided = engine.tell(engine._backend.client.run("held-1").state)
        assert decided.status == "completed"
        assert decided.steps["charge"].output == {"receipt": "R-1"}


def test_what_the_benchmark_measures_is_on_the_page() -> None:
    bulky = Workflow("bulky")
    bulky.add("list", lambda: ["a" * 80] * 500)
    with Engine.memory() as engine:
        site = Site(engine)
        site.seed()
        run = asyncio.run(engine.start(bulky))
        asyncio.run(engine.until(run, "completed"))
        runs = {"wide": "order-1", "logs": "order-1", "heavy": run.id}
        with served(site) as address:
            figures = json.loads(
                drive("measure.mjs", address, json.dumps({**runs, "passes": 1, "frames": 3}))
            )
    drawn = [f"{each}_ms" for each in ("first_bar", "steps", "history", "logs", "value", "list")]
    scrolled = [f"{each}_frame_ms" for each in ("lanes", "steps", "history", "logs", "find", "value", "list")]
    assert set(figures) == {*drawn, *scrolled}
    assert all(value > 0 for value in figures.values())
