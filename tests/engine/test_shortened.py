"""Public events that are too large for their topic: what is left of them."""

from stream_durable.core.failure import Failure
from stream_durable.core.lifecycle import RUN_FAILED, STEP_COMPLETED, RunEvent, StepEvent
from stream_durable.engine.outbox import shortened
from stream_durable.wire.lifecycle import decode, encode

LARGE = b'"%b"' % (b"x" * 2_000_000)
SMALL_BYTES = 2_000


def test_nothing_that_users_write_keeps_an_event_about_a_step_too_large() -> None:
    failure = Failure("bad", "x" * 2_000_000, details=LARGE, trace="x" * 2_000_000)
    event = StepEvent(
        STEP_COMPLETED, "r", "w", "f", sequence=1, time=1, step="s", attempt=1, output=LARGE, failure=failure,
        asked=LARGE,
    )  # fmt: skip

    left = shortened(event)

    assert len(encode(left)) < SMALL_BYTES
    assert decode(encode(left)) == left
    assert (left.run, left.step, left.sequence) == ("r", "s", 1)


def test_nothing_that_users_write_keeps_an_event_about_a_run_too_large() -> None:
    failure = Failure("bad", "x" * 2_000_000, details=LARGE, trace="x" * 2_000_000)
    event = RunEvent(
        RUN_FAILED, "r", "w", "f", sequence=1, time=1, step_sequence=1, cause="c", output=LARGE,
        failure=failure,
    )  # fmt: skip

    assert len(encode(shortened(event))) < SMALL_BYTES
