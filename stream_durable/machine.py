"""Memory available to this process: the control groups' limit, or the machine's memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Final

_CACHE_SHARE: Final = 8
_CACHE_LEAST: Final = 64 * 1024 * 1024
_CACHE_MOST: Final = 1024 * 1024 * 1024


def cache_bytes(root: Path = Path("/")) -> int:
    """Return a suitable cache size: an eighth of the memory, at least 64 MB and at most 1 GB.

    Reads a few small files below `root`; unreadable files count as missing.
    """
    return min(max(memory_bytes(root) // _CACHE_SHARE, _CACHE_LEAST), _CACHE_MOST)


def memory_bytes(root: Path = Path("/")) -> int:
    """Return the smaller of the control groups' limit and the machine's memory."""
    return min([_physical(root), *_limits(root)])


def _physical(root: Path) -> int:
    for line in _read(root / "proc/meminfo").splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) * 1024
    # Not Linux.
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _limits(root: Path) -> Iterator[int]:
    """Yield the limits of the process's control groups and of all ancestors.

    In a container with a private group as the root, the limit is found there.
    """
    mounted = root / "sys/fs/cgroup"
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            folder, name = mounted, "memory.max"
        elif "memory" in controllers.split(","):
            folder, name = mounted / "memory", "memory.limit_in_bytes"
        else:
            continue
        group = PurePosixPath(path)
        for place in (group, *group.parents):
            limit = _read(folder / str(place).lstrip("/") / name).strip()
            # A group without a limit says `max`; version 1 says a number beyond every machine.
            if limit.isdigit():
                yield int(limit)


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError:
        return ""
