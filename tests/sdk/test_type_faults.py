"""Types that cannot go together are said when a workflow is defined, with both sides and their places."""

# ruff: noqa: A002, E501 - `input` is what authors write; sentences are in one piece

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel

from stream_durable import Context, DefinitionError, Expand, Finish, Jump, Skip, Workflow


class Order(BaseModel):
    id: str
    items: list[str]
    total: float
    open: bool = False


class Receipt(BaseModel):
    number: str
    amount: float


class Bill(BaseModel):
    order: str
    amount: float
    note: str = ""


Build = Callable[[Workflow[Any, Any]], object]
WRONG: list[Any] = []
RIGHT: list[Any] = []


def wrong(*said: str) -> Callable[[Build], Build]:
    """Keep a builder of a workflow of orders, and what is to be said of it; HERE is a line of this file."""

    def keep(build: Build) -> Build:
        WRONG.append(pytest.param(build, said, id=build.__name__))
        return build

    return keep


def right(build: Build) -> Build:
    RIGHT.append(pytest.param(build, id=build.__name__))
    return build


def charge(order: Order) -> Receipt:
    return Receipt(number="R-1", amount=order.total)


def number() -> int:
    return 1


def said_of(build: Build) -> list[str]:
    flow = Workflow("order", input=Order)
    build(flow)
    try:
        flow.definition()
    except DefinitionError as error:
        return [re.sub(re.escape(__file__) + r":\d+", "HERE", each.message) for each in error.faults]
    return []


@wrong(
    "wait 'paid': it reads its key at 'input.idd', but the input is Order (HERE): 'idd' is not there; is 'id' meant?"
)
def a_key_that_the_input_has_not(flow: Workflow) -> None:
    flow.wait_event("paid", "payment", key="input.idd")


@wrong(
    "wait 'paid': its key has to be a text or a whole number, and at 'input.items' is a list: the input is Order (HERE)"
)
def a_key_that_is_no_key(flow: Workflow) -> None:
    flow.wait_event("paid", "payment", key="input.items")


@wrong(
    "wait 'paid': it reads its key at 'charge.no', but step 'charge' returns Receipt (HERE): 'no' is not there"
)
def a_key_that_an_output_has_not(flow: Workflow) -> None:
    flow.add("charge", charge)
    flow.wait_event("paid", "payment", key="charge.no")


@wrong(
    "step 'work': it reads its list at 'input.lines', but the input is Order (HERE): 'lines' is not there; is 'items' meant?"
)
def a_list_that_is_not_there(flow: Workflow) -> None:
    flow.each("input.lines", name="work")(lambda item: item)


@wrong("step 'work': it needs a list, and at 'charge' is an object: step 'charge' returns Receipt (HERE)")
def a_list_that_is_none(flow: Workflow) -> None:
    flow.each(flow.add("charge", charge), name="work")(lambda item: item)


@wrong(
    "branch 'kind': it reads its value at 'input.kind', but the input is Order (HERE): 'kind' is not there; is 'id' meant?"
)
def a_value_that_is_not_there(flow: Workflow) -> None:
    flow.branch("kind", on="input.kind").add("a", "a", number)


@wrong("step 'b': parameter 'a' is str, and step 'a' returns int (HERE): it is a whole number, not a text")
def an_output_of_another_type(flow: Workflow) -> None:
    def b(a: str) -> None: ...

    flow.add("a", number)
    flow.add("b", b)


@wrong(
    "step 'b': parameter 'charge' is Bill, and step 'charge' returns Receipt (HERE): its field 'order' is not there"
)
def a_model_of_another_shape(flow: Workflow) -> None:
    def b(charge: Bill) -> None: ...

    flow.add("charge", charge)
    flow.add("b", b)


@wrong(
    "step 'b': parameter 'nothing' is int, and step 'nothing' returns None (HERE): it is null, not a whole number"
)
def an_output_that_is_never_there(flow: Workflow) -> None:
    def nothing() -> None: ...
    def b(nothing: int) -> None: ...

    flow.add("nothing", nothing)
    flow.add("b", b)


