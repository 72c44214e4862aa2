"""The tests that users are shown pass."""

from __future__ import annotations

import subprocess
import sys

from pages import ROOT


def test_the_example_passes() -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_shop.py"]
    home = ROOT / "docs" / "examples"
    result = subprocess.run(command, check=False, cwd=home, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout
