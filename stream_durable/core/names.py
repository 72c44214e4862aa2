"""The names of steps that no author gives: members of a step, and helpers beside one.

`resize[3]` is a member of `resize`, and `resize~2[3]` one that it got when it was begun a second time.
`charge~compensate` helps `charge`, and `~on_failure` the run itself.
"""

from __future__ import annotations


def is_made(name: str) -> bool:
    """Say whether a step of this name was made at run time: it may be gone, for its maker has begun anew."""
    return name.endswith("]") or "~" in name