@wrong(
    "step 'b': parameter 'input' is int, and the input is Order (HERE): it is an object, not a whole number"
)
def an_input_of_another_type(flow: Workflow) -> None:
    def b(input: int) -> None: ...

    flow.add("b", b)


@wrong("step 'b': parameter 'ctx' is Bill, and the input is Order (HERE): its field 'order' is not there")
def a_context_of_another_input(flow: Workflow) -> None:
    def b(ctx: Context[Bill]) -> None: ...

    flow.add("b", b)


@wrong(
    "step 'work': parameter 'item' is int, and it is of the list at 'input.items', for the input is Order (HERE): it is a text, not a whole number"
)
def an_item_of_another_type(flow: Workflow) -> None:
    def work(item: int) -> None: ...

    flow.each("input.items", name="work")(work)


@wrong(
    "step 'b': parameter 'work' is list[str], and step 'work' returns int for each item, as a list (HERE): its field '*' is a whole number or null, not a text"
)
def a_list_of_another_type(flow: Workflow) -> None:
    def work(item: str) -> int:
        return 1

    def b(work: list[str]) -> None: ...

    flow.each("input.items", name="work")(work)
    flow.add("b", b)


@wrong(
    "step 'b', when=: parameter 'a' is list[int], and step 'a' returns int (HERE): it is a whole number, not a list"
)
def a_condition_of_another_type(flow: Workflow) -> None:
    def positive(a: list[int]) -> bool:
        return bool(a)

    flow.add("a", number)
    flow.add("b", number, when=positive)


@wrong(
    "compensation of step 'a': parameter 'a' is str, and step 'a' returns int (HERE): it is a whole number, not a text"
)
def an_undo_of_another_type(flow: Workflow) -> None:
    def undo(a: str) -> None: ...

    flow.add("a", number).compensate(undo)


@wrong(
    "step 'b': parameter 'nap' is int, and sleep 'nap' comes to null (HERE): it is null, not a whole number"
)
def a_sleep_that_is_taken_for_a_value(flow: Workflow) -> None:
    def b(nap: int) -> None: ...

    flow.sleep("nap", "1s")
    flow.add("b", b)


def bills() -> Workflow[Bill, Receipt]:
    flow = Workflow("bill", input=Bill, output=Receipt)
    flow.add("write", lambda bill: Receipt(number="1", amount=bill.amount))
    return flow


@wrong(
    "child 'bill': its input field 'amount' is not there, and the input of workflow 'bill' is Bill (HERE)",
    "child 'bill': its input field 'order' is a list, not a text at 'input.items', as the input is Order (HERE), and the input of workflow 'bill' is Bill (HERE)",
)  # fmt: skip
def a_child_with_another_input(flow: Workflow) -> None:
    flow.child("bill", bills(), input={"order": "input.items"})


@wrong(
    "child 'bill': its input does not fit: Input should be an object, and the input of workflow 'bill' is Bill (HERE)"
)
def a_child_without_an_input(flow: Workflow) -> None:
    flow.child("bill", bills())


@wrong(
    "child 'bill': its input field 'amount' does not fit: Input should be a valid number, and the input of workflow 'bill' is Bill (HERE)"
)
def a_child_with_a_constant_that_does_not_fit(flow: Workflow) -> None:
    flow.child("bill", bills(), input={"order": "input.id", "amount": [1]})


@wrong(
    "child 'bill': it reads its own output at 'bill.done', but workflow 'bill' comes to Receipt (HERE): 'done' is not there"
)
def a_loop_that_never_learns_that_it_is_done(flow: Workflow) -> None:
    flow.child("bill", bills(), input={"order": "input.id", "amount": 1}, until="bill.done")


@wrong(
    "step 'b': parameter 'bill' is int, and workflow 'bill' comes to Receipt (HERE): it is an object, not a whole number"
)
def an_output_of_a_child_of_another_type(flow: Workflow) -> None:
    def b(bill: int) -> None: ...

    flow.child("bill", bills(), input={"order": "input.id", "amount": 1})
    flow.add("b", b)


@right
def all_that_fits(flow: Workflow) -> None:
    def total(charge: Receipt, work: list[int | None], nothing: int | None = None) -> dict[str, Any]:
        return {}

    def work(item: str) -> int:
        return len(item)

    def nothing() -> None: ...

    flow.add("charge", charge)
    flow.add("nothing", nothing)
    flow.each("input.items", name="work")(work)
    flow.add("total", total, when=lambda charge: charge.amount > 1)
    flow.wait_event("paid", "payment", key="charge.number")
    flow.wait_event("other", "payment", key="input.items.0")
    flow.branch("kind", on="total.anything.at.all").add("a", "a", number)
    flow.child("bill", bills(), input={"order": "input.id", "amount": "charge.amount"})
    flow.child("again", bills(), input={"order": "input.id", "amount": 1}, until="again.number")


@right
def what_is_not_annotated_or_may_be_anything(flow: Workflow) -> None:
    def odd(a: str, b: list[int], c: dict[str, int], d: str) -> None: ...
    def jumps() -> int | Jump:
        return 1

    def finishes() -> int | Finish:
        return 1

    def expands() -> int | Expand:
        return 1

    flow.add("a", lambda: 1)
    flow.add("b", jumps)
    flow.add("c", finishes)
    flow.add("d", expands)
    flow.add("odd", odd)
    flow.wait_signal("go")
    flow.add("after_go", odd_go)


def odd_go(go: dict[str, int]) -> None: ...


@right
def one_of_several_is_enough(flow: Workflow) -> None:
    def several() -> int | list[str] | Skip:
        return 1

    def takes(several: str | list[str]) -> None: ...

    flow.add("several", several)
    flow.add("takes", takes)


@right
def a_reader_that_is_lenient(flow: Workflow) -> None:
    class Amount(BaseModel):
        amount: str | int
        number: bytes

    def takes(charge: Amount) -> None: ...

    flow.add("charge", charge)
    flow.add("takes", takes)


@pytest.mark.parametrize(("build", "said"), WRONG)
def test_what_is_surely_wrong_is_refused(build: Build, said: tuple[str, ...]) -> None:
    assert said_of(build) == list(said)


@pytest.mark.parametrize("build", RIGHT)
def test_what_may_be_right_is_not(build: Build) -> None:
    assert said_of(build) == []


def test_a_declared_output_is_held_against_the_last_step() -> None:
    flow = Workflow("order", output=Receipt)
    flow.add("last", number)
    with pytest.raises(
        DefinitionError, match=r"output= is Receipt, and step 'last' returns int \(.*\): it is a whole"
    ):
        flow.definition()


def test_what_is_said_of_a_workflow_has_the_schemas_of_its_input_and_its_output() -> None:
    flow = Workflow("order", input=Order)
    flow.add("charge", charge)
    about = flow.about
    assert set(about.input["properties"]) == {"id", "items", "total", "open"}
    receipt, nothing = about.output["anyOf"]
    assert (receipt["title"], nothing) == ("Receipt", {"type": "null"})
    assert bills().about.output["title"] == "Receipt"


def test_an_output_is_unknown_where_a_function_may_finish_the_run() -> None:
    flow = Workflow("order", input=Order)
    flow.add("charge", charge)
    flow.add("other", lambda: 1)
    flow.add("last", number, after=["charge", "other"])
    assert flow.about.output is None


def test_titles_and_words_make_no_new_version() -> None:
    class Other(BaseModel):
        """Another word for an order."""

        id: str
        more: int = 0

    one, other = Workflow("order", input=Order), Workflow("order", input=Other)
    for flow in (one, other):
        flow.add("work", number)
    assert one.fingerprint == other.fingerprint
    assert one.about != other.about
