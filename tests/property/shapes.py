"""Definitions of any shape: every kind of node inside and after every other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from builders import answering, ask, event, reacting, signal, sleep, step, token, until
from msgspec import structs

from stream_durable.core.admission.rule import BatchRule, DebounceRule, Rule, SingleRule, Starts
from stream_durable.core.definition.formats import format_of
from stream_durable.core.definition.guards import Breaker, Gate, QueueRule
from stream_durable.core.definition.moments import AnyMoment, Fixed, Found, NextDay, PeriodEnd
from stream_durable.core.definition.nodes import (
    HOOKS,
    AnyNode,
    BesideNode,
    BranchNode,
    ChildNode,
    Definition,
    EachNode,
    Join,
    ParallelNode,
    StepNode,
)
from stream_durable.core.definition.validate import validate
from stream_durable.core.gate.limits import GateLimits
from stream_durable.core.policy import NO_RETRY, RetryPolicy

T = TypeVar("T")

#: Bytes that a node takes from the source of choices, about.
NODE_BYTES = 30

SIGNAL_SETS = (("go",), ("go", "stop"), ("stop",))
EVENTS = ("paid", "shipped")
#: What a case of a branch may be: one for every `kind` that outputs and inputs hold, and one for none.
CASES = ('"a"', '"b"', "1", None)
#: What an answer may have to be; `property.answers.GOOD` fits each.
ANSWER_SCHEMAS = (
    "{}",
    '{"type":"object"}',
    '{"required":["id","kind"],"properties":{"id":{"enum":["k9","k1"]}}}',
)
ANSWERS = ("quote", "state")
TEMPLATES = ("scan", "probe")
ZONES = ("UTC", "Europe/Berlin", "Mars/Olympus")
#: Gates of steps, of sections and of runs are different ones: who keeps a place and asks for another at the
#: same gate may wait for itself, and that is refused.
STEP_GATES = (
    Gate(name="two", limits=GateLimits(at_once=2)),
    Gate(name="one", limits=GateLimits(at_once=1), per="input.id"),
    Gate(name="turns", limits=GateLimits(at_once=1, weights={"k1": 2}), per="input.id"),
    Gate(name="fast", limits=GateLimits(rate=2)),
)
SECTION_GATES = (
    Gate(name="room", limits=GateLimits(at_once=1)),
    Gate(name="hall", limits=GateLimits(at_once=1, rate=9, burst=2), per="input.kind"),
)
RUN_GATES = (
    Gate(name="door", limits=GateLimits(at_once=1)),
    Gate(name="door", limits=GateLimits(at_once=1), per="input.id"),
    Gate(name="door", limits=GateLimits(rate=1)),
)
RULES: tuple[Rule, ...] = (
    *(SingleRule(busy=busy) for busy in ("skip", "replace", "queue", "newest")),
    BatchRule(size=2, within_ms=10), DebounceRule(quiet_ms=5),
    DebounceRule(quiet_ms=5, cap_ms=9, is_for_all=True),
)  # fmt: skip
#: Where a moment is read by which a step is expected: of all paths, one leads to no moment, and one nowhere.
DUE_PATHS = ("=50ms", "=2h", "id", "nothing")
HOLDING = ("hold",) * 3


class Choices:
    """Choices read from bytes; when these are used up, always the first."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def is_used_up(self) -> bool:
        return self._at >= len(self._data)

    def below(self, bound: int) -> int:
        """Return a number from 0 up to a bound of 256 at the most."""
        if self.is_used_up or bound <= 1:
            return 0
        self._at += 1
        return self._data[self._at - 1] % bound

    def of(self, values: Sequence[T]) -> T:
        return values[self.below(len(values))]

    def chance(self, of_hundred: int) -> bool:
        return self.below(100) >= 100 - of_hundred


