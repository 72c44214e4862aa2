"""A module is short enough to be read in one go. (How complex a function may be is ruff's to say.)"""

from __future__ import annotations

from pathlib import Path

from architecture.sources import PACKAGE, ROOT

LINES_MAX, TEST_LINES_MAX = 400, 700


def line_counts(folder: Path) -> dict[str, int]:
    return {str(p.relative_to(ROOT)): len(p.read_text().splitlines()) for p in folder.rglob("*.py")}


def test_no_module_is_longer_than_can_be_read() -> None:
    assert not {path for path, count in line_counts(PACKAGE).items() if count > LINES_MAX}


def test_no_test_module_is_longer_than_can_be_read() -> None:
    assert not {path for path, count in line_counts(ROOT / "tests").items() if count > TEST_LINES_MAX}
