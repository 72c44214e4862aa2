"""The waits that a context offers to a function, as nodes of the same kinds as in a graph."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from stream_durable.core.definition.nodes import ChildNode, EventNode, InputNode, WaitNode
from stream_durable.sdk.answers import Fail
from stream_durable.sdk.asking import input_node
from stream_durable.sdk.durations import Duration
from stream_durable.sdk.inside import Inside, Wait
from stream_durable.sdk.moments import Until
from stream_durable.sdk.options import Options
from stream_durable.sdk.standoff import standoff
from stream_durable.sdk.untyped import write_untyped
from stream_durable.sdk.wait_nodes import signal_node, sleep_node

if TYPE_CHECKING:
    from stream_durable.sdk.workflow import Workflow


def sleep_of(
    inside: Inside, duration: Duration | None, until: Until | None, zone: str | None, name: str | None
) -> Wait[None]:
    """Return a sleep."""

    def node(full: str) -> WaitNode:
        options = Options(f"sleep {full!r}")
        return _sound(options, sleep_node(options, full, duration, until, zone, {}))

    return Wait(inside, "sleep", name, node)


def signal_of(
    inside: Inside, signal: str | None, any_of: Iterable[str] | None, all_of: Iterable[str] | None,
    timeout: Duration | None, on_timeout: object, name: str | None,
) -> Wait[Any]:  # fmt: skip
    """Return a wait for signals."""

    def node(full: str) -> WaitNode:
        options = Options(f"wait {full!r}")
        limit = options.time_limit(timeout, on_timeout)
        if signal is None and any_of is None and all_of is None:
            options.fault("bad_option", "a wait takes a signal, or several as any_of= or all_of=")
        return _sound(options, signal_node(options, full, signal, any_of, all_of, limit, {}))

    return Wait(inside, "signal", name, node, default=signal or "")


def event_of(
    inside: Inside, event: str, key: str | int, timeout: Duration | None, on_timeout: object,
    name: str | None, *, take: bool,
) -> Wait[Any]:  # fmt: skip
    """Return a wait for an event; the key is the key itself."""

    def node(full: str) -> WaitNode:
        options = Options(f"wait {full!r}")
        limit_ms, output = options.time_limit(timeout, on_timeout)
        given: object = key
        if not isinstance(given, str | int) or isinstance(given, bool):
            options.fault("bad_key", f"key= takes a text or a whole number, not {given!r}")
        text = f"={msgspec.json.encode(str(key)).decode()}"
        made = EventNode(name=full, event=event, key=text, take=take, timeout_ms=limit_ms, on_timeout=output)
        return _sound(options, made)

    return Wait(inside, "event", name, node, default=event)


def question_of(inside: Inside, name: str, given: Mapping[str, Any]) -> Wait[Any]:
    """Return a question to people."""
    form = given.get("form")
    hint: Any = form
    if form is None or isinstance(form, Mapping) or given.get("on_timeout", "fail") != "fail":
        # A value for the time-out is of any type.
        hint = Any

    def node(full: str) -> WaitNode:
        options = Options(f"question {full!r}")
        texts = {
            key: _literal(given.get(key))
            for key in ("prompt", "role", "assignee", "metadata")
            if key in given
        }
        made: InputNode = input_node(options, full, {**given, **texts}, options.due(given.get("due")))
        if made.due_at is not None and not made.due_at.startswith("="):
            text = "due= takes a duration or a datetime inside a step; paths are for steps of the graph"
            options.fault("bad_option", text)
        return _sound(options, made)

    return Wait(inside, "input", name, node, hint=hint)


def child_of(
    inside: Inside, workflow: Workflow, given: object, ref: str | None, timeout: Duration | None,
    on_timeout: object, queue: str | None, *, wait: bool, leave: bool,
) -> Wait[Any]:  # fmt: skip
    """Return a run of another workflow, to be waited for, or to be started only.

    Raises `Fail` with code `deadlock` if the other run would wait for this one, and with `bad_wait` for
    anything but a workflow.
    """
    if not hasattr(workflow, "definition"):
        remedy = "a start by name is ctx.start()"
        text = f"call: takes the workflow as the code defines it, not {workflow!r}; {remedy}"
        raise Fail("bad_wait", text, retryable=False)

    def node(full: str) -> WaitNode:
        options = Options(f"child {full!r}")
        limit_ms, output = options.time_limit(timeout, on_timeout)
        if not wait and (timeout is not None or on_timeout != "fail"):
            options.fault("contradiction", "timeout= and on_timeout= are for a run that is waited for")
        if wait and leave:
            options.fault("contradiction", "leave= is for a run that is not waited for: wait=False")
        data = write_untyped(given)
        why = standoff(inside.caller, workflow.definition(), data) if wait and inside.caller else None
        if why is not None:
            raise Fail("deadlock", why, retryable=False)
        return _sound(
            options,
            ChildNode(
                name=full, workflow=workflow.name, fingerprint=workflow.fingerprint,
                input=f"={data.decode()}", timeout_ms=limit_ms, on_timeout=output,
                queue=queue, wait=wait, leave=leave,
            ),
        )  # fmt: skip

    if not wait:
        return Wait(inside, "child", ref, node, default=workflow.name, hint=str)
    hint = Any if workflow.output_type is None or on_timeout != "fail" else workflow.output_type
    return Wait(inside, "child", ref, node, default=workflow.name, hint=hint)


def _sound(options: Options, node: WaitNode) -> WaitNode:
    """Return a node, unless its options cannot be read."""
    if options.faults:
        raise Fail("bad_wait", "; ".join(text for _, text in options.faults), retryable=False)
    return node


def _literal(value: Any) -> Any:
    """Double braces: the function has filled its texts itself."""
    if isinstance(value, str):
        return value.replace("{", "{{").replace("}", "}}")
    if isinstance(value, Mapping):
        return {key: _literal(each) for key, each in value.items()}
    return value
