"""The version of everything that an instance writes: messages, the rules of their fold, rows and definitions.

One number for all of it, since one question is asked of it: may this release go on from here? What is
written says which format it takes only where that is not the first one. A release refuses what it does not
know, and leaves it to one that does.
"""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta

#: The newest format that this release knows.
FORMAT: Final = 1

#: So far beyond ours a format is made up: to wait for it would hold a partition for ever.
FORMATS_AHEAD_MAX: Final = 100

Format = Annotated[int, Meta(ge=1, le=(1 << 31) - 1)]


def is_made_up(found: int) -> bool:
    """Say whether no release will ever write this format."""
    return found > FORMAT + FORMATS_AHEAD_MAX
