"""The rule of a schedule as data: times of firing, zone, beginning and end."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

#: Until the year 9999.
Moment = Annotated[int, Meta(ge=0, le=253_402_214_400_000)]

#: Most expressions, and most single moments, of one rule.
CRON_MAX: Final = 20
AT_MAX: Final = 1_000
#: The shortest time between two firings of `every`.
EVERY_MS_MIN: Final = 1_000
#: The largest jitter.
JITTER_MS_MAX: Final = 86_400_000


class Rule(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """When a schedule fires: exactly one of `cron`, `every_ms`, `at` and `after_ms`.

    Moments are milliseconds since 1970.
    """

    #: Cron expressions of five fields, or of six, of which the first one is seconds.
    cron: Annotated[tuple[Annotated[str, Meta(max_length=200)], ...], Meta(max_length=CRON_MAX)] = ()
    #: The time between firings, counted from `start`, or else from 1970.
    every_ms: Moment | None = None
    at: Annotated[tuple[Moment, ...], Meta(max_length=AT_MAX)] = ()
    #: The time between the creation of the schedule and its only firing.
    after_ms: Moment | None = None
    #: IANA name of the zone of cron expressions, and for showing moments.
    zone: Annotated[str, Meta(max_length=64)] = "UTC"
    #: The first moment that may fire, and the first that may no more.
    start: Moment | None = None
    end: Moment | None = None
    #: The longest delay of a firing; how long follows from schedule and moment.
    jitter_ms: Annotated[int, Meta(ge=0, le=JITTER_MS_MAX)] = 0
