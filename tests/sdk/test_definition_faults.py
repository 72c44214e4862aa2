"""What is wrong with a definition is said in full, at once, and where it was written."""

# ruff: noqa: A002 - `input` is what authors write

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel

from stream_durable import App, Context, DefinitionError, Retry, Workflow
from stream_durable.core.definition.validate import RESERVED
from stream_durable.sdk.handler import Given

if TYPE_CHECKING:
    from decimal import Decimal as Hidden


class Order(BaseModel):
    id: str


class Step(BaseModel):
    id: int


Build = Callable[[Workflow], None]
CASES: list[tuple[str, Build]] = []
RULE = "letters, digits and _ . : - only, beginning with a letter or _, at most 128"
QUEUE_RULE = "letters, digits and _ . - only, at most 100, and not .first, .high or .low at the end"
FORM = 'write "90s", "1h30m", "2d", "500ms", or a timedelta'


def says(expected: str) -> Callable[[Build], Build]:
    """Keep a builder of a bad workflow `order`, and what is to be said of it; HERE is a line of this file."""

    def keep(build: Build) -> Build:
        CASES.append((expected, build))
        return build

    return keep


def message_of(build: Callable[[], object]) -> str:
    with pytest.raises(DefinitionError) as caught:
        build()
    return re.sub(re.escape(__file__) + r":\d+", "HERE", str(caught.value))


def good() -> Any:
    return None


@says("workflow 'order' has no steps")
def no_steps(flow: Workflow) -> None:
    pass


@says("step 'b' waits for 'a', which does not exist")
def unknown_step(flow: Workflow) -> None:
    flow.add("b", good, after="a")


@says("step 'a' waits for itself")
def itself(flow: Workflow) -> None:
    flow.add("a", good, after=["a"])


@says("step 'a' waits for itself")
def itself_by_parameter(flow: Workflow) -> None:
    @flow.step
    def a(a: int) -> int: ...


@says("steps wait for one another: a -> b -> c -> a")
def cycle(flow: Workflow) -> None:
    flow.add("a", good, after="c")
    flow.add("b", good, after="a")
    flow.add("c", good, after="b")


@says("two steps are called 'a'")
def twice(flow: Workflow) -> None:
    flow.add("a", good)
    flow.add("a", good)


@says(f"'my step' is not a name for a step: {RULE}")
def bad_name(flow: Workflow) -> None:
    flow.add("my step", good)


@says(f"'<7>' is not a name for a step: {RULE}")
def name_is_no_text(flow: Workflow) -> None:
    flow.add(7, good)  # type: ignore[arg-type]


@says(f"'<lambda>' is not a name for a step: {RULE}")
def lambda_without_a_name(flow: Workflow) -> None:
    flow.step(lambda: 1)


@says("a step cannot be called 'input'")
def reserved(flow: Workflow) -> None:
    assert "input" in RESERVED
    flow.add("input", good)


@says("step 'a': 7 is not a function")
def no_function(flow: Workflow) -> None:
    flow.add("a", 7)  # type: ignore[arg-type]


@says("step 'a': after= takes steps and their names, not <function good at 0x...>")
def after_a_function(flow: Workflow) -> None:
    flow.add("a", good, after=good)  # type: ignore[arg-type]


@says("step 'a': after= names 'x' of another workflow, 'other'")
def after_a_step_of_another_workflow(flow: Workflow) -> None:
    flow.add("a", good, after=Workflow("other").add("x", good))


@says(f"step 'a': timeout= takes a duration: 'soon' is not a duration; {FORM}")
def bad_timeout(flow: Workflow) -> None:
    flow.add("a", good, timeout="soon")


@says("step 'a': a time-out must be longer than nothing")
def no_time_at_all(flow: Workflow) -> None:
    flow.add("a", good, timeout="0s")


@says("step 'a': retry= takes a Retry, such as Retry(3), not 3")
def retry_is_a_number(flow: Workflow) -> None:
    flow.add("a", good, retry=3)  # type: ignore[arg-type]


@says("step 'a': there must be at least one attempt")
def no_attempts(flow: Workflow) -> None:
    flow.add("a", good, retry=Retry(0))


@says("step 'a': jitter is a share between 0 and 1")
def too_much_jitter(flow: Workflow) -> None:
    flow.add("a", good, retry=Retry(2, jitter=1.5))


@says("step 'a': the first delay is 300000 ms, but none may be above its cap of 60000 ms")
def base_above_cap(flow: Workflow) -> None:
    flow.add("a", good, retry=Retry(2, base="5m"))


@says("step 'a': failures with code 'OSError' are to be tried again and not to be")
def tried_again_and_not(flow: Workflow) -> None:
    flow.add("a", good, retry=Retry(2, on=OSError, not_on=["OSError"]))


@says("step 'a': Retry: backoff= takes one of fixed, linear, exponential, not 'random'")
def bad_backoff(flow: Workflow) -> None:
    flow.add("a", good, retry=Retry(2, backoff="random"))  # type: ignore[arg-type]


@says(f"step 'a': 'my queue' is not a name for a queue: {QUEUE_RULE}")
def bad_queue(flow: Workflow) -> None:
    flow.add("a", good, queue="my queue")


