"""Lists and `top`, watched on past a moment without Postgres."""

from __future__ import annotations

import asyncio
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import SimpleNamespace
from typing import Any

import pytest
from cables import Cable, laid
from cli_world import SECONDS, Instance

from stream_durable.cli import top, watching
from stream_durable.core.errors import RejectedError, SystemicError, TransientError
from stream_durable.local.kafka import LocalKafka
from stream_durable.local.postgres import LocalPostgres
from stream_durable.local.process import wait_for

AWAY = TransientError("Postgres at db:5432 (postgres.dsn): Connection refused")
WRONG = SystemicError("Postgres at db:5432 (postgres.dsn): InvalidPasswordError 28P01")


class Ended(BaseException):
    """In place of the end of the process."""


class Looks:
    """What a list finds at each look: a text, or an error; after the last of them comes an interrupt."""

    def __init__(self, *found: str | Exception) -> None:
        self._left = list(found)

    def __call__(self) -> None:
        if not self._left:
            signal.raise_signal(signal.SIGINT)
            return
        found = self._left.pop(0)
        if isinstance(found, Exception):
            raise found
        print(found)


def watched(*found: str | Exception) -> None:
    with pytest.raises(Ended):
        watching._repeat(Looks(*found), 0.0)


@pytest.fixture(autouse=True)
def no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    def end() -> None:
        raise Ended

    monkeypatch.setattr(watching, "leave", end)


class TestAList:
    def test_goes_on_when_a_server_is_back_and_says_once_why_it_waits(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        watched("one", AWAY, AWAY, "two")

        printed = capsys.readouterr()
        assert printed.out == "one\ntwo\n"
        assert printed.err == f"Waiting: {AWAY}\n"

    def test_on_a_terminal_keeps_what_was_seen_last(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)

        watched("one", AWAY)

        assert f"one\n\nWaiting: {AWAY}. This is as of " in capsys.readouterr().out

    @pytest.mark.parametrize("error", [AWAY, WRONG, RejectedError("settings_invalid", "no such thing")])
    def test_that_never_showed_anything_ends_with_the_error(self, error: Exception) -> None:
        with pytest.raises(type(error)):
            watching._repeat(Looks(error), 0.0)

    def test_that_is_refused_from_then_on_ends_with_the_error(self) -> None:
        with pytest.raises(SystemicError):
            watching._repeat(Looks("one", WRONG), 0.0)


class TestTop:
    async def test_goes_on_when_a_server_is_back_and_shows_why_it_waits(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert await drawn(monkeypatch, screen(1_000), AWAY, screen(2_000)) == [
            ("1000", ""),
            ("1000", str(AWAY)),
            ("2000", ""),
        ]

    @pytest.mark.parametrize("found", [(AWAY,), (WRONG,), ("screen", WRONG)])
    async def test_ends_with_an_error_at_once_or_with_a_refusal(
        self, monkeypatch: pytest.MonkeyPatch, found: tuple[Any, ...]
    ) -> None:
        with pytest.raises(TransientError):
            await drawn(monkeypatch, *(screen(1_000) if one == "screen" else one for one in found))


def screen(at: int) -> Any:
    return top._Screen(SimpleNamespace(at=at, runs={}), [], [], None)  # type: ignore[arg-type]


async def drawn(monkeypatch: pytest.MonkeyPatch, *found: Any) -> list[tuple[str, str]]:
    """Return what `top` draws, look for look: when it is of, and why there is nothing newer."""
    left, pictures = list(found), list[tuple[str, str]]()
    monkeypatch.setattr(top, "_drawn", lambda seen, reason="": (str(seen.status.at), reason))

    async def look() -> Any:
        if not left:
            raise asyncio.CancelledError
        one = left.pop(0)
        if isinstance(one, Exception):
            raise one
        return one

    with suppress(asyncio.CancelledError):
        await top._watch(look, pictures.append, lambda: asyncio.sleep(0))  # type: ignore[arg-type]
    return pictures


@pytest.mark.real
@pytest.mark.parametrize(
    "command", [("top", "--every", "0.5"), ("runs", "list", "--watch", "--every", "0.2")]
)
def test_a_screen_stays_without_postgres_goes_on_with_it_and_ends_at_once(
    instance: Instance, postgres_server: LocalPostgres, command: tuple[str, ...]
) -> None:
    with laid(postgres_server.port) as cable:
        dsn = instance.environment["STREAM_DURABLE_POSTGRES__DSN"]
        through = {"POSTGRES__DSN": dsn.replace(f":{postgres_server.port}", f":{cable.port}")}
        with terminal(command, instance.environment, through) as (process, text):
            outlasts(process, text, cable)


@pytest.mark.real
def test_top_stays_without_kafka_and_ends_at_once(instance: Instance, kafka_broker: LocalKafka) -> None:
    with laid(int(kafka_broker.bootstrap.rpartition(":")[2])) as cable:
        through = {"KAFKA__BOOTSTRAP": f"127.0.0.1:{cable.port}"}
        with terminal(("top", "--every", "0.5"), instance.environment, through) as (process, text):
            outlasts(process, text, cable)


def outlasts(process: subprocess.Popen[bytes], text: Callable[[], str], cable: Cable) -> None:
    """Cut a cable and mend it while a screen is watched; interrupt while a question has no answer."""
    wait_for(lambda: has_picture(text()), seconds=SECONDS, what="a picture")
    cable.cut()
    wait_for(lambda: "Waiting: " in text(), seconds=SECONDS, what="the reason")
    assert process.poll() is None
    before = len(text())
    cable.mend()
    wait_for(lambda: has_picture(text()[before:]), seconds=SECONDS, what="a picture without a reason")

    cable.silence()
    asked = cable.questions
    wait_for(lambda: cable.questions > asked, seconds=SECONDS, what="a question without an answer")
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert process.wait(SECONDS) == 0
    assert time.monotonic() - began < 5
    assert "Traceback" not in text()


def has_picture(text: str) -> bool:
    """Whether the picture drawn last is there, without a reason."""
    return max(text.rfind("No run"), text.rfind("no runs")) > text.rfind("Waiting: ")


@contextmanager
def terminal(
    command: tuple[str, ...], environment: dict[str, str], settings: dict[str, str]
) -> Iterator[tuple[subprocess.Popen[bytes], Callable[[], str]]]:
    """Run a command on a terminal; return it, and what stands there so far."""
    ours, theirs = pty.openpty()
    os.set_blocking(ours, False)
    own = {f"STREAM_DURABLE_{name}": value for name, value in settings.items()}
    process = subprocess.Popen(
        [sys.executable, "-m", "stream_durable", *command],
        stdin=theirs, stdout=theirs, stderr=theirs, env={**os.environ, **environment, **own, "TERM": "xterm"},
    )  # fmt: skip
    os.close(theirs)
    written = bytearray()

    def text() -> str:
        with suppress(OSError):
            while data := os.read(ours, 65_536):
                written.extend(data)
        return written.decode(errors="replace")

    try:
        yield process, text
    finally:
        process.kill()
        process.wait()
        os.close(ours)
