"""Answers of brokers to an administrator of the client library, which may never come."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Final, TypeVar

from confluent_kafka import KafkaError, KafkaException

from stream_durable.kafka.config import CALL_SECONDS

_Answer = TypeVar("_Answer")

#: How long an administrator may wait for the coordinator of a group by itself: longer than anybody here waits
#: for it. One that has given such a question up ends the process when its brokers come back.
GROUP_SECONDS: Final = 3_600.0


def answer_of(question: Future[_Answer], seconds: float = CALL_SECONDS) -> _Answer:
    """Return the answer to a question; raise `KafkaException`, also where none comes in time. Blocks.

    The client may give a question up later than this, or never: it is of no more use after that.
    """
    try:
        return question.result(seconds)
    except TimeoutError:
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT)) from None
