"""What has changed between two versions, and what of it leaves live runs behind."""

from __future__ import annotations

from typing import Any

from builders import reacting, signal, sleep, step
from msgspec.structs import replace

from stream_durable.core.admission.rule import SingleRule, Starts
from stream_durable.core.definition.difference import changes
from stream_durable.core.definition.guards import Gate
from stream_durable.core.definition.nodes import (
    AnyNode,
    BranchNode,
    ChildNode,
    Definition,
    EachNode,
    Join,
    ParallelNode,
    StepNode,
)
from stream_durable.core.definition.stranding import Carried, Needs, Strand, notices, queues_of, strands
from stream_durable.core.gate.limits import GateLimits
from stream_durable.core.policy import RetryPolicy
from stream_durable.core.status import COMPLETED, FAILED, RUNNING, SKIPPED, STEP_ENDED


def of(*nodes: AnyNode, name: str = "order", **options: Any) -> Definition:
    return Definition(name=name, nodes=nodes, **options)


def said(old: Definition, new: Definition) -> list[tuple[str, str | None, str]]:
    return [(*change,) for change in changes(old, new)]


def each(name: str, *after: str, **options: Any) -> EachNode:
    return EachNode(
        name=name, over=after[0] if after else "input", after=after, step=StepNode(name=name), **options
    )


def branch(name: str, *cases: str | None, **options: Any) -> BranchNode:
    return BranchNode(name=name, cases=cases, selector=StepNode(name=name), **options)


def child(name: str, of_workflow: Definition, **options: Any) -> ChildNode:
    return ChildNode(name=name, workflow=of_workflow.name, fingerprint=of_workflow.fingerprint(), **options)


def carrying(new: Definition, **needs: Needs) -> dict[str, Carried]:
    """Return an app that carries the functions of this definition, which need nothing else than is said."""
    functions = {node.name: Needs() for node in new.nodes}
    for node in new.nodes:
        function = node.step if isinstance(node, EachNode) else node
        if isinstance(function, StepNode) and function.compensation is not None:
            functions[function.compensation.name] = Needs()
    for node in (*new.templates, *new.hooks):
        functions[node.name] = Needs()
    return {new.name: Carried(new, {**functions, **needs})}


def found(old: Definition, apps: dict[str, Carried], **options: Any) -> list[tuple[str, str | None]]:
    return [(strand.code, strand.step) for strand in strands(old, apps, **options)]


def only(old: Definition, apps: dict[str, Carried], **options: Any) -> Strand:
    (strand,) = strands(old, apps, **options)
    return strand


def test_nothing_has_changed() -> None:
    one = of(step("a"), sleep("b", "a"))

    assert said(one, one) == []


def test_steps_come_and_go() -> None:
    old, new = of(step("reserve"), step("charge", "reserve")), of(step("reserve"), sleep("cool", "reserve"))

    assert said(old, new) == [("removed", "charge", "is not there any more"), ("added", "cool", "is new")]


def test_options_are_compared_one_by_one() -> None:
    old = of(step("a", timeout_ms=1_000, retry=RetryPolicy(3)), timeout_ms=5)
    new = of(step("a", retry=RetryPolicy(5, backoff="fixed"), queue="mail"), timeout_ms=6)

    assert said(old, new) == [
        ("workflow", None, "timeout_ms: 5 -> 6"),
        ("options", "a", "queue: default -> mail"),
        ("options", "a", "retry.attempts: 3 -> 5"),
        ("options", "a", "retry.backoff: exponential -> fixed"),
        ("options", "a", "timeout_ms: 1000 -> none"),
    ]


def test_the_options_of_what_is_made_for_each_item_are_those_of_the_step() -> None:
    old, new = each("resize"), each("resize", concurrency=3)
    new = replace(new, step=StepNode(name="resize", timeout_ms=9))

    assert [text for _, _, text in said(of(old), of(new))] == [
        "timeout_ms: none -> 9",
        "concurrency: none -> 3",
    ]


def test_limits_of_runs_and_of_their_starts_are_options_of_the_workflow() -> None:
    old = of(step("charge"))
    gate = Gate(name="bank", limits=GateLimits(at_once=2))
    new = replace(old, gate=gate, due_ms=9, starts=Starts(rule=SingleRule()))
    other = replace(new, gate=replace(gate, limits=GateLimits(at_once=3)))

    assert said(old, new) == [
        ("workflow", None, "due_ms: none -> 9"),
        ("workflow", None, "gate: none -> some"),
        ("workflow", None, "starts: none -> some"),
    ]
    assert said(new, other) == [("workflow", None, "gate.limits.at_once: 2 -> 3")]


def test_when_a_function_beside_the_graph_is_called_is_an_option() -> None:
    old = of(step("a"), beside=(reacting("hit"), reacting(event="paid")))
    other = replace(reacting(event="paid", concurrency=3), key="input.order")
    new = of(step("a"), beside=(reacting("hit"), other))

    assert said(old, new) == [
        ("options", "~on_paid", "key: input.id -> input.order"),
        ("options", "~on_paid", "concurrency: 1 -> 3"),
    ]