class Order:
    """What must come before what, so that nothing waits for itself: a group ends after its members have."""

    def __init__(self) -> None:
        self._before: dict[tuple[str, str], set[tuple[str, str]]] = {}
        #: The clauses that each node is inside of.
        self._clauses: dict[str, tuple[tuple[str, int], ...]] = {}

    def add(self, name: str, owner: AnyNode | None, clause: int) -> None:
        """Note a node and the group that it is in."""
        self._clauses[name] = () if owner is None else self._clauses[owner.name]
        if isinstance(owner, BranchNode):
            self._clauses[name] += ((owner.name, clause),)
        self._place(name, None if owner is None else owner.name)

    def _place(self, name: str, owner: str | None) -> None:
        self._edge(("begin", name), ("end", name))
        if owner is not None:
            self._edge(("begin", owner), ("begin", name))
            self._edge(("end", name), ("end", owner))

    def wait(self, name: str, upstream: str) -> bool:
        """Have a node wait for the end of another; False: that cannot be."""
        theirs = self._clauses[upstream]
        if theirs != self._clauses[name][: len(theirs)] or self._leads(("begin", name), ("end", upstream)):
            return False
        self._edge(("end", upstream), ("begin", name))
        return True

    def _edge(self, one: tuple[str, str], other: tuple[str, str]) -> None:
        self._before.setdefault(other, set()).add(one)

    def _leads(self, one: tuple[str, str], other: tuple[str, str]) -> bool:
        seen, pending = {other}, [other]
        while pending:
            at = pending.pop()
            if at == one:
                return True
            more = self._before.get(at, set()) - seen
            seen |= more
            pending += more
        return False


def random_definition(choose: Choices, size: int) -> Definition:
    """Return a sound definition of this many nodes, of all kinds."""
    order = Order()
    nodes: list[AnyNode] = []
    for i in range(size):
        nodes.append(_random_node(choose, f"n{i}", nodes, order))
    _fill_clauses(nodes)
    _free_those_with_groups(nodes)
    # A definition may name its nodes in any order.
    if choose.chance(50):
        nodes.reverse()
    templates = tuple(_template(choose, name) for name in TEMPLATES) if choose.chance(70) else ()
    hooks = tuple(
        StepNode(name=f"~{kind}", retry=_retry(choose), takes_input=False)
        for kind in HOOKS
        if choose.chance(12)
    )
    around = _around(choose)
    concurrency = choose.of((None, None, None, 1, 2, 4))
    beside = tuple(
        answering(name, retry=_retry(choose), concurrency=_calls_at_once(choose))
        for name in ANSWERS
        if choose.chance(25)
    )
    if choose.chance(25):
        reaction = StepNode(name="~heard", retry=_retry(choose), on_error=choose.of(("fail", "continue")))
        beside += (
            BesideNode(
                name="heard", on="signal", signal="told", step=reaction, concurrency=_calls_at_once(choose)
            ),
        )
    if choose.chance(25):
        on_error = choose.of(("fail", "skip", "continue"))
        at_once = _calls_at_once(choose)
        beside += (reacting(event="paid", retry=_retry(choose), on_error=on_error, concurrency=at_once),)
    made = Definition(
        name="order", nodes=tuple(nodes), templates=templates, hooks=hooks,
        timeout_ms=60_000 if choose.chance(15) else None,
        restart=RetryPolicy(attempts=2, base_ms=choose.of((0, 50))) if choose.chance(15) else NO_RETRY,
        keeps_context=choose.chance(50),
        format=format_of((*nodes, *templates), concurrency, beside, **around),
        concurrency=concurrency, beside=beside, **around,
    )  # fmt: skip
    made = _open_gates(made)
    assert not validate(made)
    return made


def _around(choose: Choices) -> dict[str, Any]:
    """Return what stands before a run and around it: its gate, admission, due time, limited queues."""
    starts = Starts(rule=choose.of(RULES), key=choose.of((None, "input.id")))
    return {
        "gate": choose.of(RUN_GATES) if choose.chance(12) else None,
        "due_ms": choose.of((50, 5_000)) if choose.chance(15) else None,
        "queues": (QueueRule(name="q", limits=GateLimits(at_once=2)),) if choose.chance(12) else (),
        "starts": starts if choose.chance(12) else None,
    }


def _fill_clauses(nodes: list[AnyNode]) -> None:
    """Give every clause and every group a step at least."""
    filled = {(node.member_of, node.clause) for node in nodes}
    for node in [node for node in nodes if isinstance(node, ParallelNode | BranchNode)]:
        nodes += [
            StepNode(name=f"{node.name}-{clause}", member_of=node.name, clause=clause)
            for clause in range(len(node.cases) if isinstance(node, BranchNode) else 1)
            if (node.name, clause) not in filled
        ]


