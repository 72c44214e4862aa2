"""The eye that the laws look with is right about cases that chance seldom makes."""

from __future__ import annotations

import pytest
from builders import RUN, Play, inside, parallel, step
from msgspec import Raw

from property.watch import Ends
from stream_durable.core.messages import Grafted, RetryRun

RETRY = RetryRun(key=RUN, id="retry-1")
SCAN = step("scan", on_error="continue")


def test_a_group_that_comes_after_what_is_made_anew_keeps_no_members_though_one_had_failed() -> None:
    play = Play(step("x"), step("a", "x", ended=("x",)), templates=(SCAN,))
    play.failed("x")
    play.expanded("a", Grafted(of="scan", item=Raw(b"1")), Grafted(of="scan", item=Raw(b"2")))
    play.completed("a[0]")
    play.failed("a[1]")
    before = Ends(play.run)

    assert play.tell(RETRY).asked == [("x", 2)]

    before.look_at_retry(play.run, RETRY)
    assert "a[0]" not in play.run.graph.index


def test_a_group_that_waits_again_for_one_member_keeps_the_others() -> None:
    play = Play(parallel("g"), inside("g", step("a")), inside("g", step("b")))
    play.completed("a")
    play.failed("b")
    before, retry = Ends(play.run), RetryRun(key=RUN, id="retry-1", step="b")

    assert play.tell(retry).asked == [("b", 2)]

    before.look_at_retry(play.run, retry)
    play.step("a").attempt = 2
    with pytest.raises(AssertionError, match="a was"):
        before.look_at_retry(play.run, retry)
