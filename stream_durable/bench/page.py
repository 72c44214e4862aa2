"""Measures the page in a headless browser, on large runs, values, logs and lists."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Final

from msgspec import Raw

from stream_durable.bench.api import fill_list, served
from stream_durable.bench.app import app
from stream_durable.bench.errors import BenchError
from stream_durable.bench.instance import Instance
from stream_durable.bench.load import PATIENCE_SECONDS
from stream_durable.bench.report import Sample
from stream_durable.bench.work import let_wait, new_runs
from stream_durable.bench.workloads import EACH_MANY, WORKLOADS
from stream_durable.payloads import STORED_BYTES_MAX
from stream_durable.worker.logs import ALL

#: Lines of the run with logs: so many steps with all the lines that one may keep.
LOG_LINES: Final = 100_000
#: How often each is measured, and frames of a pass.
PASSES: Final = 3
FRAMES: Final = 90
_PACKAGE: Final = Path(__file__).parents[1]
_BUILT: Final = _PACKAGE / "api" / "page"
_DASHBOARD: Final = _PACKAGE.parent / "dashboard"
_DRIVE_SECONDS: Final = 5 * PATIENCE_SECONDS
_KB: Final = 1_000


def missing() -> str | None:
    """Return what the measurement lacks on this machine, and the remedy; starts a browser for a moment."""
    if not (_DASHBOARD / "browser").is_dir():
        return "the page is measured in a clone of the repository: an installed package has no browser"
    packages = _DASHBOARD / "node_modules" / "playwright-core"
    if shutil.which("node") is None or not packages.is_dir() or not (_BUILT / "index.html").is_file():
        return "the page is measured in a browser: install Node 20.19 or newer with npm, then `make page`"
    done = _driven()
    return None if done.returncode == 0 else f"{done.stdout.strip()}; CHROMIUM names another one"


def measure_page(made: Instance, n: int) -> Sample:
    """Measure the page on an instance with a large run, a large value, many log lines and `n` runs more."""
    made.another(WORKLOADS["chain"]).start()
    [wide], [logs], [heavy] = new_runs(1), new_runs(1), new_runs(1)
    items = min(n, EACH_MANY)
    sample = made.measure([wide], lambda: let_wait(made, [wide], _given(items=items, lines=0)))
    writers = min(n, LOG_LINES // ALL.lines_max)
    let_wait(made, [logs], _given(items=writers, lines=ALL.lines_max))
    fingerprint = app.workflows["heavy"].fingerprint
    made.load.start("heavy", fingerprint, heavy, _given(bytes=STORED_BYTES_MAX))
    made.load.flush()
    made.completed.wait([heavy], made.check)
    fill_list(made.another(WORKLOADS["million"]), n)
    runs = {"wide": wide, "logs": logs, "heavy": heavy}
    figures = sizes() | _figures(f"http://{served(made)}/", runs)
    return replace(sample, steps=items + 1, page={name: round(figures[name], 2) for name in figures})


def sizes() -> dict[str, float]:
    """Return kilobytes: of what a browser loads before the first screen, compressed; and of all files."""
    index = (_BUILT / "index.html").read_text()
    shell = [_BUILT / part for part in re.findall(r'(?:src|href)="\./(assets/[^"]+)"', index)]
    return {
        "shell_kb": sum(len(gzip.compress(part.read_bytes(), 9)) for part in shell) / _KB,
        "wheel_kb": sum(part.stat().st_size for part in _BUILT.rglob("*") if part.is_file()) / _KB,
    }


def _figures(address: str, runs: dict[str, str]) -> dict[str, float]:
    done = _driven(address, json.dumps(runs | {"passes": PASSES, "frames": FRAMES}))
    if done.returncode != 0:
        raise BenchError(f"the browser could not be driven:\n{done.stdout}{done.stderr}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _driven(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["node", "browser/measure.mjs", *arguments]
    try:
        return subprocess.run(  # noqa: S603 - fixed commands
            command, cwd=_DASHBOARD, check=False, capture_output=True, text=True, timeout=_DRIVE_SECONDS
        )
    except subprocess.TimeoutExpired as error:
        raise BenchError(f"the browser was not done after {_DRIVE_SECONDS:.0f} s") from error


def _given(**values: int) -> Raw:
    return Raw(json.dumps(values).encode())
