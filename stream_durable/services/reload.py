"""Notices changes of an app's code, by the modification times of files, on every platform.

The process running the code writes down its imported files; other files do not matter. While the code cannot
be loaded, and the imports are unknown, every file counts.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

_LOOK_SECONDS: Final = 0.4
#: How soon another imported module is noticed.
_TELL_SECONDS: Final = 1.0
#: What is not the author's code, and large.
_SKIPPED: Final = frozenset({"node_modules", "site-packages", "__pycache__", "venv", "build", "dist"})
#: More files are not one project but a disk; watching them would load the machine.
_FILES_MAX: Final = 5_000


def code_of(target: str, home: Path) -> Path:
    """Return the watched directory of the app at `module:attribute`: package, or module's directory."""
    package = home / target.partition(":")[0].partition(".")[0]
    return package if package.is_dir() else home


def forget_imports(file: Path) -> None:
    """Remove the list of imported files."""
    file.unlink(missing_ok=True)


def tell_imports(file: Path) -> None:
    """Write the list of imported author's files, now and after further imports."""
    _write(file, _imports())
    threading.Thread(target=_keep_telling, args=(file,), name="imports", daemon=True).start()


def imported(file: Path) -> frozenset[Path] | None:
    """Return the files listed by another process; None without a list."""
    try:
        return frozenset(map(Path, json.loads(file.read_text())))
    except (OSError, ValueError):
        return None


def changes(
    directory: Path, watched: Callable[[], frozenset[Path] | None] = lambda: None
) -> AsyncGenerator[list[Path]]:
    """Yield the files that change after this call, each time after a quiet moment: editors save several.

    Watches the files in `watched`, or all below the directory until known.
    """
    return _changes(_times(directory, watched()), directory, watched)


async def _changes(
    before: _Times, directory: Path, watched: Callable[[], frozenset[Path] | None]
) -> AsyncGenerator[list[Path]]:
    while True:
        await asyncio.sleep(_LOOK_SECONDS)
        now = _times(directory, watched())
        if not _changed(before, now):
            before = now
            continue
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            settled, now = now, _times(directory, watched())
            if not _changed(settled, now):
                break
        changed = _changed(before, now)
        before = now
        if changed:
            yield changed


class _Times(dict[Path, int]):
    """When files were changed last."""

    def __init__(self, *, is_known: bool) -> None:
        super().__init__()
        #: Whether these are the imported files, not all files.
        self.is_known = is_known


def _changed(before: _Times, now: _Times) -> list[Path]:
    """Return the changed files, ignoring files with a new or dropped watch."""
    if before.is_known or now.is_known:
        return sorted(file for file in before.keys() & now.keys() if before[file] != now[file])
    return sorted(file for file in before.keys() | now.keys() if before.get(file) != now.get(file))


def _times(directory: Path, watched: frozenset[Path] | None) -> _Times:
    times = _Times(is_known=watched is not None)
    for file, changed_at in _files(directory) if watched is None else _stats(watched):
        times[file] = changed_at
        if len(times) >= _FILES_MAX:
            break
    return times


def _stats(files: Iterable[Path]) -> Iterator[tuple[Path, int]]:
    for file in files:
        try:
            yield file, file.stat().st_mtime_ns
        except OSError:
            # Deleted, or just being replaced by an editor.
            yield file, 0


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


def _imports() -> list[str]:
    """Return the imported files below the working directory, without installed packages."""
    here = Path.cwd()
    found = {
        Path(file) for module in list(sys.modules.values()) if (file := getattr(module, "__file__", None))
    }
    return sorted(str(file) for file in found if file.is_relative_to(here) and _is_authors(file, here))


def _is_authors(file: Path, here: Path) -> bool:
    return not any(part in _SKIPPED or part.startswith(".") for part in file.relative_to(here).parts)


def _keep_telling(file: Path) -> None:
    told = _imports()
    while True:
        time.sleep(_TELL_SECONDS)
        if (now := _imports()) != told:
            told = now
            _write(file, told)


def _write(file: Path, imports: list[str]) -> None:
    partial = file.with_suffix(".partial")
    with suppress(OSError):
        partial.write_text(json.dumps(imports))
        partial.rename(file)
