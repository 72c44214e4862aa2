"""The attributes of one run in memory."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from stream_durable.core.messages import Attribute

_encode = msgspec.json.Encoder().encode


class Attributes:
    """The run's attributes, by name."""

    __slots__ = ("held", "touched")

    def __init__(self, held: Iterable[Attribute] = ()) -> None:
        """Create empty or stored attributes."""
        self.held = {one.name: one for one in held}
        #: The names set since the last save.
        self.touched: dict[str, None] = {}

    def encoded(self) -> bytes:
        """Return the attributes as a JSON list."""
        return _encode(list(self.held.values()))
