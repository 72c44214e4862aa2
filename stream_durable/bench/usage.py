"""CPU and memory of process trees, as counted by the kernel.

CPU is user and system time of a process, of its children, and of ended children: Postgres starts a process
per connection, and time used by an ended process still counts. Time of Java's compilers does not: in the
first minutes of a broker they take more than everything else, and later nothing.

Memory is the peak resident size since `reset_peaks`, or since the start of a process. Processes of one tree
share pages, Postgres 256 MB of buffers. So private memory is added up, and shared memory counts once, as the
largest amount touched by one process: for a single process the sum is its peak resident size.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

import psutil

#: What the kernel calls the threads of Java's compilers: names are cut.
_COMPILERS: Final = ("C1 CompilerThre", "C2 CompilerThre")
_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
#: Of /proc/PID/clear_refs: forget the peak.
_RESET_PEAK: Final = "5"
_KIB_PER_MB: Final = 1_000_000 / 1_024


class Usage:
    """Resources used by process trees, and by this process alone."""

    def __init__(self, trees: Mapping[str, int]) -> None:
        """Watch these trees by the ids of their roots."""
        self._roots = {part: psutil.Process(pid) for part, pid in trees.items()}

    def cpu_s(self) -> dict[str, float]:
        """Return the CPU seconds used by each since the beginning."""
        used = {part: sum(map(_cpu_s, _tree(root))) for part, root in self._roots.items()}
        own = psutil.Process().cpu_times()
        # Without children: those are the trees.
        return {"load": own.user + own.system, **used}

    def peak_mb(self) -> dict[str, float]:
        """Return the peak memory of each."""
        peaks = {part: _peak_mb(one.pid for one in _tree(root)) for part, root in self._roots.items()}
        return {"load": _peak_mb([os.getpid()]), **peaks}

    def reset_peaks(self) -> None:
        """Reset the peaks, if the kernel allows."""
        pids = [one.pid for root in self._roots.values() for one in _tree(root)]
        for pid in [os.getpid(), *pids]:
            with suppress(OSError):
                Path(f"/proc/{pid}/clear_refs").write_text(_RESET_PEAK)


def _tree(root: psutil.Process) -> list[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        return [root, *root.children(recursive=True)]
    return []


def _cpu_s(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    # Where the kernel does not count the ended children, there is none to speak of.
    used = sum((times.user, times.system, times.children_user, times.children_system))
    return used - _compiling_s(process.pid)


def _compiling_s(pid: int) -> float:
    """Return the time that a Java process has compiled for."""
    ticks = 0
    with suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            with suppress(OSError):
                name, _, fields = (thread / "stat").read_text().partition("(")[2].rpartition(")")
                if name in _COMPILERS:
                    user, system = fields.split()[11:13]
                    ticks += int(user) + int(system)
    return ticks / _TICKS_PER_S


def _peak_mb(pids: Iterable[int]) -> float:
    private = shared = files = 0
    for pid in pids:
        with suppress(OSError):
            sizes = _sizes_kib(pid)
            if "VmHWM" not in sizes:
                continue  # it has ended
            private += sizes["VmHWM"] - sizes["RssFile"] - sizes["RssShmem"]
            shared = max(shared, sizes["RssShmem"])
            files = max(files, sizes["RssFile"])
    return (private + shared + files) / _KIB_PER_MB


def _sizes_kib(pid: int) -> dict[str, int]:
    lines = (line.split() for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return {words[0].rstrip(":"): int(words[1]) for words in lines if words[-1] == "kB"}
