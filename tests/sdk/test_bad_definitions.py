"""What is refused of groups, branches, children, races and what they are combined to: word for word."""

# ruff: noqa: A002, A006 - `input` is what authors write

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from stream_durable import (
    Breaker,
    Context,
    DefinitionError,
    Happened,
    Results,
    Retry,
    Workflow,
    any_of,
    some_of,
)

Build = Callable[[Workflow], object]
CASES: list[tuple[tuple[str, ...], Build]] = []
RULE = "letters, digits and _ . : - only, beginning with a letter or _, at most 128"
NO_JSON = (
    "takes a JSON value: an object of type set is not JSON: annotate what the function returns to have it "
    "converted"
)
FORM = 'write "90s", "1h30m", "2d", "500ms", or a timedelta'


def says(*expected: str) -> Callable[[Build], Build]:
    """Keep a builder of a bad workflow `order`, and all that is to be said of it, in order."""

    def keep(build: Build) -> Build:
        CASES.append((expected, build))
        return build

    return keep


def message_of(build: Callable[[], object]) -> str:
    with pytest.raises(DefinitionError) as caught:
        build()
    text = re.sub(re.escape(__file__) + r":\d+", "HERE", str(caught.value))
    return re.sub("0x[0-9a-f]+", "0x...", text)


def work() -> Any:
    return None


def steps(flow: Workflow, *names: str) -> list[Any]:
    return [flow.add(name, work) for name in names]


def other(name: str = "other") -> Workflow:
    flow = Workflow(name)
    flow.add("x", work)
    return flow


# Edges


@says("step 'b' waits for some of no steps at all")
def any_of_nothing(flow: Workflow) -> None:
    flow.add("b", work, after=any_of())


@says("step 'c' waits for 3 of 2 steps")
def more_than_there_are(flow: Workflow) -> None:
    flow.add("c", work, after=some_of(3, *steps(flow, "a", "b")))


@says("step 'c' waits for 0 of its steps; 1 is the least")
def none_of_several(flow: Workflow) -> None:
    flow.add("c", work, after=some_of(0, *steps(flow, "a", "b")))


@says("step 'c': some_of() takes a whole number, not 'a'")
def some_of_without_a_number(flow: Workflow) -> None:
    flow.add("c", work, after=some_of("a", *steps(flow, "b")))  # type: ignore[arg-type]


@says("step 'c' waits for some of several steps, and 'a' is there twice")
def one_step_twice_in_a_race(flow: Workflow) -> None:
    (a,) = steps(flow, "a")
    flow.add("c", work, after=some_of(2, a, "a"))


@says("step 'c' waits for 'nobody', which does not exist")
def a_race_with_nobody(flow: Workflow) -> None:
    flow.add("c", work, after=any_of("nobody", *steps(flow, "a")))


@says(
    "step 'b': any_of() and some_of() take steps and their names, "
    "not Ended(step=<step 'a' of workflow 'order'>)"
)
def the_end_of_a_step_in_a_race(flow: Workflow) -> None:
    (a,) = steps(flow, "a")
    flow.add("b", work, after=any_of("a", a.even_if_failed))


@says("step 'b': after= names 'a' as it is and with even_if_failed: one of them is meant")
def both_kinds_of_edge(flow: Workflow) -> None:
    (a,) = steps(flow, "a")
    flow.add("b", work, after=[a, a.even_if_failed])


@says("step 'c': cancel_rest= takes True or False, not 'yes'")
def the_rest_in_words(flow: Workflow) -> None:
    flow.add("c", work, after=any_of(*steps(flow, "a", "b"), cancel_rest="yes"))  # type: ignore[arg-type]


@says("steps wait for one another: a -> b -> a")
def cycle_through_a_race(flow: Workflow) -> None:
    flow.add("a", work, after=any_of("b", "c"))
    flow.add("b", work, after="a")
    flow.add("c", work)


