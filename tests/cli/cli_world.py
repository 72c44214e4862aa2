"""Runs commands: in this process where they only read and print, as processes where they serve."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

from typer.testing import CliRunner, Result

from stream_durable.cli.root import app

HERE = Path(__file__).parent


class Cli:
    """Runs commands in this process."""

    def __init__(self) -> None:
        self._runner = CliRunner()

    def __call__(self, *arguments: str, code: int = 0, stdin: str | None = None) -> Result:
        """Run a command that is to end with this exit code."""
        result = self._runner.invoke(app, list(arguments), input=stdin)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, result.output
        return result

    def rows(self, *arguments: str, code: int = 0) -> Any:
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
