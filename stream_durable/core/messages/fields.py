"""Types of the fields of messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Raw

from stream_durable.core import durations
from stream_durable.core.ids import ID_BYTES_MAX

NULL = Raw(b"null")

if TYPE_CHECKING:
    OptionalRaw = Raw | None
else:
    # The library reads nothing but null into a union with `Raw`. What is absent stays at its default, None.
    OptionalRaw = Raw

#: Bounds are part of the types, so that values unfit for storage are refused on decoding. These count
#: characters; `decode_message` counts the bytes of non-ASCII values.
Text = Annotated[str, Meta(min_length=1, max_length=ID_BYTES_MAX)]
OptionalText = Annotated[str, Meta(max_length=ID_BYTES_MAX)]
Millis = durations.Millis
Ordinal = Annotated[int, Meta(ge=1, le=(1 << 31) - 1)]
Partition = Annotated[int, Meta(ge=0, le=(1 << 31) - 1)]
#: The attempt of the step's wait; 0 in messages of older releases: any attempt.
WaitAttempt = Annotated[int, Meta(ge=0, le=(1 << 31) - 1)]

#: How many events follow one that was given together with them.
More = Annotated[int, Meta(ge=0, le=(1 << 31) - 1)]

#: The number of an event in its channel.
Arrival = Annotated[int, Meta(ge=1, le=1 << 53)]

#: A person's comment.
Comment = Annotated[str, Meta(max_length=2_000)]
