"""The run's context as seen by one attempt: a snapshot from the start, plus the attempt's own changes.

Values are stored as JSON and decoded on each read, so mutating a value changes nothing. An attempt sees its
changes at once, other steps after the completion of the step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from threading import RLock
from typing import Any, Literal, NoReturn

import msgspec
from msgspec import Raw

from stream_durable.core.attributes import ATTRIBUTES_MAX, attribute_of, too_many
from stream_durable.core.errors import RejectedError
from stream_durable.core.gate.limits import COUNT_MAX
from stream_durable.core.ids import PAYLOAD_BYTES_MAX
from stream_durable.core.merging import merged
from stream_durable.core.messages import NULL, Attribute, Change
from stream_durable.sdk.answers import Fail
from stream_durable.sdk.emitting import Emissions
from stream_durable.sdk.handover import DOES_NOT_FIT, problems
from stream_durable.sdk.untyped import write_untyped

_read_object = msgspec.json.Decoder(dict[str, Raw]).decode
_read = msgspec.json.decode
_write = msgspec.json.encode
_NO_ATTRIBUTES: dict[str, Attribute] = {}
#: Bytes of a change beside key and value.
_AROUND_BYTES = 24


Kind = Literal["put", "merge", "merge_deep", "append", "increment", "delete"]
#: Returns the value after a change, from the one before and the change's own; None: they do not go together.
Applied = Callable[[Raw | None, bytes], bytes | None]

_NEEDS = {
    "append": "a list", "increment": "a number that can take it", "merge": "an object",
    "merge_deep": "an object",
}  # fmt: skip


class Values:
    """A JSON object with tracked changes. Threads of one attempt may share it."""

    __slots__ = ("_changes", "_data", "_lock", "_opened", "_size", "attributes", "emissions", "spent")

    def __init__(self, data: bytes = b"{}") -> None:
        """Begin with the content of the run's context, decoded on demand."""
        self._data = data
        self._opened: dict[str, Raw] | None = None
        self._changes: list[Change] = []
        self._size = len(data)
        self._lock = RLock()
        #: What the attempt emits, if anything.
        self.emissions: Emissions | None = None
        #: The attributes that the attempt sets, by name.
        self.attributes: dict[str, Attribute] = _NO_ATTRIBUTES
        #: What the call has cost so far, if the attempt says so.
        self.spent: int | None = None

    @property
    def changes(self) -> tuple[Change, ...]:
        """The changes, in order."""
        return tuple(self._changes)

    def emitting(self) -> Emissions:
        """Return the attempt's emissions, to add one."""
        with self._lock:
            if self.emissions is None:
                self.emissions = Emissions()
            return self.emissions

    def set_attribute(self, name: str, value: Any) -> None:
        """Set an attribute of the run, in place of an earlier value of this attempt."""
        try:
            made = attribute_of(name, value)
        except RejectedError as error:
            raise Fail(error.code, str(error), retryable=False) from None
        with self._lock:
            self.set_attributes((made,))

    def set_attributes(self, given: Iterable[Attribute]) -> None:
        """Set checked attributes."""
        self.attributes = {**self.attributes, **{one.name: one for one in given}}
        if len(self.attributes) > ATTRIBUTES_MAX:
            error = too_many(len(self.attributes))
            raise Fail(error.code, str(error), retryable=False)

    def spend(self, units: object) -> None:
        """Add to what the call has cost."""
        if isinstance(units, bool) or not isinstance(units, int) or not 0 <= units <= COUNT_MAX:
            text = f"spent() takes a whole number from 0 to {COUNT_MAX}, not {units!r}"
            raise Fail("bad_units", text, retryable=False)
        with self._lock:
            self.spent = min((self.spent or 0) + units, COUNT_MAX)

    def take_spent(self) -> int | None:
        """Return what the call has cost, and begin again at nothing."""
        with self._lock:
            spent, self.spent = self.spent, None
            return spent

    def has(self, key: str) -> bool:
        """Say whether there is a value."""
        return key in self._fields()

    def all(self) -> dict[str, Any]:
        """Return a copy of all values."""
        return {key: _read(data) for key, data in self._fields().items()}

    def get(self, key: str, default: Any) -> Any:
        """Return a copy of a value."""
        data = self._fields().get(key)
        return default if data is None else _read(data)

    def put(self, key: str, value: Any) -> None:
        """Set a value."""
        self._change("put", key, _json(key, value), lambda _, data: data)

    def merge(self, values: Any, at: str, *, deep: bool) -> None:
        """Set the fields of the context, or of the object at a key."""
        data = _json(at, values)
        if not data.startswith(b"{"):
            _refuse("merge", at, "takes an object, to set its fields")
        kind: Kind = "merge_deep" if deep else "merge"
        if at:
            self._change(kind, at, data, partial(_merged, deep=deep))
            return
        with self._lock:
            self._note(kind, "", data)
            self._opened = merged(self._fields(), _read_object(data), deep=deep)

    def append(self, key: str, value: Any) -> None:
        """Add a value to the end of a list."""
        self._change("append", key, _json(key, value), _appended)

    def increment(self, key: str, by: float) -> None:
        """Add to a number."""
        if isinstance(by, bool) or not isinstance(by, int | float):
            _refuse("increment", key, f"adds a number, not an object of type {type(by).__name__}")
        self._change("increment", key, _json(key, by), _sum)

    def delete(self, key: str) -> None:
        """Remove a value, if present."""
        with self._lock:
            self._note("delete", _key(key), b"null")
            self._fields().pop(key, None)

    def update(self, key: str, function: Callable[[Any], Any], default: Any) -> Any:
        """Store the function's result for the present value, and return the result."""
        with self._lock:
            value = function(self.get(key, default))
            self.put(key, value)
            return value

    def _change(self, kind: Kind, key: str, data: bytes, applied: Applied) -> None:
        with self._lock:
            value = applied(self._fields().get(_key(key)), data)
            if value is None:
                _refuse(kind, key, f"needs {_NEEDS[kind]} there, and there is something else")
            self._note(kind, key, data)
            self._fields()[key] = Raw(value)

    def _fields(self) -> dict[str, Raw]:
        if self._opened is None:
            self._opened = _read_object(self._data)
        return self._opened

    def _note(self, kind: Kind, key: str, data: bytes) -> None:
        size = self._size + len(key) + len(data) + _AROUND_BYTES
        if size > PAYLOAD_BYTES_MAX:
            raise Fail(
                "context_too_large",
                f"the run's context and what this attempt changes of it would be {size} bytes of JSON, and "
                f"{PAYLOAD_BYTES_MAX} are the most: return large values as a step's output instead",
                retryable=False,
            )
        self._size = size
        self._changes.append(Change(kind, key, NULL if data == b"null" else Raw(data)))