@says("step 'a': parameter 'amount' (float) is neither a step nor Order, the input, nor a Context")
def unbound(flow: Workflow) -> None:
    @flow.step
    def a(amount: float) -> None: ...


@says(
    "step 'a': parameter 'rserve' is neither a step nor Order, the input, nor a Context; is 'reserve' meant?"
)
def misspelt(flow: Workflow) -> None:
    flow.add("reserve", good)

    @flow.step
    def a(rserve) -> None: ...  # type: ignore[no-untyped-def]


@says("step 'a': '*args' cannot be bound: name each parameter")
def spread(flow: Workflow) -> None:
    @flow.step
    def a(*args: int) -> None: ...


@says("step 'a': '**options' cannot be bound: name each parameter")
def spread_by_name(flow: Workflow) -> None:
    @flow.step
    def a(**options: int) -> None: ...


@says(
    "step 'a': the annotation 'Hidden' of parameter 'input' cannot be resolved: name 'Hidden' is not defined"
)
def imported_for_types_only(flow: Workflow) -> None:
    @flow.step
    def a(input: Hidden) -> None: ...


@says("step 'a': the annotation 'Recipt' of what it returns cannot be resolved: name 'Recipt' is not defined")
def unknown_return_type(flow: Workflow) -> None:
    @flow.step
    def a() -> Recipt: ...  # type: ignore[name-defined]  # noqa: F821


@says(
    "step 'a': what it returns cannot be JSON as Lock: Unable to generate pydantic-core schema for "
    "<class 'test_definition_faults.Lock'>"
)
def type_that_is_no_json(flow: Workflow) -> None:
    @flow.step
    def a() -> Lock: ...


class Lock:
    pass


@says("step 'a': a generator cannot be a step: return the values, as a list")
def generator(flow: Workflow) -> None:
    @flow.step
    def a() -> Iterator[int]:
        yield 1


@says("step 'a': the parameters of <class 'dict'> cannot be read: wrap it in a function")
def unreadable_parameters(flow: Workflow) -> None:
    flow.add("a", dict)


@says(f"step 'nap': a sleep takes a duration: 90 is not a duration; {FORM}")
def bad_sleep(flow: Workflow) -> None:
    flow.sleep("nap", 90)  # type: ignore[arg-type]


@says("wait 'go' names no signal")
def no_signal(flow: Workflow) -> None:
    flow.wait_signal("go", any_of=[])


@says("wait 'go' names signal 'a' twice")
def same_signal(flow: Workflow) -> None:
    flow.wait_signal("go", any_of=["a", "b", "a"])


@says("wait 'go': a wait takes one signal, or several as any_of= or all_of=, one of the three")
def one_or_several_signals(flow: Workflow) -> None:
    flow.wait_signal("go", "went", any_of=["a", "b"])


@says("wait 'go': any_of= takes several names, not 'went'")
def any_of_a_text(flow: Workflow) -> None:
    flow.wait_signal("go", any_of="went")


@says(f"wait 'go': 'to go' is not a name for a signal: {RULE}")
def bad_signal(flow: Workflow) -> None:
    flow.wait_signal("go", "to go")


@says("wait 'go': on_timeout= has no effect without timeout=")
def output_without_timeout(flow: Workflow) -> None:
    flow.wait_signal("go", on_timeout=None)


@says(
    "wait 'go': on_timeout= takes a JSON value: 0: an object of type set is not JSON: "
    "annotate what the function returns to have it converted"
)
def output_that_is_no_json(flow: Workflow) -> None:
    flow.wait_signal("go", timeout="1s", on_timeout=[set()])


@says("wait 'go': a time-out must be longer than nothing")
def wait_of_no_time(flow: Workflow) -> None:
    flow.wait_signal("go", timeout="0s")


@says(f"wait 'go': timeout= takes a duration: 'soon' is not a duration; {FORM}")
def bad_wait(flow: Workflow) -> None:
    flow.wait_event("go", "went", key="input.id", timeout="soon", on_timeout=1)


@says("wait 'go' reads its key at 'chrge.id', but 'chrge' is neither the input nor a step")
def key_of_an_unknown_step(flow: Workflow) -> None:
    flow.wait_event("go", "went", key="chrge.id")


@says("wait 'go' reads its key at 'input..id', which is no path: write one such as input.id")
def key_that_is_no_path(flow: Workflow) -> None:
    flow.wait_event("go", "went", key="input..id")


@says(f"wait 'go': 'a b' is not a name for an event: {RULE}")
def bad_event(flow: Workflow) -> None:
    flow.wait_event("go", "a b", key="input.id")


@pytest.mark.parametrize(("expected", "build"), CASES, ids=[build.__name__ for _, build in CASES])
def test_a_bad_definition_is_refused_with_its_place_and_reason(expected: str, build: Build) -> None:
    flow = Workflow("order", input=Order)
    build(flow)

    message = re.sub("0x[0-9a-f]+", "0x...", message_of(flow.definition))

    assert message == f"workflow 'order' has 1 fault:\n  HERE: {expected}"


