"""The thread of an engine: it does what it is given, and does not keep a test that gives up."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator

import pytest

from stream_durable.core.errors import RejectedError
from stream_durable.testing.thread import EngineThread


def test_what_is_raised_there_is_raised_here() -> None:
    thread = EngineThread("test")

    assert thread.do(lambda: threading.current_thread().name) == "test"
    with pytest.raises(ZeroDivisionError):
        thread.do(lambda: 1 / 0)
    thread.close(lambda: None)


@pytest.fixture
def is_interrupted() -> Iterator[threading.Event]:
    """Let Ctrl-C interrupt, once, even in a process that a shell started in the background."""
    seen = threading.Event()

    def interrupt(*_: object) -> None:
        if not seen.is_set():
            seen.set()
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, interrupt)
    yield seen
    signal.signal(signal.SIGINT, before)


def test_a_call_that_is_broken_off_is_left_alone(is_interrupted: threading.Event) -> None:
    thread, gate, is_over = EngineThread("test"), threading.Event(), threading.Event()
    main = threading.get_ident()

    def stuck() -> None:
        # Again and again: a signal just before the wait for the answer is noticed only after the wait.
        while not is_interrupted.wait(0.05):
            signal.pthread_kill(main, signal.SIGINT)
        gate.wait(30)

    with pytest.raises(KeyboardInterrupt):
        thread.do(stuck)
    with pytest.raises(RejectedError, match="use another engine"):
        thread.do(lambda: None)
    thread.close(is_over.set)

    assert not is_over.is_set()
    gate.set()
    assert is_over.wait(30)