def _key(key: object) -> str:
    if not isinstance(key, str) or not key:
        raise Fail("bad_change", f"a key of the context is a text, not {key!r}", retryable=False)
    return key


def _json(key: str, value: Any) -> bytes:
    try:
        return write_untyped(value)
    except DOES_NOT_FIT as error:
        found = "; ".join(map(str, problems(error)))
        text = f"what is kept in the context at {key!r} does not fit: {found}"
        raise Fail("bad_change", text, retryable=False) from None


def _merged(there: Raw | None, data: bytes, *, deep: bool) -> bytes | None:
    if there is None:
        return data
    if not _begins(there, b"{"):
        return None
    return _write(merged(_read_object(there), _read_object(data), deep=deep))


def _appended(there: Raw | None, data: bytes) -> bytes | None:
    if there is None:
        return b"[%b]" % data
    if not _begins(there, b"["):
        return None
    inside = bytes(there).strip()[1:-1].rstrip()
    return b"[%b,%b]" % (inside, data) if inside.strip() else b"[%b]" % data


def _sum(there: Raw | None, data: bytes) -> bytes | None:
    number = 0 if there is None else _read(there)
    if isinstance(number, bool) or not isinstance(number, int | float):
        return None
    try:
        return write_untyped(number + _read(data))
    except (OverflowError, *DOES_NOT_FIT):
        return None


def _begins(data: Raw, with_: bytes) -> bool:
    return bytes(data).lstrip().startswith(with_)


def _refuse(kind: Kind, key: str, reason: str) -> NoReturn:
    at = f" at {key!r}" if key else ""
    raise Fail("bad_change", f"{kind.removesuffix('_deep')}{at} {reason}", retryable=False)
