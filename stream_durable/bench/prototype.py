"""Measures the prototype on the same broker and database, by the same means.

Its `run.sh` starts a reconciler, a worker and a load, and prints the duration of the load as JSON. CPU and
memory are read from outside, from the start of the load until its report: the script cannot name later
Postgres processes, and reports nothing about its own load.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final

import psutil

from stream_durable.bench.errors import BenchError
from stream_durable.bench.load import records_in
from stream_durable.bench.report import PARTS, Percentiles, Sample
from stream_durable.bench.services import Services
from stream_durable.bench.usage import Usage
from stream_durable.bench.workloads import Workload
from stream_durable.local.process import dying_with_us, wait_for

_DATABASE: Final = "prototype"
_INBOX: Final = "sd.inbox"
_PARTITIONS: Final = 8
_ROLES: Final = ("reconciler", "worker", "load")
_START_SECONDS: Final = 60.0
#: Its load gives up after 100 s.
_END_SECONDS: Final = 120.0
_PERCENTILES: Final = re.compile(r"latency p50 ([\d.]+) p95 ([\d.]+) p99 ([\d.]+)")


class Prototype:
    """A copy of the prototype, whose directory may be read-only."""

    def __init__(self, source: Path, services: Services) -> None:
        """Copy the prototype and create a database."""
        if not (source / "run.sh").is_file():
            raise BenchError(f"{source} has no run.sh")
        self._home = services.home / "prototype"
        self._log = services.home / "prototype.log"
        self._services = services
        shutil.copytree(source, self._home)
        for path in (self._home, *self._home.rglob("*")):
            path.chmod(0o755)
        services.postgres.create_database(_DATABASE)

    def measure(self, workload: Workload, n: int) -> Sample:
        """Measure a workload once."""
        assert workload.prototype is not None, "the caller has looked"
        self._usage().reset_peaks()
        with self._log.open("w") as log, self._started(workload.prototype, n, log) as script:
            found: dict[str, int] = {}
            wait_for(
                lambda: script.poll() is not None or _find(script.pid, found),
                seconds=_START_SECONDS,
                what="the prototype's load",
            )
            if lost := [role for role in _ROLES if role not in found]:
                raise BenchError(f"the prototype has no {' and no '.join(lost)}; it said:\n{self._said()}")
            # Otherwise it would end the other two with the load, and their usage would be lost.
            script.send_signal(signal.SIGSTOP)
            usage = self._usage(found)
            cpu = usage.cpu_s()
            assert script.stdout is not None
            said, told = _read(script.stdout)
            used, peaks = usage.cpu_s(), usage.peak_mb()
        told_percentiles = _PERCENTILES.search(said)
        return Sample(
            runs=n,
            steps=n * workload.steps,
            records=records_in(self._services.kafka_settings, _INBOX, _PARTITIONS),
            seconds=n / told["wf/s"],
            cpu_s={part: used.get(part, 0.0) - cpu.get(part, 0.0) for part in PARTS},
            peak_mb=dict.fromkeys(PARTS, 0.0) | peaks,
            latency=Percentiles(*map(float, told_percentiles.groups())) if told_percentiles else None,
        )

    def _said(self) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-25:])

    def _usage(self, found: dict[str, int] | None = None) -> Usage:
        # Without the load, if it is a separate process.
        return Usage(self._services.trees | (found or {}))

    @contextmanager
    def _started(self, workload: str, n: int, log: IO[str]) -> Iterator[subprocess.Popen[str]]:
        kafka, postgres = self._services.kafka, self._services.postgres
        environment = os.environ | {
            "BOOTSTRAP": kafka.bootstrap,
            "DSN": postgres.dsn(_DATABASE),
            "KAFKA_PID": str(kafka.pid),
            "PG_PIDS": ",".join(map(str, postgres.pids())),
            # Each process ends with its script, and the script with us.
            "PYTHON": " ".join([*dying_with_us("KILL"), sys.executable]),
            "PYTHONUNBUFFERED": "1",
            "TMPDIR": str(self._home),
        }
        script = subprocess.Popen(  # noqa: S603 - an argument list of ours, and no shell
            [*dying_with_us("KILL"), "./run.sh", workload, str(n)],
            cwd=self._home,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
        )
        too_late = threading.Timer(_END_SECONDS, _kill_group, [script.pid])
        too_late.start()
        try:
            yield script
        finally:
            too_late.cancel()
            _kill_group(script.pid)
            script.wait()
            if script.stdout is not None:
                script.stdout.close()


def _find(script: int, found: dict[str, int]) -> bool:
    """Find the prototype's processes by command line; return whether all exist."""
    with suppress(psutil.NoSuchProcess):
        for child in psutil.Process(script).children(recursive=True):
            names = {Path(argument).name for argument in child.cmdline()}
            found.update((role, child.pid) for role in _ROLES if f"{role}.py" in names)
    return "load" in found


def _read(output: Iterable[str]) -> tuple[str, dict[str, float]]:
    """Return the output so far, and the result once present."""
    said = ""
    for line in output:
        said += line
        if line.startswith("timeout"):
            raise BenchError(f"the prototype did not end in time: {line.strip()} runs had completed")
        if line.startswith("{"):
            return said, json.loads(line)
    raise BenchError(f"the prototype gave no result; its output:\n{said}")


def _kill_group(group: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)