@says("steps wait for one another: a -> checks -> a")
def cycle_through_a_group(flow: Workflow) -> None:
    flow.add("a", work, after="checks")
    flow.parallel("checks", ["a"])


@says("steps wait for one another: a -> kind -> mail -> a")
def cycle_through_a_branch(flow: Workflow) -> None:
    flow.add("a", work, after="mail")
    kind = flow.branch("kind", on="input.kind", after="a")
    kind.add(1, "pack", work)
    flow.add("mail", work, after=kind)


@says("steps wait for one another: kind -> a -> pack -> kind")
def cycle_into_a_clause(flow: Workflow) -> None:
    kind = flow.branch("kind", on="input.kind")
    kind.add(1, "pack", work, after="a")
    flow.add("a", work, after="kind")


@says("step 'b': reads= takes steps and their names, not 7")
def reads_a_number(flow: Workflow) -> None:
    flow.add("b", work, reads=7)  # type: ignore[arg-type]


@says("step 'b' takes 'nobody', which does not exist")
def reads_nobody(flow: Workflow) -> None:
    flow.add("b", work, reads="nobody")


# Options of steps


@says("step 'a': there is no option timout= here; is timeout= meant?")
def misspelt_option(flow: Workflow) -> None:
    flow.add("a", work, timout="5s")  # type: ignore[call-arg]


@says("wait 'go': there is no option when= here; only a step that is a function has it")
def condition_of_a_wait(flow: Workflow) -> None:
    flow.wait_signal("go", when=lambda input: True)  # type: ignore[call-arg]


@says("step 'nap': there is no option retry= here; only a step that is a function has it")
def retry_of_a_sleep(flow: Workflow) -> None:
    flow.sleep("nap", "5s", retry=Retry(3))  # type: ignore[call-arg]


@says("step 'a': it may take 1000 ms in all, but 2000 ms for one attempt")
def less_in_all_than_for_one(flow: Workflow) -> None:
    flow.add("a", work, timeout="2s", total="1s")


@says("step 'a': a time-out must be longer than nothing")
def no_time_in_all(flow: Workflow) -> None:
    flow.add("a", work, total="0s")


@says("step 'a': on_error= takes one of fail, skip, continue, hold, not 'ignore'")
def unknown_policy(flow: Workflow) -> None:
    flow.add("a", work, on_error="ignore")  # type: ignore[arg-type]


@says("step 'a': process=True is for plain functions; this one is async")
def async_in_a_process(flow: Workflow) -> None:
    @flow.step(process=True)
    async def a() -> None: ...


@says("step 'a': process= takes True or False, not 1")
def process_is_a_number(flow: Workflow) -> None:
    flow.add("a", work, process=1)  # type: ignore[arg-type]


@says("step 'a': when= takes a function, not True")
def condition_is_a_value(flow: Workflow) -> None:
    flow.add("a", work, when=True)  # type: ignore[arg-type]


@says("step 'a', when=: parameter 'totl' is neither a step nor a Context; is 'total' meant?")
def condition_on_nothing(flow: Workflow) -> None:
    steps(flow, "total")
    flow.add("a", work, when=lambda totl, input: True)


@says(
    "step 'a', timeout=: parameter 'size' is neither a step nor a Context; "
    "the run's input goes to a parameter named 'input'"
)
def limit_on_nothing(flow: Workflow) -> None:
    flow.add("a", work, timeout=lambda size, input: "5s")


@says("step 'a': breaker= takes a Breaker, such as Breaker(\"bank\"), not 5")
def breaker_is_a_number(flow: Workflow) -> None:
    flow.add("a", work, breaker=5)  # type: ignore[arg-type]


@says(f"step 'a': 'the bank' is not a name for a breaker: {RULE}")
def bad_name_of_a_breaker(flow: Workflow) -> None:
    flow.add("a", work, breaker="the bank")


