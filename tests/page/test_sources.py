"""The page's pure parts are right, its types hold, and it is as small as it has to be."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from stream_durable.bench.page import sizes

ROOT = Path(__file__).parents[2]
DASHBOARD = ROOT / "dashboard"
BUILT = ROOT / "stream_durable" / "api" / "page"
#: Kilobytes: of what a browser loads before the first screen, compressed; and of all files.
SHELL_MAX, WHEEL_MAX = 150, 2_000

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        shutil.which("npm") is None or not (DASHBOARD / "node_modules").is_dir(),
        reason="needs Node 20.19 or newer with npm, and `make page`",
    ),
]


def npm(*command: str) -> None:
    done = subprocess.run(
        ["npm", "run", "--silent", *command], cwd=DASHBOARD, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_pure_parts_are_right() -> None:
    npm("test")


def test_the_types_hold() -> None:
    npm("check")


def test_the_page_is_within_its_budget() -> None:
    found = sizes()
    assert 0 < found["shell_kb"] < SHELL_MAX
    assert found["shell_kb"] < found["wheel_kb"] < WHEEL_MAX


def test_the_shell_asks_nobody_else() -> None:
    index = (BUILT / "index.html").read_text()

    assert re.search(r'src="\./assets/[^"]+\.js"', index)
    assert "//" not in re.sub(r"<!--.*?-->", "", index)
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=", index)