def test_a_compensation_that_is_new_is_an_option() -> None:
    undo = StepNode(name="charge~compensate")

    assert said(of(step("charge")), of(step("charge", compensation=undo))) == [
        ("options", "charge", "compensation: none -> some")
    ]


def test_what_a_step_is_given_and_which_version_it_starts_are_options() -> None:
    invoices, later = of(step("print"), name="invoices"), of(step("send"), name="invoices")
    old = of(step("a"), step("b", "a"), child("invoice", invoices))
    new = of(step("a"), step("b", "a", takes=("a",)), child("invoice", later))

    assert said(old, new) == [
        ("options", "b", 'takes: [] -> ["a"]'),
        ("options", "invoice", f"fingerprint: {invoices.fingerprint()} -> {later.fingerprint()}"),
    ]


def test_another_kind_of_step_is_said_as_such() -> None:
    assert said(of(step("go")), of(signal("go"))) == [("options", "go", "is a signal instead of a step")]


def test_dependencies_are_compared_whatever_their_order() -> None:
    old = of(step("a"), step("b"), step("c", "a", "b"))
    same = of(step("a"), step("b"), step("c", "b", "a"))
    new = of(step("a"), step("b"), step("c", "a", ended=("a",), joins=(Join(of=("b", "a")),)))

    assert said(old, same) == []
    assert said(old, new) == [
        ("order", "c", "no longer waits for a, b; waits for a however it ends, any 1 of a, b too")
    ]


def test_a_step_in_another_group_waits_in_another_way() -> None:
    old = of(ParallelNode(name="both"), step("a", member_of="both"))
    new = of(ParallelNode(name="both"), step("a"))

    assert said(old, new) == [("order", "a", "is in no group instead of both, clause 1")]


def test_a_step_with_another_name_in_the_same_place_is_taken_for_the_same() -> None:
    old = of(step("reserve"), step("charge", "reserve"), step("ship", "charge", takes=("charge",)))
    new = of(
        step("reserve"), step("charge_card", "reserve"), step("ship", "charge_card", takes=("charge_card",))
    )

    assert said(old, new) == [("renamed", "charge", "seems to be called charge_card now")]


def test_steps_that_have_nothing_in_common_but_their_place_are_not() -> None:
    old, new = of(step("a"), step("charge", "a")), of(step("a"), step("publish", "a"))

    assert [kind for kind, _, _ in said(old, new)] == ["removed", "added"]


def test_the_most_alike_are_paired() -> None:
    old = of(step("send_mail"), step("send_letter"))
    new = of(step("send_letters"), step("send_mails"))

    assert [(step, text.split()[4]) for _, step, text in said(old, new)] == [
        ("send_mail", "send_mails"),
        ("send_letter", "send_letters"),
    ]


def test_nobody_asks_which_of_very_many_were_renamed() -> None:
    old, new = of(*(step(f"a{i}") for i in range(1_000))), of(*(step(f"b{i}") for i in range(1_000)))

    assert {kind for kind, _, _ in said(old, new)} == {"removed", "added"}


def test_hooks_and_templates_are_compared_too() -> None:
    old = of(step("a"), hooks=(StepNode(name="~on_failure"),), templates=(StepNode(name="scan"),))

    assert [(kind, name) for kind, name, _ in said(old, of(step("a")))] == [
        ("removed", "scan"),
        ("removed", "~on_failure"),
    ]


def test_a_run_gets_on_with_the_functions_that_it_began_with() -> None:
    undo = StepNode(name="charge~compensate")
    one = of(
        step("charge", compensation=undo), each("resize", "charge"), branch("kind", '"a"', None),
        templates=(StepNode(name="scan"),), hooks=(StepNode(name="~on_failure"),),
    )  # fmt: skip

    assert strands(one, carrying(one)) == []


def test_a_function_that_is_gone_strands_the_runs_whose_step_has_not_ended() -> None:
    strand = only(of(step("a"), step("b", "a")), carrying(of(step("a"))))

    assert strand[:2] == ("gone", "b")
    assert strand.safe == STEP_ENDED
    assert "keep a function named 'b'" in strand.remedy


def test_waits_need_no_function() -> None:
    assert strands(of(sleep("a"), signal("b"), ParallelNode(name="c")), carrying(of(step("d")))) == []


def test_a_step_that_is_a_wait_now_has_no_function_any_more() -> None:
    new = of(signal("go"))
    apps = {"order": Carried(new, {})}

    assert found(of(step("go")), apps) == [("gone", "go")]


def test_where_the_graph_may_begin_anew_no_step_has_done_with_its_function() -> None:
    old = of(step("a"), restart=RetryPolicy(2))

    assert only(old, carrying(of(step("b")))).safe == frozenset()


def test_a_function_that_wants_another_output_is_not_given_it() -> None:
    old = of(step("stock"), step("ship", "stock", takes=("stock",)))
    apps = carrying(old, ship=Needs(frozenset({"stock", "weigh", "label"})))
    strand = only(old, apps)

    assert strand[:2] == ("takes", "ship")
    assert "'label', 'weigh'" in strand.text