@says(
    "step 'a': breaker 'bank' needs one failure at the least to open",
    "step 'a': window and reset of breaker 'bank' must be longer than nothing",
)
def breaker_that_is_always_open(flow: Workflow) -> None:
    flow.add("a", work, breaker=Breaker("bank", failures=0, window="0s"))


@says(f"step 'a': Breaker: reset= takes a duration: 'soon' is not a duration; {FORM}")
def breaker_without_a_time(flow: Workflow) -> None:
    flow.add("a", work, breaker=Breaker("bank", reset="soon"))


@says("step 'b': breaker 'bank' is set otherwise than by step 'a'")
def breaker_in_two_ways(flow: Workflow) -> None:
    flow.add("a", work, breaker=Breaker("bank", failures=3))
    flow.add("b", work, breaker="bank")


@says("step 'a': Retry: a function as backoff= takes two values, the attempt's number and its failure")
def backoff_that_takes_nothing(flow: Workflow) -> None:
    flow.add("a", work, retry=Retry(3, backoff=lambda: "1s"))  # type: ignore[arg-type,misc]


@says("step 'a': Retry: base=, cap= and jitter= have no effect if backoff= is a function")
def backoff_of_two_minds(flow: Workflow) -> None:
    flow.add("a", work, retry=Retry(3, backoff=lambda attempt, failure: "1s", base="5s"))


@says("a step cannot be called 'item'")
def step_called_item(flow: Workflow) -> None:
    flow.add("item", work)


@says(
    "step 'a': parameter 'item' is neither a step nor a Context; "
    "only what is made by each() or of a template has an item"
)
def item_of_a_single_step(flow: Workflow) -> None:
    flow.add("a", lambda item, input: 1)


# Compensations and hooks


@says("wait 'go': only a function or a child can have a compensation")
def undo_a_wait(flow: Workflow) -> None:
    flow.wait_signal("go").compensate(work)


@says("step 'a': it has two compensations")
def undone_twice(flow: Workflow) -> None:
    (a,) = steps(flow, "a")
    a.compensate(work)
    a.compensate(work)


@says("compensation of step 'a': there must be at least one attempt")
def undo_without_an_attempt(flow: Workflow) -> None:
    steps(flow, "a")[0].compensate(retry=Retry(0))(work)


@says("compensation of step 'a': a time-out must be longer than nothing")
def undo_in_no_time(flow: Workflow) -> None:
    steps(flow, "a")[0].compensate(timeout="0s")(work)


@says("compensation of step 'a': there is no option when= here; only a step that is a function has it")
def condition_of_a_compensation(flow: Workflow) -> None:
    steps(flow, "a")[0].compensate(when=work)(work)


@says(
    "compensation of step 'a': parameter 'chrge' is neither a step nor a Context nor a Happened; "
    "the run's input goes to a parameter named 'input'"
)
def undo_what_is_not_there(flow: Workflow) -> None:
    steps(flow, "a")[0].compensate(lambda chrge, a: 1)


@says("there are two hooks on_failure")
def hook_twice(flow: Workflow) -> None:
    steps(flow, "a")
    flow.on_failure(work)
    flow.on_failure(work)


@says(
    "hook on_failure: parameter 'a' (int) is neither a Context nor a Happened; "
    "the run's input goes to a parameter named 'input'"
)
def hook_that_takes_a_step(flow: Workflow) -> None:
    steps(flow, "a")

    @flow.on_failure
    def tell(a: int, what: Happened, ctx: Context) -> None: ...


@says("hook on_success: jitter is a share between 0 and 1")
def hook_with_too_much_jitter(flow: Workflow) -> None:
    steps(flow, "a")
    flow.on_success(retry=Retry(2, jitter=2))(work)


# Groups


@says("group 'checks' has no members")
def empty_group(flow: Workflow) -> None:
    flow.parallel("checks", [])


@says("group 'checks': it has member 'nobody', which does not exist")
def unknown_member(flow: Workflow) -> None:
    flow.parallel("checks", [*steps(flow, "a"), "nobody"])


