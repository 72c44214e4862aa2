"""Turns an author's call with options into a draft."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec.structs import replace

from stream_durable.core.definition.nodes import ChildNode, EachNode, OnError, OnMemberError, StepNode
from stream_durable.sdk.draft import Draft, Work
from stream_durable.sdk.options import Options, name_of
from stream_durable.sdk.origin import Origin, author_frame, local_names
from stream_durable.sdk.step_options import BesideOptions, CallOptions, OnMembers, StepOptions
from stream_durable.sdk.steps import Step, plain, read_after, read_names, read_takes

if TYPE_CHECKING:
    from stream_durable.sdk.workflow import Workflow


class Place(NamedTuple):
    """The position of a step: in the workflow, or in a clause of a branch."""

    branch: str | None = None
    clause: int = 0


def own_name(function: Callable[..., Any], name: str | None) -> str:
    """Return the given name, or the function's."""
    return name_of(getattr(function, "__name__", function) if name is None else name)


def order_of(
    options: Options, given: Mapping[str, Any], kind: type, workflow: Workflow, place: Place
) -> dict[str, Any]:
    """Return the options common to all nodes."""
    known = known_options(options, given, kind)
    after, ended, joins = read_after(options, known.get("after", ()), workflow)
    return {
        "after": after,
        "ended": ended,
        "joins": joins,
        "member_of": place.branch,
        "clause": place.clause,
        "on_error": options.word("on_error=", known.get("on_error"), OnError, "fail"),
        **options.due(known.get("due")),
    }


def known_options(options: Options, given: Mapping[str, Any], kind: type) -> dict[str, Any]:
    """Return the options supported by this kind of step."""
    known = options.known(given, _names(kind), elsewhere=_names(StepOptions))
    options.description = options.text("description=", known.get("description"))
    return known


def function_draft(
    kind: type,
    name: str,
    function: Any,
    origin: Origin,
    given: Mapping[str, Any],
    workflow: Workflow,
    place: Place,
) -> Draft:
    """Return the draft of a function step."""
    options = Options(f"step {name!r}")
    order = order_of(options, given, kind, workflow, place)
    node, work = _called(options, name, function, given, workflow)
    return Draft(replace(node, **order), origin, options, work)


def template_draft(
    kind: type, name: str, function: Any, origin: Origin, given: Mapping[str, Any], workflow: Workflow
) -> Draft:
    """Return the draft of a function that is in no graph yet."""
    options = Options(f"template {name!r}")
    order = order_of(options, given, kind, workflow, Place())
    node, work = _called(options, name, function, given, workflow)
    return Draft(replace(node, **order), origin, options, work, role="template")


def each_draft(
    kind: type,
    name: str,
    source: object,
    function: Any,
    origin: Origin,
    given: Mapping[str, Any],
    workflow: Workflow,
    place: Place,
) -> Draft:
    """Return the draft of a step that is made for each item of a list."""
    options = Options(f"step {name!r}")
    plain = {option: value for option, value in given.items() if option not in ("on_error", "due")}
    order = order_of(options, plain, kind, workflow, place)
    step, work = _called(options, name, function, given, workflow)
    if isinstance(source, str):
        over = source
    else:
        over = next(iter(read_names(options, "each()", (source,), workflow)), "input")
    on_member_error, on_error = on_error_of_members(options, given.get("on_error"))
    node = EachNode(
        name=name,
        over=over,
        step=replace(step, on_error=on_error, **options.due(given.get("due"))),
        concurrency=options.count("concurrency=", given.get("concurrency")),
        enough=options.count("enough=", given.get("enough")),
        on_member_error=on_member_error,
        **order,
    )
    return Draft(node, origin, options, work)


def on_error_of_members(options: Options, given: object) -> tuple[OnMemberError, OnError]:
    """Return the effect of a failed member on its group, and what becomes of the member."""
    default: OnMembers = "fail_fast"
    word = options.word("on_error=", given, OnMembers, default)
    return ("fail_fast", "hold") if word == "hold" else (word, "fail")


def call_draft(
    label: str, name: str, function: Any, origin: Origin, given: Mapping[str, Any], workflow: Workflow
) -> Draft:
    """Return the draft of a compensation or a hook."""
    options = Options(label)
    known_options(options, given, CallOptions)
    node, work = _called(options, name, function, given, workflow)
    return Draft(node, origin, options, work)


