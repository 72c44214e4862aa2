"""Asking a worker for an attempt, or first the breaker and the gates."""

from __future__ import annotations

import msgspec
from msgspec import Raw

from stream_durable.core.definition.graph import Graph
from stream_durable.core.definition.nodes import StepNode
from stream_durable.core.effects import Command, Effects
from stream_durable.core.errors import RejectedError
from stream_durable.core.failure import LOOP_BLOCKED, Failure
from stream_durable.core.ids import COMMAND_BYTES_MAX
from stream_durable.core.messages import AttemptFailed, GateAsked
from stream_durable.core.names import defined_name, helped, results_key
from stream_durable.core.run import inside
from stream_durable.core.run.gating import ask_place, queue_gate
from stream_durable.core.run.items import item_of
from stream_durable.core.run.routing import lane_of
from stream_durable.core.run.state import Run, Step, raw_or_null
from stream_durable.core.run.values import output_of, results_of
from stream_durable.core.status import READY


def ask_first(run: Run, i: int, step: Step, node: StepNode, out: Effects) -> None:
    """Ask the breaker of a step, or its gates, whether the next attempt may be made."""
    breaker = node.breaker
    step.status = READY
    if breaker is None:
        ask_gate(run, i, step, node, out)
        return
    step.detailed().held = "gate"
    out.messages.append(
        GateAsked(
            key=breaker.name, run=run.id, step=run.graph.names[i], attempt=step.attempt,
            failures=breaker.failures, window_ms=breaker.window_ms, reset_ms=breaker.reset_ms,
        )
    )  # fmt: skip


def ask_gate(run: Run, i: int, step: Step, node: StepNode, out: Effects) -> None:
    """Ask the gate of a step, otherwise the gate of the queue; with an unreadable key the attempt fails."""
    if node.gate is None:
        ask_queue(run, i, step, node, out)
        return
    try:
        ask_place(run, i, step, node.gate, out, priority=node.priority, units=node.units)
    except RejectedError as error:
        # Reported by a message, as by a worker, for there is no other end of an attempt here.
        name, failure = run.graph.names[i], Failure(error.code, str(error), retryable=False)
        out.messages.append(AttemptFailed(key=run.id, step=name, attempt=step.attempt, failure=failure))


def ask_queue(run: Run, i: int, step: Step, node: StepNode, out: Effects) -> None:
    """Ask the gate of a step's queue. Where the queue has none, the attempt begins."""
    gate = queue_gate(run, node)
    if gate is None:
        dispatch(run, i, step.attempt, out)
    else:
        ask_place(run, i, step, gate, out, priority=node.priority, of_queue=True)


def ask_in_line(run: Run, i: int, step: Step, node: StepNode, out: Effects) -> None:
    """Repeat the request of a step at a breaker or a gate, which grants an earlier pass once more."""
    detail = step.detailed()
    if detail.queue_place:
        ask_queue(run, i, step, node, out)
    elif detail.place:
        ask_gate(run, i, step, node, out)
    else:
        ask_first(run, i, step, node, out)


def dispatch(run: Run, i: int, attempt: int, out: Effects) -> None:
    """Ask a worker for an attempt, handing over what the function takes and nothing else."""
    graph = run.graph
    node = graph.work[i]
    assert node is not None
    name = graph.names[i]
    command = Command(
        run=run.id,
        step=name,
        attempt=attempt,
        workflow=graph.name,
        fingerprint=graph.fingerprint,
        input=Raw(run.input) if node.takes_input else Raw(b"null"),
        outputs=_outputs(run, graph, node) if node.takes or node.results else {},
        timeout_ms=node.timeout_ms,
        trace=run.trace,
    )
    if name != node.name:
        command.function = node.name
    if node.priority is not None:
        command.priority = node.priority
    elif run.priority:
        command.priority = run.priority
    if graph.picks or run.requests is not None:
        wanted = () if run.requests is None else run.requests.picks
        command.picks = graph.picks_of(node.name if name[-1] == "]" else name, wanted)
    if node.takes_context:
        _add_context(run, command)
    if i >= graph.definition_size:
        try:
            _add_dynamic(run, i, node, command)
        except RejectedError as error:
            failure = Failure(error.code, str(error), retryable=False)
            out.messages.append(AttemptFailed(key=run.id, step=name, attempt=attempt, failure=failure))
            return
    if (step := run.steps.get(i)) is not None:
        _add_history(step, command)
        inside.add_answers(run, i, step, command)
    may_be_large = run.payload > _SMALL_BYTES or len(node.takes) > _FEW or node.results
    if may_be_large and (size := _size(command)) > COMMAND_BYTES_MAX:
        # Reported by a message, as by a worker: the caller continues as if the command had been sent.
        text = f"what is handed over has {size} bytes of JSON; {COMMAND_BYTES_MAX} are the most"
        failure = Failure("input_too_large", text, retryable=False)
        out.messages.append(AttemptFailed(key=run.id, step=name, attempt=attempt, failure=failure))
        return
    out.commands.append((lane_of(run, i, attempt), command))