@says("group 'checks': it has member 'a' twice")
def same_member(flow: Workflow) -> None:
    flow.parallel("checks", [*steps(flow, "a"), "a"])


@says("step 'a': it is a member of two groups, 'one' and 'two'")
def member_of_two_groups(flow: Workflow) -> None:
    a, b, c = steps(flow, "a", "b", "c")
    flow.parallel("one", [a, b])
    flow.parallel("two", [a, c])


@says(
    "group 'checks': parallel() takes steps and their names, not <function work at 0x...>",
    "group 'checks' has no members",
)
def member_is_a_function(flow: Workflow) -> None:
    flow.parallel("checks", [work])  # type: ignore[list-item]


@says("group 'checks': on_error= takes one of fail_fast, complete_all, hold, not 'continue'")
def policy_of_a_step_for_a_group(flow: Workflow) -> None:
    flow.parallel("checks", steps(flow, "a"), on_error="continue")  # type: ignore[arg-type]


@says("group 'checks': concurrency is 0, and must be 1 or more")
def nobody_at_a_time(flow: Workflow) -> None:
    flow.parallel("checks", steps(flow, "a"), concurrency=0)


@says("group 'checks': its member 'pack' is not in the clause that it is in")
def member_from_a_clause(flow: Workflow) -> None:
    kind = flow.branch("kind", on="input.kind")
    kind.add(1, "pack", work)
    kind.add(1, "print", work)
    flow.parallel("checks", ["pack"])


@says("step 'decide': parameter 'a' has no members, so it cannot be Results")
def results_of_a_single_step(flow: Workflow) -> None:
    @flow.step
    def a() -> int: ...

    @flow.step
    def decide(a: Results) -> int: ...


@says("step 'a': what it returns cannot be JSON as Results: return its `ok`, say")
def results_returned(flow: Workflow) -> None:
    @flow.step
    def a() -> Results: ...


# Branches


@says("branch 'kind' has no clauses")
def empty_branch(flow: Workflow) -> None:
    flow.branch("kind", on="input.kind")


@says("branch 'kind': its clause for \"physical\" has no steps")
def empty_clause(flow: Workflow) -> None:
    flow.branch("kind", on="input.kind").clause("physical")


@says("branch 'kind': its clause for all the rest has no steps")
def empty_rest(flow: Workflow) -> None:
    kind = flow.branch("kind", on="input.kind")
    kind.add(1, "pack", work)
    kind.clause()


@says("branch 'kind' has two clauses for 1.0")
def same_case(flow: Workflow) -> None:
    kind = flow.branch("kind", on="input.kind")
    kind.add(1, "pack", work)
    kind.add(1.0, "mail", work)


@says(f"branch 'kind': case() {NO_JSON}")
def case_that_is_no_json(flow: Workflow) -> None:
    flow.branch("kind", on="input.kind").case({1})(work)


@says("branch 'kind': on= decides, so none of its clauses can have a condition")
def value_and_condition(flow: Workflow) -> None:
    kind = flow.branch("kind", on="input.kind")
    kind.case(when=lambda input: True)(work)


@says("branch 'kind': it has a clause for \"a\", but no on= to decide by")
def value_to_decide_by_is_missing(flow: Workflow) -> None:
    flow.branch("kind").case("a")(work)


@says("branch 'kind': case() takes a value or when=, not both: conditions of a step are for clause().step()")
def case_with_value_and_condition(flow: Workflow) -> None:
    flow.branch("kind", on="input.kind").case("a", when=lambda input: True)(work)


@says("branch 'kind', when=: parameter 'ordr' is neither a step nor a Context; is 'order' meant?")
def case_with_a_condition_on_nothing(flow: Workflow) -> None:
    steps(flow, "order")
    flow.branch("kind").case(when=lambda ordr, input: True)(work)


@says("branch 'kind' reads its value at 'clasify.kind', but 'clasify' is neither the input nor a step")
def value_of_an_unknown_step(flow: Workflow) -> None:
    flow.branch("kind", on="clasify.kind").case("a")(work)


@says("branch 'kind': on= takes a function, not 7")
def decided_by_a_number(flow: Workflow) -> None:
    flow.branch("kind", on=7).clause().add("a", work)  # type: ignore[arg-type]


@says("step 'close' waits for 'pack', which is inside of branch 'kind': wait for 'kind' instead")
def into_a_clause(flow: Workflow) -> None:
    flow.branch("kind", on="input.kind").add("a", "pack", work)
    flow.add("close", work, after="pack")


@says("step 'close' waits for 'pack', which is inside of branch 'kind': wait for 'kind' instead")
def into_a_clause_by_a_parameter(flow: Workflow) -> None:
    flow.branch("kind", on="input.kind").add("a", "pack", work)

    @flow.step
    def close(pack: Any) -> None: ...


@says("step 'mail' waits for 'pack', which is in another clause of branch 'kind': only one of the two runs")
def into_another_clause(flow: Workflow) -> None:
    kind = flow.branch("kind", on="input.kind")
    kind.add("a", "pack", work)
    kind.add("b", "mail", work, after="pack")


@says("step 'close' waits for 'glue', which is inside of branch 'size': wait for 'size' instead")
def into_a_branch_in_the_same_clause(flow: Workflow) -> None:
    clause = flow.branch("kind", on="input.kind").clause("a")
    clause.branch("size", on="input.size").add(1, "glue", work)
    clause.add("close", work, after=any_of("glue", "size"))


# Each and templates


@says("step 'resize' reads its list at 'urls.all', but 'urls' is neither the input nor a step")
def each_of_nothing(flow: Workflow) -> None:
    flow.each("urls.all", name="resize")(lambda item: 1)


@says("step 'resize' reads its list at 'input.', which is no path: write one such as input.id")
def each_of_no_path(flow: Workflow) -> None:
    flow.each("input.", name="resize")(lambda item: 1)


@says("step 'resize': each() takes steps and their names, not [1, 2]")
def each_of_a_list(flow: Workflow) -> None:
    flow.each([1, 2], name="resize")(lambda item: 1)  # type: ignore[arg-type]


@says(
    "step 'resize': concurrency is 0, and must be 1 or more",
    "step 'resize': enough is 0, and must be 1 or more",
)
def each_of_none(flow: Workflow) -> None:
    flow.each("input", name="resize", concurrency=0, enough=0)(lambda item: 1)


@says(
    "step 'resize': parameter 'url' (str) is neither a step nor a Context nor called 'item'; "
    "the run's input goes to a parameter named 'input'"
)
def each_without_an_item(flow: Workflow) -> None:
    @flow.each("input.urls")
    def resize(url: str) -> None: ...


@says("step 'b': after= names template 'scan': wait for the step that expands into it")
def after_a_template(flow: Workflow) -> None:
    scan = flow.template(name="scan")(lambda item: 1)
    flow.add("b", work, after=scan)  # type: ignore[arg-type]


@says("step 'b' waits for 'scan', which is a template: wait for the step that expands into it")
def after_a_template_by_name(flow: Workflow) -> None:
    flow.template(name="scan")(lambda item: 1)
    flow.add("b", work, after="scan")


@says(
    "step 'b': parameter 'scan' is neither a step nor a Context; 'scan' is a template: "
    "take the output of the step that expands into it"
)
def takes_a_template(flow: Workflow) -> None:
    flow.template(name="scan")(lambda item: 1)
    flow.add("b", lambda scan, input: 1)


@says("two steps are called 'scan'")
def template_called_like_a_step(flow: Workflow) -> None:
    steps(flow, "scan")
    flow.template(name="scan")(lambda item: 1)


@says("template 'scan': there is no option after= here; only a step that is a function has it")
def template_in_the_graph(flow: Workflow) -> None:
    steps(flow, "a")
    flow.template(name="scan", after="a")(lambda item: 1)  # type: ignore[call-overload]


@says("template 'scan': there must be at least one attempt")
def template_without_an_attempt(flow: Workflow) -> None:
    steps(flow, "a")
    flow.template(name="scan", retry=Retry(0))(lambda item: 1)


# Children


@says("child 'again': workflow 'order' cannot be a child of itself")
def child_of_itself(flow: Workflow) -> None:
    flow.child("again", flow)


@says("child 'page': workflow 'other' has 'order' among its own children: that never ends")
def child_of_its_child(flow: Workflow) -> None:
    page = other()
    page.child("back", flow)
    flow.child("page", page)


@says("child 'page': children are nested deeper than 20")
def children_without_end(flow: Workflow) -> None:
    inner = other("c0")
    for depth in range(20):
        outer = other(f"c{depth + 1}")
        outer.child("inner", inner)
        inner = outer
    flow.child("page", inner)


@says("child 'page' reads its input at 'chrge.id', but 'chrge' is neither the input nor a step")
def input_of_a_child_from_nowhere(flow: Workflow) -> None:
    flow.child("page", other(), input={"id": "chrge.id", "n": 1})


@says(f"child 'page': input= {NO_JSON}")
def input_of_a_child_that_is_no_json(flow: Workflow) -> None:
    flow.child("page", other(), input={"id": {1}})


@says("child 'page' has '=no' as 'id' of its input: what follows the = is not JSON")
def input_of_a_child_that_is_no_json_text(flow: Workflow) -> None:
    flow.child("page", other(), input={"id": "=no"})


@says("child 'page': input= takes a path such as \"input.id\", or an object of paths, not 7")
def input_of_a_child_is_a_number(flow: Workflow) -> None:
    flow.child("page", other(), input=7)


@says(
    "child 'page': again= has no effect without until=",
    "child 'page': at_most= has no effect without until=",
    "child 'page': every= has no effect without until=",
)
def rounds_without_an_end(flow: Workflow) -> None:
    flow.child("page", other(), again={"id": "page.id"}, at_most=5, every="5s")


@says(
    "child 'page': 'input.done' is no path into its own output: write one such as page.done",
    "child 'page': 'next' is no path into its own output: write one such as page.done",
)
def rounds_of_something_else(flow: Workflow) -> None:
    flow.child("page", other(), until="input.done", again={"id": "next"})


@says("child 'page': at_most is 0, and must be 1 or more")
def no_rounds(flow: Workflow) -> None:
    flow.child("page", other(), until="page.done", at_most=0)


@says("child 'page': again= takes paths by field, such as {\"page\": \"page.next\"}, not 'page.next'")
def again_is_a_text(flow: Workflow) -> None:
    flow.child("page", other(), until="page.done", again="page.next")  # type: ignore[arg-type]


@says("child 'page': retry= is decided without a worker, so its backoff= cannot be a function")
def backoff_of_a_child(flow: Workflow) -> None:
    flow.child("page", other(), retry=Retry(3, backoff=lambda attempt, failure: "1s"))


@says(
    "child 'page': there must be at least one attempt", "child 'page': a time-out must be longer than nothing"
)
def child_without_time_or_attempt(flow: Workflow) -> None:
    flow.child("page", other(), retry=Retry(0), timeout="0s")


@pytest.mark.parametrize(("expected", "build"), CASES, ids=[build.__name__ for _, build in CASES])
def test_a_bad_definition_is_refused_with_its_place_and_reason(
    expected: tuple[str, ...], build: Build
) -> None:
    flow = Workflow("order")
    build(flow)

    message = message_of(flow.definition)

    heading = f"workflow 'order' has {len(expected)} fault{'s' if len(expected) > 1 else ''}:"
    assert message.split("\n") == [heading, *(f"  HERE: {text}" for text in expected)]


def test_there_are_enough_bad_definitions() -> None:
    assert len(CASES) >= 45
