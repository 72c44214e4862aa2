"""Conditions on attributes, as texts such as `amount>=9.5`."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple, assert_never, get_args

import msgspec

from stream_durable.core.attributes import attribute_of, checked_name, key_of, keys_of_kind, value_of
from stream_durable.core.errors import RejectedError
from stream_durable.ports import AttributeTest

Operator = Literal["=", "!=", "<", "<=", ">", ">=", "~"]
OPERATORS: Final[tuple[Operator, ...]] = get_args(Operator)
_WRITTEN = re.compile(r"\s*([A-Za-z][A-Za-z0-9_-]*)\s*(!=|<=|>=|=|<|>|~)\s*(.*?)\s*", re.DOTALL)
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
#: Sorts directly behind a key: no text has a zero.
_NEXT: Final = "\x01"


class Where(NamedTuple):
    """A condition on an attribute: equal, not equal, less, greater, or `~`, a text within."""

    name: str
    operator: Operator
    value: Any

    @classmethod
    def read(cls, text: str) -> Where:
        """Return the condition of a text, or raise `RejectedError` with code `bad_where`.

        `true`, `false`, numbers and ISO moments are such values, all else is a text; in double quotes
        everything is.
        """
        found = _WRITTEN.fullmatch(text)
        if found is None:
            raise RejectedError(
                "bad_where",
                f"{text[:100]!r} is no condition on an attribute: write a name, one of "
                f"{' '.join(OPERATORS)}, and a value, as amount>=9.5",
            )
        operator: Any = found[2]
        return cls(found[1], operator, found[3] if operator == "~" else _value(found[3]))

    def __str__(self) -> str:
        """Return the text for `read`."""
        value = self.value
        if self.operator == "~":
            return f"{self.name}~{value}"
        if isinstance(value, str):
            return f"{self.name}{self.operator}{_written_text(value)}"
        if isinstance(value, bool):
            return f"{self.name}{self.operator}{'true' if value else 'false'}"
        held = value_of(attribute_of(self.name, value))
        return f"{self.name}{self.operator}{held.isoformat() if isinstance(held, datetime) else repr(held)}"

    def test(self) -> AttributeTest:
        """Return the condition on keys; raises `RejectedError` for an impossible value."""
        name, operator = checked_name(self.name), self.operator
        if operator == "~":
            return AttributeTest(name, *keys_of_kind("text"), text=str(self.value))
        made = attribute_of(name, self.value)
        key = key_of(made)
        first, end = keys_of_kind(made.kind)
        if operator == "=":
            return AttributeTest(name, key, key + _NEXT)
        if operator == "!=":
            return AttributeTest(name, key, key + _NEXT, is_not=True)
        if operator == "<":
            return AttributeTest(name, first, key)
        if operator == "<=":
            return AttributeTest(name, first, key + _NEXT)
        if operator == ">":
            return AttributeTest(name, key + _NEXT, end)
        if operator == ">=":
            return AttributeTest(name, key, end)
        assert_never(operator)


def _value(text: str) -> Any:
    if text in ("true", "false"):
        return text == "true"
    if _NUMBER.fullmatch(text):
        return msgspec.json.decode(text) if not text.lstrip("-").startswith("0") else float(text)
    if len(text) >= 2 and text.startswith('"'):
        try:
            return msgspec.json.decode(text, type=str)
        except msgspec.MsgspecError as error:
            raise RejectedError("bad_where", f"{text[:100]} is no text in double quotes: {error}") from None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    return moment.astimezone() if moment.tzinfo is None else moment


def _written_text(value: str) -> str:
    is_plain = value != "" and value == value.strip() and not value.startswith('"')
    return value if is_plain and _value(value) == value else msgspec.json.encode(value).decode()
