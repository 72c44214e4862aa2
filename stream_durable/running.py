"""Discovery of services started by a `dev` in this directory."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from stream_durable.core.errors import RejectedError
from stream_durable.settings import Settings, masked
from stream_durable.settings.tree import DEFAULTS

HOME: Final = Path(".durable")
_FILE: Final = "running.json"
_LOCK: Final = "dev.lock"
#: Without any of these settings a `dev` is used; with one of them, the configured services.
_PLACES: Final = ("kafka.bootstrap", "postgres.dsn")


@contextmanager
def occupied(home: Path) -> Iterator[None]:
    """Lock a directory for one `dev`; the kernel releases the lock if the process is killed.

    Raises a RejectedError if the directory is locked or cannot be created.
    """
    try:
        home.mkdir(parents=True, exist_ok=True)
        file = (home / _LOCK).open("a+")
    except OSError as error:
        text = f"--home {home} cannot be used: {error.strerror}: name a directory that you may write to"
        raise RejectedError("bad_home", text) from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            owner = file.read().strip() or "unknown"
            raise RejectedError(
                "dev_runs",
                f"`stream-durable dev` runs already on {home}, process {owner}: use that one, end it, or "
                "keep the data of this one elsewhere with --home",
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


@contextmanager
def findable(home: Path, values: Mapping[str, str]) -> Iterator[None]:
    """Let other programs find the services by these settings while the context is open."""
    home.mkdir(parents=True, exist_ok=True)
    file = home / _FILE
    partial = file.with_suffix(".partial")
    partial.touch(mode=0o600)
    partial.write_text(json.dumps({"pid": os.getpid(), "values": dict(values)}))
    partial.rename(file)
    try:
        yield
    finally:
        with suppress(FileNotFoundError):
            file.unlink()


def with_running(settings: Settings, home: Path = HOME) -> Settings:
    """Return settings for the services of a running `dev`; settings with any address stay unchanged.

    A `dev` is used only without any address of Kafka and Postgres: a configured program must not be
    redirected by a leftover file. All other configured settings take precedence over those of `dev`.
    """
    given = configured(settings)
    if given & set(_PLACES):
        return settings
    values = _running(home)
    return settings.override({path: values[path] for path in values.keys() - given}, origin="dev")


def is_configured(settings: Settings, path: str) -> bool:
    """Whether a setting was given explicitly, not by default."""
    return path in configured(settings)


def configured(settings: Settings) -> set[str]:
    """Return the paths of the settings without default values."""
    return {path for path in masked(settings) if settings.origin(path) not in DEFAULTS}


def _running(home: Path) -> dict[str, str]:
    """Return the settings of the `dev` on this directory; none if there is none."""
    try:
        found = json.loads((home / _FILE).read_text())
        os.kill(found["pid"], 0)
        return dict(found["values"])
    except (OSError, ValueError, KeyError, TypeError):
        return {}
