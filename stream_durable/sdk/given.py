"""Values of the caller as JSON: checked here, where the mistake is, not where a step reads them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from uuid import uuid4

import msgspec
from msgspec import Raw
from pydantic import BaseModel

from stream_durable.core.errors import RejectedError
from stream_durable.core.ids import ID_BYTES_MAX, PAYLOAD_BYTES_MAX, byte_length, fits
from stream_durable.sdk.errors import PROBLEMS_SHOWN, Problem
from stream_durable.sdk.handover import DOES_NOT_FIT, Codecs, problems
from stream_durable.sdk.workflow import Workflow

_sorted: Final = msgspec.json.Encoder(order="sorted").encode


class Values:
    """Writes values, each type prepared once."""

    def __init__(self) -> None:
        self._codecs = Codecs()

    def input_of(self, workflow: Workflow | str, value: Any) -> Raw:
        """Return a run's input as JSON, checked against the workflow's type."""
        name = workflow if isinstance(workflow, str) else workflow.name
        hint = None if isinstance(workflow, str) else workflow.input_type
        return self._write(hint, value, f"the input of workflow {name!r}")

    def output_of(self, hint: Any, data: bytes, what: str) -> Any:
        """Return a run's output in the declared type, or as plain JSON."""
        if hint is None:
            return msgspec.json.decode(data)
        try:
            return self._codecs.of(hint).read(data)
        except DOES_NOT_FIT as error:
            raise RejectedError("invalid_output", f"{what} does not fit: {_said(problems(error))}") from None

    def plain(self, value: Any, what: str) -> Raw:
        """Return JSON, or a model as JSON."""
        return self._write(None, value, what)

    def an_object(self, value: Mapping[str, Any] | None, what: str) -> Raw | None:
        """Return a JSON object, if there is anything."""
        if value is None:
            return None
        data = self.plain(value, what)
        if not bytes(data).startswith(b"{"):
            text = f"{what} does not fit: it has to be an object, such as a dict"
            raise RejectedError("invalid_input", text)
        return data

    def _write(self, hint: Any, value: Any, what: str) -> Raw:
        if hint is None:
            hint = type(value) if isinstance(value, BaseModel) else Any
        try:
            data = self._codecs.of(hint).write(value)
        except DOES_NOT_FIT as error:
            # Without the cause, which shows the value.
            raise RejectedError("invalid_input", f"{what} does not fit: {_said(problems(error))}") from None
        if len(data) > PAYLOAD_BYTES_MAX:
            text = f"{what} is {len(data)} bytes of JSON, and {PAYLOAD_BYTES_MAX} are the most"
            raise RejectedError("too_large", f"{text}: keep it elsewhere, and pass on where it is")
        return Raw(data)


def _said(found: list[Problem]) -> str:
    shown = "; ".join(map(str, found[:PROBLEMS_SHOWN]))
    return shown if len(found) <= PROBLEMS_SHOWN else f"{shown}; and {len(found) - PROBLEMS_SHOWN} more"


def drawn() -> str:
    """Return an id that nobody else has."""
    return uuid4().hex


def run_id(given: str) -> str:
    """Return a valid id of a run, or raise with the reason."""
    if not given or not fits(given):
        text = f"a run's id has 1 to {ID_BYTES_MAX} bytes of UTF-8, this one {byte_length(given)}"
        raise RejectedError("bad_id", text if not given else f"{text}: take a shorter one, or a digest of it")
    if "\x00" in given:
        raise RejectedError("bad_id", f"{given!r} cannot be a run's id: it holds a NUL character")
    try:
        given.encode()
    except UnicodeEncodeError:
        raise RejectedError("bad_id", f"{given!r} cannot be a run's id: it is not valid Unicode") from None
    return given


def is_same(one: bytes | Raw, other: bytes | Raw) -> bool:
    """Return whether two JSON texts are equal as values."""
    if bytes(one) == bytes(other):
        return True
    return _sorted(msgspec.json.decode(one)) == _sorted(msgspec.json.decode(other))