def _free_those_with_groups(nodes: list[AnyNode]) -> None:
    """Let no group count its members that has groups among them.

    A group that is inside takes its place until what is in it has ended, and that may wait for a member
    that has no place.
    """
    with_groups = {node.member_of for node in nodes if isinstance(node, ParallelNode | BranchNode)}
    for position, node in enumerate(nodes):
        if isinstance(node, ParallelNode) and node.name in with_groups:
            nodes[position] = structs.replace(node, concurrency=None)


def _open_gates(made: Definition) -> Definition:
    """Let no section wait for a place that another one may keep until the first has ended."""
    stuck = {fault.node for fault in validate(made) if fault.code == "deadlock"}
    nodes = tuple(
        structs.replace(node, gate=None) if isinstance(node, ParallelNode) and node.name in stuck else node
        for node in made.nodes
    )
    return structs.replace(made, nodes=nodes)


def _random_node(choose: Choices, name: str, nodes: list[AnyNode], order: Order) -> AnyNode:
    groups = [node for node in nodes if isinstance(node, ParallelNode | BranchNode)]
    owner = choose.of(groups[-4:]) if groups and choose.chance(45) else None
    clause = choose.below(len(owner.cases)) if isinstance(owner, BranchNode) else 0
    order.add(name, owner, clause)
    names = [node.name for node in nodes]
    wanted = dict.fromkeys(choose.of(names[-8:]) for _ in range(choose.below(4)) if names)
    after = tuple(upstream for upstream in wanted if order.wait(name, upstream))
    joins: tuple[Join, ...] = ()
    if len(names) > 1 and choose.chance(18):
        of = tuple(dict.fromkeys(choose.of(names[-8:]) for _ in range(4)))
        of = tuple(upstream for upstream in of if upstream not in after and order.wait(name, upstream))
        if of:
            joins = (Join(of=of, enough=1 + choose.below(len(of)), cancel_rest=choose.chance(40)),)
    node = _of_any_kind(choose, name, after, tuple(o for j in joins for o in j.of))
    # Of a group it is the members that are held.
    holding = () if isinstance(node, ParallelNode | EachNode) else HOLDING
    expected = {} if node.is_expected else _expected(choose, after)
    return structs.replace(
        node, joins=joins, member_of=None if owner is None else owner.name, clause=clause,
        ended=tuple(a for a in after if choose.chance(12)),
        on_error=choose.of(("fail",) * 8 + ("skip", "continue", *holding)), **expected,
    )  # fmt: skip


def _expected(choose: Choices, after: tuple[str, ...]) -> dict[str, Any]:
    """Return by when the end of a node is expected; of most it is not said."""
    if not choose.chance(15):
        return {}
    if choose.chance(60):
        return {"due_ms": choose.of((50, 1_500))}
    path = choose.of(DUE_PATHS)
    return {"due_at": path if path.startswith("=") else _path(choose, after, path)}


def _of_any_kind(  # noqa: C901 - a line for each kind
    choose: Choices, name: str, after: tuple[str, ...], joined: tuple[str, ...]
) -> AnyNode:
    kind = choose.below(21)
    limit: dict[str, Any] = {}
    if choose.chance(30):
        limit = {"timeout_ms": 3_000, "on_timeout": choose.of(('"late"', '{"id":"k2"}', '{"id":7}', None))}
    if kind == 8:
        if choose.chance(40):
            return until(name, *after, moment=_moment(choose, after), zone=choose.of(ZONES))
        return sleep(name, *after, ms=choose.of((0, 10, 1_000)))
    if kind == 9:
        return signal(name, *after, signals=choose.of(SIGNAL_SETS), all_of=choose.chance(40), **limit)
    if kind == 10:
        key = _path(choose, after, "id")
        return event(name, *after, of=choose.of(EVENTS), key=key, take=choose.chance(40), **limit)
    if kind in (11, 12):
        return ParallelNode(
            name=name, after=after, on_member_error=choose.of(("fail_fast", "complete_all")),
            concurrency=choose.of((None, None, 1, 2)),
            gate=choose.of(SECTION_GATES) if choose.chance(25) else None,
        )  # fmt: skip
    if kind in (13, 14):
        member = structs.replace(
            _step(choose, name, after), on_error=choose.of(("fail", "fail", "hold")), **_expected(choose, ())
        )
        return EachNode(
            name=name, after=after, over=_path(choose, after, "items"), step=member,
            concurrency=choose.of((None, 1, 2)), enough=choose.of((None, None, 1, 2)),
            on_member_error=choose.of(("fail_fast", "complete_all")),
        )  # fmt: skip
    if kind in (15, 16):
        cases = tuple(dict.fromkeys(choose.of(CASES) for _ in range(3)))
        if choose.chance(50):
            return BranchNode(name=name, after=after, on=_path(choose, after, "kind"), cases=cases)
        selector = structs.replace(_step(choose, name, after), breaker=None)
        return BranchNode(name=name, after=after, selector=selector, cases=cases)
    if kind == 18:
        return token(name, *after, heartbeat_ms=choose.of((None, 1_000)), **limit)
    if kind in (19, 20):
        return _question(choose, name, after, limit)
    if kind == 17:
        return _child(choose, name, after)
    return _step(choose, name, after, joined)


