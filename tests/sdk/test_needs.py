"""What a function cannot do without: what a run of an older version may not hand over."""

from __future__ import annotations

from typing import Any

from stream_durable import Context, Workflow
from stream_durable.core.definition.stranding import Needs


def needs(workflow: Workflow, function: str) -> Needs:
    return workflow.handlers()[function].needs()


def of(*outputs: str, **more: bool) -> Needs:
    return Needs(frozenset(outputs), **more)


def order() -> Workflow:
    flow = Workflow("order", input=dict[str, int])
    flow.add("stock", lambda: 1)
    flow.add("weigh", lambda: 1)
    return flow


def test_an_output_is_needed_unless_there_is_a_default_or_none_will_do() -> None:
    flow = order()

    @flow.step
    def ship(stock: int, weigh: int = 3) -> None: ...

    @flow.step
    def send(stock: int | None, weigh: Any) -> None: ...

    assert needs(flow, "ship") == of("stock")
    assert needs(flow, "send") == of()


def test_the_input_is_needed_where_null_is_none() -> None:
    flow, free = order(), Workflow("free")

    @flow.step
    def reserve(input: dict[str, int]) -> None: ...  # noqa: A002

    @flow.step
    def charge(ctx: Context[dict[str, int]]) -> None: ...

    @free.step
    def look(ctx: Context) -> None: ...

    assert needs(flow, "reserve") == of(input=True)
    assert needs(flow, "charge") == of(input=True)
    assert needs(free, "look") == of()


def test_an_item_is_needed_by_what_is_made_for_one() -> None:
    flow = order()

    @flow.each("weigh")
    def resize(item: str, stock: int) -> None: ...

    assert needs(flow, "resize") == of("stock", item=True)


def test_what_is_called_along_with_it_has_needs_too() -> None:
    flow = order()
    flow.add("ship", lambda stock: stock, when=lambda weigh: weigh > 1)

    @flow.step
    def send(stock: int) -> None: ...

    def is_heavy(weigh: int) -> bool:
        return weigh > 9

    flow.add("pack", send, when=is_heavy)

    assert needs(flow, "ship") == of()
    assert needs(flow, "pack") == of("stock", "weigh")


def test_a_branch_needs_what_its_functions_need() -> None:
    flow = order()

    def by_weight(weigh: int) -> str:
        return "heavy" if weigh > 9 else "light"

    kind = flow.branch("kind", on=by_weight)

    @kind.case("heavy")
    def carry() -> None: ...

    def is_there(stock: int) -> bool:
        return stock > 0

    other = flow.branch("other")

    @other.case(when=is_there)
    def take() -> None: ...

    assert needs(flow, "kind") == of("weigh")
    assert needs(flow, "other") == of("stock")


def test_a_compensation_has_needs_of_its_own() -> None:
    flow = order()

    @flow.step
    def charge() -> int:
        return 1

    @charge.compensate
    def refund(charge: int, stock: int) -> None: ...

    assert needs(flow, "charge~compensate") == of("charge", "stock")
