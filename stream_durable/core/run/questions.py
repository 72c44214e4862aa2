"""How a step asks people: its texts are filled from the run, once, when the wait begins."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import Raw

from stream_durable.core.definition.nodes import InputNode
from stream_durable.core.definition.paths import read_path, root_of, value_at
from stream_durable.core.definition.templates import filled, only_hole
from stream_durable.core.effects import Effects
from stream_durable.core.errors import RejectedError
from stream_durable.core.failure import Failure
from stream_durable.core.ids import clipped
from stream_durable.core.lifecycle import STEP_WAITING
from stream_durable.core.reference import is_reference
from stream_durable.core.run.cause import Cause
from stream_durable.core.run.due import expect
from stream_durable.core.run.from_outside import Asked
from stream_durable.core.run.say import say_step, set_due
from stream_durable.core.run.state import End, Run, Step
from stream_durable.core.run.values import root_value
from stream_durable.core.status import FAILED

#: Characters of a value in a text, and of the text as a whole; what is longer is cut.
VALUE_LENGTH_MAX: Final = 500
PROMPT_LENGTH_MAX: Final = 4_000
#: Bytes of role and assignee, and JSON bytes of a value passed on unchanged.
NAME_BYTES_MAX: Final = 512
METADATA_VALUE_BYTES_MAX: Final = 4_000

_encode = msgspec.json.Encoder().encode


def ask(run: Run, i: int, step: Step, node: InputNode, now: int, out: Effects, ends: list[End]) -> None:
    """Put the question, and wait for an answer; without a usable due moment the step fails."""
    values = _Values(run)
    try:
        expect(run, i, step, node, now, out)
    except RejectedError as error:
        ends.append((i, FAILED, None, Failure(error.code, str(error), retryable=False)))
        return
    detail = step.detailed()
    detail.asked = Asked(
        prompt=_cut(filled(node.prompt, lambda path: values.text(path) or "?"), PROMPT_LENGTH_MAX),
        role=clipped(filled(node.role, values.text), NAME_BYTES_MAX),
        assignee=clipped(filled(node.assignee, values.text), NAME_BYTES_MAX),
        metadata=None if node.metadata is None else Raw(_encode(_metadata(node.metadata, values))),
        due=detail.expected,
    )
    if node.timeout_ms is not None:
        set_due(run, i, step, now + node.timeout_ms, out)
    say_step(run, STEP_WAITING, i, step, now, out)


def cause_of_question(step: Step) -> Cause:
    """Return the cause of waiting: the question, and the people asked."""
    asked = Asked() if step.detail is None or step.detail.asked is None else step.detail.asked
    return Cause("input", asked.assignee or asked.role or "anybody", asked.prompt, step.due)


class _Values:
    """Values at paths of a run, each root decoded once."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._roots: dict[str, Any] = {}

    def at(self, path: str) -> Any:
        """Return the value at a path, or None."""
        root = root_of(path)
        try:
            if root not in self._roots:
                data = root_value(self._run, root)
                if is_reference(data):
                    return value_at(path, data)
                self._roots[root] = value_at(root, data)
            return read_path(path, self._roots[root])
        except RejectedError:
            return None

    def text(self, path: str) -> str:
        """Return the value at a path as text for people, shortened; empty without a value."""
        value = self.at(path)
        if value is None:
            return ""
        text = value if isinstance(value, str) else _encode(value).decode()
        # The database keeps neither NUL nor halves of a character.
        return _cut(text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode(), VALUE_LENGTH_MAX)


def _metadata(text: str, values: _Values) -> dict[str, Any]:
    fields = msgspec.json.decode(text, type=dict[str, Any])
    return {name: _metadata_value(value, values) for name, value in fields.items()}


def _metadata_value(value: Any, values: _Values) -> Any:
    if not isinstance(value, str):
        return value
    path = only_hole(value)
    if path is None:
        return filled(value, values.text)
    held = values.at(path)
    if isinstance(held, str) or len(_encode(held)) > METADATA_VALUE_BYTES_MAX:
        return values.text(path)
    return held


def _cut(text: str, length_max: int) -> str:
    return text if len(text) <= length_max else f"{text[: length_max - 1]}…"
