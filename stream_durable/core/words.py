"""Words of others, made fit to be shown."""

from __future__ import annotations

from typing import Final

#: Pydantic begins the message of a validator with the kind of its exception.
_PREFIXES: Final = ("Value error, ", "Assertion failed, ")


def without_prefix(message: str) -> str:
    """Return the message of a validator without the prefix.

    >>> without_prefix("Value error, 'x' is not one of 'a', 'b'")
    "'x' is not one of 'a', 'b'"
    """
    for prefix in _PREFIXES:
        message = message.removeprefix(prefix)
    return message
