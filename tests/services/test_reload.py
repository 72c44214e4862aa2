"""Which files are watched, and when a change is told."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from stream_durable.services.reload import changes, code_of


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
    first = asyncio.ensure_future(anext(watched))
    # The look that everything is compared with is taken when the generator begins.
    await asyncio.sleep(0)

    for name in ("a.py", "notes.txt", ".hidden/b.py", "venv/c.py"):
        os.utime(files[name], (1, 1))
    files["gone.py"].unlink()
    (tmp_path / "new.py").write_text("")

    async with asyncio.timeout(20):
        assert await first == [tmp_path / "a.py", tmp_path / "gone.py", tmp_path / "new.py"]
    await watched.aclose()
