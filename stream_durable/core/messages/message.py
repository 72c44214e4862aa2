"""What all messages have in common, and the kinds of entities."""

from __future__ import annotations

from typing import ClassVar, Literal, get_args

import msgspec

from stream_durable.core.messages.fields import Text

Kind = Literal["run", "channel", "gate", "later", "schedule", "admission", "log"]
KINDS: tuple[Kind, ...] = get_args(Kind)


class Message(msgspec.Struct, omit_defaults=True, kw_only=True, tag_field="type"):
    """What can reach an entity. `key` is spelt on the wire as the entity's kind."""

    kind: ClassVar[Kind]
    key: Text