def test_there_are_enough_bad_definitions() -> None:
    assert len(CASES) >= 25


def test_all_faults_are_said_at_once_in_the_order_of_the_file() -> None:
    flow = Workflow("my order", input=Lock, timeout="0s", retry=Retry(0))

    @flow.step(after="nobody", timeout="soon")
    def a(amount: int, order: Lock) -> int: ...

    flow.add("b", good, after="c")
    flow.add("c", good, after="b")

    assert message_of(flow.definition).split("\n") == [
        "workflow 'my order' has 8 faults:",
        "  HERE: workflow 'my order': there must be at least one attempt",
        (
            "  HERE: workflow 'my order': the type given as input= cannot be JSON as Lock: Unable to "
            "generate pydantic-core schema for <class 'test_definition_faults.Lock'>"
        ),
        f"  HERE: 'my order' is not a name for a workflow: {RULE}",
        "  HERE: workflow 'my order': a time-out must be longer than nothing",
        f"  HERE: step 'a': timeout= takes a duration: 'soon' is not a duration; {FORM}",
        "  HERE: step 'a': parameter 'amount' (int) is neither a step nor Lock, the input, nor a Context",
        "  HERE: step 'a' waits for 'nobody', which does not exist",
        "  HERE: steps wait for one another: b -> c -> b",
    ]


def test_a_fault_is_at_the_line_of_the_function_or_of_the_call() -> None:
    lines = Path(__file__).read_text().splitlines()
    flow = Workflow("my order")  # the workflow's line

    @flow.step  # the function's line
    def a(amount: int) -> int: ...

    flow.add("b", good, after="nobody")  # the first call's line
    flow.add("b", good)  # the second call's line

    with pytest.raises(DefinitionError) as caught:
        flow.definition()
    at = [lines[fault.origin.line - 1].partition("# ")[2] for fault in caught.value.faults]
    assert at == [
        "the workflow's line",
        "the function's line",
        "the first call's line",
        "the second call's line",
    ]
    assert {fault.origin.file for fault in caught.value.faults} == {__file__}


def test_without_an_input_type_the_input_goes_by_name_only() -> None:
    flow = Workflow("order")

    @flow.step
    def a(order: Order) -> None: ...

    assert message_of(flow.definition) == (
        "workflow 'order' has 1 fault:\n"
        "  HERE: step 'a': parameter 'order' (Order) is neither a step nor a Context; "
        "the run's input goes to a parameter named 'input'"
    )


def test_a_name_given_as_if_it_were_the_function_is_refused_on_the_spot() -> None:
    flow = Workflow("order")

    assert message_of(lambda: flow.step("charge")) == (  # type: ignore[call-overload]
        "workflow 'order' has 1 fault:\n"
        "  HERE: step() takes the function it decorates; a name is given as step(name='charge')"
    )


def test_a_type_of_an_enclosing_function_is_found() -> None:
    class Local(BaseModel):
        id: str

    flow = Workflow("order", input=Local)

    @flow.step
    def a(order: Local, ctx: Context[Local]) -> list[Local]:
        return [order, ctx.input]

    handler = flow.handlers()["a"]
    answer = handler.call(handler.arguments(Given(b'{"id":"42"}', {}, Context)))
    assert answer == [Local(id="42"), Local(id="42")]


def test_a_type_two_functions_further_out_is_found_if_the_step_uses_it() -> None:
    class Local(BaseModel):
        id: str

    def define(flow: Workflow) -> None:
        @flow.step
        def a(input: Local) -> str:
            return Local.model_validate(input).id

    flow = Workflow("order")
    define(flow)

    assert flow.definition().nodes[0].name == "a"


def test_faults_of_all_workflows_of_an_app_come_together() -> None:
    one, other, another = Workflow("one"), Workflow("other"), Workflow("other")
    one.add("a", good, after="b")
    another.add("a", good)

    message = message_of(lambda: App("my shop", workflows=[one, other, one, another, good]))  # type: ignore[list-item]

    message = re.sub("0x[0-9a-f]+", "0x...", message)
    assert message.split("\n") == [
        "app 'my shop' has 4 faults:",
        "  HERE: 'my shop' is not a name for an app",
        "  HERE: workflow 'one' is given twice",
        "  HERE: two workflows are called 'other': HERE and HERE",
        "  HERE: workflows= takes workflows, not <function good at 0x...>",
        "workflow 'one' has 1 fault:",
        "  HERE: step 'a' waits for 'b', which does not exist",
        "workflow 'other' has 1 fault:",
        "  HERE: workflow 'other' has no steps",
    ]


def test_an_app_without_workflows_is_refused() -> None:
    assert message_of(lambda: App("shop", workflows=[])) == (
        "app 'shop' has 1 fault:\n  HERE: app 'shop' has no workflows"
    )


def test_a_workflow_with_types_has_its_place_in_the_authors_file_too() -> None:
    flow = Workflow[str, str]("my typed")

    with pytest.raises(DefinitionError) as caught:
        flow.definition()

    assert {fault.origin.file for fault in caught.value.faults} == {__file__}
