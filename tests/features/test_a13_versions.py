"""A13: definitions have fingerprints, runs keep theirs, and what would strand runs is told before."""

# ruff: noqa: A002, A006, PLW0108 - values are bound by the names of parameters

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from stream_durable import App, Context, Retry, Workflow
from stream_durable.core.definition.difference import changes
from stream_durable.core.definition.stranding import Carried, strands
from stream_durable.testing import Engine


def order(*, cool: bool = False) -> Workflow:
    """Two versions of a workflow whose functions are the same; the later one cools down before it closes."""
    flow = Workflow("order")
    flow.add("charge", lambda: "R-1")
    go = flow.wait_signal("go", after="charge")
    after = flow.sleep("cool", "1h", after=go) if cool else go
    flow.add("close", lambda charge: f"closed {charge}", after=after)
    return flow


CHANGES: dict[str, Callable[[Workflow], object]] = {
    "a step": lambda w: w.add("more", lambda: 1),
    "an edge": lambda w: w.add("b", lambda: 1, after="a"),
    "an option": lambda w: w.add("b", lambda: 1, timeout="5s"),
    "a queue": lambda w: w.add("b", lambda: 1, queue="slow"),
    "a retry": lambda w: w.add("b", lambda: 1, retry=Retry(3)),
    "a condition's values": lambda w: w.add("b", lambda: 1, when=lambda a: a),
    "what it takes": lambda w: w.add("b", lambda a: 1),
    "whether it takes the input": lambda w: w.add("b", lambda input: 1),
    "whether it takes the context": lambda w: w.add("b", plain_context),
    "a compensation": lambda w: w.add("b", lambda: 1).compensate(lambda: None),
    "a hook": lambda w: (w.add("b", lambda: 1), w.on_failure(lambda: None)),
    "a template": lambda w: (w.add("b", lambda: 1), w.template(name="t")(lambda item: item)),
}


def plain_context(ctx: Context) -> int:
    return 1


def base(build: Callable[[Workflow], object] | None = None, **options: Any) -> Workflow:
    flow = Workflow("order", **options)
    flow.add("a", lambda: 1)
    (build or (lambda w: w.add("b", lambda: 1)))(flow)
    return flow


def test_the_same_definition_has_the_same_fingerprint_whatever_its_functions_do() -> None:
    assert base().fingerprint == base().fingerprint
    assert base().fingerprint == base(lambda w: w.add("b", lambda: "something else entirely")).fingerprint
    assert base().definition().fingerprint() == base().fingerprint


@pytest.mark.parametrize("what", CHANGES)
def test_whatever_changes_in_the_definition_changes_the_fingerprint(what: str) -> None:
    assert base(CHANGES[what]).fingerprint != base().fingerprint


@pytest.mark.parametrize("options", [{"timeout": "1d"}, {"restart": Retry(2)}, {"retry": Retry(2)}], ids=str)
def test_options_of_the_workflow_are_in_it(options: Any) -> None:
    assert base(**options).fingerprint != base().fingerprint


def test_the_fingerprint_of_a_child_is_in_it() -> None:
    def parent(child: Workflow) -> str:
        flow = Workflow("parent")
        flow.child("order", child)
        return flow.fingerprint

    assert parent(base()) == parent(base())
    assert parent(base()) != parent(base(timeout="1d"))


async def test_a_run_keeps_the_definition_it_began_with(engine: Engine) -> None:
    old, new = order(), order(cool=True)
    first = await engine.start(old)
    engine.deploy(new)
    second = await engine.start("order")

    for run in (first, second):
        await engine.signal(run.id, "go")
    assert first.output == "closed R-1"
    assert second.status == "waiting"
    await engine.advance("1h")
    assert second.output == "closed R-1"
    assert (first.state.fingerprint, second.state.fingerprint) == (old.fingerprint, new.fingerprint)
    assert list(first.steps) == ["charge", "go", "close"]
    assert list(second.steps) == ["charge", "go", "cool", "close"]


async def test_a_run_keeps_it_over_a_restart_of_the_reconciler(engine: Engine) -> None:
    run = await engine.start(order())
    engine.deploy(order(cool=True))
    engine.restart()
    await engine.signal(run.id, "go")
    await engine.until_idle()
    assert run.output == "closed R-1"


