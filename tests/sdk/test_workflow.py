"""A workflow becomes the data that was meant."""

# ruff: noqa: A002 - `input` is what authors write

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from enum import StrEnum
from typing import Any

import pytest
import shop

from stream_durable import App, Context, DefinitionError, Retry, Workflow
from stream_durable.core.definition.nodes import (
    Definition,
    EventNode,
    SignalNode,
    SleepNode,
    StepNode,
    decode_definition,
    encode_definition,
)
from stream_durable.core.policy import RetryPolicy
from stream_durable.sdk.handler import Given


def test_the_program_of_the_documentation_is_this_graph() -> None:
    assert shop.orders.definition() == Definition(
        name="order",
        nodes=(
            StepNode(name="reserve", retry=RetryPolicy(3)),
            StepNode(
                name="charge",
                after=("reserve",),
                retry=RetryPolicy(5, jitter=0.2),
                timeout_ms=30_000,
                takes=("reserve",),
                compensation=StepNode(name="charge~compensate", retry=RetryPolicy(3), takes=("charge",)),
            ),
            StepNode(
                name="ship", after=("charge",), retry=RetryPolicy(3), takes=("charge",), takes_context=True
            ),
        ),
        timeout_ms=259_200_000,
    )


def test_the_program_of_the_documentation_runs_step_by_step() -> None:
    order = b'{"id":"42","items":["tea"],"total":9.5}'

    def context(given: Any) -> Context[Any]:
        return Context(given, run_id="order-42")

    reserve, charge, ship = (shop.app.handler("order", step) for step in ("reserve", "charge", "ship"))
    reserved = reserve.encode(asyncio.run(reserve.call(reserve.arguments(Given(order, {}, context)))))
    given = Given(order, {"reserve": reserved}, context)
    charged = charge.encode(asyncio.run(charge.call(charge.arguments(given))))
    shipped = ship.encode(ship.call(ship.arguments(Given(order, {}, context))))

    assert reserved == b'["reserved tea"]'
    assert charged == b'{"number":"R-42","amount":9.5}'
    assert shipped == b'{"tracking":"T-42"}'
    assert (charge.is_async, ship.is_async) == (True, False)


def test_a_step_is_still_the_plain_function() -> None:
    order = shop.Order(id="42", items=["tea"], total=9.5)

    assert asyncio.run(shop.reserve(order)) == ["reserved tea"]
    assert shop.reserve.__name__ == "reserve"
    assert repr(shop.reserve) == "<step 'reserve' of workflow 'order'>"


def test_the_decorator_and_the_calls_make_the_same_graph() -> None:
    decorated, called = Workflow("order"), Workflow("order")

    @decorated.step
    def reserve(input: dict[str, Any]) -> str: ...

    @decorated.step(after=reserve, queue="bank")
    def charge() -> None: ...

    called.add("reserve", reserve.function)
    called.add("charge", charge, after=["reserve"], queue="bank")

    assert called.definition() == decorated.definition()
    assert called.fingerprint == decorated.fingerprint


def test_a_graph_can_be_made_from_data() -> None:
    chain = Workflow("chain")
    last: Any = ()
    for i in range(3):
        last = chain.add(f"s{i}", lambda: None, after=last)

    assert [node.after for node in chain.definition().nodes] == [(), ("s0",), ("s1",)]


def test_a_parameter_named_like_a_step_makes_the_step_wait_also_for_one_defined_later() -> None:
    flow = Workflow("flow")

    @flow.step(after="c")
    def a(b: int) -> None: ...

    @flow.step
    def b() -> int: ...

    @flow.step
    def c() -> None: ...

    node = flow.definition().nodes[0]
    assert node == StepNode(name="a", after=("c", "b"), takes=("b",), takes_input=False)


def test_the_same_dependency_said_twice_is_one() -> None:
    flow = Workflow("flow")
    flow.add("a", lambda: 1)
    flow.add("b", lambda a: a, after=["a", "a"])

    assert flow.definition().nodes[1].after == ("a",)


def test_the_input_travels_only_to_steps_that_take_it() -> None:
    flow = Workflow("flow", input=dict)

    @flow.step
    def nothing() -> None: ...

    @flow.step
    def by_name(input: Any) -> None: ...

    @flow.step
    def by_type(anything: dict) -> None: ...  # type: ignore[type-arg]

    @flow.step
    def by_context(ctx: Context) -> None: ...

    takes = [node.takes_input for node in flow.definition().nodes if isinstance(node, StepNode)]
    assert takes == [False, True, True, True]


