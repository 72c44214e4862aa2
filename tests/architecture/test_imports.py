"""Imports lead downwards only; the contracts stand in pyproject.toml."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from architecture.sources import ROOT, imported, modules

#: What one module of the core alone may import beside.
MORE = {"stream_durable/core/schedule/cron.py": {"croniter"}}


def test_import_linter_has_nothing_to_say() -> None:
    lint = Path(sys.executable).with_name("lint-imports")

    result = subprocess.run([lint, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)

    assert result.returncode == 0, result.stdout
    assert " 0 broken" in result.stdout


def test_the_core_imports_nothing_but_itself_and_the_encoder() -> None:
    allowed = {*sys.stdlib_module_names, "stream_durable", "msgspec"}

    for path, module in modules().items():
        if path.startswith("stream_durable/core/"):
            assert imported(module) - MORE.get(path, set()) <= allowed, path