async def test_children_that_a_run_starts_are_of_the_version_it_knows(engine: Engine) -> None:
    small = Workflow("small")
    small.add("only", lambda: "old")
    flow = Workflow("parent")
    flow.wait_signal("go")
    flow.child("small", small, after="go")
    run = await engine.start(flow)
    later = Workflow("small")
    later.add("only", lambda: "new")
    later.add("more", lambda only: only)
    engine.ask(lambda: engine.ports.catalogue.register(later.definition()))
    await engine.signal(run.id, "go")
    await engine.until_idle()
    assert run.children[0].state.fingerprint == small.fingerprint
    assert list(run.children[0].steps) == ["only"]


async def test_a_start_by_name_means_the_version_registered_last(engine: Engine) -> None:
    await engine.start(order(), id="first")
    engine.deploy(order(cool=True))
    run = await engine.start("order", id="second")
    assert run.state.fingerprint == order(cool=True).fingerprint


def carried(*flows: Workflow) -> dict[str, Carried]:
    app = App("shop", workflows=flows)
    return {
        name: Carried(flow.definition(), {k: handler.needs() for k, handler in flow.handlers().items()})
        for name, flow in app.workflows.items()
    }


def test_an_app_says_what_it_carries() -> None:
    small = Workflow("small")
    small.add("only", lambda: 1)
    flow = Workflow("order")
    flow.add("a", lambda: 1).compensate(lambda: None)
    flow.child("small", small)
    app = App("shop", workflows=[flow])
    assert set(app.workflows) == {"order", "small"}
    assert {name: set(found.functions) for name, found in carried(flow).items()} == {
        "order": {"a", "a~compensate"}, "small": {"only"},
    }  # fmt: skip


def needs_an_output(a: int) -> int:
    return a


def needs_the_input(input: int) -> int:
    return input


@pytest.mark.parametrize(
    "build",
    [
        lambda w: w,
        lambda w: w.add("b", needs_an_output),
        lambda w: w.add("b", needs_the_input),
        lambda w: w.sleep("b", "5s"),
    ],
    ids=["gone", "wants an output", "wants the input", "a sleep now"],
)
def test_changes_that_strand_live_runs_are_told_with_a_remedy(build: Callable[[Workflow], object]) -> None:
    (strand,) = strands(base().definition(), carried(base(build)))
    assert strand.step == "b"
    assert strand.text
    assert strand.remedy


@pytest.mark.parametrize(
    "build",
    [
        None,
        lambda w: (w.add("b", lambda: 2), w.add("c", lambda b: b)),
        lambda w: w.add("b", lambda: 1, timeout="5s", queue="slow", retry=Retry(9)),
        lambda w: w.add("b", lambda a=7: a),
    ],
    ids=["nothing", "a step more", "options", "a default"],
)
def test_changes_that_strand_nobody(build: Callable[[Workflow], object] | None) -> None:
    assert strands(base().definition(), carried(base(build))) == []


def test_what_has_changed_is_told_step_by_step() -> None:
    old = base()
    new = base(lambda w: (w.add("b", lambda a: 1, timeout="5s"), w.sleep("c", "1m", after="b")))
    found = {(change.kind, change.step) for change in changes(old.definition(), new.definition())}
    assert found == {("options", "b"), ("order", "b"), ("added", "c")}


async def test_a_function_that_nobody_carries_any_more_is_asked_for_until_somebody_does(
    engine: Engine,
) -> None:
    """A deployment that lacks a function fails no run: the attempt is handed back until workers carry it."""
    flow = Workflow("order")
    flow.add("a", lambda: 1)
    await engine.start(flow)
    later = Workflow("order")
    later.add("a", lambda: 1)
    later.add("b", lambda a: a)
    engine.ask(lambda: engine.ports.catalogue.register(later.definition()))
    run = await engine.start("order")
    await engine.advance("10m")
    assert run.status in ("running", "waiting")
    assert run.step("b").attempts == 1
    assert run.step("b").status != "failed"

    engine.deploy(later)
    await engine.until(run, "completed")
    assert run.output == 1


async def test_runs_that_are_there_are_served_by_the_functions_of_the_new_version(engine: Engine) -> None:
    run = await engine.start(order())
    fixed = Workflow("order")
    fixed.add("close", lambda charge: f"closed {charge} for good")
    fixed.add("charge", lambda: "R-2")
    engine.deploy(fixed)
    await engine.signal(run.id, "go")
    assert run.output == "closed R-1 for good"
    assert (await engine.start("order")).failure is None
