"""Workflows with decisions: branches, joins, skipped steps, jumps."""

from __future__ import annotations

from typing import Any

from stream_durable.sdk.answers import Finish, Jump, Skip, Snooze
from stream_durable.sdk.context import Context
from stream_durable.sdk.steps import any_of, some_of
from stream_durable.sdk.workflow import Workflow
from stream_durable.simulation.workload.functions import (
    SOON,
    always_late,
    answer,
    chance,
    doomed,
    instant,
    large,
    quick,
    stumble,
    threaded,
    work,
)


async def _letter(ctx: Context[Any]) -> str:
    stumble(ctx)
    drawn = chance(ctx, "letter")
    return "a" if drawn < 0.4 else "b" if drawn < 0.7 else "z"


def _branched() -> Workflow:
    """A branch by a value, and in its clauses a branch by a function, a group and a wait."""
    flow = Workflow("branched")
    flow.add("look", large, retry=SOON)
    kind = flow.branch("kind", on="look.kind")
    first = kind.clause("a")
    first.add("a_one", work)
    inner = first.branch("inner", on=_letter, after="a_one", retry=SOON)
    inner.clause("a").add("inner_a", work)
    inner.clause("a").add("inner_a_then", quick, after="inner_a")
    inner.clause("b").sleep("inner_b", "400ms")
    second = kind.clause("b")
    second.add("b_one", work, on_error="continue")
    second.add("b_two", threaded)
    second.parallel("b_both", ["b_one", "b_two"])
    second.wait_signal("b_word", signal="go", timeout="2s", on_timeout=None, after="b_both")
    kind.otherwise(name="other")(quick)
    flow.add("close", instant, after=kind)
    return flow


def _conditional() -> Workflow:
    """Clauses with conditions, possibly all false; and a step with a condition."""
    flow = Workflow("conditional", retry=SOON)
    kind = flow.branch("kind")
    kind.case(when=lambda given: given["trouble"] > 0.3, name="troubled")(work)
    kind.case(when=lambda given: len(given["items"]) > 2, name="many")(work)
    flow.add("perhaps", quick, when=lambda given: given["kind"] != "a", after=kind)
    flow.add("close", instant, after="perhaps")
    return flow


def _joined() -> Workflow:
    """Races, some of them impossible to win."""
    flow = Workflow("joined")
    flow.add("one", work)
    flow.add("two", work)
    flow.add("three", threaded)
    flow.sleep("nap", "900ms")
    flow.add("lost", doomed)
    flow.add("first", instant, after=any_of("one", "two", "lost"))
    flow.add("most", quick, after=some_of(2, "one", "two", "nap", cancel_rest=True))
    flow.add("both", instant, after=["three", any_of("first", "most")])
    return flow


def _deciding() -> Workflow:
    """A step with every kind of answer."""
    flow = Workflow("deciding")

    @flow.step(retry=SOON)
    async def decide(ctx: Context[Any]) -> Any:
        if not ctx.has("snoozed") and chance(ctx, "snooze") < 0.3:
            ctx.put("snoozed", ctx.idempotency_key)
            answer(ctx)
            return Snooze("700ms", "not now")
        made, drawn = answer(ctx), chance(ctx, "way")
        if drawn < 0.2:
            return Skip("not needed")
        if drawn < 0.45:
            return Jump("last", made)
        return Finish(made) if drawn < 0.6 else made

    flow.add("beside", always_late, timeout="1500ms", on_error="skip")
    flow.add("middle", work, after="decide")
    flow.add("far", quick, after="middle")
    flow.add("aside", work, after="decide", on_error="continue")
    flow.add("last", quick, after=["far", "aside"])
    return flow


def _tidy() -> Workflow:
    """Steps with tolerated failures, and clean-up after any end."""
    flow = Workflow("tidy")
    got = flow.add("got", quick)
    used = flow.add("used", work, after=got)
    flow.add("left", work, on_error="skip", after=got)
    flow.add("noted", work, on_error="continue", after="left")
    flow.add("freed", work, retry=SOON, after=used.even_if_failed)
    flow.add("swept", quick, after="freed")
    flow.sleep("rest", "1500ms", after="noted")
    return flow


MAKERS = (_branched, _conditional, _joined, _deciding, _tidy)
