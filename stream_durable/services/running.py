"""How other commands find the services that a `dev` in this directory has started."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from stream_durable.settings import Settings, describe

HOME: Final = Path(".durable")
_FILE: Final = "running.json"


@contextmanager
def findable(home: Path, values: Mapping[str, str]) -> Iterator[None]:
    """Let others find the services by these settings while the context is open."""
    home.mkdir(parents=True, exist_ok=True)
    file = home / _FILE
    file.write_text(json.dumps({"pid": os.getpid(), "values": dict(values)}))
    file.chmod(0o600)
    try:
        yield
    finally:
        with suppress(FileNotFoundError):
            file.unlink()


def with_running(settings: Settings, home: Path = HOME) -> Settings:
    """Return settings that lead to the services of a running `dev`; unchanged where somebody said where to.

    Only where nothing at all is said of Kafka and Postgres is `dev` meant: a program that is configured must
    not be led elsewhere by a file that happens to lie around.
    """
    if is_configured(settings, "kafka.bootstrap") or is_configured(settings, "postgres.dsn"):
        return settings
    try:
        found = json.loads((home / _FILE).read_text())
        os.kill(found["pid"], 0)
        return settings.override(found["values"])
    except (OSError, ValueError, KeyError, TypeError):
        return settings


def is_configured(settings: Settings, path: str) -> bool:
    """Whether somebody has said this, so that it is not a default."""
    return any(row.path == path and row.origin != "default" for row in describe(settings))