def test_waits_and_sleeps_are_steps_too() -> None:
    flow = Workflow("flow")
    paid = flow.wait_event("paid", "payment.captured", key="input.id", timeout="2h", on_timeout="fail")
    go = flow.wait_signal("go", any_of=["released", "forced"], after=paid)
    nod = flow.wait_signal("nod", after=[go], timeout=timedelta(days=1), on_timeout=None)
    hint = flow.wait_signal("hint", "hint.given", timeout="1s", on_timeout={"given": [1, 2.5]})
    cooled = flow.sleep("cooled", "10m", after=[nod, hint])

    @flow.step(after=cooled)
    def pay(paid: dict[str, Any], nod: Any) -> None: ...

    assert flow.definition().nodes == (
        EventNode(name="paid", event="payment.captured", key="input.id", timeout_ms=7_200_000),
        SignalNode(name="go", after=("paid",), signals=("released", "forced")),
        SignalNode(name="nod", after=("go",), signals=("nod",), timeout_ms=86_400_000, on_timeout="null"),
        SignalNode(name="hint", signals=("hint.given",), timeout_ms=1_000, on_timeout='{"given":[1,2.5]}'),
        SleepNode(name="cooled", after=("nod", "hint"), duration_ms=600_000),
        StepNode(name="pay", after=("cooled", "paid", "nod"), takes=("paid", "nod"), takes_input=False),
    )


def test_a_key_in_the_output_of_a_step_makes_the_wait_come_after_it() -> None:
    flow = Workflow("flow")
    flow.wait_event("paid", "payment", key="charge.number")
    flow.add("charge", lambda: {"number": 1})

    assert flow.definition().nodes[0].after == ("charge",)


def test_the_retry_of_the_workflow_is_for_steps_without_their_own() -> None:
    flow = Workflow("flow", retry=Retry(3))
    flow.add("a", lambda: 1)
    flow.add("b", lambda: 1, retry=Retry(1))

    assert [node.retry.attempts for node in flow.definition().nodes if isinstance(node, StepNode)] == [3, 1]


def test_the_fingerprint_is_that_of_the_bytes_whatever_they_were_made_of() -> None:
    class Queue(StrEnum):
        DEFAULT = "default"

    written, plain = Workflow("flow"), Workflow("flow")
    written.add("a", lambda: 1, retry=Retry(1, base="1000ms", cap="60s"), queue=Queue.DEFAULT)
    plain.add("a", lambda: 1)

    assert written.fingerprint == plain.fingerprint
    assert written.definition() is written.definition()
    read = decode_definition(encode_definition(written.definition()))
    assert read.fingerprint() == written.fingerprint


def test_a_workflow_is_closed_once_its_definition_was_taken() -> None:
    flow = Workflow("flow")
    flow.add("a", lambda: 1)
    flow.definition()

    with pytest.raises(DefinitionError) as caught:
        flow.sleep("b", "1s")

    assert [fault.code for fault in caught.value.faults] == ["closed"]
    assert "step 'b' comes too late: an App, or another caller, has taken the definition" in str(caught.value)


def test_a_workflow_with_faults_can_be_mended() -> None:
    flow = Workflow("flow")
    flow.add("b", lambda: 1, after="a")
    for _ in range(2):
        with pytest.raises(DefinitionError, match="has 1 fault:"):
            flow.definition()

    flow.add("a", lambda: 1)

    assert flow.definition().nodes[0].after == ("a",)


def test_a_step_of_one_workflow_can_be_a_step_of_another() -> None:
    one, other = Workflow("one"), Workflow("other")

    @other.step(queue="slow")
    @one.step
    def work(input: int) -> int:
        return input + 1

    @other.step
    def more(work: int) -> int:
        return work

    handlers = App("both", workflows=[one, other]).handler

    for workflow in ("one", "other"):
        handler = handlers(workflow, "work")
        assert handler.call(handler.arguments(Given(b"1", {}, Context))) == 2


def test_what_is_called_may_be_more_than_a_function() -> None:
    from functools import partial, wraps

    class Charge:
        async def __call__(self, input: int) -> int:
            return input

        def by_method(self, input: int) -> int:
            return input

    def logged(function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            return function(*args, **kwargs)

        return wrapper

    def scaled(factor: int, input: int) -> int:
        return factor * input

    async def later(input: int, *, factor: int) -> int:
        return factor * input

    flow = Workflow("flow")
    flow.add("object", Charge())
    flow.add("method", Charge().by_method)
    flow.add("partial", partial(scaled, 2))
    flow.add("keyword", partial(later, factor=3))
    flow.add("wrapped", logged(Charge().by_method))

    handlers = flow.handlers()
    answers = {}
    for step, handler in handlers.items():
        answer = handler.call(handler.arguments(Given(b"7", {}, Context)))
        answers[step] = asyncio.run(answer) if handler.is_async else answer
    assert answers == {"object": 7, "method": 7, "partial": 14, "keyword": 21, "wrapped": 7}
