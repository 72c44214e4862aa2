"""Options that steps take over from their workflow, what is said of both for people, options of children."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from stream_durable import DefinitionError, Workflow
from stream_durable.core.definition.nodes import BranchNode, ChildNode, EachNode, StepNode
from stream_durable.core.ids import QUEUE_RULE
from stream_durable.testing import Engine


def work() -> None: ...


def test_functions_without_a_queue_and_a_timeout_of_their_own_take_the_workflows() -> None:
    flow = Workflow("flow", queue="mail", step_timeout="30s")
    flow.add("plain", work).compensate(work)
    flow.add("own", work, queue="default", timeout="1h")
    flow.add("endless", work, timeout=None)
    flow.add("short", work, total="5s")
    flow.each("input", name="each")(lambda item: item)
    flow.template(name="made")(lambda item: item)
    kind = flow.branch("kind", on=lambda: 1)
    kind.add(1, "clause", work)
    flow.on_failure(work)
    definition = flow.definition()
    found: dict[str, Any] = {node.name: node for node in definition.nodes}

    def of(node: StepNode) -> tuple[str, int | None]:
        return node.queue, node.timeout_ms

    assert of(found["plain"]) == of(found["plain"].compensation) == of(found["clause"]) == ("mail", 30_000)
    assert (of(found["own"]), of(found["endless"])) == (("default", 3_600_000), ("mail", None))
    assert of(found["short"]) == ("mail", 5_000)
    assert isinstance(found["each"], EachNode)
    assert (
        of(found["each"].step) == of(definition.templates[0]) == of(definition.hooks[0]) == ("mail", 30_000)
    )
    assert isinstance(found["kind"], BranchNode)
    assert found["kind"].selector is not None
    assert found["kind"].selector.queue == "mail"


async def test_a_step_runs_on_the_queue_and_within_the_time_of_its_workflow(engine: Engine) -> None:
    flow = Workflow("flow", queue="mail", step_timeout="10s")

    @flow.step
    async def late() -> None:
        await asyncio.sleep(60)

    run = await engine.start(flow)
    await engine.until(run, "failed")
    assert run.failure is not None
    assert (run.failure.code, run.failure.step) == ("timeout", "late")


def test_what_is_said_for_people_is_kept_beside_the_definition_and_makes_no_new_version() -> None:
    plain = Workflow("flow")
    said = Workflow("flow", description="Ships orders.", tags=["shop"], metadata={"owner": "ann", "page": 7})
    for flow, text in ((plain, ""), (said, "What it does.")):
        flow.add("a", work, description=text)
        flow.sleep("nap", "1s", description=text)
        flow.wait_signal("go", description=text)
        flow.each("input", name="each", description=text)(lambda item: item)
        flow.template(name="made", description=text)(lambda item: item)
        kind = flow.branch("kind", on="input", description=text)
        kind.add(1, "clause", work, description=text)
    assert plain.fingerprint == said.fingerprint
    assert (plain.about.description, plain.about.steps) == ("", {})
    about = said.about
    assert (about.description, about.tags) == ("Ships orders.", ("shop",))
    assert about.metadata == {"owner": "ann", "page": 7}
    assert set(about.steps) == {"a", "nap", "go", "each", "made", "kind", "clause"}


def test_what_these_options_cannot_be() -> None:
    given: Any = {"queue": "a b", "step_timeout": "soon", "description": 7, "tags": "shop", "metadata": [1]}
    flow: Any = Workflow("flow", **given)
    flow.add("a", work, description=["x"])
    with pytest.raises(DefinitionError) as refused:
        flow.definition()
    said = [fault.message for fault in refused.value.faults]
    assert said[1:] == [
        "workflow 'flow': description= takes a text, not 7",
        "workflow 'flow': tags= takes several texts, not 'shop'",
        "workflow 'flow': metadata= takes an object, not [1]",
        "step 'a': description= takes a text, not ['x']",
        f"step 'a': 'a b' is not a name for a queue: {QUEUE_RULE}",
    ]
    assert said[0].startswith("workflow 'flow': step_timeout= takes a duration")


def small() -> Workflow:
    flow = Workflow("small")
    flow.wait_signal("go")
    flow.add("only", lambda go: go)
    return flow


async def test_a_child_that_takes_too_long_is_cancelled_and_a_value_stands_for_it(engine: Engine) -> None:
    flow = Workflow("order")
    flow.child("small", small(), timeout="1h", on_timeout={"late": True})
    flow.add("end", lambda small: small)
    run = await engine.start(flow)
    await engine.advance("1h")
    assert (run.status, run.output) == ("completed", {"late": True})
    await engine.until_idle()
    assert [child.status for child in run.children] == ["cancelled"]
    assert run.step("small").status == "completed"


async def test_a_child_that_ends_in_time_is_not_touched_by_it(engine: Engine) -> None:
    flow = Workflow("order")
    flow.child("small", small(), timeout="1h", on_timeout=None)
    run = await engine.start(flow, id="r")
    await engine.until_idle()
    await engine.signal("r//small", "go", 7)
    await engine.until(run, "completed")
    await engine.advance("2h")
    assert (run.output, [child.status for child in run.children]) == (7, ["completed"])


def test_a_value_for_a_child_that_is_late_needs_a_time() -> None:
    flow = Workflow("order")
    flow.child("small", small(), on_timeout=1)
    with pytest.raises(DefinitionError, match=r"on_timeout= has no effect without timeout="):
        flow.definition()


async def test_steps_of_a_child_go_to_the_queue_that_is_given_for_it(engine: Engine) -> None:
    flow = Workflow("order")
    flow.child("small", small(), queue="slow")
    run = await engine.start(flow, id="r", queue="fast")
    await engine.until_idle()
    assert (run.state.queue, engine.run("r//small").state.queue) == ("fast", "slow")
    [child] = [each for each in flow.definition().nodes if isinstance(each, ChildNode)]
    assert child.queue == "slow"
