"""Open signal waits inside steps as rows, for lists: no definition names them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from stream_durable.core.definition.nodes import SignalNode
from stream_durable.core.run.state import Run, Step
from stream_durable.core.status import WAITING

_encode = msgspec.json.Encoder().encode


class SignalWaitRow(NamedTuple):
    """A signal wait inside a step; without signals, no longer open."""

    run: str
    wait: str
    partition: int
    #: When the run was created.
    created: int
    workflow: str
    #: The signals in words, and as a JSON list.
    name: str = ""
    signals: str | None = None


def signal_wait_rows(run: Run) -> list[SignalWaitRow]:
    """Return the rows of changed signal waits inside steps."""
    names, steps, listening = run.graph.names, run.steps, run.graph.listening
    found = [_row(run, names[i], steps[i]) for i in run.touched if i in listening]
    return [*found, *_dropped(run)]


def _dropped(run: Run) -> Iterator[SignalWaitRow]:
    for name, step in (run.orphans or {}).items():
        if _node(step) is not None:
            yield _row(run, name, step)


def _node(step: Step) -> SignalNode | None:
    inner = None if step.detail is None else step.detail.inner
    return inner.node if inner is not None and isinstance(inner.node, SignalNode) else None


def _row(run: Run, name: str, step: Step) -> SignalWaitRow:
    node = _node(step)
    if node is None or step.status != WAITING:
        return SignalWaitRow(run.id, name, run.partition, run.created, run.graph.name)
    return SignalWaitRow(
        run.id, name, run.partition, run.created, run.graph.name, node.named, _encode(node.signals).decode()
    )
