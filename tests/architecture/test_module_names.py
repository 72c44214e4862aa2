"""Test modules of folders that are no packages are imported by their names alone."""

from __future__ import annotations

from collections import Counter

from architecture.sources import ROOT


def test_no_two_test_modules_are_imported_by_the_same_name() -> None:
    modules = (ROOT / "tests").rglob("test_*.py")
    names = Counter(path.name for path in modules if not (path.parent / "__init__.py").exists())
    assert not {name for name, count in names.items() if count > 1}
