"""A thread running a test's calls in order, so that its loops are separate from the test's."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, TypeVar

from stream_durable.core.errors import RejectedError

_Answer = TypeVar("_Answer")


class EngineThread:
    """Runs functions in order on a separate thread while the caller waits.

    The test blocks as a whole, with its event loop: under any runner, or none.
    """

    def __init__(self, name: str) -> None:
        """Begin the thread, ending with the program even during an endless call."""
        self._calls: SimpleQueue[tuple[Callable[[], Any], Future[Any]] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()
        #: Whether a call was broken off while the thread was at it.
        self.is_given_up = False

    def do(self, call: Callable[[], _Answer]) -> _Answer:
        """Run a function on the thread, wait, and return the result or raise the exception."""
        if threading.current_thread() is self._thread:
            text = "the engine was asked from inside a step, which it runs at this moment: ask from the test"
            raise RejectedError("inside", text)
        if self.is_given_up:
            text = "the engine is still busy with an interrupted call: use another engine"
            raise RejectedError("given_up", text)
        answer: Future[_Answer] = Future()
        try:
            self._calls.put((call, answer))
            return answer.result()
        finally:
            # A test out of time or interrupted leaves the call running.
            self.is_given_up = not answer.done()

    def close(self, last: Callable[[], object]) -> None:
        """End the thread with a last call; a stuck thread ends after its call, unattended."""
        try:
            if self.is_given_up:
                self._calls.put((last, Future()))
            else:
                self.do(last)
        finally:
            self._calls.put(None)
            if not self.is_given_up:
                self._thread.join()

    def _work(self) -> None:
        while (given := self._calls.get()) is not None:
            call, answer = given
            try:
                result = call()
            except BaseException as error:  # whatever it is, the one who waits is to have it
                with suppress(BaseException):
                    answer.set_exception(error)
            else:
                answer.set_result(result)
            # Its references must not live until the next call.
            del given, call, answer
