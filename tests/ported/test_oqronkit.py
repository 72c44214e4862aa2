"""What users of a job kit's workflow module rely on: typed graphs, conditions, sub-workflows, validation.

What happens while runs go on is in `test_oqronkit_running`. Left out: the limit of runs at once and the
status `pending` that comes of it (E7), listing runs by status (E4) and what is set for all workflows of a
process at once (defaults are per workflow here, and none is a time limit that an author did not write).
Crashes of workers and reconcilers are the simulation's business.
"""

# ruff: noqa: A002, A006 - `input` is what authors write

from __future__ import annotations

import asyncio
from typing import Any, Literal

import pytest
from pydantic import BaseModel

from stream_durable import Context, DefinitionError, Failure, Workflow
from stream_durable.testing.engine import Engine


class Signup(BaseModel):
    user: str
    email: str
    plan: Literal["free", "pro"] = "free"


class Workspace(BaseModel):
    id: str


def signup(plan: Literal["free", "pro"] = "free") -> Signup:
    return Signup(user="u-1", email="ann@example.org", plan=plan)


# A chain, typed from end to end


async def test_the_last_step_of_a_chain_is_the_output_of_the_run(engine: Engine) -> None:
    flow = Workflow("onboarding", input=Signup)

    @flow.step
    async def welcome(signup: Signup) -> dict[str, bool]:
        return {"sent": "@" in signup.email}

    @flow.step(after=welcome)
    async def provision(signup: Signup) -> Workspace:
        return Workspace(id=f"ws-{signup.user}")

    @flow.step
    async def finalize(signup: Signup, provision: Workspace) -> dict[str, str]:
        return {"workspace": provision.id, "plan": signup.plan}

    run = await engine.start(flow, signup())
    await engine.until_idle()

    assert run.status == "completed"
    assert run.output == {"workspace": "ws-u-1", "plan": "free"}
    assert run.step("welcome").output == {"sent": True}
    assert run.step("provision").attempts == 1


async def test_branches_of_a_pipeline_run_side_by_side_and_meet(engine: Engine) -> None:
    flow = Workflow("etl")
    under_way: list[str] = []
    seen: dict[str, list[str]] = {}

    @flow.step
    async def extract() -> list[int]:
        return [1, 2, 3]

    @flow.step
    async def users(extract: list[int]) -> list[str]:
        under_way.append("users")
        await asyncio.sleep(5)
        seen["users"] = list(under_way)
        return [f"user {i}" for i in extract]

    @flow.step
    async def orders(extract: list[int]) -> list[str]:
        under_way.append("orders")
        await asyncio.sleep(5)
        seen["orders"] = list(under_way)
        return [f"order {i}" for i in extract]

    @flow.step
    async def load(users: list[str], orders: list[str]) -> int:
        return len([*users, *orders])

    run = await engine.start(flow)
    await engine.until_idle()

    assert run.output == 6
    assert sorted(seen["users"]) == sorted(seen["orders"]) == ["orders", "users"]


async def test_outputs_keep_their_type_on_the_way(engine: Engine) -> None:
    flow = Workflow("piping")

    class Page(BaseModel):
        records: list[str]
        count: int

    @flow.step
    async def fetch(input: dict[str, str]) -> Page:
        return Page(records=[input["url"], "b"], count=2)

    @flow.step
    async def process(fetch: Page) -> str:
        return f"{fetch.count}: {', '.join(fetch.records)}"

    run = await engine.start(flow, {"url": "a"})
    await engine.until_idle()

    assert run.output == "2: a, b"


async def test_several_last_steps_are_a_map_by_name(engine: Engine) -> None:
    flow = Workflow("sinks")

    @flow.step
    async def begin() -> int:
        return 1

    @flow.step
    async def mail(begin: int) -> str:
        return "mailed"

    @flow.step(when=lambda begin: begin > 1)
    async def call(begin: int) -> str:
        return "called"

    @flow.step
    async def count(begin: int) -> int:
        return begin + 1

    run = await engine.start(flow)
    await engine.until_idle()

    assert run.status == "completed"
    assert run.output == {"mail": "mailed", "call": None, "count": 2}


# Conditions


def with_subscription() -> Workflow:
    flow = Workflow("conditional", input=Signup)

    @flow.step
    async def welcome(signup: Signup) -> None: ...

    @flow.step(after=welcome, when=lambda signup: signup.plan == "pro")
    async def subscribe(signup: Signup) -> str:
        return f"sub-{signup.user}"

    @flow.step
    async def finish(subscribe: str | None, ctx: Context[Signup]) -> dict[str, Any]:
        return {"subscription": subscribe, "asked": ctx.output("subscribe", "none")}

    @flow.step
    async def report(finish: dict[str, Any], subscribe: str = "nothing") -> str:
        return subscribe

    return flow


async def test_a_step_whose_condition_says_no_counts_as_done_and_has_no_output(engine: Engine) -> None:
    run = await engine.start(with_subscription(), signup("free"))
    await engine.until_idle()

    assert run.status == "completed"
    assert run.step("subscribe").status == "skipped"
    assert run.step("finish").output == {"subscription": None, "asked": "none"}
    assert run.output == "nothing"