_inputs = msgspec.json.Decoder(tuple[Raw, ...]).decode
#: A run holding no more than this, in a command with at most so many outputs, needs no check of size.
_SMALL_BYTES, _FEW = 1_000_000, 1_000


def _add_history(step: Step, command: Command) -> None:
    command.losses = step.losses
    if step.failure is not None and step.failure.code == LOOP_BLOCKED:
        command.alone = True
    if step.detail is not None:
        command.returns, command.is_suspect = step.detail.returns, step.detail.is_suspect
        if step.detail.first > 1:
            command.ordinal = command.attempt - step.detail.first + 1


def _size(command: Command) -> int:
    """Return the size of a command without the envelope."""
    own = (command.input, command.item, command.context, command.happened, command.metadata)
    values = own if command.inputs is None else own + command.inputs
    size = sum(len(bytes(value)) for value in values if value is not None)
    size += sum(len(name) + len(bytes(value)) for name, value in command.outputs.items())
    size += sum(64 + len(bytes(each.value)) for each in command.kept)
    return size + sum(6 * len(tag) for tag in command.tags)


def _outputs(run: Run, graph: Graph, node: StepNode) -> dict[str, Raw]:
    steps, index = run.steps, graph.index
    outputs = {}
    for name in node.takes:
        i = index.get(name)
        if i is None:
            # `name` is a template; the member is known only for a compensation, see `_add_dynamic`.
            continue
        step = steps.get(i)
        if step is not None and step.output is not None:
            outputs[name] = Raw(step.output)
        elif (output := output_of(run, i)) is not None:
            outputs[name] = Raw(output)
    for name in node.results:
        if (results := results_of(run, index.get(name, -1))) is not None:
            outputs[results_key(name)] = Raw(results)
    return outputs


def _add_context(run: Run, command: Command) -> None:
    if run.graph.tokens:
        command.tokens = _later_attempts(run)
    if run.context is not None:
        command.context = run.context.encoded()
    if run.requests is not None:
        command.scheduled = run.requests.scheduled
    if run.inputs is not None:
        command.inputs = _inputs(run.inputs)
    command.tags = run.tags
    if run.metadata is not None:
        command.metadata = Raw(run.metadata)


def _later_attempts(run: Run) -> dict[str, int]:
    """Return the attempts that tokens are for, where these are not the first."""
    found = {}
    for name in run.graph.tokens:
        step = run.steps.get(run.graph.index[name])
        if step is not None and step.attempt > 1:
            found[name] = step.attempt
    return found


def _add_dynamic(run: Run, i: int, node: StepNode, command: Command) -> None:
    """Add the item of a member, or the argument of a hook."""
    step = run.steps.get(i)
    if step is not None and step.detail is not None and step.detail.happened is not None:
        command.happened = step.detail.happened
    if step is not None and step.detail is not None and step.detail.beside is not None:
        command.item = step.detail.beside.data
        return
    member = i
    if run.graph.is_helper(i):
        target, own = helped(run.graph.names[i]), defined_name(node.name)
        member = run.graph.index.get(target, -1)
        if own in node.takes and own != target:
            # The compensation of a member gets the member's output, not the group's.
            command.outputs[own] = raw_or_null(output_of(run, member))
    if member >= 0 and (item := item_of(run, member)) is not None:
        command.item = item


def handover_bytes(run: Run, node: StepNode) -> int:
    """Return the size of the values in a step's command."""
    size = len(run.input) if node.takes_input else 0
    steps, index = run.steps, run.graph.index
    for name in node.takes:
        i = index.get(name, -1)
        step = steps.get(i)
        if step is not None and step.output is not None:
            size += len(step.output)
        elif i in run.graph.members:
            size += len(output_of(run, i) or b"")
    for name in node.results:
        size += len(results_of(run, index.get(name, -1)) or b"")
    if node.takes_context and run.context is not None:
        size += run.context.size
    if node.takes_context and run.inputs is not None:
        size += len(run.inputs)
    return size
