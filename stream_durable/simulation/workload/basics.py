"""Workflows of steps that follow each other, fail, are tried again, take too long or wait."""

from __future__ import annotations

from stream_durable.sdk.retry import Retry
from stream_durable.sdk.steps import any_of
from stream_durable.sdk.workflow import Workflow
from stream_durable.simulation.workload.functions import (
    SOON,
    always_late,
    dawdling,
    doomed,
    flaky,
    instant,
    long,
    number,
    plain,
    quick,
    shaky,
    threaded,
    work,
)


def _chain() -> Workflow:
    flow = Workflow("chain")
    flow.add("one", quick)
    flow.add("two", threaded, after="one", timeout="250ms", retry=SOON)
    flow.add("three", instant, after="two")
    return flow


def _bare() -> Workflow:
    """No function takes the context, so none is kept."""
    flow = Workflow("bare")
    flow.add("one", plain)
    flow.add("two", plain, after="one")
    flow.add("three", plain, after="one")
    return flow


def _diamond() -> Workflow:
    flow = Workflow("diamond")
    flow.add("top", instant)
    flow.add("left", threaded, after="top", timeout="100ms", retry=SOON)
    flow.add("right", quick, after="top")
    flow.add("bottom", quick, after=("left", "right"))
    return flow


def _fan() -> Workflow:
    flow = Workflow("fan")
    flow.add("split", instant)
    parts = [flow.add(f"part_{i}", quick if i % 2 else work, after="split", retry=SOON) for i in range(6)]
    flow.add("join", threaded, after=parts, timeout="200ms", retry=SOON)
    return flow


def _retried() -> Workflow:
    flow = Workflow("retried", retry=SOON)
    flow.add("flaky", flaky)
    flow.add("then", instant, after="flaky")
    return flow


def _failing() -> Workflow:
    flow = Workflow("failing")
    flow.add("doomed", doomed)
    flow.add("beside", long)
    flow.sleep("rest", "20s")
    flow.wait_signal("never", timeout="30s")
    flow.add("after", instant, after=("doomed", "beside"))
    return flow


def _impatient() -> Workflow:
    flow = Workflow("impatient", retry=Retry(3, base="50ms", cap="100ms"))
    flow.add("dawdling", dawdling, timeout="400ms")
    flow.add("threaded", threaded, timeout="250ms")
    flow.add("then", instant, after=("dawdling", "threaded"))
    return flow


def _long_steps() -> Workflow:
    flow = Workflow("long_steps")
    flow.add("long", long)
    flow.add("bounded", always_late, timeout="2500ms", retry=Retry(2, base="100ms"))
    return flow


def _signals() -> Workflow:
    flow = Workflow("signals")
    flow.wait_signal("go", timeout="20s", on_timeout=None)
    flow.add("then", quick, after="go")
    flow.wait_signal("choice", any_of=["yes", "no"], after="go", timeout="4s", on_timeout={"signal": None})
    flow.wait_signal("both", all_of=["yes", "no"], after="go", timeout="6s", on_timeout=None)
    flow.add("end", instant, after=("then", "choice", "both"))
    return flow


def _events() -> Workflow:
    flow = Workflow("events")
    flow.add("number", number, retry=SOON)
    flow.wait_event("paid", "payment", key="number.number", timeout="15s", on_timeout=None)
    flow.wait_event("seen", "sight", key="input.id", timeout="3s", on_timeout="nothing")
    flow.add("end", instant, after=("paid", "seen"))
    return flow


def _expecting() -> Workflow:
    flow = Workflow("expecting")
    flow.wait_event("paid", "payment", key="input.id", timeout="2s")
    flow.wait_event("shared", "shared", key="input.group", timeout="9s", on_timeout=None)
    return flow


def _renewed() -> Workflow:
    """A graph often restarted during the wait; only a late event ends the wait."""
    flow = Workflow("renewed", restart=Retry(4, base="50ms", cap="400ms"))
    flow.wait_event("paid", "payment", key="input.id")
    flow.add("shaky", shaky)
    flow.add("end", instant, after=("paid", "shaky"))
    return flow


def _asking() -> Workflow:
    """Questions, one of them in a race with time."""
    flow = Workflow("asking", restart=Retry(2, base="50ms"))
    flow.ask(
        "agreed",
        choices=["yes", "no"],
        prompt="{input.id}?",
        role="{input.group}",
        timeout="6s",
        on_timeout="no",
    )
    flow.ask(
        "stars", form=int, prompt="{agreed}!", after="agreed", timeout="4s", on_timeout=None, due="input.wake"
    )
    flow.sleep("nap", "2s")
    flow.add("either", instant, after=any_of("agreed", "nap"))
    flow.add("shaky", shaky, after="agreed")
    flow.add("end", instant, after=("stars", "either", "shaky"))
    return flow


def _handed() -> Workflow:
    """Steps ended from outside, one of them by silence, and one in a race with time."""
    flow = Workflow("handed", restart=Retry(2, base="50ms"))
    flow.add("work", work, retry=SOON)
    flow.wait_token("brought", after="work", heartbeat="2s", timeout="6s", on_timeout="lost")
    flow.wait_token("signed", after="work", on_error="skip", timeout="4s", on_timeout=None)
    flow.sleep("nap", "2s", after="work")
    flow.add("either", instant, after=any_of("signed", "nap"))
    flow.add("shaky", shaky, after="brought")
    flow.add("end", instant, after=("shaky", "either"))
    return flow


def _sleepy() -> Workflow:
    flow = Workflow("sleepy")
    flow.sleep("nap", "700ms")
    flow.add("work", work, after="nap")
    flow.sleep("night", "5500ms", after="work")
    flow.sleep("nothing", "0s", after="work")
    flow.sleep("morning", until="input.wake", zone="Europe/Berlin", after="nothing")
    flow.sleep("over", until="input.wake", after="morning")
    return flow


def _bounded() -> Workflow:
    flow = Workflow("bounded", timeout="2500ms")
    flow.add("work", long)
    flow.sleep("night", "9s")
    flow.wait_event("paid", "payment", key="input.id")
    return flow


def _misdirected() -> Workflow:
    """Both waits have a key that is none: the run must fail, once."""
    flow = Workflow("misdirected")
    flow.add("first", instant)
    flow.wait_event("one", "payment", key="input.nothing", after="first")
    flow.wait_event("two", "payment", key="input.nothing", after="first")
    return flow


MAKERS = (
    _chain, _bare, _diamond, _fan, _retried, _failing, _impatient, _long_steps, _signals, _events, _expecting,
    _renewed, _asking, _handed, _sleepy, _bounded, _misdirected,
)  # fmt: skip
