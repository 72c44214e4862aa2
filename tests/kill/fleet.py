"""The processes of an instance, and who replaces those that were killed."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import stream_durable
from kill.instance import Instance
from kill.workflows import JOURNALS
from stream_durable.local.process import dying_with_us

RECONCILER, WORKER, INGRESS = "reconciler", "worker", "ingress"

_HERE = Path(__file__).parent
_STOP_SECONDS = 20.0


def command(role: str, app: str) -> list[str]:
    """How one service is started."""
    return [sys.executable, "-m", "stream_durable", role, *([app] if role == WORKER else [])]


class Process:
    """One reconciler, worker or ingress."""

    def __init__(self, role: str, child: "subprocess.Popen[bytes]", log: Path) -> None:
        self.role = role
        self.child = child
        self.log = log
        #: Whether a test has ended it, or means to.
        self.is_over = False

    @property
    def name(self) -> str:
        """Under which it appears in rows."""
        return f"{self.role}-{socket.gethostname()}-{self.child.pid}"

    @property
    def pid(self) -> int:
        return self.child.pid

    @property
    def running(self) -> bool:
        return self.child.poll() is None

    def kill(self) -> None:
        """End it with no chance to do anything more."""
        self.is_over = True
        self.child.kill()
        self.child.wait(_STOP_SECONDS)

    def pause(self) -> None:
        self.child.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.child.send_signal(signal.SIGCONT)

    async def stop(self) -> None:
        """Ask it to end, and see that it does so in good order and in time."""
        self.is_over = True
        self.child.send_signal(signal.SIGTERM)
        code = await asyncio.to_thread(self.child.wait, _STOP_SECONDS)
        # One that has not begun, and so has not said anything, is ended by the signal itself.
        has_begun = code != -signal.SIGTERM or self.log.read_text()
        assert code == 0 or not has_begun, f"{self.name} ended with {code}: {_tail(self.log)}"


class Fleet:
    """Two reconcilers and two workers, unless a test wants others."""

    def __init__(self, instance: Instance, home: Path, app: str = "kill.workflows:app") -> None:
        """`app` is what the workers carry."""
        self._instance = instance
        self._home = home
        self._app = app
        self.journals = home / "journals"
        self.journals.mkdir(parents=True)
        self.processes: list[Process] = []

    def start(self, role: str, other: Sequence[str] = ()) -> Process:
        """Start one more; a container runtime would do so whenever one has ended.

        `other` is the command of a process that is none of the services.
        """
        log = self._home / f"{role}-{len(self.processes)}.log"
        with log.open("ab") as output:
            child = subprocess.Popen(
                [*dying_with_us("KILL"), *(other or command(role, self._app))],
                cwd=self._home,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        process = Process(role, child, log)
        self.processes.append(process)
        return process

    def _environment(self) -> dict[str, str]:
        return {
            **os.environ,
            **self._instance.environment,
            "STREAM_DURABLE_LOG__FORMAT": "json",
            JOURNALS: str(self.journals),
            "PYTHONPATH": f"{Path(stream_durable.__file__).parents[1]}{os.pathsep}{_HERE.parent}",
        }

    async def told(self, *command: str) -> tuple[int, str]:
        """Run a command to its end; return its exit code and what it said."""
        child = await asyncio.create_subprocess_exec(
            *command, cwd=self._home, env=self._environment(), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        said, _ = await child.communicate()
        assert child.returncode is not None
        return child.returncode, said.decode(errors="replace")

    def of(self, role: str) -> list[Process]:
        """Those that run, the oldest first."""
        return [p for p in self.processes if p.role == role and not p.is_over]

    async def owner(self) -> Process:
        """A reconciler that owns partitions, the one with the most."""
        owners = [cursor.owner for cursor in (await self._instance.cursors()).values()]
        return max(self.of(RECONCILER), key=lambda process: owners.count(process.name))

    def died(self) -> list[str]:
        """Who ended though nobody had asked for it."""
        return [f"{p.name}: {_tail(p.log)}" for p in self.processes if not p.is_over and not p.running]

    async def stop(self, *roles: str) -> None:
        """Stop all that run at the same time, or all of these roles."""
        which = (p for p in self.processes if not roles or p.role in roles)
        await asyncio.gather(*(p.stop() for p in which if not p.is_over and p.running))

    def end(self) -> None:
        """Leave nothing behind, however the test has ended."""
        for process in self.processes:
            if process.running:
                process.kill()

    def complaints(self) -> Iterator[str]:
        """Lines of the logs in which a process says that something is wrong with itself."""
        for process in self.processes:
            # A process that is killed may leave half a line.
            for line in process.log.read_text().split("\n")[:-1]:
                if '"event": "attempt.failed"' in line:
                    # Of a function that fails on purpose, and where it did.
                    continue
                if '"event": "attempt.blocked"' in line and '"stack": []' in line:
                    # Nothing but our own loop was running: this machine gave it no time.
                    continue
                if "Traceback" in line or '"level":"error"' in line.replace(" ", ""):
                    yield f"{process.name}: {line}"


def _tail(log: Path) -> str:
    return "\n".join(log.read_text().splitlines()[-20:])
