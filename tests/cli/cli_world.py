"""Runs commands: in this process where they only read and print, as processes where they serve."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import typer.main
import typer.testing
from typer.testing import CliRunner, Result

from stream_durable.cli.root import app
from stream_durable.local.process import free_ports, wait_for

HERE = Path(__file__).parent

SECONDS = 60.0
ROLES = ("reconciler", "worker", "ingress")
#: Made once for all calls in a process: it takes a fifth of a second, and is the same each time.
typer.testing._get_command = cache(typer.main.get_command)


class Cli:
    """Runs commands in this process."""

    def __init__(self) -> None:
        self._runner = CliRunner()

    def __call__(self, *arguments: str, code: int | None = 0, stdin: str | None = None) -> Result:
        """Run a command that is to end with this exit code; None: with whichever."""
        result = self._runner.invoke(app, list(arguments), input=stdin)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert code in (None, result.exit_code), result.output
        return result

    def rows(self, *arguments: str, code: int | None = 0) -> Any:
        """Return what a command prints as JSON."""
        return json.loads(self(*arguments, "--output", "json", code=code).stdout)


class Process(NamedTuple):
    """A command that runs, and where it writes to."""

    popen: subprocess.Popen[bytes]
    log: Path

    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def end(self, signal: int, seconds: float) -> int:
        """Send a signal and return the exit code."""
        self.popen.send_signal(signal)
        return self.popen.wait(seconds)


class Processes:
    """Starts commands as processes; what a test leaves behind is killed."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._started: list[Process] = []

    def start(self, *arguments: str, environment: dict[str, str] | None = None, cwd: Path = HERE) -> Process:
        log = self._home / f"{arguments[0]}-{len(self._started)}.log"
        with log.open("wb") as output:
            popen = subprocess.Popen(
                [sys.executable, "-m", "stream_durable", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
                cwd=cwd,
            )
        process = Process(popen, log)
        self._started.append(process)
        return process

    def kill_all(self) -> None:
        for process in self._started:
            process.popen.kill()
            process.popen.wait()


class Instance:
    """Three services on topics and a schema of their own."""

    def __init__(self, environment: dict[str, str], processes: Processes) -> None:
        self.environment = environment
        self._processes = processes
        self.ports = dict(zip(ROLES, free_ports(len(ROLES)), strict=True))
        self.services: dict[str, Process] = {}

    def start(self, role: str) -> Process:
        app = ("orders_app:app",) if role == "worker" else ()
        arguments = (role, *app, "--health-port", str(self.ports[role]))
        self.services[role] = self._processes.start(*arguments, environment=self.environment)
        return self.services[role]

    def until_ready(self, *roles: str) -> None:
        for role in roles:
            wait_for(lambda role=role: self.get(role, "/readyz")[0] == 200, seconds=SECONDS, what=role)

    def get(self, role: str, path: str) -> tuple[int, str]:
        """Ask a service's health server; 0: it does not answer."""
        service = self.services[role]
        assert service.popen.poll() is None, service.text()
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.ports[role]}{path}", timeout=5) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError:
            return 0, ""
