"""Child processes bound to the life of their parent, and helpers shared by both local services.

A broker or database left behind by a killed test run would hold its port and memory until found by hand. So
on Linux every child is started through `setpriv --pdeathsig`, and the kernel signals the child when its
parent dies, by any cause. A Python `preexec_fn` could do the same, but runs between fork and exec of a
process with threads, with a risk of deadlock.

To the kernel "parent" means the *thread* that forked. A service started by a short-lived thread would die
with the thread, so all children are started by one thread living as long as the process. On other systems a
child can outlive a killed parent.
"""

import fcntl
import os
import random
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Self

LOOPBACK = "127.0.0.1"

#: Below those that Linux (from 32,768 on) and others (from 49,152 on) give to outgoing connections.
_PORTS = range(20_000, 32_768)

#: Enough for a Java stack trace with its cause, and still readable in a terminal.
_TAIL_LINES = 25


class LocalServiceError(Exception):
    """A local service cannot be used; the text names cause and remedy."""


class Child:
    """A child process with output to a file."""

    def __init__(self, name: str, process: "subprocess.Popen[bytes]", log: Path, begin: int) -> None:
        self._name = name
        self._process = process
        self._log = log
        self._begin = begin

    @classmethod
    def spawn(cls, name: str, command: Sequence[str], *, log: Path, cwd: Path) -> Self:
        """Start the command in a new session, so that Ctrl-C reaches us and not the service."""
        with log.open("ab") as output:
            begin = output.tell()
            process = _starter(os.getpid()).submit(
                subprocess.Popen,
                command,
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            return cls(name, process.result(), log, begin)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    @property
    def code(self) -> int | None:
        """The exit code; None while running."""
        return self._process.poll()

    def wait_until(self, ready: Callable[[], bool], *, seconds: float) -> None:
        """Wait until the child is ready; end an ended or slow child and report its output."""
        deadline = time.monotonic() + seconds
        while not ready():
            if self.ended_within(0.01):
                code = self._process.returncode
                raise LocalServiceError(self._with_tail(f"ended with code {code} while starting"))
            if time.monotonic() > deadline:
                self.end(signal.SIGKILL, seconds=10)
                raise LocalServiceError(self._with_tail(f"was not ready after {seconds:.0f} s"))

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def end(self, number: signal.Signals, *, seconds: float) -> bool:
        """Send the signal and wait for the end; send SIGKILL after a time.

        Return whether the signal sufficed.
        """
        self._process.send_signal(number)
        if self.ended_within(seconds):
            return True
        self._process.kill()
        self._process.wait()
        return False

    def ended_within(self, seconds: float) -> bool:
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _with_tail(self, sentence: str) -> str:
        with self._log.open("rb") as log:
            log.seek(self._begin)
            lines = log.read().decode(errors="replace").splitlines()[-_TAIL_LINES:]
        return "\n".join([f"{self._name} {sentence}. The end of {self._log}:", *lines])


@cache
def _starter(_pid: int) -> ThreadPoolExecutor:
    """The thread starting all children; one for each process, for threads are lost in a fork."""
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="local-services")


def run(command: Sequence[str], *, cwd: Path) -> str:
    """Run a trusted command to the end; return the output, raise on failure."""
    done = subprocess.run(  # noqa: S603 - an argument list of ours, and no shell
        command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode != 0:
        raise LocalServiceError(f"{shlex.join(command)} failed:\n{done.stdout.strip()}")
    return done.stdout


def dying_with_us(death_signal: str, *options: str) -> list[str]:
    """Return a command prefix for sending a child this signal at our death; see the module."""
    return ["setpriv", "--pdeathsig", death_signal, *options, "--"] if _on_linux() else []


def missing_setpriv() -> str | None:
    if _on_linux() and shutil.which("setpriv") is None:
        return "setpriv is missing, which ties local services to us: apt-get install util-linux"
    return None


def _on_linux() -> bool:
    return sys.platform == "linux"


def wait_for(condition: Callable[[], bool], *, seconds: float, what: str) -> None:
    """Poll for a condition without notification: the end of processes other than our children.

    A look that is dear is repeated rarely: looking takes a third of the time, and notices a quarter of a
    second late at most.
    """
    deadline = time.monotonic() + seconds
    while True:
        began = time.monotonic()
        if condition():
            return
        looked = time.monotonic()
        if looked > deadline:
            raise LocalServiceError(f"{what} did not happen within {seconds:.0f} s")
        time.sleep(min(max(2 * (looked - began), 0.002), 0.25))


def cache_home() -> Path:
    """Where this user's caches live; an empty or relative XDG_CACHE_HOME counts as unset."""
    configured = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return configured if configured.is_absolute() else Path.home() / ".cache"


@contextmanager
def only_one(lock: Path) -> Iterator[None]:
    """Hold a lock among processes; the kernel releases the lock if we are killed."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def free_ports(count: int) -> list[int]:
    """Pick free ports, from a random one on, outside the range of outgoing connections.

    A port chosen by the kernel could be given to any outgoing connection before the service listens.
    """
    found: list[int] = []
    begin = random.SystemRandom().randrange(len(_PORTS))
    with ExitStack() as held:
        for port in (*_PORTS[begin:], *_PORTS[:begin]):
            with suppress(OSError):
                held.enter_context(socket.socket()).bind((LOOPBACK, port))
                found.append(port)
            if len(found) == count:
                return found
    raise LocalServiceError(
        f"fewer than {count} of the ports {_PORTS[0]} to {_PORTS[-1]} are free on {LOOPBACK}: "
        "end what uses them"
    )


def is_free(port: int) -> bool:
    """Whether a service could listen there now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def refuse_taken_port(name: str, port: int) -> None:
    """Fail before the start if the port is taken: the other process would pass for our service."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            raise LocalServiceError(
                f"{name} cannot listen on {LOOPBACK}:{port} ({error.strerror}): "
                f"end what uses this port, or choose another one with `--{name.lower()}-port`"
            ) from error


def answers(port: int) -> bool:
    """Whether somebody accepts connections there.

    Connecting to a port nobody listens on can, by chance, connect a socket to itself.
    """
    try:
        with socket.create_connection((LOOPBACK, port), timeout=1) as connection:
            return bool(connection.getsockname() != connection.getpeername())
    except OSError:
        return False