def test_a_function_that_can_do_without_is_no_matter() -> None:
    old = of(step("stock"), step("ship", "stock", takes=("stock",)))

    assert strands(old, carrying(old, ship=Needs())) == []


def test_a_function_that_wants_the_input_is_given_it_only_if_it_was_before() -> None:
    without, given = of(step("a", takes_input=False)), of(step("a"))

    assert found(without, carrying(without, a=Needs(input=True))) == [("takes_input", "a")]
    assert found(given, carrying(given, a=Needs(input=True))) == []


def test_a_function_for_an_item_needs_one() -> None:
    needs = {"a": Needs(item=True)}

    assert found(of(step("a")), carrying(of(each("a")), **needs)) == [("takes_item", "a")]
    assert found(of(each("a")), carrying(of(each("a")), **needs)) == []


def test_templates_and_hooks_are_needed_by_every_live_run() -> None:
    old = of(step("a"), templates=(StepNode(name="scan"),), hooks=(StepNode(name="~on_failure"),))
    found = strands(old, carrying(of(step("a"))))

    assert [(strand.code, strand.step, strand.safe) for strand in found] == [("gone", None, frozenset())] * 2


def test_a_compensation_is_needed_after_its_step_has_completed() -> None:
    old = of(step("charge", compensation=StepNode(name="charge~compensate", takes=())))
    strand = only(old, carrying(of(step("charge"))))

    assert strand[:2] == ("gone", "charge")
    assert {FAILED, SKIPPED} <= strand.safe
    assert not {COMPLETED, RUNNING} & strand.safe


def test_a_compensation_is_given_the_output_of_its_step() -> None:
    old = of(step("charge", compensation=StepNode(name="charge~compensate")))
    apps = carrying(old, **{"charge~compensate": Needs(frozenset({"charge"}))})

    assert strands(old, apps) == []


def test_members_may_have_to_be_undone_although_not_all_completed() -> None:
    node = each("resize")
    node = replace(node, step=replace(node.step, compensation=StepNode(name="resize~compensate")))
    strand = only(of(node), carrying(of(each("resize"))))

    assert strand.step == "resize"
    assert FAILED not in strand.safe


def test_clauses_are_picked_by_their_number() -> None:
    old = of(branch("kind", '"a"', '"b"'))

    assert found(old, carrying(of(branch("kind", '"b"', '"a"')))) == [("clauses", "kind")]
    assert found(old, carrying(of(branch("kind", '"a"', '"b"', '"c"')))) == []


def test_a_clause_more_takes_from_the_one_for_all_the_rest() -> None:
    old = of(branch("kind", '"a"', None))

    assert found(old, carrying(of(branch("kind", '"a"', None, '"c"')))) == [("clauses", "kind")]


def test_a_branch_by_a_path_needs_nobody() -> None:
    old = of(BranchNode(name="kind", on="input.kind", cases=('"a"',)))

    assert strands(old, carrying(of(step("b")))) == []


def test_a_workflow_that_the_app_lacks_is_somebody_elses_unless_the_app_is_alone() -> None:
    old, apps = of(step("a")), carrying(of(step("b"), name="other"))

    assert found(old, apps) == []
    assert found(old, apps, is_alone=True) == [("no_workflow", None)]


def test_the_runs_that_steps_have_yet_to_start_are_looked_at() -> None:
    invoices = of(step("print"), name="invoices")
    old = of(child("invoice", invoices))
    apps = {**carrying(old), **carrying(of(step("send"), name="invoices"))}
    strand = only(old, apps, definitions={invoices.fingerprint(): invoices})

    assert strand[:2] == ("child", "invoice")
    assert "step 'print': no function 'print' is carried" in strand.text
    assert strand.safe == STEP_ENDED


def test_a_child_that_two_steps_start_is_said_for_both() -> None:
    invoices = of(step("print"), name="invoices")
    old = of(child("one", invoices), child("two", invoices))
    apps = {**carrying(old), **carrying(of(step("send"), name="invoices"))}

    assert found(old, apps, definitions={invoices.fingerprint(): invoices}) == [
        ("child", "one"),
        ("child", "two"),
    ]


def test_a_queue_that_the_app_has_no_use_for_any_more_is_noticed() -> None:
    old, new = of(step("a", queue="mail"), step("b", queue="mail")), of(step("a"), step("b"))
    (notice,) = notices(old, carrying(new)["order"], queues_of(new))

    assert notice.step == "a"
    assert "'a', 'b' to queue 'mail'" in notice.text
    assert strands(old, carrying(new)) == []


def test_a_template_that_live_runs_do_not_have_is_noticed() -> None:
    old = of(step("a"))
    new = of(step("a"), templates=(StepNode(name="scan"),))
    (notice,) = notices(old, carrying(new)["order"], queues_of(new))

    assert "'scan'" in notice.text