async def test_a_step_whose_condition_says_yes_runs(engine: Engine) -> None:
    run = await engine.start(with_subscription(), signup("pro"))
    await engine.until_idle()

    assert run.step("finish").output == {"subscription": "sub-u-1", "asked": "sub-u-1"}
    assert run.output == "sub-u-1"


async def test_a_step_that_cannot_do_without_says_so(engine: Engine) -> None:
    """There the step gets `undefined` and has to find out; here the attempt fails, and says the remedy."""
    flow = Workflow("strict")

    @flow.step(when=lambda input: False)
    async def maybe(input: None) -> int:
        return 1

    @flow.step
    async def needs(maybe: int) -> int:
        return maybe

    run = await engine.start(flow)
    await engine.until_idle()

    assert run.status == "failed"
    failure = run.step("needs").failure
    assert failure is not None
    assert failure.code == "invalid_input"
    assert "'maybe' has no output" in failure.message
    assert "default" in failure.message


# Workflows in workflows


async def test_the_output_of_a_child_is_the_output_of_its_step(engine: Engine) -> None:
    billing = Workflow("billing")

    @billing.step
    async def invoice(input: dict[str, str]) -> str:
        return f"invoice for {input['user']}"

    @billing.step
    async def charge(invoice: str) -> dict[str, Any]:
        return {"charged": True, "for": invoice}

    flow = Workflow("with_billing", input=Signup)

    @flow.step
    async def setup(signup: Signup) -> None: ...

    flow.child("billing", billing, input={"user": "input.user"}, after=setup)

    @flow.step
    async def finalize(billing: dict[str, Any]) -> dict[str, Any]:
        return {"completed": True, **billing}

    run = await engine.start(flow, signup(), id="signup-1")
    await engine.until_idle()

    assert run.output == {"completed": True, "charged": True, "for": "invoice for u-1"}
    assert engine.run("signup-1//billing").output == {"charged": True, "for": "invoice for u-1"}


async def test_a_child_without_a_mapping_gets_no_input(engine: Engine) -> None:
    """The older system hands the parent's input down; here that is said: `input="input"`."""
    child = Workflow("echo")
    child.add("say", lambda input: input)
    flow = Workflow("mapping")
    flow.child("none", child)
    flow.child("all", child, input="input")

    run = await engine.start(flow, {"a": 1})
    await engine.until_idle()

    assert run.output == {"none": None, "all": {"a": 1}}


async def test_twenty_levels_are_enough(engine: Engine) -> None:
    flow = Workflow("level_1")
    flow.add("deepest", lambda: "bottom")
    for level in range(2, 22):
        above = Workflow(f"level_{level}")
        above.child("below", flow)
        flow = above

    run = await engine.start(flow)
    await engine.until_idle()

    assert run.output == "bottom"
    too_deep = Workflow("level_22")
    too_deep.child("below", flow)
    with pytest.raises(DefinitionError, match="20"):
        too_deep.definition()


# What is wrong is said when the workflow is defined


def _codes(flow: Workflow) -> set[tuple[str | None, str]]:
    with pytest.raises(DefinitionError) as caught:
        flow.definition()
    return {(fault.step, fault.code) for fault in caught.value.faults}


def work() -> None: ...


def test_a_workflow_without_steps_is_refused() -> None:
    assert _codes(Workflow("empty")) == {(None, "empty")}


def test_all_that_is_wrong_with_a_graph_is_said_at_once() -> None:
    flow = Workflow("wrong")
    flow.add("twice", work)
    flow.add("twice", work)
    flow.add("self", work, after="self")
    flow.add("lost", work, after="nobody")

    with pytest.raises(DefinitionError, match="'lost' waits for 'nobody', which does not exist") as caught:
        flow.definition()

    assert {fault.step for fault in caught.value.faults} == {"twice", "self", "lost"}


def test_a_cycle_is_shown_as_it_goes() -> None:
    flow = Workflow("circle")
    flow.add("chicken", work, after="egg")
    flow.add("egg", work, after="chicken")

    with pytest.raises(DefinitionError, match=r"(chicken -> egg -> chicken|egg -> chicken -> egg)"):
        flow.definition()


def test_a_workflow_that_is_its_own_child_is_refused() -> None:
    flow = Workflow("own_child")
    flow.child("me", flow)

    with pytest.raises(DefinitionError, match="own_child"):
        flow.definition()


def test_a_step_is_a_function_or_a_child_and_not_both() -> None:
    """There one record has both fields; here those are two calls, and each refuses what is the other's."""
    child = Workflow("child_of_both")
    child.add("one", work)
    flow = Workflow("both")

    with pytest.raises(DefinitionError, match="takes a name and a workflow"):
        flow.child("pay", work)  # type: ignore[arg-type]
    with pytest.raises(DefinitionError):
        flow.add("pay", child)  # type: ignore[arg-type]
        flow.definition()


def test_a_test_of_a_step_needs_no_engine() -> None:
    flow = Workflow("plain", input=Signup)

    @flow.step
    def greet(signup: Signup) -> str:
        return f"hello {signup.user}"

    assert greet(signup()) == "hello u-1"
    assert Failure("code").retryable
