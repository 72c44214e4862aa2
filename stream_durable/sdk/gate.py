"""Gates: limits on how many pass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Final, Literal

#: In words, or from -100 to 100.
Priority = int | Literal["high", "normal", "low"]
PRIORITIES: Final = {"high": 50, "normal": 0, "low": -50}


@dataclass(frozen=True, slots=True)
class Gate:
    """A limit under a name, for all workers and workflows that use it; the surplus waits, in order.

    At most `at_once` are inside at the same time. A rate such as `"100/1m"` lets them pass evenly, and
    `burst` more after a quiet time: in no window of its length do more than both together pass. With `per=`,
    a path to a key, the limits are those of each key; with `weights=` too, those of all keys together, and
    keys take turns, a key of weight 3 three times as often as one without a weight.

    >>> Gate("bank", at_once=10, rate="100/1m", burst=20, per="input.tenant").rate
    '100/1m'
    """

    name: str
    _: KW_ONLY
    at_once: int | None = None
    rate: str | None = None
    burst: int = 0
    per: str | None = None
    weights: Mapping[str, int] | None = None