def beside_draft(
    label: str, name: str, function: Any, origin: Origin, given: Mapping[str, Any], workflow: Workflow
) -> Draft:
    """Return the draft of a function called beside the graph."""
    options = Options(label)
    known = known_options(options, given, BesideOptions)
    node, work = _called(options, name, function, given, workflow)
    concurrency = options.count("concurrency=", known.get("concurrency"))
    return Draft(
        node, origin, options, work, role="beside", concurrency=1 if concurrency is None else concurrency
    )


def child_draft(
    name: str,
    child: Workflow,
    options: Options,
    order: Mapping[str, Any],
    origin: Origin,
    given: Mapping[str, Any],
) -> Draft:
    """Return the draft of a run of another workflow."""
    again = given["again"]
    if again is not None and not isinstance(again, Mapping):
        text = f'again= takes paths by field, such as {{"page": "{name}.next"}}, not {again!r}'
        options.fault("bad_option", text)
        again = None
    at_most, until = given["at_most"], given["until"]
    if until is None:
        for option in ("again", "at_most", "every"):
            if given[option] is not None:
                options.fault("contradiction", f"{option}= has no effect without until=")
        again = at_most = None
    count = options.count("at_most=", at_most)
    limit_ms, output = options.time_limit(given["timeout"], given["on_timeout"])
    node = ChildNode(
        name=name,
        workflow=child.name,
        fingerprint="",
        input=_child_input(options, given["input"]),
        retry=options.plain_retry("retry=", given["retry"]).policy,
        timeout_ms=limit_ms,
        on_timeout=output,
        queue=None if given["queue"] is None else name_of(given["queue"]),
        until=None if until is None else name_of(until),
        again={name_of(field): name_of(path) for field, path in (again or {}).items()},
        at_most=1_000 if count is None else count,
        every_ms=0 if until is None else options.duration("every=", given["every"]) or 0,
        **order,
    )
    return Draft(node, origin, options, child=child)


def _child_input(options: Options, value: object) -> str | dict[str, str] | None:
    if value is None:
        return None
    if isinstance(value, str | Step):
        return _path(options, value)
    if isinstance(value, Mapping):
        return {name_of(field): _path(options, each) for field, each in value.items()}
    text = f'input= takes a path such as "input.id", or an object of paths, not {value!r}'
    options.fault("bad_option", text)
    return None


def _path(options: Options, value: object) -> str:
    """Return a path, or `=` and the JSON of what is no path."""
    if isinstance(value, Step):
        return value.name
    if isinstance(value, str):
        return name_of(value)
    return f"={options.json('input=', value) or 'null'}"


def _called(
    options: Options, name: str, function: Any, given: Mapping[str, Any], workflow: Workflow
) -> tuple[StepNode, Work | None]:
    """Return the worker's view of a function, and the function with companions."""
    function = plain(function)
    tries = options.retry(given.get("retry"), workflow._tries)
    timeout = given.get("timeout", workflow._step_timeout)
    limit = timeout if callable(timeout) else None
    timeout_ms = options.duration("timeout=", timeout) if limit is None else None
    total_ms = options.duration("total=", given.get("total"))
    if "timeout" not in given and timeout_ms is not None and total_ms is not None:
        timeout_ms = min(timeout_ms, total_ms)
    node = StepNode(
        name=name,
        queue=workflow._queue_of(given.get("queue")),
        retry=tries.policy,
        timeout_ms=timeout_ms,
        total_ms=total_ms,
        breaker=options.breaker(given.get("breaker")),
        gate=options.gate(given.get("gate")),
        priority=options.priority(given.get("priority")),
        units=options.units(given.get("units")),
    )
    work = Work(
        function,
        local_names(author_frame()),
        condition=options.function("when=", given.get("when")),
        limit=limit,
        delay_after=tries.delay_after,
        in_process=options.flag("process=", given.get("process", False)),
        into=options.key("into=", given.get("into")),
        reads=read_names(options, "reads=", given.get("reads", ()), workflow),
        takes=read_takes(options, given.get("takes"), workflow),
    )
    if callable(function):
        return node, work
    options.fault("bad_function", f"{function!r} is not a function")
    return node, None


def _names(kind: type) -> frozenset[str]:
    names: frozenset[str] = kind.__optional_keys__  # type: ignore[attr-defined]  # of a TypedDict
    return names