def _question(choose: Choices, name: str, after: tuple[str, ...], limit: dict[str, Any]) -> AnyNode:
    texts = ("", "who", f"{{{_path(choose, after, 'id')}}}", f"{{{_path(choose, after, 'items')}}} {{{{")
    schema = choose.of(ANSWER_SCHEMAS)
    return ask(
        name, *after, schema=schema, prompt=choose.of(texts), role=choose.of(texts),
        assignee=choose.of(("", "", *texts)), due_ms=choose.of((None, 50)), **limit,
    )  # fmt: skip


def _moment(choose: Choices, after: tuple[str, ...]) -> AnyMoment:
    free = NextDay(weekdays=(6,), holidays=_path(choose, after, "items"))
    found = Found(path=_path(choose, after, "id"))
    monday: AnyMoment = NextDay(at="09:00", weekdays=(0, 1))
    return choose.of((monday, PeriodEnd(of="month"), free, found, Fixed(at="2020-01-01")))


def _path(choose: Choices, after: tuple[str, ...], rest: str) -> str:
    return f"{choose.of(after)}.{rest}" if after and choose.chance(40) else f"input.{rest}"


def _calls_at_once(choose: Choices) -> int:
    return choose.of((1, 1, 2, 3))


def _retry(choose: Choices) -> RetryPolicy:
    return RetryPolicy(attempts=1 + choose.below(4), base_ms=choose.of((10, 100)), jitter=0.5)


def _step(choose: Choices, name: str, after: tuple[str, ...], joined: tuple[str, ...] = ()) -> StepNode:
    compensation = None
    if choose.chance(30):
        compensation = StepNode(name=f"{name}~compensate", takes=(name,), retry=_retry(choose))
    return step(
        name, *after, retry=_retry(choose), queue=choose.of(("q", "r", "default")),
        takes=tuple(a for a in (*after, *joined) if choose.chance(50)), takes_input=choose.chance(50),
        takes_context=choose.chance(20), compensation=compensation,
        total_ms=choose.of((None,) * 7 + (500, 5_000)),
        breaker=Breaker(name="bank") if choose.chance(8) else None,
        gate=choose.of(STEP_GATES) if choose.chance(12) else None,
    )  # fmt: skip


def _template(choose: Choices, name: str) -> StepNode:
    made = _step(choose, name, ())
    on_error = choose.of(("fail", "fail", "fail", "skip", "continue", "hold", "hold"))
    return structs.replace(made, on_error=on_error, **_expected(choose, ()))


def _child(choose: Choices, name: str, after: tuple[str, ...]) -> ChildNode:
    options: dict[str, Any] = {}
    if choose.chance(50):
        options = {"until": f"{name}.done", "at_most": 3, "every_ms": choose.of((0, 20))}
        if choose.chance(50):
            options["again"] = {"cursor": f"{name}.id"}
    if choose.chance(30):
        options["compensation"] = StepNode(name=f"{name}~compensate", takes=(name,), retry=_retry(choose))
    if choose.chance(50):
        options |= choose.of(({"timeout_ms": 2_000}, {"timeout_ms": 2_000, "on_timeout": '{"id":"k3"}'}))
    given = choose.of((None, "input", _path(choose, after, "id"), {"id": "input.id", "n": "=[1]"}))
    return ChildNode(
        name=name, after=after, workflow="kid", fingerprint="f1", input=given, retry=_retry(choose),
        **options,
    )  # fmt: skip
