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
def interruptible() -> Iterator[None]:
    """Let Ctrl-C interrupt, which a shell makes a process that it starts in the background ignore."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_a_call_that_is_broken_off_is_left_alone() -> None:
    thread, gate, is_over = EngineThread("test"), threading.Event(), threading.Event()
    main = threading.get_ident()

    def stuck() -> None:
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
