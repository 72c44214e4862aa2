"""Notices when the code of an app changes: looks at the times of its files, which every platform has."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Final

_LOOK_SECONDS: Final = 0.4
#: What is not the author's code, and large.
_SKIPPED: Final = frozenset({"node_modules", "site-packages", "__pycache__", "venv", "build", "dist"})
#: Beyond this it is not one project but a disk; looking at it all the time would load the machine.
_FILES_MAX: Final = 5_000


def code_of(target: str, home: Path) -> Path:
    """Return what to watch for the app at `module:attribute`: its package, else where its module is."""
    package = home / target.partition(":")[0].partition(".")[0]
    return package if package.is_dir() else home


async def changes(directory: Path) -> AsyncIterator[list[Path]]:
    """Yield the files that changed, once they have stopped changing: an editor saves several at a time."""
    before = _times(directory)
    while True:
        await asyncio.sleep(_LOOK_SECONDS)
        now = _times(directory)
        if now == before:
            continue
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            settled, now = now, _times(directory)
            if now == settled:
                break
        changed = [file for file in now.keys() | before.keys() if now.get(file) != before.get(file)]
        before = now
        if changed:
            yield sorted(changed)


def _times(directory: Path) -> dict[Path, int]:
    times: dict[Path, int] = {}
    for file, time in _files(directory):
        times[file] = time
        if len(times) >= _FILES_MAX:
            break
    return times


def _files(directory: Path) -> Iterator[tuple[Path, int]]:
    try:
        entries = list(os.scandir(directory))
    except OSError:
        return
    for entry in entries:
        try:
            if entry.is_dir(follow_symlinks=False):
                if entry.name not in _SKIPPED and not entry.name.startswith("."):
                    yield from _files(Path(entry.path))
            elif entry.name.endswith(".py"):
                yield Path(entry.path), entry.stat().st_mtime_ns
        except FileNotFoundError:
            # An editor has just replaced it.
            continue
