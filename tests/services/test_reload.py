"""Which files are watched, and when a change is told."""

from __future__ import annotations

import asyncio
import importlib
import os
from pathlib import Path

import pytest

from stream_durable.services.reload import changes, code_of, forget_imports, imported, tell_imports


def test_a_package_is_watched_alone_and_a_module_with_its_neighbours(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()

    assert code_of("shop.orders:app", tmp_path) == tmp_path / "shop"
    assert code_of("orders:app", tmp_path) == tmp_path


async def test_edits_are_told_together_and_what_is_no_code_is_not(tmp_path: Path) -> None:
    files = {name: tmp_path / name for name in ("a.py", "gone.py", "notes.txt", ".hidden/b.py", "venv/c.py")}
    for file in files.values():
        file.parent.mkdir(exist_ok=True)
        file.write_text("")
    watched = changes(tmp_path)

    for name in ("a.py", "notes.txt", ".hidden/b.py", "venv/c.py"):
        os.utime(files[name], (1, 1))
    files["gone.py"].unlink()
    (tmp_path / "new.py").write_text("")

    async with asyncio.timeout(60):
        assert await anext(watched) == [tmp_path / "a.py", tmp_path / "gone.py", tmp_path / "new.py"]
    await watched.aclose()


async def test_of_what_is_imported_others_are_nobodys_business(tmp_path: Path) -> None:
    ours, other = tmp_path / "ours.py", tmp_path / "other.py"
    for file in (ours, other):
        file.write_text("")
    watched = changes(tmp_path, lambda: frozenset({ours}))

    for file in (other, ours):
        os.utime(file, (1, 1))
    (tmp_path / "new.py").write_text("")

    async with asyncio.timeout(60):
        assert await anext(watched) == [ours]
    await watched.aclose()


async def test_code_that_cannot_be_loaded_is_watched_whole(tmp_path: Path) -> None:
    """The process that loads it forgets what it had, and that alone is no change."""
    ours, fixed = tmp_path / "ours.py", tmp_path / "fixed.py"
    for file in (ours, fixed):
        file.write_text("")
    known: list[frozenset[Path] | None] = [frozenset({ours})]
    looks = asyncio.Event()

    def look() -> frozenset[Path] | None:
        looks.set()
        return known[0]

    watched = changes(tmp_path, look)
    first = asyncio.ensure_future(anext(watched))
    await looks.wait()
    known[0] = None
    for _ in range(2):
        looks.clear()
        await looks.wait()
    os.utime(fixed, (1, 1))

    async with asyncio.timeout(60):
        assert await first == [fixed]
    await watched.aclose()


def test_a_process_says_which_files_below_its_directory_it_has_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "imported_here.py").write_text("")
    (tmp_path / "not_imported.py").write_text("")
    importlib.import_module("imported_here")
    file = tmp_path / "modules.json"

    tell_imports(file)
    told = imported(file)
    forget_imports(file)

    assert told == {tmp_path / "imported_here.py"}
    assert imported(file) is None
