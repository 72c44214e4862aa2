"""A move that the table does not have is noticed wherever the fold makes it."""

from __future__ import annotations

import pytest
from builders import Play, step
from moves import IllegalMove

from stream_durable.core.run.state import Run, Step
from stream_durable.core.status import COMPLETED, PENDING, READY, RUNNING


def test_a_step_that_goes_back_by_itself_is_noticed() -> None:
    ended = Step(COMPLETED)

    with pytest.raises(IllegalMove, match="from completed to ready"):
        ended.status = READY


def test_a_run_that_skips_its_beginning_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    play = Play(step("a"))
    run = Run("r", 0, play.graph)

    with pytest.raises(IllegalMove, match="from pending to completed"):
        run.status = COMPLETED
    assert run.status == PENDING
    run.status = RUNNING
