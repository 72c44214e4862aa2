"""How much memory processes hold, looked at again and again by a thread."""

import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Protocol

MEGABYTE = 1_000_000


class Watched(Protocol):
    """A process with a role; `name` is unique."""

    @property
    def name(self) -> str: ...
    @property
    def role(self) -> str: ...
    @property
    def pid(self) -> int: ...


class Sample(NamedTuple):
    """What one process held at one moment."""

    name: str
    role: str
    #: Seconds since the watch began.
    at: float
    bytes: int


class MemoryWatch:
    """Samples of all processes, and the most that each has held."""

    def __init__(self, processes: Callable[[], Iterable[Watched]], *, seconds: float = 0.25) -> None:
        """Look at what `processes` returns, that often."""
        self._processes = processes
        self._seconds = seconds
        self._is_over = threading.Event()
        #: By role, the most that a process has held.
        self.peaks: dict[str, int] = {}
        self.samples: list[Sample] = []
        self._thread = threading.Thread(target=self._run, name="memory", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._is_over.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        looks = 0
        while not self._is_over.wait(self._seconds):
            looks += 1
            for process in list(self._processes()):
                held = resident(process.pid)
                self.peaks[process.role] = max(self.peaks.get(process.role, 0), held)
                # One a few seconds is enough to see a slope.
                if looks % 20 == 0:
                    self.samples.append(Sample(process.name, process.role, looks * self._seconds, held))


def resident(pid: int) -> int:
    """Bytes that a process has in memory; 0 if it is gone."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1_024
    return 0
